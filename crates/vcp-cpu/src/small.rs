//! Products in which neither side is a packed weight: a few texts against all patches.

use crate::blocking::Blocked;
use crate::buffer::{Buffer, Pool};
use crate::cpu::elements;
use crate::pointer::SharedMut;
use crate::tile::CHAIN;
use rayon::prelude::*;
use std::sync::Arc;
use vcp_simd::{Lanes as _, Register as _, Supported, kernel};

/// A batch of row-major matrices; a batch of 1 is repeated.
#[derive(Clone, Copy)]
pub(crate) struct Matrices<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) batch: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl<'a> Matrices<'a> {
    fn at(&self, index: usize) -> &'a [f32] {
        let size = self.rows * self.columns;
        &self.values[index % self.batch * size..][..size]
    }
}

/// Rows of `b` that one task takes.
const ROWS: usize = 32;

/// a [m, k] · bᵀ [k, n] for every batch element.
pub(crate) fn transposed(
    instruction_set: Supported,
    pool: &Arc<Pool>,
    a: Matrices<'_>,
    b: Matrices<'_>,
) -> Buffer {
    let batch = a.batch.max(b.batch);
    debug_assert!(
        [a.batch, b.batch]
            .iter()
            .all(|own| *own == 1 || *own == batch)
    );
    let (m, n, depth) = (a.rows, b.rows, a.columns);
    let mut out = pool.take(elements([batch, m, n]));
    let shared = SharedMut::new(&mut out);
    let (a_blocks, b_blocks) = (m.div_ceil(ROWS), n.div_ceil(ROWS));
    (0..batch * a_blocks * b_blocks)
        .into_par_iter()
        .for_each(|task| {
            let (index, rest) = (task / (a_blocks * b_blocks), task % (a_blocks * b_blocks));
            let (first_a, first_b) = (rest / b_blocks * ROWS, rest % b_blocks * ROWS);
            let (count_a, count_b) = (ROWS.min(m - first_a), ROWS.min(n - first_b));
            // SAFETY: the tasks write disjoint blocks of the output, which outlives them, and
            // read whole rows.
            unsafe {
                dots(
                    instruction_set,
                    &a.at(index)[first_a * depth..(first_a + count_a) * depth],
                    &b.at(index)[first_b * depth..(first_b + count_b) * depth],
                    depth,
                    shared.get().add((index * m + first_a) * n + first_b),
                    n,
                );
            }
        });
    out
}

kernel! {
    /// # Safety
    /// `out` takes, at each multiple of `step`, as many elements as `b` has rows, for every
    /// row of `a`; all rows have `depth` elements.
    unsafe fn dots(
        a: &[f32], b: &[f32], depth: usize, out: *mut f32, step: usize,
    ) = for<Set> generic_dots::<Set, { Set::DOTS.rows }, { Set::DOTS.registers }>;
}

#[inline(always)]
unsafe fn generic_dots<S: Blocked, const MR: usize, const NR: usize>(
    simd: S,
    a: &[f32],
    b: &[f32],
    depth: usize,
    out: *mut f32,
    step: usize,
) {
    let (m, n) = (a.len() / depth, b.len() / depth);
    let whole = depth - depth % S::LANES;
    for first_a in (0..m).step_by(MR) {
        for first_b in (0..n).step_by(NR) {
            // SAFETY: rows beyond the last are replaced by the last, and not stored.
            unsafe {
                let mut rows_a = [a.as_ptr(); MR];
                for (i, row) in rows_a.iter_mut().enumerate() {
                    *row = a.as_ptr().add((first_a + i).min(m - 1) * depth);
                }
                let mut rows_b = [b.as_ptr(); NR];
                for (j, row) in rows_b.iter_mut().enumerate() {
                    *row = b.as_ptr().add((first_b + j).min(n - 1) * depth);
                }
                let mut sums = [[simd.splat(0.0); NR]; MR];
                let mut k = 0;
                while k < whole {
                    let mut right = [simd.splat(0.0); NR];
                    for (right, row) in right.iter_mut().zip(&rows_b) {
                        *right = simd.load(row.add(k));
                    }
                    for (sums, row) in sums.iter_mut().zip(&rows_a) {
                        let left = simd.load(row.add(k));
                        for (sum, right) in sums.iter_mut().zip(&right) {
                            *sum = left.mul_add(*right, *sum);
                        }
                    }
                    k += S::LANES;
                }
                for (i, sums) in sums.iter().enumerate().take(m - first_a) {
                    for (j, sum) in sums.iter().enumerate().take(n - first_b) {
                        let mut total = sum.sum();
                        for k in whole..depth {
                            total += *rows_a[i].add(k) * *rows_b[j].add(k);
                        }
                        *out.add((first_a + i) * step + first_b + j) = total;
                    }
                }
            }
        }
    }
}

