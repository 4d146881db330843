//! What can be wrong with the input.

/// Maps, masks, scores or options that no figure can be computed from.
///
/// A figure that the data do not define, such as a recall without anomalous pixels, is no error:
/// see [`Undefined`](crate::Undefined).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A map or mask does not have one element per pixel.
    #[error(
        "The {what} of image {image} has {found} elements where {width} × {height} pixels need \
         {expected}; bring map and mask to the same size."
    )]
    WrongSize {
        /// "map" or "mask".
        what: &'static str,
        /// Position of the image, from 0.
        image: usize,
        /// Elements found.
        found: usize,
        /// Elements expected.
        expected: u128,
        /// Columns, as stated.
        width: usize,
        /// Rows, as stated.
        height: usize,
    },
    /// An image without pixels, or with more than can be counted.
    #[error(
        "Image {image} has {width} × {height} pixels; from 1 to 4,294,967,295 pixels can be used."
    )]
    UnusableSize {
        /// Position of the image, from 0.
        image: usize,
        /// Columns.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A map contains a value that has no place in an order of values.
    #[error(
        "The map of image {image} has the value {value} in column {x} of row {y}. Metrics need \
         finite numbers; find out what made it."
    )]
    NotFinite {
        /// Position of the image, from 0.
        image: usize,
        /// Column, from 0.
        x: usize,
        /// Row, from 0.
        y: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A map leaves the range that fixed memory covers.
    #[error(
        "The map of image {image} has the value {value} in column {x} of row {y}. Metrics in fixed \
         memory need values from 0 to 1: scale the maps, or use the exact metrics."
    )]
    OutOfRange {
        /// Position of the image, from 0.
        image: usize,
        /// Column, from 0.
        x: usize,
        /// Row, from 0.
        y: usize,
        /// Value below 0 or above 1.
        value: f32,
    },
    /// An image score has no place in an order of scores.
    #[error(
        "The score of image {image} is {value}. Metrics need finite numbers; find out what made it."
    )]
    ScoreNotFinite {
        /// Position of the image, from 0.
        image: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// Image scores and labels are not of the same number.
    #[error("There are {scores} image scores and {labels} labels; every image needs one of each.")]
    Unpaired {
        /// Number of scores.
        scores: usize,
        /// Number of labels.
        labels: usize,
    },
    /// An option is outside its range.
    #[error("The option `{option}` is {found}; it has to be {expected}.")]
    InvalidOption {
        /// Name of the field.
        option: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
}
