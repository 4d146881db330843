//! What was inspected, kept: a database in SQLite, and photos and pictures as files beside it.
//!
//! - A [`History`] is that of one folder. [`History::add`] returns when a result is on the disk; [`History::get`],
//!   [`History::list`] and [`History::file`] find it again, [`History::set_verdict`] keeps what a person says of it,
//!   [`History::summary`] counts, [`History::export`] writes tables and JSON.
//! - [`HistoryOptions`] say what is kept, and limit it by age and size.
//! - A source that is to bring each photo once, such as a watched folder, gives a key with each
//!   ([`NewResult::key`], [`History::contains`]).
//!
//! A result is in the history or is not: its files are written whole before the database names them, and removed after
//! it has ceased to; what a process that is killed between the two leaves is removed later. Many processes may use one
//! history at a time, on a local disk.
//!
//! # Example
//!
//! ```
//! use vcp_history::{Filter, History, HistoryOptions, NewResult, Outcome, Verdict};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let history = History::open(folder.path(), HistoryOptions::default())?;
//! let id = history.add(&NewResult {
//!     source: "http",
//!     name: "photo.png",
//!     photo: b"the file",
//!     record: r#"{"score":0.9,"score_threshold":0.5,"pixel_threshold":0.5,
//!         "decision":"defect","regions":[],"milliseconds":40.0}"#,
//!     model_name: "built-in",
//!     ..NewResult::default()
//! })?;
//! history.set_verdict(&id, Some(Verdict::Good), "Ada")?;
//!
//! let defects = Filter {
//!     outcome: Some(Outcome::Defect),
//!     ..Filter::default()
//! };
//! assert_eq!(history.list(&defects, None, 50)?.results[0].id, id);
//! assert_eq!(history.summary(&Filter::default(), 48)?.false_alarms, 1);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod database;
mod entry;
mod error;
mod export;
mod files;
mod filter;
mod history;
mod id;
mod prune;
mod seen;
mod summary;
mod thumbnail;
mod time;

pub use entry::{Entry, GivenVerdict, Has, ModelEntry, NewResult, Outcome, Verdict, WordError};
pub use error::Error;
pub use export::{ExportFormat, cell_text};
pub use files::FileKind;
pub use filter::{Cursor, Filter, VerdictFilter};
pub use history::{History, HistoryOptions, Page};
pub use id::{IdError, ResultId};
pub use summary::{Rejects, Summary};
pub use thumbnail::thumbnail;
pub use time::{Time, TimeError};

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
