//! The commands that train.

mod log;
pub(crate) mod official;
pub(crate) mod pretrain;
mod session;

use std::sync::Mutex;

use toml::Table;
use vcp_checkpoint::Weights;
use vcp_image::{Bits, DecodeOptions};
use vcp_train::{DatasetExamples, Recipe};

use crate::console;

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

/// The depth of 16-bit photos as it stands in config.toml: only where it is not all 16 bits, which is
/// what versions took it for that knew no other.
fn bits_apart(decode: &DecodeOptions) -> Option<u32> {
    match decode.bits {
        Bits::Auto => None,
        Bits::Fixed(depth) | Bits::Settled(depth) => Some(depth.bits()).filter(|bits| *bits != 16),
    }
}

/// What every run depends on, as it stands in config.toml: the start and the recipe. `program` says
/// what made it.
fn configuration(weights: &Weights, recipe: &Recipe) -> anyhow::Result<Table> {
    let mut program = Table::new();
    program.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    let mut model = Table::new();
    let settings = toml::Value::try_from(weights.settings())?;
    model.insert("settings".to_owned(), settings);
    let geometry = toml::Value::try_from(weights.geometry())?;
    model.insert("geometry".to_owned(), geometry);
    let sources = weights.sources().iter();
    let digests: Vec<String> = sources.map(|source| source.sha256().to_owned()).collect();
    model.insert("sources_sha256".to_owned(), digests.into());
    let mut table = Table::new();
    table.insert("program".to_owned(), program.into());
    table.insert("model".to_owned(), model.into());
    table.insert("recipe".to_owned(), toml::Value::try_from(recipe)?);
    Ok(table)
}
