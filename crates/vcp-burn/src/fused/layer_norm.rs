//! Layer norm.

use burn_flex::FlexTensor;
use rayon::prelude::*;
use vcp_simd::{Supported, kernel};

use super::linear::add_in_order;
use super::math::sum;
use super::{Fused, dimensions, like, tensor, values};

/// Rows of one piece of work.
const ROWS: usize = 128;

/// (x − mean) / √(variance + ε) · weight + bias. Inputs: x [batch, rows, channels], weight and bias
/// [channels].
#[derive(Clone, Copy, Debug)]
pub(crate) struct LayerNorm {
    pub(crate) epsilon: f32,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    x: FlexTensor,
    weight: FlexTensor,
}

/// Mean and 1 / √(variance + ε).
#[inline(always)]
fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let size = row.len() as f32;
    let mean = sum(row.len(), |i| row[i]) / size;
    let variance = sum(row.len(), |i| (row[i] - mean) * (row[i] - mean)) / size;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

kernel! {
    fn forward<S: Simd>(
        _simd: S,
        epsilon: f32,
        scale: &[f32],
        shift: &[f32],
        x: &[f32],
        to: &mut [f32],
    ) {
        let width = scale.len();
        for (row, to) in x.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            let (mean, inverse) = moments(row, epsilon);
            for (((to, x), scale), shift) in to.iter_mut().zip(row).zip(scale).zip(shift) {
                *to = (x - mean) * inverse * scale + shift;
            }
        }
    }
}

kernel! {
    /// With x̂ the normalised row and h = gradient · weight:
    /// (h − mean h − x̂ · mean (h · x̂)) / √(variance + ε).
    fn backward<S: Simd>(
        _simd: S,
        epsilon: f32,
        scale: &[f32],
        gradient: &[f32],
        x: &[f32],
        to: &mut [f32],
        of_both: &mut [f32],
    ) {
        let width = scale.len();
        let (of_weight, of_bias) = of_both.split_at_mut(width);
        let rows = gradient.chunks_exact(width).zip(x.chunks_exact(width));
        for ((gradient, row), to) in rows.zip(to.chunks_exact_mut(width)) {
            let (mean, inverse) = moments(row, epsilon);
            let size = width as f32;
            let mean_h = sum(width, |i| gradient[i] * scale[i]) / size;
            let along = sum(width, |i| gradient[i] * scale[i] * (row[i] - mean)) * inverse / size;
            for i in 0..width {
                let normalised = (row[i] - mean) * inverse;
                to[i] = (gradient[i] * scale[i] - mean_h - normalised * along) * inverse;
                of_weight[i] += gradient[i] * normalised;
                of_bias[i] += gradient[i];
            }
        }
    }
}

impl Fused for LayerNorm {
    type Kept = Kept;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<Kept>) {
        let inputs: Vec<_> = inputs.iter().map(FlexTensor::to_contiguous).collect();
        let [x, weight, bias] = inputs.try_into().expect("three inputs");
        let [_, _, width] = dimensions(&x);
        let mut result = vec![0.0; values(&x).len()];
        let (scale, shift) = (values(&weight), values(&bias));
        values(&x)
            .par_chunks(ROWS * width)
            .zip(result.par_chunks_mut(ROWS * width))
            .for_each(|(x, to)| {
                forward(Supported::detect(), self.epsilon, scale, shift, x, to);
            });
        let result = like(&x, result);
        (result, keep.then_some(Kept { x, weight }))
    }

    fn backward(
        &self,
        kept: Kept,
        gradient: FlexTensor,
        wanted: &[bool],
    ) -> Vec<Option<FlexTensor>> {
        let gradient = gradient.to_contiguous();
        let [_, _, width] = dimensions(&kept.x);
        let x = values(&kept.x);
        let mut of_x = vec![0.0; x.len()];
        let scale = values(&kept.weight);
        let parts: Vec<Vec<f32>> = values(&gradient)
            .par_chunks(ROWS * width)
            .zip(x.par_chunks(ROWS * width))
            .zip(of_x.par_chunks_mut(ROWS * width))
            .map(|((gradient, x), to)| {
                // Of the weight, then of the bias.
                let mut of_both = vec![0.0; 2 * width];
                let epsilon = self.epsilon;
                backward(
                    Supported::detect(),
                    epsilon,
                    scale,
                    gradient,
                    x,
                    to,
                    &mut of_both,
                );
                of_both
            })
            .collect();
        let of_both = add_in_order(parts, 2 * width);
        let (of_weight, of_bias) = of_both.split_at(width);
        vec![
            wanted[0].then(|| like(&kept.x, of_x)),
            wanted[1].then(|| tensor(of_weight.to_vec(), [width])),
            wanted[2].then(|| tensor(of_bias.to_vec(), [width])),
        ]
    }
}
