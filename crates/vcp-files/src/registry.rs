//! What this process has begun and not finished.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The files and folders that this process has begun to write.
pub(crate) static UNFINISHED: Registry = Registry::new();

/// Removes all that this process has begun to write and not finished, for a process that is about to
/// end. From then on no file is begun or gets its name, and no lock is taken: a thread that tries waits
/// for the end of the process.
pub fn end() {
    std::mem::forget(UNFINISHED.remove());
}

/// Paths of unfinished files and folders.
pub(crate) struct Registry(Mutex<Vec<PathBuf>>);

/// Nothing is begun or finished as long as this is held.
pub(crate) type Held<'a> = MutexGuard<'a, Vec<PathBuf>>;

impl Registry {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    pub(crate) fn hold(&self) -> Held<'_> {
        // A list of paths is as good after a panic as before it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes everything in the list; nothing is begun until what this gives is dropped.
    pub(crate) fn remove(&self) -> Held<'_> {
        let mut paths = self.hold();
        for path in paths.drain(..) {
            // There is nobody left whom an error could help.
            if fs::remove_file(&path).is_err() {
                remove_folder(&path);
            }
        }
        paths
    }
}

/// Takes a path from the list.
pub(crate) fn forget(paths: &mut Held<'_>, path: &Path) {
    paths.retain(|entered| entered != path);
}

/// Removes a folder into which other threads may still be writing.
fn remove_folder(path: &Path) {
    // Under another name, nothing more can be put into it by its path.
    let away = path.with_extension("part");
    let place = match fs::rename(path, &away) {
        Ok(()) => away,
        Err(_) => path.to_owned(),
    };
    let begun = Instant::now();
    // What is just being put there or removed by others makes removing fail once.
    while fs::remove_dir_all(&place).is_err()
        && place.symlink_metadata().is_ok()
        && begun.elapsed() < Duration::from_millis(500)
    {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn unfinished_files_and_folders_go_and_finished_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let [done, file, tree] =
            ["done", "file", "tree.folder"].map(|name| folder.path().join(name));
        fs::write(&done, "whole").unwrap();
        fs::write(&file, "half").unwrap();
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/c"), "half").unwrap();
        let registry = Registry::new();
        registry
            .hold()
            .extend([done.clone(), file.clone(), tree.clone()]);
        forget(&mut registry.hold(), &done);
        assert!(registry.remove().is_empty());
        assert_eq!(
            [done, file, tree].map(|path| path.exists()),
            [true, false, false]
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_goes_while_threads_write_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree.folder");
        fs::create_dir(&tree).unwrap();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (tree, ended) = (&tree, &ended);
                scope.spawn(move || {
                    for number in 0.. {
                        if ended.load(Ordering::SeqCst) {
                            return;
                        }
                        let _ = fs::write(tree.join(format!("{writer}-{number}")), "content");
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(20));
            remove_folder(&tree);
            ended.store(true, Ordering::SeqCst);
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
