//! The micro-kernel: one tile of a matrix product, held in registers.

use crate::simd::Vector;

/// `acc[i][j] += Σ_k a[k·a_step + i] · b[k·NV·LANES + j]` for an `MR × (NV·LANES)` tile.
///
/// Each element is one chain of multiply-adds in the order of `k`, whatever tile it falls
/// in; that is what makes results independent of the number of threads and of the batch.
///
/// # Safety
/// `a` must be readable for `(depth - 1)·a_step + MR` elements, `b` for
/// `depth·NV·LANES`.
#[inline(always)]
pub(crate) unsafe fn accumulate<V: Vector, const MR: usize, const NV: usize>(
    depth: usize,
    mut a: *const f32,
    a_step: usize,
    mut b: *const f32,
    acc: &mut [[V; NV]; MR],
) {
    // SAFETY: the pointers advance `depth` times within the ranges promised above.
    unsafe {
        let mut sum = *acc;
        for _ in 0..depth {
            // Both come from the second-level cache or further away, faster than the
            // processor would ask for them by itself: a tenth more speed.
            V::prefetch(a.wrapping_add(16 * a_step));
            for j in 0..NV {
                V::prefetch(b.wrapping_add(8 * NV * V::LANES + j * V::LANES));
            }
            let mut columns = [V::splat(0.0); NV];
            for (j, column) in columns.iter_mut().enumerate() {
                *column = V::load(b.add(j * V::LANES));
            }
            for (i, row) in sum.iter_mut().enumerate() {
                let factor = V::splat(*a.add(i));
                for (element, column) in row.iter_mut().zip(&columns) {
                    *element = factor.mul_add(*column, *element);
                }
            }
            a = a.add(a_step);
            b = b.add(NV * V::LANES);
        }
        *acc = sum;
    }
}

/// An all-zero tile.
#[inline(always)]
pub(crate) unsafe fn zero<V: Vector, const MR: usize, const NV: usize>() -> [[V; NV]; MR] {
    // SAFETY: register arithmetic only.
    unsafe { [[V::splat(0.0); NV]; MR] }
}

/// Reads a tile stored as rows of `NV·LANES` elements, `row_step` apart.
///
/// # Safety
/// All rows must be readable.
#[inline(always)]
pub(crate) unsafe fn load<V: Vector, const MR: usize, const NV: usize>(
    from: *const f32,
    row_step: usize,
) -> [[V; NV]; MR] {
    // SAFETY: the caller's contract.
    unsafe {
        let mut tile = zero::<V, MR, NV>();
        for (i, row) in tile.iter_mut().enumerate() {
            for (j, element) in row.iter_mut().enumerate() {
                *element = V::load(from.add(i * row_step + j * V::LANES));
            }
        }
        tile
    }
}

/// Writes a tile as rows of `NV·LANES` elements, `row_step` apart.
///
/// # Safety
/// All rows must be writable.
#[inline(always)]
pub(crate) unsafe fn store<V: Vector, const MR: usize, const NV: usize>(
    tile: &[[V; NV]; MR],
    to: *mut f32,
    row_step: usize,
) {
    // SAFETY: the caller's contract.
    unsafe {
        for (i, row) in tile.iter().enumerate() {
            for (j, element) in row.iter().enumerate() {
                element.store(to.add(i * row_step + j * V::LANES));
            }
        }
    }
}
