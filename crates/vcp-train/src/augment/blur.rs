//! Small blurs. Outside, the image is mirrored.

use vcp_image::Photo;

use super::{byte, mirrored, photo};

/// The mean of 3 × 3 pixels.
pub(super) fn mean_of_three(image: &Photo) -> Photo {
    filtered(image, &[1.0 / 3.0; 3])
}

/// A Gaussian blur of `width` (3, 5 or 7) pixels, with `OpenCV`'s weights for these widths.
pub(super) fn gaussian(image: &Photo, width: usize) -> Photo {
    let weights: &[f32] = match width {
        0..=3 => &[0.25, 0.5, 0.25],
        4..=5 => &[0.0625, 0.25, 0.375, 0.25, 0.0625],
        _ => &[
            0.03125, 0.109_375, 0.218_75, 0.28125, 0.218_75, 0.109_375, 0.03125,
        ],
    };
    filtered(image, weights)
}

/// Filtered with these weights across and down; rounded once.
fn filtered(image: &Photo, weights: &[f32]) -> Photo {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let half = weights.len() / 2;
    let stride = width * channels;
    let from =
        |at: usize, tap: usize, count: usize| mirrored(at as i64 + tap as i64 - half as i64, count);
    let mut pixels = Vec::with_capacity(image.pixels().len());
    let mut column_sums = vec![0.0_f32; stride];
    for y in 0..height {
        column_sums.fill(0.0);
        for (tap, weight) in weights.iter().enumerate() {
            let row = image.row(from(y, tap, height));
            for (sum, &value) in column_sums.iter_mut().zip(row) {
                *sum += weight * f32::from(value);
            }
        }
        for x in 0..width {
            for channel in 0..channels {
                let sum: f32 = weights
                    .iter()
                    .enumerate()
                    .map(|(tap, weight)| {
                        weight * column_sums[from(x, tap, width) * channels + channel]
                    })
                    .sum();
                pixels.push(byte(sum));
            }
        }
    }
    photo(image, width, height, pixels)
}
