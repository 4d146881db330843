//! Files that appear whole or not at all, and what has to be known about files besides.
//!
//! - [`write()`] lets a file be written beside its place and gives it its name when it is complete;
//!   [`UnfinishedFolder`] does the same for whole folders.
//! - While they are written, such files and folders are called `.vcp-clip-LETTERS.part` and are locked
//!   by the process that writes them. [`end`] removes those of this process, before it ends;
//!   [`remove_leftovers`] removes those whose process has died, which no lock tells of any more.
//! - [`ResultNames`] gives the results of each photo a name that no other photo's results have.
//! - [`Lock`] keeps a second run out of a folder that only one may write into.
//! - [`sha256`] and its like print digests as `sha256sum` does; [`read_at_most`] reads a file whose
//!   length is not to be trusted.
//!
//! Locks are those of the operating system (`flock` on Unix): the end of a process, whatever its cause,
//! gives them back. On a file system that knows no locks everything works but that leftovers stay and
//! that nothing keeps two runs apart.
//!
//! # Example
//!
//! ```
//! use std::io::{self, Write};
//!
//! use vcp_files::{Durability, read_at_most, sha256, write};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("result.json");
//! write::<io::Error>(&path, Durability::Synced, |file| file.write_all(b"{}"))?;
//!
//! // Whoever fails leaves the old file, and nothing beside it.
//! let failed = write(&path, Durability::Synced, |file| {
//!     file.write_all(b"{\"half")?;
//!     Err(io::Error::other("interrupted"))
//! });
//! assert!(failed.is_err());
//! assert_eq!(read_at_most(&path, 1000)?.as_deref(), Some(&b"{}"[..]));
//! assert_eq!(read_at_most(&path, 1)?, None); // longer than that
//! assert!(sha256(b"{}").starts_with("44136fa3"));
//! # Ok::<(), io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod date;
mod digest;
mod folder;
mod leftovers;
mod lock;
mod names;
mod read;
mod registry;
mod walk;
mod write;

pub use date::today;
pub use digest::{Sha256, sha256, sha256_of_file};
pub use folder::UnfinishedFolder;
pub use leftovers::remove_leftovers;
pub use lock::{Lock, LockError};
pub use names::{ResultNames, with_suffix};
pub use read::read_at_most;
pub use registry::end;
pub use walk::FoldersOnce;
pub use write::{Content, Durability, Writer, try_folder, write, write_result};

use std::path::Path;

/// How the names of all begin that are not results (yet).
const PREFIX: &str = ".vcp-clip-";
/// How the names of unfinished files end, and of the lock files of unfinished folders.
const PART: &str = ".part";
/// How the names of unfinished folders end.
const FOLDER: &str = ".folder";
/// How the names of locks end.
const LOCK: &str = ".lock";
/// What the lock of the folder in which it lies is called between the two.
const RUN: &str = "run";
/// Letters and digits by which unfinished files differ.
const RANDOM: usize = 6;

/// The folder of a file.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
