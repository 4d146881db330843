//! What can go wrong.

use std::path::PathBuf;

/// Training could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A loss, or what follows from it, is no number any more.
    #[error(
        "The {what} is {value} in step {step} (epoch {epoch}, with {images}). Nothing of this step was \
         kept. {advice}"
    )]
    NotFinite {
        /// "loss", or "length of the gradients".
        what: &'static str,
        /// What it is.
        value: f32,
        /// The step, counted from 1.
        step: u64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The batch's images.
        images: String,
        /// What may keep it finite.
        advice: &'static str,
    },
    /// There is nothing to train on.
    #[error("There are no images to train on.")]
    NoExamples,
    /// A data set's image or mask cannot be read.
    #[error(transparent)]
    Dataset(#[from] vcp_dataset::Error),
    /// The recipe asks for something that cannot be.
    #[error("{0}")]
    Recipe(String),
    /// A setting is out of its range.
    #[error("The setting '{name}' is {found}; it has to be {expected}.")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// Its value.
        found: f32,
        /// What it may be.
        expected: &'static str,
    },
    /// A state was saved by another training.
    #[error("The run cannot be resumed from {path}: {problem}", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        problem: String,
    },
    /// The weights do not fit together.
    #[error(transparent)]
    Weights(#[from] vcp_checkpoint::Error),
    /// The model cannot be made of the weights.
    #[error(transparent)]
    Model(#[from] vcp_model::Error),
    /// The vision tower refused an image.
    #[error(transparent)]
    Predict(#[from] vcp_predict::Error),
    /// Figures of merit cannot be computed.
    #[error(transparent)]
    Metrics(#[from] vcp_metrics::Error),
    /// A file cannot be written.
    #[error("{path} cannot be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
