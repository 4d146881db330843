//! Square maps resized by a matrix whose rows are mostly zeros.

use crate::buffer::{Buffer, Pool};
use rayon::prelude::*;
use std::sync::Arc;
use vcp_model::Resampling;

/// R·x·Rᵀ for every map [from, from].
pub(crate) fn resize(pool: &Arc<Pool>, maps: &[f32], resampling: &Resampling) -> Buffer {
    let (from, to) = (resampling.from(), resampling.to());
    let taps: Vec<Vec<(usize, f32)>> = resampling
        .matrix()
        .chunks_exact(from)
        .map(|row| {
            let weights = row.iter().copied().enumerate();
            weights.filter(|(_, weight)| *weight != 0.0).collect()
        })
        .collect();
    let count = maps.len() / (from * from);
    let mut wide = pool.take(count * from * to);
    for (line, wide) in maps.chunks_exact(from).zip(wide.chunks_exact_mut(to)) {
        for (taps, out) in taps.iter().zip(wide) {
            *out = taps.iter().map(|(j, weight)| weight * line[*j]).sum();
        }
    }
    let mut out = pool.take(count * to * to);
    out.par_chunks_mut(to)
        .enumerate()
        .with_min_len(32)
        .for_each(|(index, line)| {
            let (map, y) = (index / to, index % to);
            line.fill(0.0);
            for (j, weight) in &taps[y] {
                let source = &wide[(map * from + j) * to..][..to];
                for (out, value) in line.iter_mut().zip(source) {
                    *out += weight * value;
                }
            }
        });
    out
}
