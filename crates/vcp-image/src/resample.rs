//! Pillow's 8-bit resampling (`libImaging/Resample.c`), to the last bit.
//!
//! What makes it differ from other libraries' "bicubic": a = −0.5; the filter is stretched by the
//! scale when shrinking; the coefficients become integers with 22 fractional bits; rows are
//! resized first, and their result is rounded to 8 bits before columns are.

use std::borrow::Cow;
use std::ops::Range;

use vcp_simd::{InstructionSet, Portable, Supported, kernel};

use crate::Photo;

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

/// Source pixels taken together in the row kernel.
const PIXELS_PER_STEP: usize = 8;
/// Rows taken together in the row kernel: each coefficient is loaded once for all of them.
const ROWS_PER_STEP: usize = 4;
/// Bytes taken together in the column kernel.
const BYTES_PER_STEP: usize = 32;

/// Which source pixels make each output pixel, and with which weights.
struct Taps {
    /// First source pixel of each output pixel.
    start: Vec<usize>,
    /// Weights per output pixel.
    count: usize,
    /// `[outputs, count]` weights with [`PRECISION_BITS`] fractional bits.
    weights: Vec<i32>,
}

impl Taps {
    fn new(input: usize, output: usize, filter: Filter) -> Self {
        let scale = input as f64 / output as f64;
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let center = |x: usize| (x as f64 + 0.5) * scale;
        let reach: Vec<(usize, usize)> = (0..output)
            .map(|x| {
                // The casts cut towards zero, as C's do.
                let first = (center(x) - support + 0.5).max(0.0) as usize;
                let end = ((center(x) + support + 0.5) as usize).min(input);
                (first, end)
            })
            .collect();
        let count = reach.iter().map(|(first, end)| end - first).max();
        let count = count.unwrap_or_default();
        let mut weights = vec![0; output * count];
        let mut exact = Vec::with_capacity(count);
        for ((x, &(first, end)), row) in reach
            .iter()
            .enumerate()
            .zip(weights.chunks_exact_mut(count))
        {
            exact.clear();
            exact.extend((first..end).map(|position| {
                filter.value((position as f64 - center(x) + 0.5) * (1.0 / filter_scale))
            }));
            let sum: f64 = exact.iter().sum();
            for (weight, value) in row.iter_mut().zip(&exact) {
                let value = if sum == 0.0 { *value } else { value / sum };
                let scaled = value * f64::from(1_i32 << PRECISION_BITS);
                *weight = (scaled + if value < 0.0 { -0.5 } else { 0.5 }) as i32;
            }
        }
        let start = reach.iter().map(|(first, _)| *first).collect();
        Self {
            start,
            count,
            weights,
        }
    }

    /// The same taps with `count` rounded up to whole steps of the row kernel, and every start
    /// moved left where the added (zero) weights would reach past `input`.
    fn padded(self, input: usize) -> Self {
        let count = self.count.next_multiple_of(PIXELS_PER_STEP);
        let mut weights = vec![0; self.start.len() * count];
        let mut start = Vec::with_capacity(self.start.len());
        for ((to, from), &first) in weights
            .chunks_exact_mut(count)
            .zip(self.weights.chunks_exact(self.count))
            .zip(&self.start)
        {
            let moved = first.min(input.saturating_sub(count));
            // Weights past the source's end are zero, so cutting them off loses nothing.
            let used = self.count.min(count - (first - moved));
            to[first - moved..][..used].copy_from_slice(&from[..used]);
            start.push(moved);
        }
        Self {
            start,
            count,
            weights,
        }
    }
}

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

/// The horizontal pass.
struct Across {
    /// Without weights, which are in `weights`.
    taps: Taps,
    /// One weight per byte, so that the kernel multiplies straight along the interleaved row.
    weights: Vec<i32>,
    width: usize,
    channels: usize,
}

impl Across {
    fn new(width: usize, output: usize, channels: usize, filter: Filter) -> Self {
        let mut taps = Taps::new(width, output, filter).padded(width);
        let weights = std::mem::take(&mut taps.weights);
        let weights = weights
            .iter()
            .flat_map(|&weight| std::iter::repeat_n(weight, channels))
            .collect();
        Self {
            taps,
            weights,
            width,
            channels,
        }
    }

