//! Ground-truth masks, as the official code reads them.

use crate::{Photo, resample};

/// A mask from its picture: any value above 0 in any channel is defect (255), the rest is not (0).
#[must_use]
pub fn mask_from_photo(photo: &Photo) -> Photo {
    let pixels = photo
        .pixels()
        .chunks_exact(photo.channels())
        .map(|pixel| {
            if pixel.iter().any(|&value| value > 0) {
                255
            } else {
                0
            }
        })
        .collect();
    Photo::from_parts(photo.width(), photo.height(), 1, pixels)
}

/// The mask of a picture (see [`mask_from_photo`]) at another size: Pillow's antialiased bilinear
/// resize of 0 and 255, then more than half is defect. Grey, 0 and 255 only.
///
/// # Panics
/// If a side is zero.
#[must_use]
pub fn resize_mask(photo: &Photo, width: usize, height: usize) -> Photo {
    let mask = mask_from_photo(photo);
    let resized = resample::resize(&mask, width, height, resample::Filter::Bilinear);
    // More than 0.5 of 255 is 128 and up.
    let pixels = resized
        .pixels()
        .iter()
        .map(|&value| if value > 127 { 255 } else { 0 })
        .collect();
    Photo::from_parts(width, height, 1, pixels)
}
