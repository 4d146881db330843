//! Figures of merit for anomaly maps and image scores, on plain slices.
//!
//! A [`Collector`] takes the images of one category one after the other and gives a
//! [`PixelReport`]: AUROC, average precision, the largest F1 with its threshold and `IoU`, AUPRO in
//! both of the definitions in use, and AUPIMO. Values are sorted once; everything is then read off
//! one walk from the largest value to the smallest, equal values taken together. A
//! [`StreamingCollector`] gives the same report in fixed memory, each figure with a proven bound of
//! its error. An [`ImageReport`] has the figures of one score per image.
//!
//! Figures are fractions of 1. One that the data do not define is an [`Undefined`] that says why,
//! never NaN, and a [`Mean`] says how many such it left out. Values are compared as they come:
//! scaling maps, and reducing a map to a score, is for the caller.
//!
//! | figure | agrees with |
//! |---|---|
//! | AUROC | scikit-learn's `roc_auc_score` |
//! | average precision | scikit-learn's `average_precision_score` |
//! | F1-max, its threshold, `IoU` above it | the official evaluation on scikit-learn's `precision_recall_curve` |
//! | AUPRO over evenly spaced thresholds | the official evaluation on scikit-image's `label` |
//! | AUPRO, exact | `MVTec`'s evaluation code |
//! | AUPIMO | the paper; the authors' code and anomalib as their sampled thresholds grow dense |
//!
//! # Example
//!
//! ```
//! use vcp_metrics::{Collector, ImageMap, PixelOptions};
//!
//! let mut collector = Collector::new(PixelOptions::default())?;
//! collector.add(&ImageMap {
//!     map: &[0.1, 0.2, 0.8, 0.9],
//!     mask: Some(&[0, 0, 1, 1]),
//!     width: 2,
//!     height: 2,
//! })?;
//! let report = collector.report();
//! assert_eq!(report.auroc.map(|figure| figure.value), Ok(1.0));
//! assert_eq!(
//!     report.aupimo.unwrap_err().to_string(),
//!     "undefined: no normal images"
//! );
//! # Ok::<(), vcp_metrics::Error>(())
//! ```
#![forbid(unsafe_code)]

mod curve;
mod error;
mod exact;
mod image_level;
mod key;
mod outcome;
mod per_image;
mod regions;
mod report;
mod scan;
mod sort;
mod steps;
mod streaming;
mod totals;

pub use curve::CurvePoint;
pub use error::Error;
pub use exact::Collector;
pub use image_level::ImageReport;
pub use outcome::{Figure, Mean, Outcome, Undefined};
pub use report::{ImageMap, PixelOptions, PixelReport};
pub use streaming::{ERROR_BOUND, StreamingCollector};

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
