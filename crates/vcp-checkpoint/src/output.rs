//! Writing files so that a half-written one is never seen under its name.

use std::path::Path;

use vcp_files::{Durability, Writer};

use crate::error::{Error, ErrorKind};

/// What a writer of contents can fail with.
pub(crate) enum WriteError {
    Io(std::io::Error),
    Kind(ErrorKind),
}

impl From<std::io::Error> for WriteError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ErrorKind> for WriteError {
    fn from(kind: ErrorKind) -> Self {
        Self::Kind(kind)
    }
}

/// Lets `write` fill a file beside `path`, then renames it to `path`. On an error nothing
/// is left, and a file that was there before is untouched.
pub(crate) fn write_beside(
    path: &Path,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), WriteError>,
) -> Result<(), Error> {
    let io = |source| {
        let action = "write the file";
        Error::at_path(path, ErrorKind::Io { action, source })
    };
    vcp_files::write(path, Durability::Synced, write).map_err(|error| match error {
        WriteError::Io(error) => io(error),
        WriteError::Kind(kind) => Error::at_path(path, kind),
    })
}
