//! What saving as JPEG does to a picture: blocks, ringing and coarse colours.

use std::f32::consts::PI;

/// Width of a block.
const SIDE: usize = 8;

/// A block's coefficients or values, row by row.
type Block = [f32; SIDE * SIDE];

/// Steps of the coefficients of brightness at quality 50 (the table that the standard suggests).
const BRIGHTNESS: [u8; SIDE * SIDE] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// Steps of the coefficients of colour at quality 50: they soon reach the last.
const COLOUR: [u8; SIDE * SIDE] = {
    let mut steps = [99; SIDE * SIDE];
    let first = [
        [17, 18, 24, 47],
        [18, 21, 26, 66],
        [24, 26, 56, 99],
        [47, 66, 99, 99],
    ];
    let mut at = 0;
    while at < 16 {
        steps[at / 4 * SIDE + at % 4] = first[at / 4][at % 4];
        at += 1;
    }
    steps
};

/// The picture (`size` × `size` RGB values, 0 to 255) as it is after JPEG of a quality from 1 to 100,
/// with every pixel's own colour. Without colour if it `is_grey`.
pub(crate) fn compressed(pixels: &mut [[f32; 3]], size: usize, quality: f32, is_grey: bool) {
    let scale = if quality < 50.0 {
        50.0 / quality
    } else {
        2.0 - quality / 50.0
    };
    let waves = waves();
    for pixel in &mut *pixels {
        let [red, green, blue] = *pixel;
        let bright = 0.299 * red + 0.587 * green + 0.114 * blue;
        *pixel = [bright, 0.564 * (blue - bright), 0.713 * (red - bright)];
    }
    for channel in 0..if is_grey { 1 } else { 3 } {
        let table = if channel == 0 { &BRIGHTNESS } else { &COLOUR };
        let steps = table.map(|step| (f32::from(step) * scale).round().clamp(1.0, 255.0));
        round_channel(pixels, size, channel, &waves, &steps);
    }
    for pixel in &mut *pixels {
        let [bright, blue, red] = if is_grey {
            [pixel[0], 0.0, 0.0]
        } else {
            *pixel
        };
        let green = bright - 0.344 * blue - 0.714 * red;
        *pixel = [bright + 1.402 * red, green, bright + 1.772 * blue];
    }
}

/// Rounds the coefficients of one channel, block by block.
fn round_channel(
    pixels: &mut [[f32; 3]],
    size: usize,
    channel: usize,
    waves: &Block,
    steps: &Block,
) {
    for top in (0..size).step_by(SIDE) {
        for left in (0..size).step_by(SIDE) {
            let mut block: Block = std::array::from_fn(|at| {
                // Blocks that reach over the border repeat its pixels.
                let (x, y) = (left + at % SIDE, top + at / SIDE);
                pixels[y.min(size - 1) * size + x.min(size - 1)][channel]
            });
            rounded(&mut block, waves, steps);
            for (at, value) in block.iter().enumerate() {
                let (x, y) = (left + at % SIDE, top + at / SIDE);
                if x < size && y < size {
                    pixels[y * size + x][channel] = *value;
                }
            }
        }
    }
}

/// Rows of the discrete cosine transform.
fn waves() -> Block {
    std::array::from_fn(|at| {
        let (wave, place) = (at / SIDE, at % SIDE);
        let scale: f32 = if wave == 0 { 0.125 } else { 0.25 };
        scale.sqrt() * ((2 * place + 1) as f32 * wave as f32 * PI / 16.0).cos()
    })
}

/// Rounds a block's coefficients to multiples of their steps.
fn rounded(block: &mut Block, waves: &Block, steps: &Block) {
    let mut coefficients = through(&through(block, waves, false), waves, false);
    for (coefficient, step) in coefficients.iter_mut().zip(steps) {
        *coefficient = (*coefficient / step).round() * step;
    }
    *block = through(&through(&coefficients, waves, true), waves, true);
}

/// Each row through the transform (or back), then transposed. Twice: both directions.
fn through(block: &Block, waves: &Block, is_back: bool) -> Block {
    let mut out = [0.0; SIDE * SIDE];
    for (y, row) in block.chunks_exact(SIDE).enumerate() {
        for wave in 0..SIDE {
            let products = row.iter().enumerate().map(|(place, value)| {
                let at = if is_back {
                    place * SIDE + wave
                } else {
                    wave * SIDE + place
                };
                value * waves[at]
            });
            out[wave * SIDE + y] = products.sum();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 21;

    fn gradient() -> Vec<[f32; 3]> {
        let pixel = |at: usize| {
            let (x, y) = ((at % WIDTH) as f32, (at / WIDTH) as f32);
            [40.0 + 5.0 * x, 60.0 + 4.0 * y, 180.0 - 3.0 * x]
        };
        (0..WIDTH * WIDTH).map(pixel).collect()
    }

    fn distance(one: &[[f32; 3]], other: &[[f32; 3]]) -> f32 {
        let pairs = one.as_flattened().iter().zip(other.as_flattened());
        pairs
            .map(|(one, other)| (one - other).abs())
            .fold(0.0, f32::max)
    }

    #[test]
    fn the_best_quality_changes_little_and_a_low_one_more() {
        let original = gradient();
        let after = |quality| {
            let mut pixels = original.clone();
            compressed(&mut pixels, WIDTH, quality, false);
            distance(&pixels, &original)
        };
        // Steps of 1: each of the coefficients is off by at most a half.
        assert!(after(100.0) < 5.0, "{}", after(100.0));
        assert!(after(20.0) > after(100.0) + 3.0, "{}", after(20.0));
    }

    #[test]
    fn grey_stays_grey_and_even_areas_even() {
        let mut pixels = vec![[96.0; 3]; WIDTH * WIDTH];
        compressed(&mut pixels, WIDTH, 50.0, true);
        assert!(distance(&pixels, &vec![[96.0; 3]; WIDTH * WIDTH]) < 1.5);
        let mut pixels = gradient();
        compressed(&mut pixels, WIDTH, 30.0, true);
        let is_grey = |pixel: &[f32; 3]| (pixel[0] - pixel[2]).abs() < 1e-3;
        assert!(pixels.iter().all(is_grey));
    }
}
