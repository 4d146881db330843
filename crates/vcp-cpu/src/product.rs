//! Matrix products with weights packed once, when the model loads.
//!
//! `out[m, n] = after(Σ_k norm(x)[m, k] · w[n, k] + bias[n])`, computed as in GotoBLAS/BLIS:
//! the activations are repacked into panels of a few rows (with the layer norm that comes
//! before the product done on the way), the weights lie in panels of a few columns, and the
//! micro-kernel walks over both. Bias, activation and residual are added while the finished
//! tile is still in registers.

use crate::blocking::{Blocked, product_blocking};
use crate::buffer::{Buffer, Element, Memory, Pool};
use crate::finish::Finish;
use crate::pack::{self, Normalise};
use crate::pointer::SharedMut;
use crate::tile;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use vcp_simd::{Register as _, Simd, Supported, kernel};

/// A weight matrix [outputs, inputs] in panels of columns, as the micro-kernel reads it.
pub(crate) struct PackedMatrix {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    /// Columns of a panel: those of the instruction set's tile.
    width: usize,
    panels: Panels,
    /// One value per output, padded to whole panels; zeros where the layer has none.
    bias: Vec<f32>,
}

/// Half precision when the weights came in half precision: converting back is exact, and
/// half the memory has to be read.
enum Panels {
    Half(Memory),
    Single(Memory),
}

impl PackedMatrix {
    /// Packs a matrix whose rows `read` delivers: `read(first_row..end_row, destination)`.
    /// `half` says that every value is exactly an f16.
    pub(crate) fn pack(
        instruction_set: Supported,
        [outputs, inputs]: [usize; 2],
        half: bool,
        bias: Option<&[f32]>,
        read: impl Fn(Range<usize>, &mut [f32]) + Sync,
    ) -> Self {
        let width = product_blocking(instruction_set).columns;
        let count = outputs.div_ceil(width);
        let total = count * width * inputs;
        let sizes = [outputs, inputs, width];
        let panels = if half {
            let to_half = |value| half::f16::from_f32(value).to_bits();
            Panels::Half(fill_panels(total, sizes, &read, to_half))
        } else {
            Panels::Single(fill_panels(total, sizes, &read, |value: f32| value))
        };
        let mut padded = vec![0.0; count * width];
        if let Some(bias) = bias {
            padded[..outputs].copy_from_slice(bias);
        }
        Self {
            outputs,
            inputs,
            width,
            panels,
            bias: padded,
        }
    }
}

fn fill_panels<T: Element + Send>(
    total: usize,
    [outputs, inputs, width]: [usize; 3],
    read: &(impl Fn(Range<usize>, &mut [f32]) + Sync),
    convert: impl Fn(f32) -> T + Sync,
) -> Memory {
    let mut memory = Memory::zeroed(total * size_of::<T>());
    let panels: &mut [T] = memory.elements_mut(total);
    panels
        .par_chunks_mut(width * inputs)
        .enumerate()
        .for_each_init(Vec::new, |rows, (index, panel)| {
            let first = index * width;
            let present = width.min(outputs - first);
            rows.resize(present * inputs, 0.0);
            read(first..first + present, rows);
            for (column, row) in rows.chunks_exact(inputs).enumerate() {
                for (k, &value) in row.iter().enumerate() {
                    panel[k * width + column] = convert(value);
                }
            }
        });
    memory
}

/// How the result is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// [rows, outputs].
    Rows,
    /// [batch, outputs / 64, rows of the image, 64]: every attention head's rows together.
    Heads { rows_per_image: usize },
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// Width of an attention head in every CLIP tower.
pub(crate) const HEAD: usize = 64;

/// One call's constants, shared by its tasks.
#[derive(Clone, Copy)]
struct Call<'a> {
    packed: &'a [f32],
    matrix: &'a PackedMatrix,
    finish: Finish<'a>,
    layout: Layout,
    rows: usize,
    /// [`Blocked::PRODUCT_DEPTH`].
    depth: usize,
    out: SharedMut,
}

