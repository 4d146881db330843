//! Photos made small.

use vcp_image::{Photo, Picture};

/// Longest side of a thumbnail in pixels.
const SIDE: usize = 256;
const QUALITY: u8 = 80;

/// A photo as JPEG whose longer side has at most 256 pixels, for [`NewResult::thumbnail`](crate::NewResult::thumbnail).
///
/// # Errors
/// When it cannot be encoded.
pub fn thumbnail(photo: &Photo) -> Result<Vec<u8>, vcp_image::Error> {
    let (width, height) = (photo.width(), photo.height());
    let longer = width.max(height);
    if longer <= SIDE {
        return Picture::from(photo.clone()).to_jpeg_bytes(QUALITY);
    }
    // Of a large photo, every pixel that is skipped here would only be averaged away.
    let step = longer / (SIDE * 4);
    let thinned = (step > 1).then(|| thinned(photo, step));
    let scaled = |side: usize| ((side * SIDE + longer / 2) / longer).max(1);
    let small = thinned.transpose()?;
    let small = small.as_ref().unwrap_or(photo);
    let small = small.resize_bicubic(scaled(width), scaled(height));
    Picture::from(small).to_jpeg_bytes(QUALITY)
}

/// Every `step`-th pixel of every `step`-th row.
fn thinned(photo: &Photo, step: usize) -> Result<Photo, vcp_image::Error> {
    let channels = photo.channels();
    let columns = photo.width().div_ceil(step);
    let rows = photo.height().div_ceil(step);
    let mut pixels = Vec::with_capacity(columns * rows * channels);
    for y in (0..photo.height()).step_by(step) {
        let row = photo.row(y).chunks_exact(channels).step_by(step);
        pixels.extend(row.flatten());
    }
    if photo.is_grey() {
        Photo::from_grey(columns, rows, pixels)
    } else {
        Photo::from_rgb(columns, rows, pixels)
    }
}

#[cfg(test)]
mod tests {
    use vcp_image::DecodeOptions;

    use super::*;

    #[test]
    fn thumbnails_are_small_and_keep_the_shape() {
        for (width, height, expected) in [
            (10, 20, (10, 20)),
            (512, 256, (256, 128)),
            (3000, 4500, (171, 256)),
            (20000, 1, (256, 1)),
        ] {
            for channels in [1, 3] {
                let pixels = vec![90; width * height * channels];
                let photo = match channels {
                    1 => Photo::from_grey(width, height, pixels),
                    _ => Photo::from_rgb(width, height, pixels),
                };
                let file = thumbnail(&photo.unwrap()).unwrap();
                let read = vcp_image::decode_bytes(&file, "it", &DecodeOptions::default()).unwrap();
                assert_eq!((read.width(), read.height()), expected);
                assert!(read.pixels().iter().all(|value| value.abs_diff(90) < 3));
            }
        }
    }
}
