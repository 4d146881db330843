//! What ends the evaluation of an image, a category or a run.

use std::path::PathBuf;

/// An image, a category or a results file that could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image or mask could not be had.
    #[error(transparent)]
    Dataset(#[from] vcp_dataset::Error),
    /// The model gave nothing usable.
    #[error(transparent)]
    Predict(#[from] vcp_predict::Error),
    /// No figures can be computed from the maps, or with these constants.
    #[error(transparent)]
    Metrics(#[from] vcp_metrics::Error),
    /// A mask could not be brought to the model's size.
    #[error(transparent)]
    Image(#[from] vcp_image::Error),
    /// A results file could not be read.
    #[error("{} could not be read: {source}.", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A file does not hold results.
    #[error(
        "{} does not hold results of an evaluation: {reason}. Expected is a results.json as \
         `vcp-clip eval` writes it.", path.display()
    )]
    NoResults {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A file could not be written.
    #[error("{} could not be written: {source}.", path.display())]
    Write {
        /// Where it was to go.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}
