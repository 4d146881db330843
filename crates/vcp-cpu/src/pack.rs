//! Activations repacked into panels of rows, normalised on the way when asked.

pub(crate) mod narrow;

use crate::blocking::product_blocking;
use crate::buffer::{Buffer, Pool};
use rayon::prelude::*;
use std::sync::Arc;
use vcp_simd::{Lanes as _, Register as _, Simd, Supported, kernel};

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
    instruction_set: Supported,
    pool: &Arc<Pool>,
    x: &[f32],
    width: usize,
    normalise: Option<Normalise<'_>>,
) -> Buffer {
    let height = product_blocking(instruction_set).rows;
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
                        normalise_row(instruction_set, from, to, normalise);
                    }
                    &*scratch
                } else {
                    source
                };
                interleave(source, width, height, panel);
            },
        );
    packed
}

/// Elements of all rows that are moved before the next ones: what they become stays in the first-level cache.
const TOGETHER: usize = 64;

/// Lays at most `height` rows [rows, width] into a panel [width, `height`]; missing rows are zeros.
pub(crate) fn interleave<T: Copy + Default>(
    rows: &[T],
    width: usize,
    height: usize,
    panel: &mut [T],
) {
    assert_eq!(panel.len(), height * width, "a whole panel");
    if rows.len() < panel.len() {
        panel.fill(T::default());
    }
    let count = rows.len() / width;
    for start in (0..width).step_by(TOGETHER) {
        let piece = start..width.min(start + TOGETHER);
        let panel = &mut panel[start * height..piece.end * height];
        let line = |row: usize| &rows[row * width..][piece.clone()];
        let mut row = 0;
        while row + 4 <= count {
            put_lines([0, 1, 2, 3].map(|i| line(row + i)), row, height, panel);
            row += 4;
        }
        while row < count {
            put_lines([line(row)], row, height, panel);
            row += 1;
        }
    }
}

/// Puts rows of equal length side by side, from `row` on in each of the panel's columns.
#[inline(always)]
fn put_lines<T: Copy, const N: usize>(
    lines: [&[T]; N],
    row: usize,
    height: usize,
    panel: &mut [T],
) {
    for (k, column) in panel.chunks_exact_mut(height).enumerate() {
        let to = &mut column[row..row + N];
        for (to, line) in to.iter_mut().zip(lines) {
            *to = line[k];
        }
    }
}

kernel! {
    /// The layer norm of one row. All four slices have the same length.
    pub(crate) fn normalise_row<S: Simd>(
        simd: S,
        from: &[f32],
        to: &mut [f32],
        normalise: Normalise<'_>,
    ) {
        let width = from.len();
        let whole = width - width % S::LANES;
        let (weight, bias) = (&normalise.weight[..width], &normalise.bias[..width]);
        let to = &mut to[..width];
        let mean = sum(simd, from, |x| x, |x| x) / width as f32;
        let centre = simd.splat(mean);
        let square = |x: S::F32| {
            let d = x - centre;
            d * d
        };
        let variance = sum(simd, from, square, |x| (x - mean) * (x - mean)) / width as f32;
        let scale = 1.0 / (variance + normalise.epsilon).sqrt();
        let factor = simd.splat(scale);
        for (((to, x), weight), bias) in to
            .chunks_exact_mut(S::LANES)
            .zip(from.chunks_exact(S::LANES))
            .zip(weight.chunks_exact(S::LANES))
            .zip(bias.chunks_exact(S::LANES))
        {
            let normalised = (simd.read(x) - centre) * factor;
            normalised.mul_add(simd.read(weight), simd.read(bias)).write(to);
        }
        for i in whole..width {
            to[i] = (from[i] - mean) * scale * weight[i] + bias[i];
        }
    }
}

/// Σ over a row, of `term` of its registers and `single` of the elements behind the last whole one: with
/// four running registers, always in the same order.
#[inline(always)]
pub(crate) fn sum<S: Simd>(
    simd: S,
    values: &[f32],
    term: impl Fn(S::F32) -> S::F32,
    single: impl Fn(f32) -> f32,
) -> f32 {
    let mut sums = [simd.splat(0.0); 4];
    let mut groups = values.chunks_exact(4 * S::LANES);
    for group in groups.by_ref() {
        for (sum, values) in sums.iter_mut().zip(group.chunks_exact(S::LANES)) {
            *sum = *sum + term(simd.read(values));
        }
    }
    let mut registers = groups.remainder().chunks_exact(S::LANES);
    for values in registers.by_ref() {
        sums[0] = sums[0] + term(simd.read(values));
    }
    let mut total = ((sums[0] + sums[1]) + (sums[2] + sums[3])).sum();
    for &value in registers.remainder() {
        total += single(value);
    }
    total
}
