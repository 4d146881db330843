//! Where a photo's results go below the output folder.

use std::path::{Component, Path, PathBuf};

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
