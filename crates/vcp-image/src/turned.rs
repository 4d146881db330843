//! Whether a file says that its picture is to be turned.

use std::path::Path;

use image::metadata::Orientation;
use image::{ImageDecoder, ImageReader};

use crate::decode::tiff_orientation;

/// Whether the metadata of a picture (EXIF, or TIFF's own tag) ask for it to be turned or mirrored.
/// `false` also for files that cannot be read, or say nothing. Pixels are not decoded.
#[must_use]
pub fn is_turned(path: &Path) -> bool {
    // To open a pipe is to wait until somebody writes to it.
    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    // As everywhere, a decoder that panics is one odd file, not the end of a run.
    let orientation = vcp_panics::caught(|| {
        if let Some(orientation) = tiff_orientation(path) {
            return Some(orientation);
        }
        let reader = ImageReader::open(path).ok()?.with_guessed_format().ok()?;
        reader.into_decoder().ok()?.orientation().ok()
    });
    orientation
        .ok()
        .flatten()
        .is_some_and(|orientation| orientation != Orientation::NoTransforms)
}