/// `x` [rows, inputs] times the matrix; the result has `rows · outputs` elements.
#[allow(clippy::too_many_arguments)]
pub(crate) fn multiply(
    instruction_set: Supported,
    pool: &Arc<Pool>,
    threads: usize,
    x: &[f32],
    normalise: Option<Normalise<'_>>,
    matrix: &PackedMatrix,
    finish: Finish<'_>,
    layout: Layout,
) -> Buffer {
    let rows = x.len() / matrix.inputs;
    let mut out = pool.take(rows * matrix.outputs);
    if rows == 0 {
        return out;
    }
    let packed = pack::rows(instruction_set, pool, x, matrix.inputs, normalise);
    let blocking = product_blocking(instruction_set);
    // The kernel reads whole panels, trusting this.
    assert_eq!(
        matrix.width, blocking.columns,
        "weights packed for this instruction set"
    );
    let row_panels = rows.div_ceil(blocking.rows);
    let column_panels = matrix.outputs.div_ceil(blocking.columns);
    // Row blocks of equal size, no larger than the cache wants; then as many column blocks
    // as give every thread several tasks, so that none waits long for the last.
    let row_blocks = row_panels.div_ceil(blocking.panels);
    let column_blocks = (8 * threads).div_ceil(row_blocks).clamp(1, column_panels);
    let call = Call {
        packed: &packed,
        matrix,
        finish,
        layout,
        rows,
        depth: blocking.depth,
        out: SharedMut::new(&mut out),
    };
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
                // SAFETY: the tasks cover disjoint blocks of the output, which lives until all
                // are done; the scratch buffers have the sizes that `block` asks for.
                unsafe {
                    block(
                        instruction_set,
                        &call,
                        share(row_panels, row_blocks, row_block),
                        share(column_panels, column_blocks, column_block),
                        weights,
                        partial,
                    );
                }
            },
        );
    drop(packed);
    out
}

/// The `index`-th of `parts` nearly equal parts of `0..total`.
fn share(total: usize, parts: usize, index: usize) -> Range<usize> {
    total * index / parts..total * (index + 1) / parts
}

kernel! {
    /// # Safety
    /// The panel ranges must lie within the call's; no other task may write the same ones;
    /// `weights` holds `depth · columns` and `partial` one tile for each row panel.
    unsafe fn block(
        call: &Call<'_>,
        row_panels: Range<usize>,
        column_panels: Range<usize>,
        weights: &mut [f32],
        partial: &mut [f32],
    ) = for<Set> generic_block::<Set, { Set::PRODUCT.rows }, { Set::PRODUCT.registers }>;
}

#[inline(always)]
unsafe fn generic_block<S: Blocked, const MR: usize, const NV: usize>(
    simd: S,
    call: &Call<'_>,
    row_panels: Range<usize>,
    column_panels: Range<usize>,
    weights: &mut [f32],
    partial: &mut [f32],
) {
    const {
        assert!(MR == S::PRODUCT.rows && NV == S::PRODUCT.registers);
        assert!(S::PRODUCT_DEPTH.is_multiple_of(tile::CHAIN));
    };
    let width = NV * S::LANES;
    let depth = call.matrix.inputs;
    assert!(weights.len() >= call.depth.min(depth) * width);
    assert!(partial.len() >= row_panels.len() * MR * width);
    let total = call.matrix.outputs.div_ceil(width) * width * depth;
    for column_panel in column_panels {
        let mut start = 0;
        while start < depth {
            let count = call.depth.min(depth - start);
            let last = start + count == depth;
            let offset = (column_panel * depth + start) * width;
            // SAFETY: the packed matrix holds `depth · width` values for each column panel,
            // the packed rows `depth · MR` for each row panel, and `partial` one tile for
            // each row panel of this block.
            unsafe {
                let (b, next, bytes) = match &call.matrix.panels {
                    Panels::Single(memory) => {
                        let b = memory.elements::<f32>(total).as_ptr().add(offset);
                        (
                            b,
                            b.wrapping_add(count * width).cast::<u8>(),
                            size_of::<f32>(),
                        )
                    }
                    Panels::Half(memory) => {
                        let from = memory.elements::<u16>(total).as_ptr().add(offset);
                        let mut i = 0;
                        while i < count * width {
                            simd.load_half(from.add(i))
                                .store(weights.as_mut_ptr().add(i));
                            i += S::LANES;
                        }
                        let next = from.wrapping_add(count * width).cast::<u8>();
                        (weights.as_ptr(), next, size_of::<u16>())
                    }
                };
                // While this piece of the weights is in use, the next one comes closer, some
                // lines with every tile; and the place of a finished tile comes before it.
                let lines = (count * width * bytes).div_ceil(LINE);
                let lines_per_tile = lines.div_ceil(row_panels.len());
                for (index, row_panel) in row_panels.clone().enumerate() {
                    let a = call.packed.as_ptr().add((row_panel * depth + start) * MR);
                    let kept = partial.as_mut_ptr().add(index * MR * width);
                    for line in index * lines_per_tile..((index + 1) * lines_per_tile).min(lines) {
                        simd.prefetch(next.wrapping_add(line * LINE));
                    }
                    if last {
                        prefetch_output::<S, MR, NV>(
                            simd,
                            call,
                            row_panel * MR,
                            column_panel * width,
                        );
                    }
                    let mut sum = if start == 0 {
                        tile::zero::<S, MR, NV>(simd)
                    } else {
                        tile::load::<S, MR, NV>(simd, kept, width)
                    };
                    tile::accumulate(simd, count, a, MR, b, &mut sum);
                    if last {
                        finish_tile(simd, call, row_panel * MR, column_panel * width, &sum);
                    } else {
                        tile::store::<S, MR, NV>(&sum, kept, width);
                    }
                }
            }
            start += count;
        }
    }
}

