//! Moving files of others without losing or replacing any.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::TempPath;
use vcp_files::UnfinishedFolder;

/// Moves a file to a place where there is none. On the same file system it is renamed, in one step; to another one it
/// is copied, with its time of change, gets its name there when it is on the disk, and only then goes from where it
/// was. A process that ends amid that leaves the file where it was, perhaps with a copy in the new place, but never
/// half a file and never none.
///
/// The folder of the new place has to exist. Fails with [`io::ErrorKind::AlreadyExists`] when something is in the new
/// place; the file is where it was then, as after any failure.
pub(crate) fn move_new(from: &Path, to: &Path) -> io::Result<()> {
    if fs::symlink_metadata(from)?.is_symlink() {
        // The photo: a link may lead nowhere from there.
        return copy_over(from, to);
    }
    match rename_new(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => copy_over(from, to),
        outcome => {
            outcome?;
            sync_folder_of(to);
            sync_folder_of(from);
            Ok(())
        }
    }
}

/// Brings the names in a file's folder to the disk, where folders can be opened and the file system does that.
fn sync_folder_of(file: &Path) {
    if cfg!(unix)
        && let Some(folder) = file.parent()
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// Renames a file unless something is in the new place.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    // Made for temporary files, but this one is to stay whatever happens.
    let mut path = TempPath::try_from_path(from)?;
    path.disable_cleanup(true);
    path.persist_noclobber(to).map_err(|error| error.error)
}

fn copy_over(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let unfinished = UnfinishedFolder::begin(folder)?;
    let place = unfinished.path().join("photo");
    let mut source = File::open(from)?;
    let before = source.metadata()?;
    let changed = before.modified();
    let mut copy = File::create_new(&place)?;
    io::copy(&mut source, &mut copy)?;
    if let Ok(changed) = changed {
        // Some file systems cannot keep it.
        let _ = copy.set_modified(changed);
    }
    copy.sync_all()?;
    // Windows renames and removes nothing that is open.
    drop((source, copy));
    let now = fs::metadata(from)?;
    if now.len() != before.len() || now.modified().ok() != before.modified().ok() {
        return Err(io::Error::other("it was changed while it was copied"));
    }
    rename_new(&place, to)?;
    // The copy has its name for good before the photo goes.
    sync_folder_of(to);
    fs::remove_file(from)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    type Move = fn(&Path, &Path) -> io::Result<()>;

    fn names(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_move_and_replace_nothing() {
        for moving in [move_new as Move, copy_over] {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            fs::write(at("a"), "content").unwrap();
            let changed = fs::metadata(at("a")).unwrap().modified().unwrap();
            moving(&at("a"), &at("b")).unwrap();
            assert_eq!(names(folder.path()), [Path::new("b")]);
            assert_eq!(fs::read(at("b")).unwrap(), b"content");
            let moved = fs::metadata(at("b")).unwrap().modified().unwrap();
            assert_eq!(moved, changed);

            fs::write(at("a"), "other").unwrap();
            let refused = moving(&at("a"), &at("b")).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(names(folder.path()), [Path::new("a"), Path::new("b")]);
            assert_eq!(fs::read(at("a")).unwrap(), b"other");
            assert_eq!(fs::read(at("b")).unwrap(), b"content");

            assert!(moving(&at("none"), &at("c")).is_err());
            assert!(moving(&at("a"), &at("none/c")).is_err());
            assert_eq!(names(folder.path()), [Path::new("a"), Path::new("b")]);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn files_move_across_devices() {
        let here = tempfile::tempdir().unwrap();
        let Ok(there) = tempfile::tempdir_in("/dev/shm") else {
            eprintln!("skipped: there is no /dev/shm");
            return;
        };
        let (from, to) = (here.path().join("a"), there.path().join("a"));
        fs::write(&from, "content").unwrap();
        move_new(&from, &to).unwrap();
        assert!(!from.exists());
        assert_eq!(fs::read(&to).unwrap(), b"content");
    }
}
