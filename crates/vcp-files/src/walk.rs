//! Walking through folders that link to each other.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use walkdir::DirEntry;

/// Decides into which folders a walk goes that follows links, so that each real folder is entered
/// once however many links lead there: folders that link to each other would otherwise be walked in
/// every order.
///
/// Hidden files and folders, whose names begin with a dot, are not entered but through a link. For
/// [`walkdir::WalkDir`]'s `filter_entry`.
#[derive(Debug, Default)]
pub struct FoldersOnce {
    /// Folders that are walked for their own sake, without links on the way.
    roots: Vec<PathBuf>,
    entered: HashSet<PathBuf>,
}

impl FoldersOnce {
    /// For walks that begin at each of these paths; those that are no folders do not matter.
    pub fn below<'a>(roots: impl IntoIterator<Item = &'a Path>) -> Self {
        let real = |path: &Path| path.is_dir().then(|| path.canonicalize().ok()).flatten();
        Self {
            roots: roots.into_iter().filter_map(real).collect(),
            entered: HashSet::new(),
        }
    }

    /// Whether the walk is to see this entry and, if it is a folder, what lies in it.
    pub fn enters(&mut self, entry: &DirEntry) -> bool {
        if entry.depth() == 0 {
            return true;
        }
        if is_hidden(entry.file_name()) {
            return false;
        }
        if !entry.file_type().is_dir() {
            return true;
        }
        // One that cannot be found out about is for the walk to complain of.
        let Ok(real) = entry.path().canonicalize() else {
            return true;
        };
        // What a walk comes to by itself, it enters there and through no link.
        if self.roots.iter().any(|root| is_walked(root, &real)) {
            return !entry.path_is_symlink();
        }
        self.entered.insert(real)
    }
}

/// Whether a walk from `root` comes to `folder` without following a link.
fn is_walked(root: &Path, folder: &Path) -> bool {
    folder.strip_prefix(root).is_ok_and(|below| {
        below
            .components()
            .all(|part| matches!(part, Component::Normal(name) if !is_hidden(name)))
    })
}

fn is_hidden(name: &std::ffi::OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use walkdir::WalkDir;

    use super::*;

    fn walk(once: &mut FoldersOnce, root: &Path) -> Vec<String> {
        WalkDir::new(root)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| once.enters(entry))
            .filter_map(Result::ok)
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let path = entry.path().strip_prefix(root).unwrap();
                path.to_str().unwrap().to_owned()
            })
            .collect()
    }

    #[test]
    fn each_real_folder_is_entered_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["p/a", "p/b", "p/.hidden", "elsewhere/deep"] {
            std::fs::create_dir_all(at(name)).unwrap();
            std::fs::write(at(name).join("file"), "").unwrap();
        }
        for (target, link) in [
            ("p/b", "p/a/to-b"),
            ("p/a", "p/b/to-a"),
            ("p", "p/a/up"),
            ("elsewhere", "p/a/out"),
            ("elsewhere", "p/b/out-again"),
            ("elsewhere/deep", "p/b/part"),
            ("p/a", "elsewhere/back"),
            ("p/.hidden", "p/shown"),
        ] {
            symlink(at(target), at(link)).unwrap();
        }
        let root = at("p");
        let mut once = FoldersOnce::below([root.as_path()]);
        assert_eq!(
            walk(&mut once, &root),
            ["a/file", "a/out/deep/file", "b/file", "shown/file"]
        );
    }

    #[test]
    fn a_folder_inside_one_that_is_linked_later_is_not_entered_again() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("set/deep")).unwrap();
        std::fs::create_dir(at("p")).unwrap();
        std::fs::write(at("set/deep/file"), "").unwrap();
        symlink(at("set/deep"), at("p/a")).unwrap();
        symlink(at("set"), at("p/b")).unwrap();
        let root = at("p");
        let mut once = FoldersOnce::below([root.as_path()]);
        assert_eq!(walk(&mut once, &root), ["a/file"]);
    }

    #[test]
    fn a_dense_net_of_links_ends() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..12).map(|number| format!("f{number:02}")).collect();
        for name in &names {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("file"), "").unwrap();
        }
        for from in &names {
            for to in names.iter().filter(|to| *to != from) {
                let target = folder.path().join(to);
                symlink(target, folder.path().join(from).join(format!("to-{to}"))).unwrap();
            }
        }
        let mut once = FoldersOnce::below([folder.path()]);
        assert_eq!(walk(&mut once, folder.path()).len(), 12);
        // From one of them, the others are reached by links alone.
        let one = folder.path().join("f00");
        let mut once = FoldersOnce::below([one.as_path()]);
        assert_eq!(walk(&mut once, &one).len(), 12);
    }
}
