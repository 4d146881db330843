//! An evaluation as one self-contained HTML page, and photos with their maps as strips.
//!
//! Plain data in, text and pictures out: this crate knows no model, no data set and no metric.
//! Whoever evaluates fills a [`Report`]; [`html`] makes the page of it and [`write_html`] puts that
//! on the disk. [`strip`] draws one photo in the four panels of the official code. [`visible`] shows
//! what text from elsewhere holds, on a terminal and in files.
//!
//! The page asks nothing of the network: pictures are data addresses, curves are inline SVG, the
//! style sheet and the one small script (which sorts the table; all is legible without it) are
//! inline as well, and a content security policy in the page forbids everything else. All text is
//! escaped.
//!
//! # Example
//!
//! ```
//! use vcp_report::{Cell, Column, Format, Report, Row, html};
//!
//! let report = Report {
//!     title: "MVTec-AD, zero-shot".to_owned(),
//!     columns: vec![Column {
//!         key: "pixel_auroc".to_owned(),
//!         label: "Pixel AUROC".to_owned(),
//!         help: "Area under the ROC curve of all pixels.".to_owned(),
//!         format: Format::Percent,
//!     }],
//!     rows: vec![Row {
//!         category: "bottle".to_owned(),
//!         values: vec![Cell::Number(0.9578)],
//!         ..Row::default()
//!     }],
//!     ..Report::default()
//! };
//! assert!(html(&report)?.contains("95.78"));
//! # Ok::<(), vcp_report::Error>(())
//! ```
#![forbid(unsafe_code)]

mod cases;
mod data;
mod digits;
mod error;
mod histogram;
mod page;
mod panels;
mod plot;
mod strip;
mod table;
mod thin;
pub mod visible;

pub use data::{Case, Category, Cell, Column, Curve, Format, Report, Row};
pub use error::Error;
pub use page::{html, write_html};
pub use strip::strip;

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
