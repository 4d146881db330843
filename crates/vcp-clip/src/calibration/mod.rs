//! Thresholds from data, and whether they apply.
//!
//! [`Measurements`] keeps a few numbers of every photo, [`Measurements::fit`] makes [`Thresholds`] of
//! them, and [`CalibrationDocument`] is how they are stored in a file. A calibration says something only
//! about photos that are processed as those were that it was found on: [`Mismatch`].

mod document;
mod fit;
mod listing;
mod measure;
mod options;
pub mod statistics;
mod viewing;

pub(crate) use document::shortened;
pub use document::{
    CalibrationDocument, CalibrationFileError, CalibrationSource, ModelRecord, PhotoCounts,
    PixelThreshold,
};
pub use fit::{FitError, Reason, Threshold, ThresholdError, Thresholds};
pub use listing::{Listing, PhotoIdentity};
pub use measure::{Label, MeasureError, Measurements};
pub use options::{Aim, FitOptions};
pub use vcp_checkpoint::{Calibration, CalibrationWindows};
pub(crate) use viewing::windows_of;
pub use viewing::{Mismatch, Viewing};
