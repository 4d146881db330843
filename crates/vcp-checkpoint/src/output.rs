//! Writing files so that a half-written one is never seen under its name.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

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

/// Lets `write` fill a temporary file beside `path`, then renames it to `path`. On an error nothing
/// is left, and a file that was there before is untouched.
pub(crate) fn write_beside(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<NamedTempFile>) -> Result<(), WriteError>,
) -> Result<(), Error> {
    let io = |source| {
        let action = "write the file";
        Error::at_path(path, ErrorKind::Io { action, source })
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".vcp-clip-").suffix(".partial");
    // Temporary files are private by default; this one will stay. The umask still applies.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder).map_err(io)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    write(&mut writer).map_err(|error| match error {
        WriteError::Io(error) => io(error),
        WriteError::Kind(kind) => Error::at_path(path, kind),
    })?;
    writer.flush().map_err(io)?;
    let file = writer
        .into_inner()
        .map_err(|error| io(error.into_error()))?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}
