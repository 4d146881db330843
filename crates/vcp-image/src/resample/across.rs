//! The horizontal pass.
//!
//! A weight of 23 bits and a sign is cut into an upper and a lower part of at most 16 bits, so that two
//! products of a part and a byte are one step of the processor (`vpmaddwd`). Rows are taken several at a
//! time and laid out so that one pair of weights serves all of them: no sum has to be added up across a
//! register.

use vcp_simd::{PAIRS, Simd, Supported, kernel};

use crate::instruction_set::instruction_set;

use super::taps::Taps;
use super::{Filter, HALF, to_byte};

/// Rows taken together in the kernel.
const ROWS: usize = 8;
/// Bits of a weight's lower part.
const LOWER_BITS: u32 = 11;
/// Pairs that are laid out for one row after the other: few enough to stay in the first cache.
const PAIRS_PER_STEP: usize = 64;

/// The horizontal pass.
pub(super) struct Across {
    /// The first pair of source pixels of each output pixel; pair `n` is of the pixels `2n` and `2n + 1`.
    start: Vec<usize>,
    /// Pairs per output pixel.
    count: usize,
    /// `[outputs, count]` weights.
    weights: Vec<Weights>,
    width: usize,
    channels: usize,
}

/// The weights of a pair of pixels, each `upper · 2¹¹ + lower`.
#[derive(Clone, Copy, Default)]
struct Weights {
    upper: [i16; 2],
    /// 0 to 2¹¹ − 1.
    lower: [i16; 2],
}

impl Weights {
    fn set(&mut self, index: usize, weight: i32) {
        // No weight is as large as 2 (see [`super::PRECISION_BITS`]), so the upper part has 13 bits.
        self.upper[index] = (weight >> LOWER_BITS) as i16;
        self.lower[index] = (weight & ((1 << LOWER_BITS) - 1)) as i16;
    }
}

impl Across {
    pub(super) fn new(width: usize, output: usize, channels: usize, filter: Filter) -> Self {
        let taps = Taps::new(width, output, filter);
        // One pixel more where the first is the second of its pair.
        let count = (taps.count + 1).div_ceil(2);
        let mut weights = vec![Weights::default(); output * count];
        for ((to, from), &first) in weights
            .chunks_exact_mut(count)
            .zip(taps.weights.chunks_exact(taps.count))
            .zip(&taps.start)
        {
            for (place, &weight) in (first % 2..).zip(from) {
                to[place / 2].set(place % 2, weight);
            }
        }
        Self {
            start: taps.start.iter().map(|first| first / 2).collect(),
            count,
            weights,
            width,
            channels,
        }
    }

    /// Puts rows, resized, behind those in `output`.
    pub(super) fn run(&self, rows: &[u8], output: &mut Vec<u8>) {
        self.run_on(instruction_set(), rows, output);
    }

    fn run_on(&self, set: Supported, rows: &[u8], output: &mut Vec<u8>) {
        let start = output.len();
        let height = rows.len() / (self.width * self.channels);
        output.resize(start + height * self.start.len() * self.channels, 0);
        let resize = if self.channels == 1 {
            grey_rows
        } else {
            colour_rows
        };
        resize(set, self, rows, &mut output[start..]);
    }
}

kernel! {
    /// [`rows`] of a grey photo.
    fn grey_rows<S: Simd>(simd: S, across: &Across, source: &[u8], output: &mut [u8]) {
        rows::<1, 2, ROWS, S>(simd, across, source, output);
    }
}

kernel! {
    /// [`rows`] of an RGB photo.
    fn colour_rows<S: Simd>(simd: S, across: &Across, source: &[u8], output: &mut [u8]) {
        rows::<3, 6, { 3 * ROWS }, S>(simd, across, source, output);
    }
}

/// A pair of pixels of each of [`ROWS`] rows: lane `i` is of row `i / CHANNELS` and channel `i % CHANNELS`.
type Pair<const LANES: usize> = [[i16; 2]; LANES];

