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
    /// The page of the results could not be made or written, or a strip of an image not be drawn.
    #[error(transparent)]
    Report(#[from] vcp_report::Error),
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
    /// The data sets have no image that can be evaluated.
    #[error("{reason}")]
    NothingToEvaluate {
        /// Why, as full sentences.
        reason: String,
    },
    /// A category has too few good images to compare others with.
    #[error(
        "The category {category} has {found} good images to compare others with, but {expected} are asked for."
    )]
    TooFewReferences {
        /// Data set and category.
        category: String,
        /// Good images of its train split, or of all where it has none there.
        found: usize,
        /// As many as were asked for.
        expected: usize,
    },
    /// A category was to be concluded with more or fewer outcomes than it has images.
    #[error(
        "The category {category} has {expected} images, but {found} outcomes were given; one is needed \
         for each image."
    )]
    Outcomes {
        /// Data set and category.
        category: String,
        /// Outcomes given.
        found: usize,
        /// Images of the category.
        expected: usize,
    },
    /// The strip of an image could not be drawn.
    #[error("{} cannot be drawn.", path.display())]
    Draw {
        /// Where the strip was to go.
        path: PathBuf,
        /// Why.
        source: Box<Error>,
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
