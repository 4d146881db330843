//! Activations repacked into panels of rows, normalised on the way when asked.

use crate::buffer::{Buffer, Pool};
use crate::product::Blocking;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{InstructionSet, Portable, Vector, kernel};
use rayon::prelude::*;
use std::sync::Arc;

/// A layer norm: per row (x − mean) / √(variance + ε) · weight + bias.
#[derive(Clone, Copy)]
pub(crate) struct Normalise<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) epsilon: f32,
}

/// `x` [rows, width] as panels of `MR` rows, each panel column by column; the rows that are
/// missing from the last panel are zeros.
pub(crate) fn rows(
    instruction_set: InstructionSet,
    pool: &Arc<Pool>,
    x: &[f32],
    width: usize,
    normalise: Option<Normalise<'_>>,
) -> Buffer {
    let height = Blocking::of(instruction_set).rows;
    let count = x.len() / width;
    let mut packed = pool.take(count.div_ceil(height) * height * width);
    packed
        .par_chunks_mut(height * width)
        .enumerate()
        .for_each_init(
            || pool.take(height * width),
            |scratch, (index, panel)| {
                let first = index * height;
                let present = height.min(count - first);
                let source = &x[first * width..(first + present) * width];
                let source = if let Some(normalise) = normalise {
                    let scratch = &mut scratch[..present * width];
                    for (from, to) in source
                        .chunks_exact(width)
                        .zip(scratch.chunks_exact_mut(width))
                    {
                        // SAFETY: both rows and the norm's weights have `width` elements.
                        unsafe { normalise_row(instruction_set, from, to, normalise) };
                    }
                    &*scratch
                } else {
                    source
                };
                // SAFETY: `source` has `present` rows and `panel` room for a whole panel.
                unsafe { interleave(instruction_set, source, width, panel) };
            },
        );
    packed
}

kernel! {
    /// # Safety
    /// `panel` has `MR · width` elements and `source` at most `MR` rows of `width`.
    unsafe fn interleave(source: &[f32], width: usize, panel: &mut [f32]) = generic_interleave;
    avx512 (Avx512 14), avx2 (Avx2 6), portable (Portable 6)
}

#[inline(always)]
unsafe fn generic_interleave<V: Vector, const MR: usize>(
    source: &[f32],
    width: usize,
    panel: &mut [f32],
) {
    let present = source.len() / width;
    if present < MR {
        panel.fill(0.0);
        for (i, row) in source.chunks_exact(width).enumerate() {
            for (k, &value) in row.iter().enumerate() {
                panel[k * MR + i] = value;
            }
        }
        return;
    }
    // SAFETY: `present == MR`, so all rows are there, and the panel has the caller's size.
    unsafe {
        let from = source.as_ptr();
        let to = panel.as_mut_ptr();
        for k in 0..width {
            for i in 0..MR {
                *to.add(k * MR + i) = *from.add(i * width + k);
            }
        }
    }
    let _ = V::LANES;
}

kernel! {
    /// # Safety
    /// All four slices have the same length.
    pub(crate) unsafe fn normalise_row(
        from: &[f32], to: &mut [f32], normalise: Normalise<'_>,
    ) = generic_normalise_row;
    avx512 (Avx512), avx2 (Avx2), portable (Portable)
}

#[inline(always)]
unsafe fn generic_normalise_row<V: Vector>(from: &[f32], to: &mut [f32], normalise: Normalise<'_>) {
    let width = from.len();
    let whole = width - width % V::LANES;
    // SAFETY: vector accesses stay below `whole <= width`, the length of all four slices.
    unsafe {
        let x = from.as_ptr();
        let mean = sum::<V>(width, whole, |i| V::load(x.add(i)), |i| *x.add(i)) / width as f32;
        let centre = V::splat(mean);
        let variance = sum::<V>(
            width,
            whole,
            |i| {
                let d = V::load(x.add(i)).sub(centre);
                d.mul(d)
            },
            |i| (*x.add(i) - mean) * (*x.add(i) - mean),
        ) / width as f32;
        let scale = 1.0 / (variance + normalise.epsilon).sqrt();
        let factor = V::splat(scale);
        let (weight, bias) = (normalise.weight.as_ptr(), normalise.bias.as_ptr());
        let mut i = 0;
        while i < whole {
            V::load(x.add(i))
                .sub(centre)
                .mul(factor)
                .mul_add(V::load(weight.add(i)), V::load(bias.add(i)))
                .store(to.as_mut_ptr().add(i));
            i += V::LANES;
        }
        while i < width {
            to[i] = (from[i] - mean) * scale * normalise.weight[i] + normalise.bias[i];
            i += 1;
        }
    }
}

/// Σ over `0..width` with four running registers, always in the same order.
#[inline(always)]
pub(crate) unsafe fn sum<V: Vector>(
    width: usize,
    whole: usize,
    term: impl Fn(usize) -> V,
    single: impl Fn(usize) -> f32,
) -> f32 {
    // SAFETY: register arithmetic; `term` and `single` are called within `0..width`.
    unsafe {
        let mut sums = [V::splat(0.0); 4];
        let mut i = 0;
        while i + 4 * V::LANES <= whole {
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = sum.add(term(i + j * V::LANES));
            }
            i += 4 * V::LANES;
        }
        while i < whole {
            sums[0] = sums[0].add(term(i));
            i += V::LANES;
        }
        let mut total = sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum();
        while i < width {
            total += single(i);
            i += 1;
        }
        total
    }
}
