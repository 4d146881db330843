//! Thresholds from data, by statistics on plain numbers.
//!
//! A value is *reported* when it is at or above a threshold. What is wanted is a threshold that
//! few normal images reach, or that most anomalous ones do. Thresholds with the best F1 are among
//! the figures of `vcp-metrics`.

mod normal;
mod pixels;
mod recall;

pub use normal::{FEWEST_IMAGES, FalseAlarmTarget, NormalThreshold, images_between};
pub use pixels::{PixelSummary, colour_range};
pub use recall::threshold_for_recall;

/// No threshold.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// Too few images for any statement about others.
    #[error(
        "There are {found} different normal images, but at least {needed} are needed to say \
         anything about others; add {} more.", needed - found
    )]
    TooFewImages {
        /// Images found.
        found: usize,
        /// Images needed.
        needed: usize,
    },
    /// There is nothing that the threshold could find.
    #[error("There is no anomalous value, so no threshold finds a fraction of them.")]
    NothingAnomalous,
    /// A map without pixels.
    #[error("The map has no pixels.")]
    EmptyMap,
    /// A share that leaves nothing to choose.
    #[error("The {what} is {found}; it must be {expected}.")]
    InvalidShare {
        /// Which share.
        what: &'static str,
        /// Its value.
        found: f64,
        /// What it must be.
        expected: &'static str,
    },
    /// A value that has no place in an order of values, or nothing above it.
    #[error("Value {position}, counted from 0, is {value}; only finite values can be ordered.")]
    NotFinite {
        /// Its position.
        position: usize,
        /// The value.
        value: f32,
    },
}

/// Refuses values that a threshold cannot lie above.
fn check_values(values: &[f32]) -> Result<(), CalibrationError> {
    let unusable = |value: &f32| !value.is_finite() || value.next_up().is_infinite();
    match values.iter().position(unusable) {
        None => Ok(()),
        Some(position) => Err(CalibrationError::NotFinite {
            position,
            value: values[position],
        }),
    }
}

/// Refuses shares that are not strictly between 0 and 1.
fn check_share(what: &'static str, found: f64) -> Result<(), CalibrationError> {
    if found > 0.0 && found < 1.0 {
        return Ok(());
    }
    Err(CalibrationError::InvalidShare {
        what,
        found,
        expected: "above 0 and below 1",
    })
}
