//! Records of inspected photos as tables.
//!
//! - [`RecordBatchBuilder`] makes Arrow record batches of what `vcp-clip segment` prints; [`schema()`] says which columns
//!   they have. [`run_lengths()`] makes a mask a list of numbers.
//! - With the feature `files`, `TableWriter` writes a table as CSV, `UnfinishedTable` makes one of a run that may be
//!   interrupted and resumed, and `TablePhotos` reads the photos that a table names.
//! - With the feature `parquet`, tables may be Parquet, and a history is exported as it.
//!
//! ```
//! use vcp_clip::record::{FailureRecord, Line};
//! use vcp_table::{Columns, RecordBatchBuilder};
//!
//! # fn main() -> Result<(), vcp_table::Error> {
//! let mut builder = RecordBatchBuilder::new(Columns::default());
//! builder.append(&Line::Failed(FailureRecord {
//!     path: "photos/7.png".to_owned(),
//!     error: "photos/7.png is no picture.".to_owned(),
//!     page: None,
//! }))?;
//! let batch = builder.finish()?;
//! assert_eq!(batch.num_rows(), 1);
//! assert_eq!(batch.schema().field(0).name(), "path");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod batch;
#[cfg(feature = "files")]
mod column;
#[cfg(feature = "files")]
mod csv_file;
#[cfg(feature = "files")]
mod done;
mod error;
#[cfg(feature = "files")]
mod format;
#[cfg(feature = "parquet")]
mod history;
#[cfg(feature = "parquet")]
mod pages;
#[cfg(feature = "parquet")]
mod parquet_column;
#[cfg(feature = "parquet")]
mod parquet_file;
#[cfg(feature = "files")]
mod photos;
mod run_lengths;
mod schema;
#[cfg(feature = "files")]
mod unfinished;
#[cfg(feature = "files")]
mod writer;

pub use batch::{Large, Map, RecordBatchBuilder};
#[cfg(feature = "files")]
pub use done::Done;
pub use error::Error;
#[cfg(feature = "files")]
pub use format::{FormatError, TableFormat};
#[cfg(feature = "parquet")]
pub use history::export_history;
#[cfg(feature = "parquet")]
pub use parquet_file::{BatchWriter, note};
#[cfg(feature = "files")]
pub use photos::TablePhotos;
pub use run_lengths::{mask_run_lengths, run_lengths};
pub use schema::{Columns, schema};
#[cfg(feature = "files")]
pub use unfinished::{Existing, FinishedTable, Place, Settings, Totals, UnfinishedTable};
#[cfg(feature = "files")]
pub use writer::TableWriter;

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
