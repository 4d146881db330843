//! The models that are served, by name.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use vcp_checkpoint::Weights;
use vcp_clip::{DecisionThresholds, Inspector, InspectorOptions, Model};

use crate::adapting::Chosen;
use crate::refusal::Refusal;

/// A model under its name. Its thresholds and reference photos may change while it is served.
#[derive(Debug)]
pub struct ServedModel {
    name: String,
    digest: String,
    model: Model,
    options: InspectorOptions,
    pub(crate) inspector: RwLock<Arc<Inspector>>,
    pub(crate) chosen: Mutex<Chosen>,
}

/// What is known about a model that is served.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Model")]
pub(crate) struct ModelEntry {
    /// What requests call it.
    pub(crate) name: String,
    /// Whether it is meant where none is named.
    pub(crate) default: bool,
    /// SHA-256 of all on which its results depend: weights, geometry and settings.
    pub(crate) digest: String,
    /// Side in pixels of the square to which photos are resized.
    pub(crate) image_size: usize,
    /// What values are compared with.
    pub(crate) thresholds: ThresholdsEntry,
    /// The calibration that applies, as `vcp-clip model inspect --json` prints it.
    pub(crate) calibration: Option<Value>,
    /// The good photos that others are compared with.
    pub(crate) references: Option<ReferencesEntry>,
}

/// What values are compared with.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Thresholds")]
pub(crate) struct ThresholdsEntry {
    /// A photo with at least this score has a defect.
    pub(crate) score: f32,
    /// A pixel with at least this value belongs to a defect.
    pub(crate) pixel: f32,
    /// A photo with at least this score and less than `score` is to be reviewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) review: Option<f32>,
    /// Values at the two ends of the colour scale.
    pub(crate) range: (f32, f32),
}

/// Good photos that others are compared with.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "References")]
pub(crate) struct ReferencesEntry {
    /// How many.
    pub(crate) photos: usize,
    /// SHA-256 of what is remembered of them.
    pub(crate) digest: String,
}

impl ServedModel {
    /// A model, and the inspector that was made with it and these options. Requests call it `name`: letters, digits, dots,
    /// hyphens and underscores.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        model: Model,
        inspector: Inspector,
        options: InspectorOptions,
    ) -> Self {
        Self {
            name: name.into(),
            digest: model.weights().fingerprint(),
            model,
            options,
            inspector: RwLock::new(Arc::new(inspector)),
            chosen: Mutex::default(),
        }
    }

    /// Whether requests can call a model by this.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        (1..=64).contains(&name.len())
            && name.bytes().all(is_plain)
            && !name.bytes().all(|byte| byte == b'.')
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn weights(&self) -> &Weights {
        self.model.weights()
    }

    pub(crate) fn options(&self) -> &InspectorOptions {
        &self.options
    }

    /// As it is now. A request takes it once, so that nothing changes under it.
    pub(crate) fn inspector(&self) -> Arc<Inspector> {
        let inspector = self.inspector.read();
        Arc::clone(&inspector.unwrap_or_else(PoisonError::into_inner))
    }

    fn described(&self, is_default: bool) -> ModelEntry {
        let inspector = self.inspector();
        let DecisionThresholds {
            score,
            review,
            pixel,
            range,
        } = inspector.thresholds();
        let references = inspector.references();
        ModelEntry {
            name: self.name.clone(),
            default: is_default,
            digest: self.digest.clone(),
            image_size: inspector.predictor().image_size(),
            thresholds: ThresholdsEntry {
                score,
                pixel,
                review,
                range,
            },
            calibration: inspector.calibration().and_then(|calibration| {
                let mut shown = calibration.clone();
                // Words that name places of this machine; counts and digest stay.
                if let Some((words, photos)) = shown.data.rsplit_once(": ")
                    && words.contains(['/', '\\'])
                {
                    shown.data = photos.into();
                }
                serde_json::to_value(shown).ok()
            }),
            references: references.zip(inspector.references_digest()).map(
                |(description, digest)| ReferencesEntry {
                    photos: description.photos.len(),
                    digest: digest.to_owned(),
                },
            ),
        }
    }
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Models(Vec<Arc<ServedModel>>);

impl Models {
    pub(crate) fn new(models: Vec<ServedModel>) -> Self {
        Self(models.into_iter().map(Arc::new).collect())
    }

    /// The model of a name; the first where none is given.
    pub(crate) fn named(&self, name: Option<&str>) -> Result<&Arc<ServedModel>, Refusal> {
        let mut models = self.0.iter();
        let found = models.find(|model| name.is_none_or(|name| name == model.name));
        found.ok_or_else(|| {
            let names: Vec<_> = self.0.iter().map(|model| model.name()).collect();
            let name = vcp_report::visible::printable(name.unwrap_or_default());
            Refusal::not_found(format!(
                "There is no model called {name}; the server has {}.",
                names.join(", ")
            ))
        })
    }

    pub(crate) fn entries(&self) -> Vec<ModelEntry> {
        let models = self.0.iter().enumerate();
        models
            .map(|(index, model)| model.described(index == 0))
            .collect()
    }

    /// What is known about one of them.
    pub(crate) fn entry(&self, model: &Arc<ServedModel>) -> ModelEntry {
        let is_default = self
            .0
            .first()
            .is_some_and(|first| Arc::ptr_eq(first, model));
        model.described(is_default)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<ServedModel>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_addresses() {
        for (name, is_name) in [
            ("built-in", true),
            ("line_2.v3", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("ü", false),
        ] {
            assert_eq!(ServedModel::is_name(name), is_name, "{name}");
        }
    }
}
