//! The commands that train.

mod log;
pub(crate) mod official;
pub(crate) mod pretrain;

use std::path::PathBuf;
use std::sync::Mutex;

use vcp_checkpoint::Weights;
use vcp_train::session::{Configuration, End, RunFolder, Session};
use vcp_train::{DatasetExamples, Recipe};

use crate::console;
use crate::exit::{Exit, usage, whole_message};
use log::Log;

/// Examples that say what there is to say about masks, each kind once.
fn noticing(examples: DatasetExamples, is_quiet: bool) -> DatasetExamples {
    if is_quiet {
        return examples;
    }
    let said = Mutex::new(Vec::new());
    examples.with_notice(move |finding| {
        let kind = std::mem::discriminant(finding);
        if let Ok(mut said) = said.lock()
            && !said.contains(&kind)
        {
            said.push(kind);
            let sentence = finding.sentence();
            console::note(&format!("{sentence} There may be more such masks."));
        }
    })
}

/// What every run depends on.
fn configuration(weights: &Weights, recipe: &Recipe) -> Result<Configuration, vcp_train::Error> {
    Configuration::new(env!("CARGO_PKG_VERSION"), weights, recipe)
}

/// The folder of a run.
fn folder(path: PathBuf, restart: bool) -> anyhow::Result<RunFolder> {
    RunFolder::prepare(path, restart).map_err(refused)
}

/// Trains until the run is complete or a signal comes.
fn run(session: Session, quiet: bool) -> anyhow::Result<Exit> {
    match session.run(&mut Log::on_signals(quiet)).map_err(refused)? {
        End::Complete => Ok(Exit::Done),
        End::Stopped => Ok(Exit::Interrupted),
    }
}

/// What a refusal is to the user: wrong usage.
fn refused(error: vcp_train::Error) -> anyhow::Error {
    if error.is_refusal() {
        usage(whole_message(&error.into()))
    } else {
        error.into()
    }
}
