//! What has to be kept of a training to go on with it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use vcp_burn::AdamState;
use vcp_checkpoint::seal;
use vcp_files::Durability;

use crate::{Error, LossScale};

/// Where in a training something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Epochs done.
    pub epoch: usize,
    /// Batches of this epoch done.
    pub batch: usize,
}

/// A training, between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The batch to come.
    pub position: Position,
    /// Steps made.
    pub steps: u64,
    /// Trained parameters by canonical name.
    pub values: BTreeMap<String, Vec<f32>>,
    /// What the optimiser remembers.
    pub optimiser: AdamState,
    /// What the search for the branches' shares has summed up; nothing if there is none.
    pub blend: Vec<f64>,
    /// By how much the loss is scaled up, in mixed precision.
    pub loss_scale: Option<LossScale>,
    /// Whatever else the caller wants to find again.
    pub extra: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
struct Description {
    version: u32,
    position: Position,
    steps: u64,
    optimiser_steps: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blend: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_scale: Option<LossScale>,
    extra: serde_json::Value,
}

/// Key of the description in the file's metadata.
const KEY: &str = "vcp_clip_training";
const VERSION: u32 = 1;
/// Parts of the names of arrays.
const KINDS: [&str; 3] = ["value.", "first.", "second."];

impl State {
    /// Writes a safetensors file. An existing one is replaced when the new one is complete, so that
    /// there is always one to go on from.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let fail = |source: std::io::Error| Error::Write {
            path: path.to_owned(),
            source,
        };
        let description = Description {
            version: VERSION,
            position: self.position,
            steps: self.steps,
            optimiser_steps: self.optimiser.steps,
            blend: self.blend.clone(),
            loss_scale: self.loss_scale,
            extra: self.extra.clone(),
        };
        let description =
            serde_json::to_string(&description).map_err(|error| fail(error.into()))?;
        let mut arrays: Vec<(String, Vec<u8>, usize)> = Vec::new();
        let mut add = |kind: &str, name: &str, values: &[f32]| {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes());
            arrays.push((format!("{kind}{name}"), bytes.collect(), values.len()));
        };
        for (name, values) in &self.values {
            add(KINDS[0], name, values);
        }
        for (name, (first, second)) in &self.optimiser.moments {
            add(KINDS[1], name, first);
            add(KINDS[2], name, second);
        }
        let views = arrays.iter().map(|(name, bytes, length)| {
            let view = TensorView::new(Dtype::F32, vec![*length], bytes);
            view.map(|view| (name.as_str(), view))
        });
        let views: Vec<_> = views
            .collect::<Result<_, _>>()
            .map_err(|error| fail(std::io::Error::other(error)))?;
        let metadata = [(KEY.to_owned(), description)].into();
        let bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|error| fail(std::io::Error::other(error)))?;
        let bytes = seal::seal(&bytes).ok_or_else(|| {
            fail(std::io::Error::other(
                "its header has no place for a digest",
            ))
        })?;
        vcp_files::write(path, Durability::Synced, |file| file.write_all(&bytes)).map_err(fail)
    }

    /// Whether a file begins as those that [`State::write`] of versions up to 0.1 wrote, however short it
    /// is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn begins(path: &Path) -> std::io::Result<bool> {
        // After the eight bytes of the header's length.
        let expected = format!("{{\"__metadata__\":{{\"{KEY}\"");
        let mut start = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(8 + expected.len() as u64)
            .read_to_end(&mut start)?;
        let start = start.get(8..).unwrap_or_default();
        Ok(expected.as_bytes().starts_with(start))
    }

    /// Reads what [`State::write`] wrote.
    ///
    /// # Errors
    /// [`Error::State`] if the file cannot be read, is none of these, or has changed since it was written
    /// (those of older versions do not tell).
    pub fn read(path: &Path) -> Result<Self, Error> {
        let fail = |problem: String| Error::State {
            path: path.to_owned(),
            problem,
        };
        let bytes = std::fs::read(path).map_err(|error| fail(error.to_string()))?;
        let damaged = |error: &dyn std::fmt::Display| fail(format!("it is damaged ({error})"));
        let (_, metadata) =
            safetensors::SafeTensors::read_metadata(&bytes).map_err(|error| damaged(&error))?;
        let texts = metadata.metadata().clone().unwrap_or_default();
        let description = texts
            .get(KEY)
            .ok_or_else(|| fail("it is no state of a training".to_owned()))?;
        seal::check(&bytes, &texts).map_err(|error| fail(error.to_string()))?;
        let description: Description =
            serde_json::from_str(description).map_err(|error| damaged(&error))?;
        if description.version != VERSION {
            let found = description.version;
            return Err(fail(format!(
                "it has version {found}; this program knows {VERSION}"
            )));
        }
        let file =
            safetensors::SafeTensors::deserialize(&bytes).map_err(|error| damaged(&error))?;
        let mut parts = KINDS.map(|_| BTreeMap::new());
        for (name, view) in file.iter() {
            let found = KINDS.iter().position(|kind| name.starts_with(kind));
            let Some(kind) = found.filter(|_| view.dtype() == Dtype::F32) else {
                return Err(fail(format!(
                    "it holds {name}, which is no part of a state"
                )));
            };
            let values = view.data().as_chunks().0.iter();
            let values: Vec<f32> = values.map(|four| f32::from_le_bytes(*four)).collect();
            parts[kind].insert(name[KINDS[kind].len()..].to_owned(), values);
        }
        let [values, first, mut second] = parts;
        let moments = first.into_iter().map(|(name, first)| {
            let second = second.remove(&name).unwrap_or_default();
            (name, (first, second))
        });
        let moments: BTreeMap<_, _> = moments.collect();
        let unequal = moments.iter().find(|(name, (first, second))| {
            let length = values.get(*name).map(Vec::len);
            length != Some(first.len()) || first.len() != second.len()
        });
        if let Some((name, _)) = unequal {
            return Err(fail(format!(
                "what it holds of {name} does not belong together"
            )));
        }
        Ok(Self {
            position: description.position,
            steps: description.steps,
            values,
            optimiser: AdamState {
                steps: description.optimiser_steps,
                moments,
            },
            blend: description.blend,
            loss_scale: description.loss_scale,
            extra: description.extra,
        })
    }
}
