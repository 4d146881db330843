//! Which source pixels make an output pixel.

use super::{Filter, PRECISION_BITS};

/// Which source pixels make each output pixel, and with which weights.
pub(super) struct Taps {
    /// First source pixel of each output pixel.
    pub(super) start: Vec<usize>,
    /// Weights per output pixel.
    pub(super) count: usize,
    /// `[outputs, count]` weights with [`PRECISION_BITS`] fractional bits.
    pub(super) weights: Vec<i32>,
}

impl Taps {
    pub(super) fn new(input: usize, output: usize, filter: Filter) -> Self {
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
}
