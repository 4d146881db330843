//! A folder, whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::registry::{UNFINISHED, forget};
use crate::write::Unfinished;
use crate::{FOLDER, leftovers};

/// A folder that is being filled. What is in it gets its place by [`UnfinishedFolder::move_out`]; the
/// rest goes when this is dropped.
#[derive(Debug)]
pub struct UnfinishedFolder {
    path: PathBuf,
    /// Says by being locked that somebody is at work. It goes after the folder.
    _lock: Unfinished,
}

impl UnfinishedFolder {
    /// A new folder in `parent`, which has to exist. What processes that died have left in `parent` is
    /// removed first.
    ///
    /// # Errors
    /// When no folder can be created there.
    pub fn begin(parent: &Path) -> io::Result<Self> {
        leftovers::remove_once(parent);
        let lock = Unfinished::begin(parent)?;
        let path = lock.path().with_extension(&FOLDER[1..]);
        let mut paths = UNFINISHED.hold();
        fs::create_dir(&path)?;
        paths.push(path.clone());
        Ok(Self { path, _lock: lock })
    }

    /// Where it is while it is being filled.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a folder in it, with those above it. The unfinished folder itself is not created again
    /// if it has been removed, because the process is about to end.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(&self, below: impl AsRef<Path>) -> io::Result<()> {
        let mut path = self.path.clone();
        for part in below.as_ref().components() {
            path.push(part);
            match fs::create_dir(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives what it holds under these names their places, on the same file system: all of them or none.
    ///
    /// # Errors
    /// The place at which it failed, and why; for a folder, also because there is one already that is
    /// not empty.
    pub fn move_out<'a>(&self, moves: &[(&str, &'a Path)]) -> Result<(), (&'a Path, io::Error)> {
        // A process that ends finds all of them in their places or none.
        let _paths = UNFINISHED.hold();
        for (done, (name, place)) in moves.iter().enumerate() {
            if let Err(error) = fs::rename(self.path.join(name), place) {
                for (name, place) in &moves[..done] {
                    // What cannot be taken back stays; there is nothing better to be done.
                    let _ = fs::rename(place, self.path.join(name));
                }
                return Err((place, error));
            }
        }
        Ok(())
    }
}

impl Drop for UnfinishedFolder {
    fn drop(&mut self) {
        // Held only for the list: removing many files takes its time.
        let removed = fs::remove_dir_all(&self.path);
        let mut paths = UNFINISHED.hold();
        if removed.is_ok() {
            forget(&mut paths, &self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn what_is_moved_out_stays_and_the_rest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = UnfinishedFolder::begin(folder.path()).unwrap();
        assert_eq!(count(folder.path()), 2, "the folder and its lock");
        unfinished.create("set/a/b").unwrap();
        unfinished.create("set/a/c").unwrap();
        fs::write(unfinished.path().join("set/a/b/file"), "1").unwrap();
        fs::write(unfinished.path().join("rest"), "2").unwrap();
        let place = folder.path().join("place");
        unfinished.move_out(&[("set", &place)]).unwrap();
        drop(unfinished);
        assert_eq!(fs::read(place.join("a/b/file")).unwrap(), b"1");
        assert_eq!(count(folder.path()), 1);
    }

    #[test]
    fn a_folder_that_is_there_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("place");
        fs::create_dir(&place).unwrap();
        fs::write(place.join("file"), "old").unwrap();
        let unfinished = UnfinishedFolder::begin(folder.path()).unwrap();
        unfinished.create("set").unwrap();
        fs::write(unfinished.path().join("list"), "new").unwrap();
        let list = folder.path().join("list");
        let (failed, _) = unfinished
            .move_out(&[("list", &list), ("set", &place)])
            .unwrap_err();
        assert_eq!(failed, place);
        drop(unfinished);
        assert_eq!(fs::read(place.join("file")).unwrap(), b"old");
        assert_eq!(count(folder.path()), 1);
    }

    #[test]
    fn a_removed_folder_is_not_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = UnfinishedFolder::begin(folder.path()).unwrap();
        fs::remove_dir(unfinished.path()).unwrap();
        assert!(unfinished.create("a/b").is_err());
        drop(unfinished);
        assert_eq!(count(folder.path()), 0);
    }
}
