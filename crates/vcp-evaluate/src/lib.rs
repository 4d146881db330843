//! The official evaluation over a data set: from images and masks to figures of each category.
//!
//! For each [`Sample`](vcp_dataset::Sample) of a category, [`load`] reads image and mask and
//! [`look`] asks the model; both may run ahead on other threads. [`judge()`] turns what was seen into
//! a [`CategoryReport`]: maps are scaled to 0..1 over the category, as the official code does it,
//! and compared with the masks at the model's image size. Of an image only the logits on the patch
//! grid and one bit per pixel are kept; maps are made again when figures need them. (Of an image that
//! is processed in windows, the map is kept.)
//!
//! [`Results::of`] puts the categories together as they are written to `results.json`;
//! [`Store`] keeps finished categories so that an interrupted run resumes where it stopped;
//! [`Comparison::of`] tells two results apart.
//!
//! Nothing here prints. Figures that the data do not define are `None`, with the reason beside them.

mod calibrated;
mod category;
mod comparison;
mod error;
mod figures;
mod image;
mod judge;
mod model;
mod protocol;
mod results;
mod scaling;
mod store;
mod truth;

pub use calibrated::{Calibrated, Marked};
pub use category::{
    CASES, Case, CategoryReport, CategoryResult, CurvePoint, Failure, ImageRecord, Row,
};
pub use comparison::{ComparedRow, Comparison, SettingChange};
pub use error::Error;
pub use figures::{Column, Figures, Undefined};
pub use image::{Loaded, Look, Seen, load, look};
pub use judge::{Observed, judge};
pub use model::{ModelDescription, SourceDescription};
pub use protocol::Protocol;
pub use results::{DatasetDescription, MeanRow, Results};
pub use store::{Found, Store, digest_of_listing};
pub use truth::Truth;