/// Where the row starts that holds an element, and the element's place in it.
#[inline(always)]
fn place(call: &Call<'_>, row: usize, column: usize) -> usize {
    let outputs = call.matrix.outputs;
    match call.layout {
        Layout::Rows => row * outputs + column,
        Layout::Heads { rows_per_image } => {
            let (image, row) = (row / rows_per_image, row % rows_per_image);
            let head = image * (outputs / HEAD) + column / HEAD;
            (head * rows_per_image + row) * HEAD + column % HEAD
        }
    }
}

/// Asks for the lines that a tile will be written to, and for the residual's.
#[inline(always)]
fn prefetch_output<S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    call: &Call<'_>,
    first_row: usize,
    first_column: usize,
) {
    for row in first_row..(first_row + MR).min(call.rows) {
        let at = place(call, row, first_column);
        for j in (0..NV * S::LANES).step_by(LINE / size_of::<f32>()) {
            simd.prefetch(call.out.get().wrapping_add(at + j));
            if let Finish::Add(residual) = call.finish {
                simd.prefetch(residual.as_ptr().wrapping_add(at + j));
            }
        }
    }
}

/// Adds bias, activation or residual, and writes the part of the tile that exists.
#[inline(always)]
unsafe fn finish_tile<S: Simd, const MR: usize, const NV: usize>(
    simd: S,
    call: &Call<'_>,
    first_row: usize,
    first_column: usize,
    sum: &[[S::F32; NV]; MR],
) {
    /// Elements of the widest row of a tile.
    const WIDEST: usize = 64;
    const { assert!(NV * S::LANES <= WIDEST) };
    // Else two tasks would write parts of one head.
    const { assert!(HEAD.is_multiple_of(NV * S::LANES)) };
    let width = NV * S::LANES;
    let outputs = call.matrix.outputs;
    let rows = MR.min(call.rows - first_row);
    let columns = width.min(outputs - first_column);
    // SAFETY: `row < call.rows` and `first_column + columns <= outputs`, so every address is
    // inside the output (and the residual, which has its shape); the bias is padded to whole
    // panels; `added` is only read where there is a residual.
    unsafe {
        let bias = call.matrix.bias.as_ptr().add(first_column);
        for (i, row) in sum.iter().enumerate().take(rows) {
            let row_index = first_row + i;
            let at = place(call, row_index, first_column);
            let mut spare = [0.0_f32; WIDEST];
            let to = if columns == width {
                call.out.get().add(at)
            } else {
                spare.as_mut_ptr()
            };
            let added = match call.finish {
                Finish::Add(residual) if columns == width => residual.as_ptr().add(at),
                Finish::Add(residual) => {
                    let present = residual.get_unchecked(at..at + columns);
                    spare[..columns].copy_from_slice(present);
                    spare.as_ptr()
                }
                _ => core::ptr::null(),
            };
            for (j, element) in row.iter().enumerate() {
                let sum = *element + simd.load(bias.add(j * S::LANES));
                let value = (call.finish).apply(simd, sum, added.wrapping_add(j * S::LANES));
                value.store(to.add(j * S::LANES));
            }
            if columns != width {
                core::ptr::copy_nonoverlapping(spare.as_ptr(), call.out.get().add(at), columns);
            }
        }
    }
}
