//! The vertical pass.

use std::ops::Range;

use vcp_simd::kernel;

use crate::instruction_set::instruction_set;

use super::taps::Taps;
use super::{BAND_ROWS, Filter, HALF, to_byte};

/// Bytes taken together in the kernel.
const BYTES_PER_STEP: usize = 32;

/// The vertical pass over rows that come from the top down. Only those are held that are still needed.
pub(super) struct Down {
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
    pub(super) fn new(height: usize, output: usize, stride: usize, filter: Filter) -> Self {
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
    pub(super) fn push(&mut self, add: impl FnOnce(&mut Vec<u8>), output: &mut Vec<u8>) {
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
