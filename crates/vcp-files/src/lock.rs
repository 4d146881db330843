//! One run at a time.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::leftovers::is_still;
use crate::registry::{UNFINISHED, forget};
use crate::{LOCK, PREFIX, RUN, folder_of, sha256};

/// The right to be the only one who writes to a place, until it is dropped or the process ends, however
/// that happens.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// Open, and with that locked.
    _file: File,
}

/// Why a [`Lock`] was not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process, or another part of this one, has it.
    #[error(
        "Another run is writing to {} at this moment; wait until it has ended, stop it, or name \
         another place.", place.display()
    )]
    Busy {
        /// The place.
        place: PathBuf,
    },
    /// The file that stands for it cannot be created.
    #[error("The lock {} cannot be taken: {source}.", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Lock {
    /// The lock of a folder that exists: a hidden file in it, which goes with the lock.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn of_folder(folder: &Path) -> Result<Self, LockError> {
        Self::take(folder, folder.join(format!("{PREFIX}{RUN}{LOCK}")))
    }

    /// The lock of a place where something is to be that is not there yet: a hidden file beside it,
    /// which goes with the lock. The folder around it has to exist.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn of_place(place: &Path) -> Result<Self, LockError> {
        let name = place.file_name().unwrap_or_default();
        let digest = sha256(name.as_encoded_bytes());
        let name = format!("{PREFIX}{}{LOCK}", &digest[..16]);
        Self::take(place, folder_of(place).join(name))
    }

    fn take(place: &Path, path: PathBuf) -> Result<Self, LockError> {
        let fail = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        loop {
            let mut paths = UNFINISHED.hold();
            // To wait for the other end of a pipe, or to write through a link, is not what is meant.
            if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
                return Err(fail(io::Error::other("it is no regular file")));
            }
            let opened = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path);
            let file = match opened {
                // Another user's, left by a run that was killed; most file systems lock it as well.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(&path),
                other => other,
            }
            .map_err(fail)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    let place = place.to_owned();
                    return Err(LockError::Busy { place });
                }
                // A file system that knows no locks is no reason not to work there.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            // Whoever had it has just removed the file; it would be a lock of nothing.
            if !is_still(&path, &file) {
                continue;
            }
            paths.push(path.clone());
            return Ok(Self { path, _file: file });
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut paths = UNFINISHED.hold();
        forget(&mut paths, &self.path);
        // Before it is unlocked, or it could be another's already.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::of_folder(folder.path()).unwrap();
        let refused = Lock::of_folder(folder.path()).unwrap_err();
        assert!(matches!(&refused, LockError::Busy { place } if place == folder.path()));
        let message = refused.to_string();
        assert!(
            message.contains(&*folder.path().to_string_lossy()),
            "{message}"
        );
        drop(first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        Lock::of_folder(folder.path()).unwrap();
    }

    #[test]
    fn places_in_one_folder_have_locks_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let long = "x".repeat(250);
        let _one = Lock::of_place(&place("one")).unwrap();
        let _other = Lock::of_place(&place(&long)).unwrap();
        assert!(Lock::of_place(&place("one")).is_err());
        assert!(Lock::of_place(&place(&long)).is_err());
    }

    #[test]
    fn a_dead_process_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".vcp-clip-run.lock"), "").unwrap();
        Lock::of_folder(folder.path()).unwrap();
    }

    #[test]
    fn many_at_once_have_it_in_turn() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let holders = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut times = 0;
                    while times < 50 {
                        if let Ok(lock) = Lock::of_folder(folder.path()) {
                            assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                            holders.fetch_sub(1, Ordering::SeqCst);
                            drop(lock);
                            times += 1;
                        }
                        crate::remove_leftovers(folder.path());
                    }
                });
            }
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        std::os::unix::fs::symlink(&target, folder.path().join(".vcp-clip-run.lock")).unwrap();
        assert!(matches!(
            Lock::of_folder(folder.path()),
            Err(LockError::Io { .. })
        ));
        assert!(!target.exists());
    }
}