    /// Puts rows, resized, behind those in `output`.
    fn run(&self, rows: &[u8], output: &mut Vec<u8>) {
        let channels = self.channels;
        let stride = self.width * channels;
        let start = output.len();
        output.resize(
            start + rows.len() / stride * self.taps.start.len() * channels,
            0,
        );
        // A photo narrower than one padded filter gets black columns at its right; their weights
        // are 0.
        let is_narrow = self.width < self.taps.count;
        let (rows, width) = if is_narrow {
            let wide = self.taps.count * channels;
            let mut widened = vec![0; rows.len() / stride * wide];
            for (to, from) in widened
                .chunks_exact_mut(wide)
                .zip(rows.chunks_exact(stride))
            {
                to[..stride].copy_from_slice(from);
            }
            (Cow::Owned(widened), self.taps.count)
        } else {
            (Cow::Borrowed(rows), self.width)
        };
        let output = &mut output[start..];
        let resize = if channels == 1 {
            grey_rows
        } else {
            colour_rows
        };
        resize(
            instruction_set(),
            &rows,
            width,
            &self.taps,
            &self.weights,
            output,
        );
    }
}

/// The vertical pass over rows that come from the top down. Only those are held that are still needed.
struct Down {
    taps: Taps,
    /// Bytes of a row.
    stride: usize,
    /// Rows of the source.
    height: usize,
    /// Rows of the source, the first of which is row `top`.
    band: Vec<u8>,
    top: usize,
    /// Rows that were made.
    made: usize,
}

impl Down {
    fn new(height: usize, output: usize, stride: usize, filter: Filter) -> Self {
        Self {
            taps: Taps::new(height, output, filter),
            stride,
            height,
            band: Vec::new(),
            top: 0,
            made: 0,
        }
    }

    /// Takes the rows that `add` puts behind the others, and puts those that can now be made behind
    /// those in `output`.
    fn push(&mut self, add: impl FnOnce(&mut Vec<u8>), output: &mut Vec<u8>) {
        add(&mut self.band);
        let Self { taps, stride, .. } = self;
        let known = self.top + self.band.len() / *stride;
        let is_possible = |start: &&usize| (**start + taps.count).min(self.height) <= known;
        let possible = taps.start[self.made..].iter().take_while(is_possible);
        let rows = self.made..self.made + possible.count();
        self.made = rows.end;
        let from = output.len();
        output.resize(from + rows.len() * *stride, 0);
        run_columns(
            instruction_set(),
            &self.band,
            *stride,
            taps,
            rows,
            self.top,
            &mut output[from..],
        );
        let needed = taps.start.get(self.made).copied().unwrap_or(known);
        let needed = needed.min(known);
        // Only now and then, so that each row is moved about once.
        if needed == known || needed - self.top > taps.count.max(BAND_ROWS) {
            self.band.drain(..(needed - self.top) * *stride);
            self.top = needed;
        }
    }
}

/// The sum with its fractional bits, rounded and clipped to a byte.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// What the loops below are compiled for. Their steps fill the registers of AVX2; wider ones were not
/// measured.
fn instruction_set() -> Supported {
    InstructionSet::Avx2
        .supported()
        .unwrap_or(Supported::Portable(Portable::new()))
}

kernel! {
    /// [`rows`] of a grey photo.
    fn grey_rows<S: Simd>(
        _simd: S,
        source: &[u8],
        width: usize,
        taps: &Taps,
        weights: &[i32],
        output: &mut [u8],
    ) {
        rows::<1, PIXELS_PER_STEP>(source, width, taps, weights, output);
    }
}

kernel! {
    /// [`rows`] of an RGB photo.
    fn colour_rows<S: Simd>(
        _simd: S,
        source: &[u8],
        width: usize,
        taps: &Taps,
        weights: &[i32],
        output: &mut [u8],
    ) {
        rows::<3, { 3 * PIXELS_PER_STEP }>(source, width, taps, weights, output);
    }
}

