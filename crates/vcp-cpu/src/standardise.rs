//! Channels brought to mean 0 and variance 1 over the rows of their image.

use rayon::prelude::*;
use vcp_simd::{Supported, kernel};

/// Rows of one piece of the sums. Rows are cut by their number alone and the pieces added in order, so that
/// threads change nothing.
const ROWS: usize = 64;

/// (x − mean) / √(variance + ε) for every channel of images [rows, channels]. Means and variances are summed
/// up in f64: in f32 thousands of terms of one sign would lose digits, and so would a variance that is small
/// beside its mean.
pub(crate) fn standardise(
    instruction_set: Supported,
    from: &[f32],
    to: &mut [f32],
    [rows, channels]: [usize; 2],
    epsilon: f32,
) {
    if from.is_empty() {
        return;
    }
    let piece = ROWS * channels;
    let factor = 1.0 / rows as f64;
    let images = from.par_chunks_exact(rows * channels);
    images
        .zip(to.par_chunks_exact_mut(rows * channels))
        .for_each(|(from, to)| {
            let mean_of = |add: &(dyn Fn(&[f32], &mut [f64]) + Sync)| {
                let parts = from.par_chunks(piece).map(|rows| {
                    let mut sums = vec![0.0; channels];
                    add(rows, &mut sums);
                    sums
                });
                let mut total = vec![0.0; channels];
                for part in parts.collect::<Vec<_>>() {
                    for (total, part) in total.iter_mut().zip(part) {
                        *total += part;
                    }
                }
                for total in &mut total {
                    *total *= factor;
                }
                total
            };
            let means = mean_of(&|rows, sums| add_rows(instruction_set, rows, sums));
            let mut scales =
                mean_of(&|rows, sums| add_squares(instruction_set, rows, &means, sums));
            for scale in &mut scales {
                *scale = 1.0 / (*scale + f64::from(epsilon)).sqrt();
            }
            let pieces = from.par_chunks(piece).zip(to.par_chunks_mut(piece));
            pieces.for_each(|(from, to)| apply(instruction_set, from, to, &means, &scales));
        });
}

kernel! {
    /// Adds up rows.
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
    /// (x − mean) · scale.
    fn apply<S: Simd>(_simd: S, from: &[f32], to: &mut [f32], means: &[f64], scales: &[f64]) {
        let rows = from.chunks_exact(means.len());
        for (from, to) in rows.zip(to.chunks_exact_mut(means.len())) {
            for (((to, &x), mean), scale) in to.iter_mut().zip(from).zip(means).zip(scales) {
                *to = ((f64::from(x) - mean) * scale) as f32;
            }
        }
    }
}
