//! Operations on single elements and single rows.

use crate::pack::{self, Normalise};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{InstructionSet, Portable, Vector, math, vector_kernel};
use rayon::prelude::*;

/// Elements that one task works on; small tensors stay on one thread.
const TASK: usize = 1 << 14;

/// The functions of one variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Exp,
    Sigmoid,
}

/// Replaces every element by the function's value.
pub(crate) fn map(instruction_set: InstructionSet, function: Function, values: &mut [f32]) {
    values.par_chunks_mut(TASK).for_each(|chunk| {
        // SAFETY: the kernel stays within the slice.
        unsafe { map_chunk(instruction_set, function, chunk) };
    });
}

/// Divides every row by its length.
pub(crate) fn l2_normalise(
    instruction_set: InstructionSet,
    from: &[f32],
    to: &mut [f32],
    width: usize,
) {
    let rows = (TASK / width).max(1);
    let tasks = from
        .par_chunks(rows * width)
        .zip(to.par_chunks_mut(rows * width));
    tasks.for_each(|(from, to)| {
        for (from, to) in from.chunks_exact(width).zip(to.chunks_exact_mut(width)) {
            // SAFETY: both rows have `width` elements.
            unsafe { l2_normalise_row(instruction_set, from, to) };
        }
    });
}

/// Softmax of every row, in place.
pub(crate) fn softmax(instruction_set: InstructionSet, values: &mut [f32], width: usize) {
    values.par_chunks_mut(width).for_each(|row| {
        let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for value in row.iter_mut() {
            *value -= highest;
        }
        // SAFETY: the kernel stays within the slice.
        unsafe { map_chunk(instruction_set, Function::Exp, row) };
        // Of all patches: in f32 a sum of that many positive terms would lose a digit.
        let factor = (1.0 / row.iter().map(|&value| f64::from(value)).sum::<f64>()) as f32;
        for value in row.iter_mut() {
            *value *= factor;
        }
    });
}

vector_kernel! {
    /// # Safety
    /// None beyond the instruction set.
    unsafe fn map_chunk(function: Function, values: &mut [f32]) = generic_map_chunk;
}

#[inline(always)]
unsafe fn generic_map_chunk<V: Vector>(function: Function, values: &mut [f32]) {
    // SAFETY: whole registers inside `values`; the rest goes through a padded copy, so that
    // every element gets the same arithmetic.
    unsafe {
        let apply = |x: V| match function {
            Function::Exp => math::exp(x),
            Function::Sigmoid => math::sigmoid(x),
        };
        let whole = values.len() - values.len() % V::LANES;
        let mut i = 0;
        while i < whole {
            let at = values.as_mut_ptr().add(i);
            apply(V::load(at)).store(at);
            i += V::LANES;
        }
        let rest = &mut values[whole..];
        let mut padded = [0.0; 16];
        padded[..rest.len()].copy_from_slice(rest);
        apply(V::load(padded.as_ptr())).store(padded.as_mut_ptr());
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}

vector_kernel! {
    /// # Safety
    /// The slices have one length.
    unsafe fn l2_normalise_row(from: &[f32], to: &mut [f32]) = generic_l2_normalise_row;
}

#[inline(always)]
unsafe fn generic_l2_normalise_row<V: Vector>(from: &[f32], to: &mut [f32]) {
    let width = from.len();
    let whole = width - width % V::LANES;
    // SAFETY: vector accesses stay below `whole <= width`.
    unsafe {
        let x = from.as_ptr();
        let square = |i: usize| {
            let value = V::load(x.add(i));
            value.mul(value)
        };
        let length = pack::sum::<V>(width, whole, square, |i| *x.add(i) * *x.add(i)).sqrt();
        // Written so that a length that is no number stays one; `max` would drop it.
        let divisor = if length < 1e-12 { 1e-12 } else { length };
        let mut i = 0;
        while i < whole {
            V::load(x.add(i))
                .div(V::splat(divisor))
                .store(to.as_mut_ptr().add(i));
            i += V::LANES;
        }
        while i < width {
            to[i] = from[i] / divisor;
            i += 1;
        }
    }
}

/// Layer norm of every row.
pub(crate) fn layer_norm(
    instruction_set: InstructionSet,
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
            // SAFETY: rows and weights have `width` elements.
            unsafe { pack::normalise_row(instruction_set, from, to, normalise) };
        }
    });
}