/// Resizes rows.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn rows<const CHANNELS: usize, const PAIR: usize, const LANES: usize, S: Simd>(
    simd: S,
    across: &Across,
    source: &[u8],
    output: &mut [u8],
) {
    const {
        assert!(PAIR == 2 * CHANNELS && LANES == ROWS * CHANNELS);
        assert!(LANES.is_multiple_of(PAIRS));
    }
    let stride = across.width * CHANNELS;
    let output_stride = across.start.len() * CHANNELS;
    // The weights of pixels that a row does not have are 0, as are those pixels.
    let last = across
        .start
        .iter()
        .max()
        .map_or(0, |start| start + across.count);
    let mut pairs = vec![[[0; 2]; LANES]; last.max(across.width.div_ceil(2))];
    let mut made = vec![[0; LANES]; across.start.len()];
    for (source, output) in source
        .chunks(stride * ROWS)
        .zip(output.chunks_mut(output_stride * ROWS))
    {
        lay_out::<CHANNELS, PAIR, LANES>(source, stride, &mut pairs);
        for ((made, &start), weights) in made
            .iter_mut()
            .zip(&across.start)
            .zip(across.weights.chunks_exact(across.count))
        {
            *made = weighted_sum(simd, &pairs[start..][..across.count], weights);
        }
        // The last group may have fewer rows than were computed.
        for (row, line) in output.chunks_exact_mut(output_stride).enumerate() {
            for (pixel, made) in line.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(&made) {
                *pixel = made.as_chunks::<CHANNELS>().0[row];
            }
        }
    }
}

/// Lays out the pixels of rows as the kernel takes them.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn lay_out<const CHANNELS: usize, const PAIR: usize, const LANES: usize>(
    source: &[u8],
    stride: usize,
    pairs: &mut [Pair<LANES>],
) {
    for (step, pairs) in pairs.chunks_mut(PAIRS_PER_STEP).enumerate() {
        let from = step * PAIRS_PER_STEP * PAIR;
        for (row, line) in source.chunks_exact(stride).enumerate() {
            let (whole, rest) = line.get(from..).unwrap_or_default().as_chunks::<PAIR>();
            for (pair, pixels) in pairs.iter_mut().zip(whole) {
                let lanes: [[i16; 2]; CHANNELS] = std::array::from_fn(|channel| {
                    [channel, CHANNELS + channel].map(|place| i16::from(pixels[place]))
                });
                pair[row * CHANNELS..][..CHANNELS].copy_from_slice(&lanes);
            }
            // The last pixel of an odd number has none beside it.
            if let Some(pair) = pairs.get_mut(whole.len()) {
                for (lane, &byte) in pair[row * CHANNELS..].iter_mut().zip(rest) {
                    lane[0] = i16::from(byte);
                }
            }
        }
    }
}

/// The bytes that a pixel has in each row and channel.
///
/// Everything is added modulo 2³², and so is right where the total is: that stays inside an `i32` (see
/// [`super::PRECISION_BITS`]), while the sum of the lower parts alone would not with many thousands of taps.
#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn weighted_sum<const LANES: usize, S: Simd>(
    simd: S,
    pairs: &[Pair<LANES>],
    weights: &[Weights],
) -> [u8; LANES] {
    let (mut upper, mut lower) = ([0_i32; LANES], [HALF; LANES]);
    for (pair, weights) in pairs.iter().zip(weights) {
        add_products(simd, &mut upper, pair, weights.upper);
        add_products(simd, &mut lower, pair, weights.lower);
    }
    let mut bytes = [0; LANES];
    for ((byte, upper), lower) in bytes.iter_mut().zip(upper).zip(lower) {
        *byte = to_byte((upper << LOWER_BITS).wrapping_add(lower));
    }
    bytes
}

