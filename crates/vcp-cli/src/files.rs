//! Files that appear whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use vcp_files::Durability;
use vcp_image::{MapRows, Picture, PlainMap, encode_npy};

use crate::exit::usage;

/// Writes a file beside its place and moves it there when it is complete, creating the folders
/// above it. When `write` fails, nothing is left behind.
pub(crate) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder)?;
    vcp_files::write(path, Durability::Fast, |file| write(file))
}

/// Refuses to put a result where something other than a file stands, such as a device, or a file
/// that may not be replaced.
///
/// # Errors
/// As wrong usage.
pub(crate) fn check_place(path: &Path, force: bool) -> anyhow::Result<()> {
    // What else may be wrong with the place shows when it is written to.
    let Ok(found) = std::fs::metadata(path) else {
        return Ok(());
    };
    if !found.is_file() {
        return Err(usage(format!(
            "{} is no regular file and cannot be replaced by one; name another place.",
            path.display()
        )));
    }
    if !force {
        return Err(usage(format!(
            "{} exists already; --force replaces it.",
            path.display()
        )));
    }
    Ok(())
}

/// Writes a PNG.
pub(crate) fn write_picture(path: &Path, picture: &Picture) -> anyhow::Result<()> {
    write_whole(path, |file| picture.encode_png(file))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Writes an f32 array `[side, side]`.
pub(crate) fn write_npy(path: &Path, values: &[f32], side: usize) -> io::Result<()> {
    write_npy_rows(path, &PlainMap::new(values, side))
}

/// Writes a map as an f32 array `[height, width]`, row by row.
pub(crate) fn write_npy_rows(path: &Path, map: &dyn MapRows) -> io::Result<()> {
    write_whole(path, |file| encode_npy(map, file))
}

/// `x/a` and `.mask.png` make `x/a.mask.png`, also when `a` holds dots.
pub(crate) fn with_suffix(base: &Path, suffix: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        write_whole(&path, |file| file.write_all(b"old")).unwrap();
        let failed = write_whole(&path, |file| {
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
