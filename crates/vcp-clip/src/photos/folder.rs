//! Where a photo's results go below the output folder.

use std::path::{Component, Path, PathBuf};

use super::PhotoPath;

/// The deepest folder that holds everything named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommonFolder(PathBuf);

impl CommonFolder {
    /// Of these folders, taken lexically; the current folder if there are none.
    pub(super) fn of<'a>(folders: impl Iterator<Item = &'a Path>) -> Self {
        let common = folders.map(absolute).reduce(|common, folder| {
            let both = common.components().zip(folder.components());
            both.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
        });
        Self(common.unwrap_or_else(|| absolute(Path::new("."))))
    }

    /// The photo in a file, with its place.
    pub(super) fn photo(&self, path: PathBuf) -> PhotoPath {
        PhotoPath {
            relative: self.place(&path),
            path,
            page: None,
        }
    }

    /// The place of a file: relative to this folder if it lies below it, else all the folders it
    /// lies in. Never contains `..` or a root.
    pub(super) fn place(&self, file: &Path) -> PathBuf {
        let file = absolute(file);
        let below = file.strip_prefix(&self.0).unwrap_or(&file);
        below
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect()
    }
}

/// Photos that something other than their folder lists, such as a table, by paths relative to a folder.
#[derive(Debug, Clone)]
pub struct ListedIn {
    folder: PathBuf,
    common: CommonFolder,
}

impl ListedIn {
    /// Paths are relative to this folder; to the current one if it is empty.
    #[must_use]
    pub fn folder(folder: &Path) -> Self {
        let common = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        Self {
            folder: folder.to_owned(),
            common: CommonFolder::of(std::iter::once(common)),
        }
    }

    /// The photo at this path, relative to the folder or absolute.
    #[must_use]
    pub fn photo(&self, path: &Path) -> PhotoPath {
        self.common.photo(self.folder.join(path))
    }
}

/// An absolute path without `.` and `..`. It names results and opens nothing, so a link on the way
/// does not matter.
pub(super) fn absolute(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    // Fails only for an empty path or without a current folder; any name will do then.
    for part in std::path::absolute(path)
        .unwrap_or_else(|_| path.to_owned())
        .components()
    {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folders: &[&str], file: &str) -> String {
        let common = CommonFolder::of(folders.iter().map(Path::new));
        common
            .place(Path::new(file))
            .to_string_lossy()
            .replace('\\', "/")
    }

    #[test]
    fn listed_photos_lie_below_their_folder() {
        for (folder, path, whole, relative) in [
            ("tables", "x/a.png", "tables/x/a.png", "x/a.png"),
            ("", "x/a.png", "x/a.png", "x/a.png"),
            ("tables", "/p/a.png", "/p/a.png", "p/a.png"),
            ("/tables", "../p/a.png", "/tables/../p/a.png", "p/a.png"),
        ] {
            let photo = ListedIn::folder(Path::new(folder)).photo(Path::new(path));
            assert_eq!(photo.path, Path::new(whole));
            assert_eq!(photo.relative, Path::new(relative));
        }
    }

    #[test]
    fn results_lie_as_the_photos_do() {
        let cases = [
            (&["/p"][..], "/p/a.png", "a.png"),
            (&["/p"], "/p/x/a.png", "x/a.png"),
            (&["/p/x", "/p/y"], "/p/y/a.png", "y/a.png"),
            (&["/p", "/p/y"], "/p/y/a.png", "y/a.png"),
            (&["/p/x/../y", "/p/./y/z"], "/p/y/z/a.png", "z/a.png"),
            (&["p/x", "p/xy"], "p/xy/a.png", "xy/a.png"),
            (&["/p/x"], "/elsewhere/a.png", "elsewhere/a.png"),
            (&["/p/x"], "/p/x/../../../../etc/a.png", "etc/a.png"),
            (&[], "here/a.png", "here/a.png"),
        ];
        for (folders, file, expected) in cases {
            assert_eq!(place(folders, file), expected, "{folders:?} {file}");
        }
    }
}
