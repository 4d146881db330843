//! Channels standardised over the rows of their image.

use burn_flex::FlexTensor;
use rayon::prelude::*;
use vcp_simd::{Supported, kernel};

use super::{Fused, dimensions, like, values};

/// Rows of one piece of work.
const ROWS: usize = 64;

/// (x − mean) / √(variance + ε) for every channel of an image. Input: [batch, rows, channels]. Sums are in f64,
/// so that thousands of rows cost no digit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standardise {
    pub(crate) epsilon: f32,
}

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    result: FlexTensor,
    /// 1 / √(variance + ε) of each channel of each image.
    scales: Vec<f64>,
}

kernel! {
    /// Adds up the values of rows.
    fn add_rows<S: Simd>(_simd: S, rows: &[f32], sums: &mut [f64]) {
        for row in rows.chunks_exact(sums.len()) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                *sum += f64::from(x);
            }
        }
    }
}

kernel! {
    /// Adds up squares of what rows differ from the means by.
    fn add_squares<S: Simd>(_simd: S, rows: &[f32], means: &[f64], sums: &mut [f64]) {
        for row in rows.chunks_exact(sums.len()) {
            for ((sum, &x), mean) in sums.iter_mut().zip(row).zip(means) {
                let difference = f64::from(x) - mean;
                *sum += difference * difference;
            }
        }
    }
}

kernel! {
    /// Adds up products of rows.
    fn add_products<S: Simd>(_simd: S, rows: &[f32], others: &[f32], sums: &mut [f64]) {
        let others = others.chunks_exact(sums.len());
        for (row, other) in rows.chunks_exact(sums.len()).zip(others) {
            for ((sum, &x), &y) in sums.iter_mut().zip(row).zip(other) {
                *sum += f64::from(x) * f64::from(y);
            }
        }
    }
}

kernel! {
    /// (x − mean) · scale.
    fn apply<S: Simd>(_simd: S, x: &[f32], to: &mut [f32], means: &[f64], scales: &[f64]) {
        let rows = x.chunks_exact(means.len());
        for (row, to) in rows.zip(to.chunks_exact_mut(means.len())) {
            for (((to, &x), mean), scale) in to.iter_mut().zip(row).zip(means).zip(scales) {
                *to = ((f64::from(x) - mean) * scale) as f32;
            }
        }
    }
}

kernel! {
    /// With y the result: (gradient − mean gradient − y · mean (gradient · y)) · scale.
    fn apply_backward<S: Simd>(
        _simd: S,
        gradient: &[f32],
        result: &[f32],
        to: &mut [f32],
        means: &[f64],
        along: &[f64],
        scales: &[f64],
    ) {
        let width = means.len();
        let rows = gradient.chunks_exact(width).zip(result.chunks_exact(width));
        for ((gradient, result), to) in rows.zip(to.chunks_exact_mut(width)) {
            let channels = means.iter().zip(along).zip(scales);
            let values = to.iter_mut().zip(gradient).zip(result);
            for (((to, &gradient), &y), ((mean, along), scale)) in values.zip(channels) {
                *to = ((f64::from(gradient) - mean - f64::from(y) * along) * scale) as f32;
            }
        }
    }
}

/// The mean over rows of what `add` adds up for each channel of pieces of them.
fn mean_of(
    rows: usize,
    channels: usize,
    add: impl Fn(std::ops::Range<usize>, &mut [f64]) + Sync,
) -> Vec<f64> {
    let pieces = (0..rows.div_ceil(ROWS)).into_par_iter().map(|piece| {
        let mut sums = vec![0.0; channels];
        let end = rows.min((piece + 1) * ROWS);
        add(piece * ROWS * channels..end * channels, &mut sums);
        sums
    });
    let mut total = vec![0.0; channels];
    for part in pieces.collect::<Vec<_>>() {
        for (total, part) in total.iter_mut().zip(part) {
            *total += part;
        }
    }
    let factor = 1.0 / rows as f64;
    total.iter().map(|sum| sum * factor).collect()
}

impl Fused for Standardise {
    type Kept = Kept;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<Kept>) {
        let set = Supported::detect();
        let x = inputs[0].to_contiguous();
        let [_, rows, channels] = dimensions(&x);
        let image = (rows * channels).max(1);
        let mut result = vec![0.0; values(&x).len()];
        let images = values(&x).par_chunks(image);
        let scales = images.zip(result.par_chunks_mut(image)).map(|(x, to)| {
            let means = mean_of(rows, channels, |part, sums| add_rows(set, &x[part], sums));
            let variances = mean_of(rows, channels, |part, sums| {
                add_squares(set, &x[part], &means, sums);
            });
            let scale = |variance: &f64| 1.0 / (variance + f64::from(self.epsilon)).sqrt();
            let scales: Vec<f64> = variances.iter().map(scale).collect();
            let piece = (ROWS * channels).max(1);
            x.par_chunks(piece)
                .zip(to.par_chunks_mut(piece))
                .for_each(|(x, to)| apply(set, x, to, &means, &scales));
            scales
        });
        let scales = scales.collect::<Vec<_>>().concat();
        let result = like(&x, result);
        let kept = Kept {
            result: result.clone(),
            scales,
        };
        (result, keep.then_some(kept))
    }

    fn backward(&self, kept: Kept, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let set = Supported::detect();
        let gradient = gradient.to_contiguous();
        let [_, rows, channels] = dimensions(&kept.result);
        let image = (rows * channels).max(1);
        let mut of_x = vec![0.0; values(&kept.result).len()];
        values(&gradient)
            .par_chunks(image)
            .zip(values(&kept.result).par_chunks(image))
            .zip(of_x.par_chunks_mut(image))
            .zip(kept.scales.par_chunks(channels.max(1)))
            .for_each(|(((gradient, result), to), scales)| {
                let means = mean_of(rows, channels, |part, sums| {
                    add_rows(set, &gradient[part], sums);
                });
                let along = mean_of(rows, channels, |part, sums| {
                    add_products(set, &gradient[part.clone()], &result[part], sums);
                });
                let piece = (ROWS * channels).max(1);
                gradient
                    .par_chunks(piece)
                    .zip(result.par_chunks(piece))
                    .zip(to.par_chunks_mut(piece))
                    .for_each(|((gradient, result), to)| {
                        apply_backward(set, gradient, result, to, &means, &along, scales);
                    });
            });
        vec![Some(like(&kept.result, of_x))]
    }
}
