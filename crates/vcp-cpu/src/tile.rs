//! The micro-kernel: one tile of a matrix product, held in registers.
//!
//! It multiplies groups of numbers ([`Dot`]): of one `f32`, two bf16, four whole numbers. Groups and sums lie in memory as
//! words of 32 bits.

use vcp_simd::{Dot, Simd as _};

/// Steps of the sum between two looks at the loop counter.
const UNROLLED: usize = 4;

/// Groups between two calls of [`accumulate`]'s `ahead`.
pub(crate) const PIECE: usize = 64;
const _: () = assert!(CHAIN.is_multiple_of(PIECE) && PIECE.is_multiple_of(UNROLLED));

/// How many steps ahead the next rows and columns are asked for. They come from the
/// second-level cache or further away, faster so than the processor would ask for them by
/// itself: a tenth more speed.
const ROWS_AHEAD: usize = 16;
const COLUMNS_AHEAD: usize = 8;

/// Groups that are summed up in one chain of multiply-adds. The rounding errors of a chain grow with its
/// length, those of a sum of chains with its root alone; adding up the chains takes half a percent of
/// the instructions.
pub(crate) const CHAIN: usize = 256;

/// `acc[i][j] += Σ_k a[k·a_step + i] · b[k·NV·LANES + j]` for an `MR × (NV·LANES)` tile, in chains of
/// [`CHAIN`] groups.
///
/// The terms of each element are summed up in the order of `k` and cut into chains at the same
/// places, whatever tile it falls in, as long as calls for one element begin at multiples of
/// [`CHAIN`]; that is what makes results independent of the number of threads and of the batch.
///
/// `ahead` is called with the number of groups that are done, before every [`PIECE`] of them but a last one of less than
/// four: to ask for memory that is needed soon. The processor passes over what it is asked for at once beyond a few lines.
///
/// # Safety
/// As [`chain`], with columns that lie side by side.
#[inline(always)]
pub(crate) unsafe fn accumulate<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    depth: usize,
    a: *const u32,
    a_step: usize,
    b: *const u32,
    acc: &mut [[D::Sums; NV]; MR],
    mut ahead: impl FnMut(usize),
) {
    let mut start = 0;
    while start < depth {
        let count = CHAIN.min(depth - start);
        // SAFETY: `start + count <= depth`, so that the pointers stay within what the caller promises.
        unsafe {
            let (a, b) = (a.add(start * a_step), b.add(start * NV * D::LANES));
            let ahead = |done| ahead(start + done);
            let sum = chain_with::<D, MR, NV>(dot, count, a, a_step, b, NV * D::LANES, ahead);
            for (acc, sum) in acc.iter_mut().zip(&sum) {
                for (acc, sum) in acc.iter_mut().zip(sum) {
                    *acc = dot.add(*acc, *sum);
                }
            }
        }
        start += count;
    }
}

/// `Σ_k a[k·a_step + i] · b[k·b_step + j]` for an `MR × (NV·LANES)` tile, each element one chain of
/// multiply-adds in the order of `k`.
///
/// # Safety
/// `a` must be readable for `(depth - 1)·a_step + MR` elements, `b` for
/// `(depth - 1)·b_step + NV·LANES`.
#[inline(always)]
pub(crate) unsafe fn chain<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    depth: usize,
    a: *const u32,
    a_step: usize,
    b: *const u32,
    b_step: usize,
) -> [[D::Sums; NV]; MR] {
    // SAFETY: the caller's promise.
    unsafe { chain_with::<D, MR, NV>(dot, depth, a, a_step, b, b_step, |_| ()) }
}

/// As [`chain`], with the `ahead` of [`accumulate`].
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn chain_with<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    depth: usize,
    mut a: *const u32,
    a_step: usize,
    mut b: *const u32,
    b_step: usize,
    mut ahead: impl FnMut(usize),
) -> [[D::Sums; NV]; MR] {
    // SAFETY: the pointers advance `depth` times within the ranges promised above;
    // prefetching never faults.
    unsafe {
        let mut sum = zero::<D, MR, NV>(dot);
        let mut done = 0;
        while done < depth / UNROLLED {
            ahead(done * UNROLLED);
            let end = (done + PIECE / UNROLLED).min(depth / UNROLLED);
            for _ in done..end {
                for k in 0..UNROLLED {
                    dot.simd()
                        .prefetch(a.wrapping_add((ROWS_AHEAD + k) * a_step));
                    for j in 0..NV {
                        dot.simd()
                            .prefetch(b.wrapping_add((COLUMNS_AHEAD + k) * b_step + j * D::LANES));
                    }
                    step(dot, a.add(k * a_step), b.add(k * b_step), &mut sum);
                }
                // After the last term they may stand behind what is readable; they are not read there.
                a = a.wrapping_add(UNROLLED * a_step);
                b = b.wrapping_add(UNROLLED * b_step);
            }
            done = end;
        }
        for _ in 0..depth % UNROLLED {
            step(dot, a, b, &mut sum);
            a = a.wrapping_add(a_step);
            b = b.wrapping_add(b_step);
        }
        sum
    }
}

/// One term of every sum.
///
/// # Safety
/// `a` must be readable for `MR` elements, `b` for `NV·LANES`.
#[inline(always)]
unsafe fn step<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    a: *const u32,
    b: *const u32,
    sum: &mut [[D::Sums; NV]; MR],
) {
    // SAFETY: the caller's contract.
    unsafe {
        let mut columns = [dot.load(b); NV];
        for (j, column) in columns.iter_mut().enumerate().skip(1) {
            *column = dot.load(b.add(j * D::LANES));
        }
        for (i, row) in sum.iter_mut().enumerate() {
            let factor = dot.splat(*a.add(i));
            for (element, column) in row.iter_mut().zip(&columns) {
                *element = dot.multiply_add(factor, *column, *element);
            }
        }
    }
}

/// An all-zero tile.
#[inline(always)]
pub(crate) fn zero<D: Dot, const MR: usize, const NV: usize>(dot: D) -> [[D::Sums; NV]; MR] {
    [[dot.zero(); NV]; MR]
}

/// Reads a tile stored as rows of `NV·LANES` elements, `row_step` apart.
///
/// # Safety
/// All rows must be readable.
#[inline(always)]
pub(crate) unsafe fn load<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    from: *const u32,
    row_step: usize,
) -> [[D::Sums; NV]; MR] {
    // SAFETY: the caller's contract.
    unsafe {
        let mut tile = zero::<D, MR, NV>(dot);
        for (i, row) in tile.iter_mut().enumerate() {
            for (j, element) in row.iter_mut().enumerate() {
                *element = dot.load_sums(from.add(i * row_step + j * D::LANES));
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
pub(crate) unsafe fn store<D: Dot, const MR: usize, const NV: usize>(
    dot: D,
    tile: &[[D::Sums; NV]; MR],
    to: *mut u32,
    row_step: usize,
) {
    // SAFETY: the caller's contract.
    unsafe {
        for (i, row) in tile.iter().enumerate() {
            for (j, element) in row.iter().enumerate() {
                dot.store_sums(*element, to.add(i * row_step + j * D::LANES));
            }
        }
    }
}
