//! Rows of length 1.

use burn_flex::FlexTensor;
use rayon::prelude::*;
use vcp_simd::{Supported, kernel};

use super::math::sum;
use super::{Fused, dimensions, like, values};

/// Rows of one piece of work.
const ROWS: usize = 256;

/// Lengths below this count as this.
const SHORTEST: f32 = 1e-12;

/// Rows divided by their Euclidean length. Input: [batch, rows, channels].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normalise;

#[inline(always)]
fn length(row: &[f32]) -> f32 {
    sum(row.len(), |i| row[i] * row[i]).sqrt()
}

kernel! {
    fn forward<S: Simd>(_simd: S, width: usize, x: &[f32], to: &mut [f32]) {
        for (row, to) in x.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            let inverse = 1.0 / length(row).max(SHORTEST);
            for (to, x) in to.iter_mut().zip(row) {
                *to = x * inverse;
            }
        }
    }
}

kernel! {
    fn backward<S: Simd>(_simd: S, width: usize, gradient: &[f32], x: &[f32], to: &mut [f32]) {
        let rows = gradient.chunks_exact(width).zip(x.chunks_exact(width));
        for ((gradient, row), to) in rows.zip(to.chunks_exact_mut(width)) {
            let length = length(row);
            let inverse = 1.0 / length.max(SHORTEST);
            let along = if length < SHORTEST {
                0.0
            } else {
                sum(width, |i| gradient[i] * row[i]) * inverse * inverse
            };
            for ((to, gradient), x) in to.iter_mut().zip(gradient).zip(row) {
                *to = (gradient - x * along) * inverse;
            }
        }
    }
}

impl Fused for Normalise {
    type Kept = FlexTensor;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<FlexTensor>) {
        let x = inputs[0].to_contiguous();
        let [_, _, width] = dimensions(&x);
        let mut result = vec![0.0; values(&x).len()];
        values(&x)
            .par_chunks(ROWS * width)
            .zip(result.par_chunks_mut(ROWS * width))
            .for_each(|(x, to)| forward(Supported::detect(), width, x, to));
        (like(&x, result), keep.then_some(x))
    }

    /// With y the result: (gradient − y · (gradient · y)) / length; below the shortest length the
    /// divisor is constant.
    fn backward(&self, x: FlexTensor, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let gradient = gradient.to_contiguous();
        let [_, _, width] = dimensions(&x);
        let mut of_x = vec![0.0; values(&x).len()];
        values(&gradient)
            .par_chunks(ROWS * width)
            .zip(values(&x).par_chunks(ROWS * width))
            .zip(of_x.par_chunks_mut(ROWS * width))
            .for_each(|((gradient, x), to)| backward(Supported::detect(), width, gradient, x, to));
        vec![Some(like(&x, of_x))]
    }
}
