//! The loops of a product, whatever its numbers are: blocks of the result over threads, and within a block tiles over
//! panels of weights and rows.

use super::output::{LINE, Output};
use crate::blocking::{Blocking, Tile};
use crate::buffer::Pool;
use crate::tile;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use vcp_simd::{Dot, Simd};

/// Weights in panels of columns, for the micro-kernel of `D`.
pub(super) trait Panels<D: Dot>: Copy {
    /// Makes `count` groups of each column of a panel, from `start` on, lie as the micro-kernel reads them: where they
    /// are, or in `scratch`.
    ///
    /// # Safety
    /// There must be such a panel and such groups; `scratch` must be writable for `count` groups of a panel's columns.
    unsafe fn bring(
        self,
        dot: D,
        panel: usize,
        start: usize,
        count: usize,
        scratch: *mut u32,
    ) -> Brought;

    /// What complete sums stand for.
    ///
    /// # Safety
    /// Row and column must be inside the product; columns are padded to whole panels, rows are not.
    unsafe fn values<const MR: usize, const NV: usize>(
        self,
        dot: D,
        first_row: usize,
        first_column: usize,
        sums: &[[D::Sums; NV]; MR],
    ) -> [[<D::Simd as Simd>::F32; NV]; MR];
}

/// Groups of a panel, ready for use.
#[derive(Clone, Copy)]
pub(super) struct Brought {
    pub(super) groups: *const u32,
    /// Where those after them lie in memory, and how many bytes as many of them have.
    pub(super) next: *const u8,
    pub(super) bytes: usize,
}

/// One call's constants, shared by its tasks.
#[derive(Clone, Copy)]
pub(super) struct Call<'a, P> {
    /// Activations in panels of rows.
    pub(super) packed: &'a [u32],
    pub(super) panels: P,
    pub(super) output: Output<'a>,
    /// Groups of a row.
    pub(super) groups: usize,
    /// Groups that are done before moving on to the next tile: whole [chains](tile::CHAIN).
    pub(super) depth: usize,
}

/// A part of a call, and memory for it.
pub(super) struct Task<'a> {
    pub(super) row_panels: Range<usize>,
    pub(super) column_panels: Range<usize>,
    /// `depth · columns` words.
    pub(super) weights: &'a mut [u32],
    /// A tile for each row panel.
    pub(super) partial: &'a mut [u32],
}

/// Cuts a product into tasks and does them on all threads. Each column panel of each row panel is in exactly one task.
pub(super) fn for_each_task(
    pool: &Arc<Pool>,
    threads: usize,
    [rows, outputs]: [usize; 2],
    blocking: Blocking,
    work: impl Fn(Task<'_>) + Sync,
) {
    let row_panels = rows.div_ceil(blocking.rows);
    let column_panels = outputs.div_ceil(blocking.columns);
    // Row blocks of equal size, no larger than the cache wants; then as many column blocks
    // as give every thread several tasks, so that none waits long for the last.
    let row_blocks = row_panels.div_ceil(blocking.panels).max(1);
    let column_blocks = (8 * threads)
        .div_ceil(row_blocks)
        .clamp(1, column_panels.max(1));
    (0..row_blocks * column_blocks)
        .into_par_iter()
        .with_max_len(1)
        .for_each_init(
            || {
                let partial = blocking.panels * blocking.rows * blocking.columns;
                (
                    pool.take(blocking.depth * blocking.columns),
                    pool.take(partial),
                )
            },
            |(weights, partial), task| {
                let (row_block, column_block) = (task / column_blocks, task % column_blocks);
                work(Task {
                    row_panels: share(row_panels, row_blocks, row_block),
                    column_panels: share(column_panels, column_blocks, column_block),
                    weights: weights.words_mut(),
                    partial: partial.words_mut(),
                });
            },
        );
}

/// The `index`-th of `parts` nearly equal parts of `0..total`.
fn share(total: usize, parts: usize, index: usize) -> Range<usize> {
    total * index / parts..total * (index + 1) / parts
}

/// The size of the micro-kernel, checked against its constants.
#[inline(always)]
pub(super) const fn is(tile: Tile, rows: usize, registers: usize) -> bool {
    tile.rows == rows && tile.registers == registers
}

/// Does a task.
///
/// # Safety
/// The task's panels must lie within the call's, whose memory has the sizes that it says; no other task may write the
/// same ones.
#[inline(always)]
pub(super) unsafe fn block<D: Dot, P: Panels<D>, const MR: usize, const NV: usize>(
    dot: D,
    call: &Call<'_, P>,
    task: Task<'_>,
) {
    let Task {
        row_panels,
        column_panels,
        weights,
        partial,
    } = task;
    let simd = dot.simd();
    let width = NV * D::LANES;
    let depth = call.groups;
    assert!(weights.len() >= call.depth.min(depth) * width);
    assert!(partial.len() >= row_panels.len() * MR * width);
    assert!(call.packed.len() >= row_panels.end * depth * MR);
    for column_panel in column_panels {
        let mut start = 0;
        while start < depth {
            let count = call.depth.min(depth - start);
            let last = start + count == depth;
            // SAFETY: the packed rows have `depth · MR` groups for each row panel, and `partial` one tile for
            // each row panel of this block; the caller's promise for the rest.
            unsafe {
                let brought =
                    (call.panels).bring(dot, column_panel, start, count, weights.as_mut_ptr());
                // While this piece of the weights is in use, the next one comes closer, some
                // lines with every tile; and the place of a finished tile comes before it.
                let lines = brought.bytes.div_ceil(LINE);
                let lines_per_tile = lines.div_ceil(row_panels.len());
                for (index, row_panel) in row_panels.clone().enumerate() {
                    let a = call.packed.as_ptr().add((row_panel * depth + start) * MR);
                    let kept = partial.as_mut_ptr().add(index * MR * width);
                    let (first_row, first_column) = (row_panel * MR, column_panel * width);
                    let mut sums = if start == 0 {
                        tile::zero::<D, MR, NV>(dot)
                    } else {
                        tile::load::<D, MR, NV>(dot, kept, width)
                    };
                    tile::accumulate(dot, count, a, MR, brought.groups, &mut sums, |done| {
                        let end = (done + tile::PIECE).min(count);
                        let part = |of: usize| of * done / count..of * end / count;
                        for line in part(lines_per_tile) {
                            let line = index * lines_per_tile + line;
                            simd.prefetch(brought.next.wrapping_add(line * LINE));
                        }
                        if last {
                            let rows = part(MR);
                            call.output.prefetch::<D::Simd, NV>(
                                simd,
                                first_row,
                                rows,
                                first_column,
                            );
                        }
                    });
                    if last {
                        let values = call.panels.values(dot, first_row, first_column, &sums);
                        call.output.write(simd, first_row, first_column, &values);
                    } else {
                        tile::store::<D, MR, NV>(dot, &sums, kept, width);
                    }
                }
            }
            start += count;
        }
    }
}
