//! One file, whole or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::registry::{UNFINISHED, forget};
use crate::{PART, PREFIX, RANDOM, folder_of, leftovers};

/// What holds after the computer has lost its power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The name may hold an empty or half a file then. For what is quickly made again.
    Fast,
    /// The name holds the old content or the whole new one: the bytes are on the disk before the file
    /// gets its name.
    Synced,
}

/// Lets `write` fill a new file beside `path`, then gives it that name, in place of a file that was
/// there. What others may do with it is what they may with any new file, as the umask says. On an
/// error, or when this panics, nothing is left and a file that was there before is as it was.
///
/// The folder has to exist. What processes that died have left in it is removed first, once in the
/// life of this process ([`remove_leftovers`](crate::remove_leftovers)).
///
/// # Errors
/// Those of `write`, and what creating, writing and renaming a file may have.
pub fn write<E: From<io::Error>>(
    path: &Path,
    durability: Durability,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let folder = folder_of(path);
    leftovers::remove_once(folder);
    let unfinished = Unfinished::begin(folder)?;
    let content = Content {
        file: unfinished.file(),
        durability,
        unsynced: 0,
    };
    let mut writer = BufWriter::with_capacity(1 << 17, content);
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    if durability == Durability::Synced {
        unfinished.file().sync_all()?;
    }
    Ok(unfinished.finish(path)?)
}

/// Writes a result, which appears whole or not at all, and creates the folders above it. For what is quickly
/// made again ([`Durability::Fast`]). When `write` fails, nothing is left behind and an older file stays.
///
/// # Errors
/// Those of `write`, and what creating folders, and creating, writing and renaming a file may have.
pub fn write_result(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
    self::write(path, Durability::Fast, |file| write(file))
}

/// Where the content of a file goes.
pub type Writer<'a> = BufWriter<Content<'a>>;

/// A file that is being written.
#[derive(Debug)]
pub struct Content<'a> {
    file: &'a File,
    durability: Durability,
    /// Bytes that may not be on the disk yet.
    unsynced: usize,
}

impl Write for Content<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // No process can end while the system brings bytes to a slow disk for it: not all at the end.
        const PIECE: usize = 32 << 20;
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.durability == Durability::Synced && self.unsynced >= PIECE {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Content<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// Whether files can be written into a folder, which shows only in trying: one is begun there and given
/// up. What processes that died have left is removed as in [`write()`].
///
/// # Errors
/// What creating a file may have.
pub fn try_folder(folder: &Path) -> io::Result<()> {
    leftovers::remove_once(folder);
    Unfinished::begin(folder).map(drop)
}

/// A locked file with a name of its own, in the list of unfinished ones. It goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Unfinished(Option<NamedTempFile>);

impl Unfinished {
    pub(crate) fn begin(folder: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX).suffix(PART).rand_bytes(RANDOM);
        // Temporary files are for their owner alone unless asked otherwise; this one will be a result.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        loop {
            let mut paths = UNFINISHED.hold();
            let file = builder.tempfile_in(folder)?;
            // Only who looks for leftovers takes this lock too, and only for a moment. On a file system
            // without locks nobody takes the file for a leftover either.
            let _ = file.as_file().lock();
            // It was taken for a leftover before it was locked.
            if !file.path().try_exists().unwrap_or(true) {
                continue;
            }
            paths.push(file.path().to_owned());
            return Ok(Self(Some(file)));
        }
    }

    pub(crate) fn file(&self) -> &File {
        match &self.0 {
            Some(file) => file.as_file(),
            None => unreachable!("only finish and drop take the file away"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), NamedTempFile::path)
    }

    fn finish(mut self, path: &Path) -> io::Result<()> {
        // A process that ends removes the file or finds it under its name, nothing in between.
        let mut paths = UNFINISHED.hold();
        let Some(file) = self.0.take() else {
            return Ok(());
        };
        forget(&mut paths, file.path());
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(file) = self.0.take() {
            forget(&mut UNFINISHED.hold(), file.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.txt");
        for durability in [Durability::Fast, Durability::Synced] {
            let long = vec![7; 70 << 20];
            write(&path, durability, |file| file.write_all(&long)).unwrap();
            assert!(fs::read(&path).unwrap() == long);
            write(&path, durability, |file| file.write_all(b"old")).unwrap();
            let failed = write(&path, durability, |file| {
                file.write_all(b"new")?;
                Err(io::Error::other("stop"))
            });
            assert!(failed.is_err());
            let panicked = std::panic::catch_unwind(|| {
                write::<io::Error>(&path, durability, |_| {
                    std::panic::resume_unwind(Box::new(()))
                })
            });
            assert!(panicked.is_err());
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn trying_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        try_folder(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(try_folder(&folder.path().join("none")).is_err());
    }

    #[test]
    fn while_it_is_written_it_is_in_the_list_and_locked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        write::<io::Error>(&path, Durability::Fast, |_| {
            let entry = fs::read_dir(folder.path())?.next().unwrap()?;
            let name = entry.file_name().into_string().unwrap();
            assert!(name.starts_with(PREFIX) && name.ends_with(PART), "{name}");
            assert!(UNFINISHED.hold().contains(&entry.path()));
            assert!(File::open(entry.path())?.try_lock().is_err());
            Ok(())
        })
        .unwrap();
        let in_folder = |path: &std::path::PathBuf| path.starts_with(folder.path());
        assert!(!UNFINISHED.hold().iter().any(in_folder));
        assert!(File::open(&path).unwrap().try_lock().is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_results_as_the_umask_says() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write::<io::Error>(&ours, Durability::Fast, |_| Ok(())).unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn a_result_makes_its_folders_and_failing_keeps_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        write_result(&path, |file| file.write_all(b"old")).unwrap();
        let failed = write_result(&path, |file| {
            file.write_all(b"new")?;
            Err(io::Error::other("stop"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
    }
}
