//! Rotations.

use vcp_image::Photo;

use super::{byte, mirrored, photo};

/// The image turned about its middle by `angle` (radians, to the left as one sees it), bilinear;
/// what lies outside is its mirror image.
pub(super) fn rotated(image: &Photo, angle: f64) -> Photo {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let source = Source::new(image, angle);
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for y in 0..height {
        for x in 0..width {
            let (u, v) = source.place(x, y);
            let (left, top) = (u.floor(), v.floor());
            let (across, down) = ((u - left) as f32, (v - top) as f32);
            let (left, top) = (left as i64, top as i64);
            let columns = [mirrored(left, width), mirrored(left + 1, width)];
            let rows = [mirrored(top, height), mirrored(top + 1, height)];
            for channel in 0..channels {
                let value = |row: usize, column: usize| {
                    let index = (rows[row] * width + columns[column]) * channels + channel;
                    f32::from(image.pixels()[index])
                };
                let above = value(0, 0) + (value(0, 1) - value(0, 0)) * across;
                let below = value(1, 0) + (value(1, 1) - value(1, 0)) * across;
                pixels.push(byte(above + (below - above) * down));
            }
        }
    }
    photo(image, width, height, pixels)
}

/// The same for a mask: each pixel is that of the nearest place.
pub(super) fn rotated_mask(mask: &Photo, angle: f64) -> Photo {
    let (width, height) = (mask.width(), mask.height());
    let source = Source::new(mask, angle);
    let mut pixels = Vec::with_capacity(mask.pixels().len());
    for y in 0..height {
        for x in 0..width {
            let (u, v) = source.place(x, y);
            let column = mirrored((u + 0.5).floor() as i64, width);
            let row = mirrored((v + 0.5).floor() as i64, height);
            pixels.push(mask.pixels()[row * width + column]);
        }
    }
    photo(mask, width, height, pixels)
}

/// Where each pixel of a rotated image comes from.
struct Source {
    sine: f64,
    cosine: f64,
    middle: (f64, f64),
}

impl Source {
    fn new(image: &Photo, angle: f64) -> Self {
        let half = |count: usize| (count - 1) as f64 / 2.0;
        Self {
            sine: angle.sin(),
            cosine: angle.cos(),
            middle: (half(image.width()), half(image.height())),
        }
    }

    fn place(&self, x: usize, y: usize) -> (f64, f64) {
        let (u, v) = (x as f64 - self.middle.0, y as f64 - self.middle.1);
        (
            self.middle.0 + self.cosine * u - self.sine * v,
            self.middle.1 + self.sine * u + self.cosine * v,
        )
    }
}

/// The image after so many quarter turns to the left. No value changes.
pub(super) fn quarter_turns(image: Photo, turns: usize) -> Photo {
    let turns = turns % 4;
    if turns == 0 {
        return image;
    }
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let (new_width, new_height) = if turns == 2 {
        (width, height)
    } else {
        (height, width)
    };
    let mut pixels = Vec::with_capacity(image.pixels().len());
    for y in 0..new_height {
        for x in 0..new_width {
            let (column, row) = match turns {
                1 => (width - 1 - y, x),
                2 => (width - 1 - x, height - 1 - y),
                _ => (y, height - 1 - x),
            };
            let index = (row * width + column) * channels;
            pixels.extend_from_slice(&image.pixels()[index..index + channels]);
        }
    }
    photo(&image, new_width, new_height, pixels)
}
