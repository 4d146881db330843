//! Operations on single elements and single rows.

use crate::pack::{self, Normalise};
use rayon::prelude::*;
use vcp_simd::{Lanes, MOST_LANES, Register as _, Supported, kernel, math};

/// Elements that one task works on; small tensors stay on one thread.
const TASK: usize = 1 << 14;

/// The functions of one variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Exp,
    Sigmoid,
}

impl Function {
    #[inline(always)]
    fn of<V: Lanes>(self, x: V) -> V {
        match self {
            Self::Exp => math::exp(x),
            Self::Sigmoid => math::sigmoid(x),
        }
    }
}

/// Replaces every element by the function's value.
pub(crate) fn map(instruction_set: Supported, function: Function, values: &mut [f32]) {
    values.par_chunks_mut(TASK).for_each(|chunk| {
        map_chunk(instruction_set, function, chunk);
    });
}

/// Divides every row by its length.
pub(crate) fn l2_normalise(instruction_set: Supported, from: &[f32], to: &mut [f32], width: usize) {
    let rows = (TASK / width).max(1);
    let tasks = from
        .par_chunks(rows * width)
        .zip(to.par_chunks_mut(rows * width));
    tasks.for_each(|(from, to)| {
        for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            l2_normalise_row(instruction_set, from, to);
        }
    });
}

/// Softmax of every row, in place.
pub(crate) fn softmax(instruction_set: Supported, values: &mut [f32], width: usize) {
    values.par_chunks_mut(width).for_each(|row| {
        let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for value in row.iter_mut() {
            *value -= highest;
        }
        map_chunk(instruction_set, Function::Exp, row);
        // Of all patches: in f32 a sum of that many positive terms would lose a digit.
        let factor = (1.0 / row.iter().map(|&value| f64::from(value)).sum::<f64>()) as f32;
        for value in row.iter_mut() {
            *value *= factor;
        }
    });
}

kernel! {
    /// Replaces every element by the function's value. The elements behind the last whole register go
    /// through a padded copy, so that every element gets the same arithmetic.
    fn map_chunk<S: Simd>(simd: S, function: Function, values: &mut [f32]) {
        const { assert!(S::LANES <= MOST_LANES) };
        let mut registers = values.chunks_exact_mut(S::LANES);
        for values in registers.by_ref() {
            function.of(simd.read(values)).write(values);
        }
        let rest = registers.into_remainder();
        let mut padded = [0.0; MOST_LANES];
        padded[..rest.len()].copy_from_slice(rest);
        function.of(simd.read(&padded)).write(&mut padded);
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}

kernel! {
    /// Divides a row by its length. The slices have one size.
    fn l2_normalise_row<S: Simd>(simd: S, from: &[f32], to: &mut [f32]) {
        let length = pack::sum(simd, from, |x| x * x, |x| x * x).sqrt();
        // Written so that a length that is no number stays one; `max` would drop it.
        let divisor = if length < 1e-12 { 1e-12 } else { length };
        let divisors = simd.splat(divisor);
        let (mut from, mut to) = (from.chunks_exact(S::LANES), to.chunks_exact_mut(S::LANES));
        for (from, to) in from.by_ref().zip(to.by_ref()) {
            (simd.read(from) / divisors).write(to);
        }
        for (from, to) in from.remainder().iter().zip(to.into_remainder()) {
            *to = from / divisor;
        }
    }
}

/// Layer norm of every row.
pub(crate) fn layer_norm(
    instruction_set: Supported,
    from: &[f32],
    to: &mut [f32],
    normalise: Normalise<'_>,
) {
    let width = normalise.weight.len();
    let rows = (TASK / width).max(1);
    let tasks = from
        .par_chunks(rows * width)
        .zip(to.par_chunks_mut(rows * width));
    tasks.for_each(|(from, to)| {
        for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            pack::normalise_row(instruction_set, from, to, normalise);
        }
    });
}
