//! Pictures and arrays as files.

use std::io;
use std::path::Path;

use vcp_files::write_result;
use vcp_image::{MapRows, Picture, PlainMap, encode_npy};

/// How the name of a photo with the map over it ends.
pub(crate) const OVERLAY: &str = ".overlay.png";
/// How the name of a map in colours ends.
pub(crate) const HEATMAP: &str = ".heatmap.png";
/// How the name of a mask ends.
pub(crate) const MASK: &str = ".mask.png";

/// Writes a PNG.
pub(crate) fn write_picture(path: &Path, picture: &Picture) -> io::Result<()> {
    write_result(path, |file| picture.encode_png(file))
}

/// Writes an f32 array `[side, side]`.
pub(crate) fn write_npy(path: &Path, values: &[f32], side: usize) -> io::Result<()> {
    write_npy_rows(path, &PlainMap::new(values, side))
}

/// Writes a map as an f32 array `[height, width]`, row by row.
pub(crate) fn write_npy_rows(path: &Path, map: &dyn MapRows) -> io::Result<()> {
    write_result(path, |file| encode_npy(map, file))
}
