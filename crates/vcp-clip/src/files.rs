//! Result files that appear whole or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use vcp_files::Durability;
use vcp_image::{MapRows, Picture, PlainMap, encode_npy};

/// How the name of a photo with the map over it ends.
pub const OVERLAY: &str = ".overlay.png";
/// How the name of a map in colours ends.
pub const HEATMAP: &str = ".heatmap.png";
/// How the name of a mask ends.
pub const MASK: &str = ".mask.png";

/// Writes a file beside its place and moves it there when it is complete, creating the folders
/// above it. When `write` fails, nothing is left behind.
///
/// # Errors
/// Those of `write`, and what creating, writing and renaming a file may have.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder)?;
    vcp_files::write(path, Durability::Fast, |file| write(file))
}

/// Writes a PNG.
///
/// # Errors
/// As [`write_whole`].
pub fn write_picture(path: &Path, picture: &Picture) -> io::Result<()> {
    write_whole(path, |file| picture.encode_png(file))
}

/// Writes an f32 array `[side, side]`.
///
/// # Errors
/// As [`write_whole`].
pub fn write_npy(path: &Path, values: &[f32], side: usize) -> io::Result<()> {
    write_npy_rows(path, &PlainMap::new(values, side))
}

/// Writes a map as an f32 array `[height, width]`, row by row.
///
/// # Errors
/// As [`write_whole`].
pub fn write_npy_rows(path: &Path, map: &dyn MapRows) -> io::Result<()> {
    write_whole(path, |file| encode_npy(map, file))
}

/// `x/a` and `.mask.png` make `x/a.mask.png`, also when `a` holds dots.
#[must_use]
pub fn with_suffix(base: &Path, suffix: &str) -> PathBuf {
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
