//! What a run depends on, as it stands in config.toml.

use std::collections::BTreeSet;

use serde::Serialize;
use toml::{Table, Value};
use vcp_checkpoint::{Source, Weights};
use vcp_dataset::{Sample, digest_of_listing};
use vcp_image::{Bits, DecodeOptions};

use vcp_files::Sha256;

use crate::{Augmentation, Error, Recipe, Scope};

/// All that a run depends on. It is written into the run's folder when the run begins, and one that resumes
/// it has to depend on the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration(Table);

impl Configuration {
    /// The start and the recipe, which every run has. `version` is that of the program, which may be
    /// another one when the run is resumed.
    ///
    /// # Errors
    /// [`Error::Configuration`] when something cannot be written down.
    pub fn new(version: &str, weights: &Weights, recipe: &Recipe) -> Result<Self, Error> {
        let mut model = Table::new();
        model.insert("settings".to_owned(), value(weights.settings())?);
        model.insert("geometry".to_owned(), value(weights.geometry())?);
        let sources = weights.sources().iter();
        let digests: Vec<&str> = sources.map(Source::sha256).collect();
        model.insert("sources_sha256".to_owned(), value(&digests)?);
        // What is trained is in the state, and CLIP's files are among the sources. A backbone may come from a
        // bundle, and be tuned.
        if let Scope::FromBlock(_) = recipe.scope {
            model.insert(
                "frozen_sha256".to_owned(),
                digest_of_frozen(weights, recipe.scope).into(),
            );
        }
        let mut program = Table::new();
        program.insert("version".to_owned(), version.into());
        let mut table = Table::new();
        table.insert("program".to_owned(), program.into());
        table.insert("model".to_owned(), model.into());
        table.insert("recipe".to_owned(), value(recipe)?);
        Ok(Self(table))
    }

    /// The same with something else that the run depends on, such as its data.
    ///
    /// # Errors
    /// As [`Configuration::new`].
    pub fn with(mut self, key: &str, entry: &impl Serialize) -> Result<Self, Error> {
        self.0.insert(key.to_owned(), value(entry)?);
        Ok(self)
    }

    /// The same with the samples that epochs are judged by, if there are any.
    ///
    /// # Errors
    /// As [`Configuration::new`].
    pub fn with_validation(self, samples: &[(String, Sample)]) -> Result<Self, Error> {
        #[derive(Serialize)]
        struct Validation {
            images: usize,
            digest: String,
        }
        if samples.is_empty() {
            return Ok(self);
        }
        let validation = Validation {
            images: samples.len(),
            digest: digest_of_listing(samples.iter().map(|(_, sample)| sample)),
        };
        self.with("validation", &validation)
    }

    /// The text of config.toml.
    pub(super) fn text(&self) -> Result<String, Error> {
        toml::to_string(&self.0).map_err(|error| Error::Configuration(error.to_string()))
    }

    /// The keys whose values are others than in the text of a config.toml. `program` is skipped: a newer
    /// version may resume a run.
    pub(super) fn differing(&self, before: &str) -> Result<Vec<String>, toml::de::Error> {
        Ok(differences("", &before.parse()?, &self.0))
    }
}

fn value(entry: &impl Serialize) -> Result<Value, Error> {
    Value::try_from(entry).map_err(|error| Error::Configuration(error.to_string()))
}

/// A data set that is trained on, as it stands in config.toml.
#[derive(Clone, Debug, Serialize)]
pub struct DataSource {
    /// Name of the layout as which it is read.
    pub layout: String,
    /// The data set's name.
    pub name: String,
    /// Images that are trained on.
    pub images: usize,
    /// A digest that changes when the images or their masks do.
    pub digest: String,
    /// How its images are changed.
    pub augmentation: Augmentation,
    /// Whether images are turned as their metadata say; absent where not, as in the runs of versions that
    /// could not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub orientation: bool,
    /// The depth of 16-bit photos ([`DataSource::bits`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
}

impl DataSource {
    /// The depth of 16-bit photos as it stands in config.toml: absent where it is all 16 bits, which is what
    /// versions took it for that knew no other.
    #[must_use]
    pub fn bits(decode: &DecodeOptions) -> Option<u32> {
        match decode.bits {
            Bits::Auto => None,
            Bits::Fixed(depth) | Bits::Settled(depth) => {
                Some(depth.bits()).filter(|bits| *bits != 16)
            }
        }
    }
}

/// Whether this is the text of a [`Configuration`], in whatever version.
pub(super) fn is_configuration(text: &str) -> bool {
    let Ok(table) = text.parse::<Table>() else {
        return false;
    };
    let part = |name: &str| table.get(name).and_then(Value::as_table);
    let has = |name: &str, key: &str| part(name).is_some_and(|part| part.contains_key(key));
    has("program", "version") && has("model", "geometry") && part("recipe").is_some()
}

/// The keys whose values differ, `program` left out.
fn differences(prefix: &str, one: &Table, other: &Table) -> Vec<String> {
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    keys.into_iter()
        .filter(|key| !(prefix.is_empty() && *key == "program"))
        .flat_map(|key| match (one.get(key), other.get(key)) {
            (Some(Value::Table(one)), Some(Value::Table(other))) => {
                differences(&format!("{prefix}{key}."), one, other)
            }
            (one, other) if one == other => Vec::new(),
            _ => vec![format!("{prefix}{key}")],
        })
        .collect()
}

/// The digest of all values that are not trained, in the order of their names.
fn digest_of_frozen(weights: &Weights, scope: Scope) -> String {
    let mut hasher = Sha256::new();
    for tensor in weights.tensors().filter(|it| !scope.trains(it.name())) {
        for value in tensor.to_f32() {
            hasher.update(value.to_le_bytes());
        }
    }
    hasher.hexadecimal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_keys_are_named() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let one = "seed = 1\n[recipe]\nepochs = 2\nrate = 0.5\n[program]\nversion = '1'";
        let other = table("seed = 1\n[recipe]\nepochs = 3\n[program]\nversion = '2'");
        let same = Configuration(table(one)).differing(one).unwrap();
        assert!(same.is_empty(), "{same:?}");
        assert_eq!(
            Configuration(other).differing(one).unwrap(),
            ["recipe.epochs", "recipe.rate"]
        );
    }

    #[test]
    fn a_runs_configuration_is_known() {
        let ours = "[program]\nversion = '0.1.0'\n[model.geometry]\n[recipe]\nepochs = 3";
        assert!(is_configuration(ours));
        for other in [
            "",
            "baseURL = 'https://example.org'\ntitle = 'My site'",
            "[program]\nversion = '1'\n[recipe]",
            "not = [toml",
        ] {
            assert!(!is_configuration(other), "{other}");
        }
    }
}
