//! What can go wrong between a report and its page.

use std::path::PathBuf;

/// A report that could not be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row of the table has more or fewer cells than there are columns.
    #[error(
        "The row \"{row}\" has {found} cells, but the table has {expected} columns; give one cell for every column."
    )]
    CellCount {
        /// The row's name.
        row: String,
        /// Cells given.
        found: usize,
        /// Columns of the table.
        expected: usize,
    },
    /// A map is not a square of its side.
    #[error(
        "The map of \"{case}\" has {found} values, but a side of {side} needs {side} × {side}, and at least one."
    )]
    MapSize {
        /// The case's title.
        case: String,
        /// Values given.
        found: usize,
        /// The side stated.
        side: usize,
    },
    /// A mask and its photo differ in size.
    #[error(
        "The truth of \"{case}\" has {} × {} pixels, but its photo has {} × {}; they have to be of one size.",
        truth.0, truth.1, photo.0, photo.1
    )]
    TruthSize {
        /// The case's title.
        case: String,
        /// Width and height of the truth.
        truth: (usize, usize),
        /// Width and height of the photo.
        photo: (usize, usize),
    },
    /// The ends of a colour scale are not two rising numbers.
    #[error(
        "The colour scale from {} to {} cannot be used: both ends have to be finite and the first the smaller.",
        range.0, range.1
    )]
    Range {
        /// What was given.
        range: (f32, f32),
    },
    /// A picture could not be encoded.
    #[error(transparent)]
    Picture(#[from] vcp_image::Error),
    /// The page could not be written. Nothing is left behind.
    #[error("{} could not be written: {source}.", file.display())]
    Write {
        /// Where the page was to go.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}