#[expect(clippy::inline_always, reason = "part of a kernel")]
#[inline(always)]
fn add_products<const LANES: usize, S: Simd>(
    simd: S,
    sums: &mut [i32; LANES],
    pair: &Pair<LANES>,
    weights: [i16; 2],
) {
    let (sums, _) = sums.as_chunks_mut::<PAIRS>();
    for (sums, pairs) in sums.iter_mut().zip(pair.as_chunks::<PAIRS>().0) {
        simd.add_pair_products(sums, pairs, weights);
    }
}

#[cfg(test)]
mod tests {
    use vcp_random::Random;

    use super::*;
    use crate::resample::PRECISION_BITS;

    const FILTERS: [Filter; 2] = [Filter::Bicubic, Filter::Bilinear];

    /// Pillow's loops as they stand.
    fn plain(rows: &[u8], width: usize, output: usize, channels: usize, filter: Filter) -> Vec<u8> {
        let taps = Taps::new(width, output, filter);
        let mut bytes = Vec::new();
        for row in rows.chunks_exact(width * channels) {
            for (&start, weights) in taps.start.iter().zip(taps.weights.chunks_exact(taps.count)) {
                for channel in 0..channels {
                    // Behind a row's end weights are 0.
                    let line = row[start * channels..]
                        .iter()
                        .skip(channel)
                        .step_by(channels);
                    let products = line
                        .zip(weights)
                        .map(|(&byte, &weight)| weight * i32::from(byte));
                    bytes.push(to_byte(HALF + products.sum::<i32>()));
                }
            }
        }
        bytes
    }

    fn check(random: &mut Random, width: usize, output: usize, height: usize) {
        for (channels, filter) in [1, 3].into_iter().flat_map(|c| FILTERS.map(|f| (c, f))) {
            let byte = |_| {
                let any = random.below(256) as u8;
                random.pick(&[0, 255, any])
            };
            let rows: Vec<u8> = (0..width * height * channels).map(byte).collect();
            let expected = plain(&rows, width, output, channels, filter);
            let across = Across::new(width, output, channels, filter);
            for set in Supported::all() {
                // What is there already stays.
                let mut found = vec![7];
                across.run_on(set, &rows, &mut found);
                assert!(
                    found[0] == 7 && found[1..] == expected,
                    "{width} × {height} to {output}, {channels} channels, {filter:?} on {set:?}"
                );
            }
        }
    }

    #[test]
    fn rows_are_resized_as_by_plain_loops() {
        let random = &mut Random::new(11);
        for width in 1..=20 {
            for output in 1..=20 {
                let height = random.count(1, 2 * ROWS + 1);
                check(random, width, output, height);
            }
        }
        for _ in 0..50 {
            let (width, output) = (random.count(1, 700), random.count(1, 700));
            let height = random.count(1, 20);
            check(random, width, output, height);
        }
    }

    #[test]
    fn rows_become_much_shorter_or_longer_as_by_plain_loops() {
        let random = &mut Random::new(12);
        // Sums of lower parts that do not fit into 32 bits are among them.
        for (width, output) in [
            (1, 1000),
            (2, 999),
            (3, 301),
            (1000, 10),
            (1001, 10),
            (4099, 7),
            (20_000, 1),
            (20_001, 2),
        ] {
            check(random, width, output, 3);
        }
    }

    #[test]
    fn weights_fit_into_two_parts() {
        let random = &mut Random::new(13);
        let small = (1..=40).flat_map(|width| (1..=40).map(move |output| (width, output)));
        let large = (0..200).map(|_| (random.count(1, 5000), random.count(1, 1000)));
        for (width, output) in small.chain(large) {
            for filter in FILTERS {
                let taps = Taps::new(width, output, filter);
                for &weight in &taps.weights {
                    assert!(weight.abs() < 2 << PRECISION_BITS);
                    let mut parts = Weights::default();
                    parts.set(1, weight);
                    let (upper, lower) = (i32::from(parts.upper[1]), i32::from(parts.lower[1]));
                    assert_eq!((upper << LOWER_BITS) + lower, weight);
                }
            }
        }
    }
}
