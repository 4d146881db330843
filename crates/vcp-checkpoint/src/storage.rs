//! The bytes of an opened file.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, ErrorKind};
use crate::foreign;

/// A file's bytes: mapped, or held in memory for tests and fuzzing.
#[derive(Debug)]
pub(crate) enum Storage {
    Mapped(Mmap),
    Owned(Vec<u8>),
}

impl Storage {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let io = |action| move |source| Error::at_path(path, ErrorKind::Io { action, source });
        // Looked up before opening, because opening a pipe would wait for somebody to write to it.
        let metadata = std::fs::metadata(path).map_err(io("open the file"))?;
        if !metadata.is_file() {
            let found = if metadata.is_dir() {
                foreign::describe_folder(path)
            } else {
                "it is not a regular file".to_owned()
            };
            return Err(Error::at_path(path, ErrorKind::UnknownFormat { found }));
        }
        let file = File::open(path).map_err(io("open the file"))?;
        // An empty file cannot be mapped everywhere.
        if metadata.len() == 0 {
            return Ok(Self::Owned(Vec::new()));
        }
        // SAFETY: the mapping is read-only and lives as long as this value. Its bytes are only ever
        // read as `u8` and every bit pattern is a valid `u8`. What remains is that another process
        // may change the file meanwhile: as with every program that maps files, weights that are
        // overwritten in place while in use give undefined numbers, and a file cut short ends the
        // process with SIGBUS. This crate's own writers always rename a finished file into place,
        // which leaves existing mappings alone.
        let map = unsafe { Mmap::map(&file) }.map_err(io("map the file into memory"))?;
        Ok(Self::Mapped(map))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Lets the pages of `range` leave memory. They come back from the file when read again.
    pub(crate) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Self::Mapped(map) = self {
            let length = range.end.min(map.len()).saturating_sub(range.start);
            if length > 0 {
                // SAFETY: the map is shared, read-only and backed by a file, and nobody writes
                // through it, so discarded pages are read back from the file with the same content;
                // references into the map stay valid, only their next use costs a page fault.
                // Rounding the range to pages discards neighbours' bytes, for which the same holds.
                let _ = unsafe {
                    map.unchecked_advise_range(
                        memmap2::UncheckedAdvice::DontNeed,
                        range.start,
                        length,
                    )
                };
            }
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}
