//! Pillow's 8-bit resampling (`libImaging/Resample.c`), to the last bit.
//!
//! What makes it differ from other libraries' "bicubic": a = −0.5; the filter is stretched by the
//! scale when shrinking; the coefficients become integers with 22 fractional bits; rows are
//! resized first, and their result is rounded to 8 bits before columns are.

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
    assert!(
        width > 0 && height > 0,
        "a photo cannot be resized to {width} × {height} pixels"
    );
    let channels = photo.channels();
    let rows = (photo.width() != width).then(|| resize_rows(photo, width, filter));
    let photo = rows.as_ref().unwrap_or(photo);
    if photo.height() == height {
        return photo.clone();
    }
    let taps = Taps::new(photo.height(), height, filter);
    let stride = width * channels;
    let mut pixels = vec![0; stride * height];
    run_columns(photo.pixels(), stride, &taps, &mut pixels);
    Photo::from_parts(width, height, channels, pixels)
}

/// The horizontal pass: every row of the photo, resized to `width`.
fn resize_rows(photo: &Photo, width: usize, filter: Filter) -> Photo {
    let channels = photo.channels();
    let taps = Taps::new(photo.width(), width, filter).padded(photo.width());
    // A photo narrower than one padded filter gets black columns at its right; their weights are 0.
    let widened = (photo.width() < taps.count).then(|| {
        let mut pixels = vec![0; taps.count * channels * photo.height()];
        for (to, from) in pixels
            .chunks_exact_mut(taps.count * channels)
            .zip(photo.pixels().chunks_exact(photo.width() * channels))
        {
            to[..from.len()].copy_from_slice(from);
        }
        Photo::from_parts(taps.count, photo.height(), channels, pixels)
    });
    let photo = widened.as_ref().unwrap_or(photo);
    let mut pixels = vec![0; width * channels * photo.height()];
    if channels == 1 {
        run_rows::<1, 8>(photo.pixels(), photo.width(), &taps, &mut pixels);
    } else {
        run_rows::<3, 24>(photo.pixels(), photo.width(), &taps, &mut pixels);
    }
    Photo::from_parts(width, photo.height(), channels, pixels)
}

/// The sum with its fractional bits, rounded and clipped to a byte.
#[expect(
    clippy::inline_always,
    reason = "must become part of the function that enables AVX2"
)]
#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

fn run_rows<const CHANNELS: usize, const LANES: usize>(
    source: &[u8],
    width: usize,
    taps: &Taps,
    output: &mut [u8],
) {
    const { assert!(LANES == CHANNELS * PIXELS_PER_STEP) };
    // One weight per byte, so that the kernel multiplies straight along the interleaved row.
    let weights: Vec<i32> = taps
        .weights
        .iter()
        .flat_map(|&weight| [weight; CHANNELS])
        .collect();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2, which is all the function asks for.
        unsafe { rows_avx2::<CHANNELS, LANES>(source, width, taps, &weights, output) };
        return;
    }
    rows::<CHANNELS, LANES>(source, width, taps, &weights, output);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn rows_avx2<const CHANNELS: usize, const LANES: usize>(
    source: &[u8],
    width: usize,
    taps: &Taps,
    weights: &[i32],
    output: &mut [u8],
) {
    rows::<CHANNELS, LANES>(source, width, taps, weights, output);
}

/// Resizes rows. Lane `i` of a step belongs to channel `i % CHANNELS`; lanes are added up at the
/// end. Sums stay inside an `i32` (see [`PRECISION_BITS`]); the wrapping operations only keep
/// overflow checks out of the inner loop.
#[expect(
    clippy::inline_always,
    reason = "must become part of the function that enables AVX2"
)]
#[inline(always)]
fn rows<const CHANNELS: usize, const LANES: usize>(
    source: &[u8],
    width: usize,
    taps: &Taps,
    weights: &[i32],
    output: &mut [u8],
) {
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

#[expect(
    clippy::inline_always,
    reason = "must become part of the function that enables AVX2"
)]
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

fn run_columns(source: &[u8], stride: usize, taps: &Taps, output: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: this processor has AVX2, which is all the function asks for.
        unsafe { columns_avx2(source, stride, taps, output) };
        return;
    }
    columns(source, stride, taps, output);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn columns_avx2(source: &[u8], stride: usize, taps: &Taps, output: &mut [u8]) {
    columns(source, stride, taps, output);
}

/// Resizes columns: every output row is a weighted sum of source rows, a few bytes at a time so
/// that the sums stay in registers.
#[expect(
    clippy::inline_always,
    reason = "must become part of the function that enables AVX2"
)]
#[inline(always)]
fn columns(source: &[u8], stride: usize, taps: &Taps, output: &mut [u8]) {
    for ((output, &start), weights) in output
        .chunks_exact_mut(stride)
        .zip(&taps.start)
        .zip(taps.weights.chunks_exact(taps.count))
    {
        // Weights past the last source row are zero; such rows do not exist.
        let lines = &source[start * stride..];
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