/// Resizes rows. Lane `i` of a step belongs to channel `i % CHANNELS`; lanes are added up at the
/// end. Sums stay inside an `i32` (see [`PRECISION_BITS`]); the wrapping operations only keep
/// overflow checks out of the inner loop.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn rows<const CHANNELS: usize, const LANES: usize>(
    source: &[u8],
    width: usize,
    taps: &Taps,
    weights: &[i32],
    output: &mut [u8],
) {
    const { assert!(LANES == CHANNELS * PIXELS_PER_STEP) };
    let stride = width * CHANNELS;
    let output_stride = taps.start.len() * CHANNELS;
    let height = source.len() / stride;
    let steps = taps.count / PIXELS_PER_STEP;
    let (weights, _) = weights.as_chunks::<LANES>();
    for top in (0..height).step_by(ROWS_PER_STEP) {
        // The last group repeats the last row rather than being shorter.
        let row_numbers: [usize; ROWS_PER_STEP] =
            std::array::from_fn(|row| (top + row).min(height - 1));
        let lines = row_numbers.map(|row| &source[row * stride..(row + 1) * stride]);
        for (x, (&start, weights)) in taps
            .start
            .iter()
            .zip(weights.chunks_exact(steps))
            .enumerate()
        {
            let [one, two, three, four] = lines.map(|line| {
                let bytes = &line[start * CHANNELS..(start + taps.count) * CHANNELS];
                bytes.as_chunks::<LANES>().0
            });
            let mut sums = [[0_i32; LANES]; ROWS_PER_STEP];
            for ((((weights, one), two), three), four) in
                weights.iter().zip(one).zip(two).zip(three).zip(four)
            {
                add_products(&mut sums[0], weights, one);
                add_products(&mut sums[1], weights, two);
                add_products(&mut sums[2], weights, three);
                add_products(&mut sums[3], weights, four);
            }
            for (sums, row) in sums.iter().zip(row_numbers) {
                let mut totals = [HALF; CHANNELS];
                for (lane, &sum) in sums.iter().enumerate() {
                    let total = &mut totals[lane % CHANNELS];
                    *total = total.wrapping_add(sum);
                }
                let pixel = &mut output[row * output_stride + x * CHANNELS..][..CHANNELS];
                for (byte, total) in pixel.iter_mut().zip(totals) {
                    *byte = to_byte(total);
                }
            }
        }
    }
}

#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn add_products<const LANES: usize>(
    sums: &mut [i32; LANES],
    weights: &[i32; LANES],
    bytes: &[u8; LANES],
) {
    for lane in 0..LANES {
        sums[lane] = sums[lane].wrapping_add(weights[lane].wrapping_mul(i32::from(bytes[lane])));
    }
}

kernel! {
    /// Makes the output rows `rows`: every one is a weighted sum of source rows, a few bytes at a time so
    /// that the sums stay in registers. The first row of `source` is row `top` of the photo.
    fn run_columns<S: Simd>(
        _simd: S,
        source: &[u8],
        stride: usize,
        taps: &Taps,
        rows: Range<usize>,
        top: usize,
        output: &mut [u8],
    ) {
        for ((output, &start), weights) in output
            .chunks_exact_mut(stride)
            .zip(&taps.start[rows.clone()])
            .zip(taps.weights.chunks_exact(taps.count).skip(rows.start))
        {
            // Weights past the last source row are zero; such rows do not exist.
            let lines = &source[(start - top) * stride..];
            let (steps, rest) = output.as_chunks_mut::<BYTES_PER_STEP>();
            let rest_offset = steps.len() * BYTES_PER_STEP;
            for (number, output) in steps.iter_mut().enumerate() {
                let mut sums = [HALF; BYTES_PER_STEP];
                for (&weight, line) in weights.iter().zip(lines.chunks_exact(stride)) {
                    let bytes = &line[number * BYTES_PER_STEP..(number + 1) * BYTES_PER_STEP];
                    for (sum, &byte) in sums.iter_mut().zip(bytes) {
                        *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(byte)));
                    }
                }
                for (byte, sum) in output.iter_mut().zip(sums) {
                    *byte = to_byte(sum);
                }
            }
            for (offset, byte) in rest.iter_mut().enumerate() {
                let mut sum = HALF;
                for (&weight, line) in weights.iter().zip(lines.chunks_exact(stride)) {
                    let product = weight.wrapping_mul(i32::from(line[rest_offset + offset]));
                    sum = sum.wrapping_add(product);
                }
                *byte = to_byte(sum);
            }
        }
    }
}
