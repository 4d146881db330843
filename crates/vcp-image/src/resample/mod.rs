//! Pillow's 8-bit resampling (`libImaging/Resample.c`), to the last bit.
//!
//! What makes it differ from other libraries' "bicubic": a = −0.5; the filter is stretched by the
//! scale when shrinking; the coefficients become integers with 22 fractional bits; rows are
//! resized first, and their result is rounded to 8 bits before columns are.

mod across;
mod down;
mod taps;

use crate::Photo;

use self::across::Across;
use self::down::Down;

/// The filters in use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Cubic convolution with a = −0.5.
    Bicubic,
    /// The triangle filter.
    Bilinear,
}

impl Filter {
    /// Half the width of the filter, in source pixels at scale 1.
    fn support(self) -> f64 {
        match self {
            Filter::Bicubic => 2.0,
            Filter::Bilinear => 1.0,
        }
    }

    /// The filter's value; written with the operations in Pillow's order, for equal rounding.
    fn value(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Filter::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Filter::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Filter::Bilinear if x < 1.0 => 1.0 - x,
            Filter::Bicubic | Filter::Bilinear => 0.0,
        }
    }
}

/// Fractional bits of a coefficient: 32, less 8 of the pixel, less 2 of headroom for overshoot.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// One half, so that the final shift rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// Resizes as Pillow does. A pass that changes nothing is left out, also as Pillow does.
///
/// # Panics
/// If a side is zero.
pub(crate) fn resize(photo: &Photo, width: usize, height: usize, filter: Filter) -> Photo {
    let from = (photo.width(), photo.height());
    if from == (width, height) {
        return photo.clone();
    }
    let mut resizer = Resizer::new(from, photo.channels(), (width, height), filter);
    resizer.push(photo.pixels());
    resizer.into_photo()
}

/// Rows that are resized at a time: all of a long narrow photo would take thousands of bytes a pixel.
const BAND_ROWS: usize = 64;

/// A photo on its way to another size, whose rows come from the top down.
pub(crate) struct Resizer {
    /// Bytes of a row of the source.
    stride: usize,
    width: usize,
    height: usize,
    channels: usize,
    across: Option<Across>,
    down: Option<Down>,
    /// The finished rows.
    pixels: Vec<u8>,
}

impl Resizer {
    /// From one width and height to another.
    ///
    /// # Panics
    /// If a side is zero.
    pub(crate) fn new(
        from: (usize, usize),
        channels: usize,
        (width, height): (usize, usize),
        filter: Filter,
    ) -> Self {
        assert!(
            width > 0 && height > 0,
            "a photo cannot be resized to {width} × {height} pixels"
        );
        Self {
            stride: from.0 * channels,
            width,
            height,
            channels,
            across: (from.0 != width).then(|| Across::new(from.0, width, channels, filter)),
            down: (from.1 != height).then(|| Down::new(from.1, height, width * channels, filter)),
            pixels: Vec::with_capacity(width * height * channels),
        }
    }

    /// Takes the next rows.
    pub(crate) fn push(&mut self, rows: &[u8]) {
        for rows in rows.chunks(self.stride * BAND_ROWS) {
            let across = |output: &mut Vec<u8>| match &self.across {
                Some(across) => across.run(rows, output),
                None => output.extend_from_slice(rows),
            };
            match &mut self.down {
                Some(down) => down.push(across, &mut self.pixels),
                None => across(&mut self.pixels),
            }
        }
    }

    /// The photo, after its last row.
    ///
    /// # Panics
    /// If rows are missing.
    pub(crate) fn into_photo(self) -> Photo {
        assert_eq!(
            self.pixels.len(),
            self.width * self.height * self.channels,
            "a photo was resized before all of its rows were there"
        );
        Photo::from_parts(self.width, self.height, self.channels, self.pixels)
    }
}

/// The sum with its fractional bits, rounded and clipped to a byte.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}
