//! The commands that train.

mod log;
pub(crate) mod official;
pub(crate) mod pretrain;
mod session;

use toml::Table;
use vcp_checkpoint::Weights;
use vcp_train::Recipe;

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
