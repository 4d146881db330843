//! What processes that died have left.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::{FOLDER, LOCK, PART, PREFIX, RANDOM, RUN};

/// How unfinished files and folders end, those of earlier versions included: these wrote
/// `.vcp-clip-LETTERS`, with one of the other endings or none, and held no locks.
const ENDINGS: [&str; 5] = [PART, ".partial", ".png.part", ".html.part", ""];

/// Removes the unfinished files and folders in a folder whose process has died, and locks that it held:
/// those that carry a name such as this program gives, and that no process has locked. What cannot be
/// removed stays; folders below are not looked into.
pub fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if let Some(kind) = entry.file_type().ok().and_then(|it| Kind::of(&name, it)) {
            remove(&entry.path(), kind);
        }
    }
}

/// The same, unless this process has done it in that folder before.
pub(crate) fn remove_once(folder: &Path) {
    static DONE: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut done = DONE.lock().unwrap_or_else(PoisonError::into_inner);
    let is_new = done.get_or_insert_default().insert(folder.to_owned());
    drop(done);
    if is_new {
        remove_leftovers(folder);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file, which also tells of the folder of that name.
    File,
    Lock,
    Folder,
}

impl Kind {
    /// What something of this name and type is, if it is ours.
    fn of(name: &OsStr, kind: fs::FileType) -> Option<Self> {
        let rest = name.to_str()?.strip_prefix(PREFIX)?;
        let ending = rest.get(RANDOM..);
        let is_random = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if let Some(of) = rest.strip_suffix(LOCK) {
            let is_ours = of == RUN || of.len() == 16 && is_random(of);
            return (kind.is_file() && is_ours).then_some(Self::Lock);
        }
        let (random, ending) = (rest.get(..RANDOM)?, ending?);
        if !is_random(random) {
            return None;
        }
        if kind.is_dir() {
            // Earlier versions gave folders the ending of files.
            return [FOLDER, PART].contains(&ending).then_some(Self::Folder);
        }
        // Without an ending it could be a word, and somebody else's.
        let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_ours = ENDINGS.contains(&ending) && !(ending.is_empty() && is_word(random));
        (kind.is_file() && is_ours).then_some(Self::File)
    }
}

fn remove(path: &Path, kind: Kind) {
    match kind {
        Kind::File | Kind::Lock => {
            // Some file systems give a lock only to those who may write.
            let opened = File::options()
                .write(true)
                .open(path)
                .or_else(|_| File::open(path));
            let Ok(file) = opened else {
                return;
            };
            if file.try_lock().is_err() || !is_still(path, &file) {
                return;
            }
            // The folder first: without this file nothing would tell of it.
            let folder = path.with_extension(&FOLDER[1..]);
            let is_alone =
                kind == Kind::Lock || !folder.is_dir() || fs::remove_dir_all(&folder).is_ok();
            if is_alone {
                let _ = fs::remove_file(path);
            }
        }
        Kind::Folder => {
            // Its lock is looked at in its turn.
            if !path.with_extension(&PART[1..]).is_file() {
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

/// Whether an open file still is the one at this path.
pub(crate) fn is_still(path: &Path, file: &File) -> bool {
    let (Ok(there), Ok(here)) = (fs::symlink_metadata(path), file.metadata()) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (there.dev(), there.ino()) == (here.dev(), here.ino())
    }
    // Elsewhere an open file keeps its name from being used again.
    #[cfg(not(unix))]
    {
        there.is_file() && here.is_file()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{Durability, Lock, UnfinishedFolder, write};

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn leftovers_go_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in [
            ".vcp-clip-a1B2c3.part",
            ".vcp-clip-abcdef.part",
            ".vcp-clip-abcdef.partial",
            ".vcp-clip-abcdef.png.part",
            ".vcp-clip-abcdef.html.part",
            ".vcp-clip-abCdef",
            ".vcp-clip-run.lock",
            ".vcp-clip-0123456789abcdef.lock",
        ] {
            fs::write(path(name), "half").unwrap();
        }
        for name in [".vcp-clip-a1B2c3.folder", ".vcp-clip-old123.part"] {
            fs::create_dir_all(path(name).join("set/good")).unwrap();
            fs::write(path(name).join("set/good/0.png"), "half").unwrap();
        }
        let others = [
            ".tmpABCDEF",
            ".vcp-clip-abcde.part",
            ".vcp-clip-abcdefg.part",
            ".vcp-clip-config",
            ".vcp-clip-my.lock",
            ".vcp-clip-my_own.part",
            ".vcp-clip-é.part",
            "photo.part",
            "vcp-clip-abcdef.part",
        ];
        for name in others {
            fs::write(path(name), "mine").unwrap();
        }
        remove_leftovers(folder.path());
        assert_eq!(names(folder.path()), others);
    }

    #[test]
    fn what_a_living_process_writes_stays() {
        let folder = tempfile::tempdir().unwrap();
        let tree = UnfinishedFolder::begin(folder.path()).unwrap();
        fs::write(tree.path().join("file"), "half").unwrap();
        let lock = Lock::of_folder(folder.path()).unwrap();
        write::<io::Error>(&folder.path().join("a"), Durability::Fast, |_| {
            assert_eq!(names(folder.path()).len(), 4);
            remove_leftovers(folder.path());
            assert_eq!(names(folder.path()).len(), 4);
            Ok(())
        })
        .unwrap();
        assert!(tree.path().join("file").exists());
        drop((tree, lock));
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn the_first_write_into_a_folder_removes_them() {
        let folder = tempfile::tempdir().unwrap();
        let leftover = folder.path().join(".vcp-clip-a1B2c3.part");
        fs::write(&leftover, "half").unwrap();
        write::<io::Error>(&folder.path().join("a"), Durability::Fast, |_| Ok(())).unwrap();
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let mine = folder.path().join("mine");
        fs::create_dir(&mine).unwrap();
        fs::write(mine.join("file"), "mine").unwrap();
        for name in [".vcp-clip-a1B2c3.folder", ".vcp-clip-a1B2c4.part"] {
            std::os::unix::fs::symlink(&mine, folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join(".vcp-clip-a1B2c3.part"), "half").unwrap();
        remove_leftovers(folder.path());
        assert_eq!(fs::read(mine.join("file")).unwrap(), b"mine");
    }
}
