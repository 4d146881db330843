//! What can go wrong.

use std::path::PathBuf;

/// Training could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A loss is no number any more.
    #[error(
        "The loss is {loss} in step {step} (epoch {epoch}, with {images}). A lower learning rate, or \
         gradients clipped at a norm, keep it finite."
    )]
    NotFinite {
        /// What it is.
        loss: f32,
        /// Steps made before.
        step: u64,
        /// Epochs made before.
        epoch: usize,
        /// The batch's images.
        images: String,
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
    /// A state was saved by another training.
    #[error("{path} cannot be gone on from: {problem}", path = path.display())]
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
    /// A file cannot be written.
    #[error("{path} cannot be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
