//! Four images in one.

use vcp_image::{Photo, resize_mask};

use super::photo;

/// Four images and their masks as one: two across and two down, in reading order. Each has the first
/// image's size; those of another size are resized. Grey only if all four are.
///
/// The mosaic has four times the first image's pixels.
#[must_use]
pub fn mosaic(parts: &[(Photo, Photo); 4]) -> (Photo, Photo) {
    let (width, height) = (parts[0].0.width(), parts[0].0.height());
    let is_grey = parts.iter().all(|(image, _)| image.is_grey());
    let images: [Photo; 4] = std::array::from_fn(|part| {
        let image = &parts[part].0;
        let image = if is_grey {
            image.clone()
        } else {
            image.to_rgb()
        };
        if (image.width(), image.height()) == (width, height) {
            image
        } else {
            image.resize_bicubic(width, height)
        }
    });
    let masks: [Photo; 4] = std::array::from_fn(|part| resize_mask(&parts[part].1, width, height));
    (joined(&images), joined(&masks))
}

/// Four of one size and kind.
fn joined(parts: &[Photo; 4]) -> Photo {
    let (width, height) = (parts[0].width(), parts[0].height());
    let mut pixels = Vec::with_capacity(4 * parts[0].pixels().len());
    for pair in parts.chunks_exact(2) {
        for y in 0..height {
            pixels.extend_from_slice(pair[0].row(y));
            pixels.extend_from_slice(pair[1].row(y));
        }
    }
    photo(&parts[0], 2 * width, 2 * height, pixels)
}
