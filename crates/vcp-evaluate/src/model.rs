//! Which model was evaluated.

use serde::Serialize;
use vcp_checkpoint::{Geometry, Settings, Weights};
use vcp_files::{Sha256, sha256};

/// A model, as results name it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelDescription {
    /// SHA-256 over everything below, so over all that the maps depend on.
    pub digest: String,
    /// SHA-256 over the names and values of the learned tensors.
    pub learned: String,
    /// The files the weights came from; for a bundle, those it was made of.
    pub sources: Vec<SourceDescription>,
    /// The geometry, read from the shapes of the tensors.
    pub geometry: Geometry,
    /// Taps, image size, templates, activation.
    pub settings: Settings,
}

/// A file that weights came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceDescription {
    /// The file's name without folders.
    pub file_name: String,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The file's SHA-256 in lowercase hexadecimal.
    pub sha256: String,
}

impl ModelDescription {
    /// Describes a model. Reads its files once for their digests, where they have none stored.
    ///
    /// The learned tensors are looked at themselves, since a bundle may hold others than the files
    /// it names.
    #[must_use]
    pub fn of(weights: &Weights) -> Self {
        let sources: Vec<SourceDescription> = weights
            .sources()
            .iter()
            .map(|source| SourceDescription {
                file_name: source.file_name().to_owned(),
                bytes: source.bytes(),
                sha256: source.sha256().to_owned(),
            })
            .collect();
        let mut learned = Sha256::new();
        for tensor in weights.tensors() {
            if tensor.name().starts_with("clip.") {
                continue;
            }
            learned.update(tensor.name());
            learned.update([0]);
            for value in tensor.to_f32() {
                learned.update(value.to_le_bytes());
            }
        }
        let mut description = Self {
            digest: String::new(),
            learned: learned.hexadecimal(),
            sources,
            geometry: *weights.geometry(),
            settings: weights.settings().clone(),
        };
        description.digest = digest_of(&description);
        description
    }
}

/// The digest of plain data, over its JSON text.
pub(crate) fn digest_of(data: &impl Serialize) -> String {
    // Only maps with keys that are no texts cannot be written, and there are none.
    let json = serde_json::to_vec(data).unwrap_or_default();
    sha256(json)
}