/// a [m, k] · b [k, n] for every batch element.
pub(crate) fn plain(
    instruction_set: Supported,
    pool: &Arc<Pool>,
    a: Matrices<'_>,
    b: Matrices<'_>,
) -> Buffer {
    const COLUMNS: usize = 64;
    // Above both, columns are copied beside each other.
    const FEW_ROWS: usize = 8;
    const LONG_ROW: usize = 512;
    let batch = a.batch.max(b.batch);
    debug_assert!(
        [a.batch, b.batch]
            .iter()
            .all(|own| *own == 1 || *own == batch)
    );
    let (m, n, depth) = (a.rows, b.columns, a.columns);
    let mut out = pool.take(elements([batch, m, n]));
    let shared = SharedMut::new(&mut out);
    let blocks = n.div_ceil(COLUMNS);
    // Parts of long rows share few places in the caches, above all if the rows' length is a multiple of a
    // page, and they are read again for every few rows of the result.
    let is_copied = m > FEW_ROWS && n > LONG_ROW;
    (0..batch * blocks).into_par_iter().for_each_init(
        || pool.take(if is_copied { depth * COLUMNS } else { 0 }),
        |copy, task| {
            let (index, first) = (task / blocks, task % blocks * COLUMNS);
            let count = COLUMNS.min(n - first);
            let mut from = (&b.at(index)[first..], n);
            if is_copied {
                let rows = copy.chunks_exact_mut(count).zip(from.0.chunks(n));
                for (copy, row) in rows {
                    copy.copy_from_slice(&row[..count]);
                }
                from = (copy, count);
            }
            // SAFETY: the tasks write disjoint columns of the output, which outlives them; the
            // columns read are `count` from the first in every row of `b`, or the whole copy.
            unsafe {
                let (b, step) = (from.0.as_ptr(), from.1);
                let out = shared.get().add(index * m * n + first);
                columns(
                    instruction_set,
                    a.at(index),
                    depth,
                    [step, n],
                    b,
                    count,
                    out,
                );
            }
        },
    );
    out
}

kernel! {
    /// # Safety
    /// `b` and `out` point to `count` columns of rows that are as long as `steps` says; `a` has rows of
    /// `depth`.
    unsafe fn columns(
        a: &[f32], depth: usize, steps: [usize; 2], b: *const f32, count: usize, out: *mut f32,
    ) = for<Set> generic_columns::<Set, { Set::COLUMNS.rows }, { Set::COLUMNS.registers }>;
}

#[inline(always)]
unsafe fn generic_columns<S: Blocked, const MR: usize, const NV: usize>(
    simd: S,
    a: &[f32],
    depth: usize,
    [step, out_step]: [usize; 2],
    b: *const f32,
    count: usize,
    out: *mut f32,
) {
    let m = a.len() / depth;
    let width = NV * S::LANES;
    for first_row in (0..m).step_by(MR) {
        let present = MR.min(m - first_row);
        // SAFETY: rows beyond the last are replaced by the last and not stored; whole
        // registers are only used where `width` columns remain.
        unsafe {
            let mut rows = [a.as_ptr(); MR];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = a.as_ptr().add((first_row + i).min(m - 1) * depth);
            }
            let mut column = 0;
            while column + width <= count {
                let mut sums = [[simd.splat(0.0); NV]; MR];
                let mut start = 0;
                while start < depth {
                    let end = depth.min(start + CHAIN);
                    let mut chains = [[simd.splat(0.0); NV]; MR];
                    for k in start..end {
                        let line = b.add(k * step + column);
                        let mut right = [simd.splat(0.0); NV];
                        for (j, right) in right.iter_mut().enumerate() {
                            *right = simd.load(line.add(j * S::LANES));
                        }
                        for (chains, row) in chains.iter_mut().zip(&rows) {
                            let left = simd.splat(*row.add(k));
                            for (chain, right) in chains.iter_mut().zip(&right) {
                                *chain = left.mul_add(*right, *chain);
                            }
                        }
                    }
                    for (sums, chains) in sums.iter_mut().zip(&chains) {
                        for (sum, chain) in sums.iter_mut().zip(chains) {
                            *sum = *sum + *chain;
                        }
                    }
                    start = end;
                }
                for (i, sums) in sums.iter().enumerate().take(present) {
                    for (j, sum) in sums.iter().enumerate() {
                        sum.store(out.add((first_row + i) * out_step + column + j * S::LANES));
                    }
                }
                column += width;
            }
            while column < count {
                for (i, row) in rows.iter().enumerate().take(present) {
                    let mut sum = 0.0;
                    for k in 0..depth {
                        sum += *row.add(k) * *b.add(k * step + column);
                    }
                    *out.add((first_row + i) * out_step + column) = sum;
                }
                column += 1;
            }
        }
    }
}
