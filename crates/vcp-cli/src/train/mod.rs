//! The commands that train.

mod log;
pub(crate) mod official;
pub(crate) mod pretrain;

use std::sync::Mutex;

use anyhow::Context as _;
use vcp_checkpoint::Weights;
use vcp_clip::Device;
use vcp_train::session::{Configuration, End, Session};
use vcp_train::{DatasetExamples, Notice, Recipe};

use crate::args::TrainDeviceArgs;
use crate::console;
use crate::exit::{Exit, OrUsage, usage, whole_message};
use log::Log;

/// The device that training runs on.
///
/// # Errors
/// As wrong usage, also when mixed precision was asked for where it is not possible or of no use.
fn find_device(arguments: &TrainDeviceArgs, is_quiet: bool) -> anyhow::Result<Device> {
    let device = crate::model::find_device(arguments.place.device, is_quiet)?;
    if arguments.mixed_precision {
        if device.is_cpu() {
            return Err(usage(
                "--mixed-precision is for GPUs: on the CPU it would only be slower. Leave it out, or \
                 name a GPU with --device.",
            ));
        }
        let advice = "--mixed-precision takes a GPU that computes with 16-bit floats. Leave it out";
        device
            .require_mixed_precision()
            .context(advice)
            .or_usage()?;
    }
    Ok(device)
}

/// Examples that say what should be known of photos and masks, each kind once.
fn noticing(examples: DatasetExamples, is_quiet: bool) -> DatasetExamples {
    if is_quiet {
        return examples;
    }
    let (photos, masks) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    examples.with_notices(move |notice| match notice {
        Notice::Photo { id, warning } => {
            if is_new(&photos, std::mem::discriminant(warning)) {
                console::note(&format!("{id}: {warning} There may be more such photos."));
            }
        }
        Notice::Mask(finding) => {
            if is_new(&masks, std::mem::discriminant(finding)) {
                let sentence = finding.sentence();
                console::note(&format!("{sentence} There may be more such masks."));
            }
        }
    })
}

/// Whether nothing of this kind has been said before.
fn is_new<T: PartialEq>(said: &Mutex<Vec<T>>, kind: T) -> bool {
    said.lock().is_ok_and(|mut said| {
        let is_new = !said.contains(&kind);
        if is_new {
            said.push(kind);
        }
        is_new
    })
}

/// What every run depends on.
fn configuration(weights: &Weights, recipe: &Recipe) -> Result<Configuration, vcp_train::Error> {
    Configuration::new(env!("CARGO_PKG_VERSION"), weights, recipe)
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
