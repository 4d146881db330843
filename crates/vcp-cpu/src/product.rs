//! Matrix products with weights packed once, when the model loads.
//!
//! `out[m, n] = after(Σ_k norm(x)[m, k] · w[n, k] + bias[n])`, computed as in GotoBLAS/BLIS:
//! the activations are repacked into panels of a few rows (with the layer norm that comes
//! before the product done on the way), the weights lie in panels of a few columns, and the
//! micro-kernel walks over both. Bias, activation and residual are added while the finished
//! tile is still in registers.
//!
//! This file has the products of `f32`; `narrow` those of narrower numbers; `block` the loops of both.

#[cfg(target_arch = "x86_64")]
mod amx;
mod block;
mod narrow;
mod output;

pub(crate) use narrow::{MOST_INPUTS, NarrowMatrix, multiply as multiply_narrow};
pub(crate) use output::{Form, HEAD, Layout, Numbers};

use crate::blocking::{Blocked, product_blocking};
use crate::buffer::{Element, Memory, Pool};
use crate::finish::Finish;
use crate::pack::{self, Normalise};
use crate::pointer::SharedMut;
use crate::tile;
use block::{Brought, Call, Task};
use output::Output;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use vcp_simd::{Dot, Exact, Register as _, Simd, Supported, kernel};

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

/// How the panels are kept in memory, of which as little as possible has to be read.
enum Panels {
    /// Weights that came in half precision: converting back is exact.
    Half(Memory),
    Single(Memory),
    /// Weights that came as whole numbers of 8 bits, with one scale per output, padded to whole panels.
    Codes(Memory, Vec<f32>),
}

/// Rows of a matrix, as they came.
pub(crate) trait Rows: Sync {
    /// Reads rows as numbers.
    fn read(&self, rows: Range<usize>, out: &mut [f32]);
    /// How they are stored without loss.
    fn storage(&self) -> Storage<'_>;
    /// Reads rows of [`Storage::Codes`] as they are.
    fn codes(&self, rows: Range<usize>, out: &mut [i8]);
}

/// See [`Rows::storage`].
#[derive(Clone, Copy)]
pub(crate) enum Storage<'a> {
    /// Every value is exactly an f16.
    Half,
    /// Anything else.
    Single,
    /// Whole numbers of 8 bits times a scale for each row.
    Codes(&'a [f32]),
}

impl PackedMatrix {
    /// Packs a matrix.
    pub(crate) fn pack(
        instruction_set: Supported,
        [outputs, inputs]: [usize; 2],
        bias: Option<&[f32]>,
        rows: &impl Rows,
    ) -> Self {
        let width = product_blocking(instruction_set).columns;
        let sizes = [outputs, inputs, width];
        let read = |range: Range<usize>, out: &mut [f32]| rows.read(range, out);
        let panels = match rows.storage() {
            Storage::Half => {
                let to_half = |value| half::f16::from_f32(value).to_bits();
                Panels::Half(fill_panels(sizes, &read, to_half))
            }
            Storage::Single => Panels::Single(fill_panels(sizes, &read, |value: f32| value)),
            Storage::Codes(scales) => {
                let codes = |range: Range<usize>, out: &mut [i8]| rows.codes(range, out);
                let scales = padded(Some(scales), outputs, width);
                Panels::Codes(fill_panels(sizes, &codes, |code: i8| code), scales)
            }
        };
        Self {
            outputs,
            inputs,
            width,
            panels,
            bias: padded(bias, outputs, width),
        }
    }
}

/// A value for each output, and zeros up to whole panels.
fn padded(values: Option<&[f32]>, outputs: usize, width: usize) -> Vec<f32> {
    let mut padded = vec![0.0; outputs.next_multiple_of(width)];
    if let Some(values) = values {
        padded[..outputs].copy_from_slice(values);
    }
    padded
}

fn fill_panels<F: Copy + Default, T: Element + Send>(
    [outputs, inputs, width]: [usize; 3],
    read: &(impl Fn(Range<usize>, &mut [F]) + Sync),
    convert: impl Fn(F) -> T + Sync,
) -> Memory {
    let total = outputs.div_ceil(width) * width * inputs;
    let mut memory = Memory::lasting(total * size_of::<T>());
    let panels: &mut [T] = memory.elements_mut(total);
    panels
        .par_chunks_mut(width * inputs)
        .enumerate()
        .for_each_init(Vec::new, |rows, (index, panel)| {
            let first = index * width;
            let present = width.min(outputs - first);
            rows.resize(present * inputs, F::default());
            read(first..first + present, rows);
            for (column, row) in rows.chunks_exact(inputs).enumerate() {
                for (k, &value) in row.iter().enumerate() {
                    panel[k * width + column] = convert(value);
                }
            }
        });
    memory
}

/// `x` [rows, inputs] times the matrix, into `out`, which holds `rows · outputs` numbers.
#[allow(clippy::too_many_arguments)]
pub(crate) fn multiply(
    instruction_set: Supported,
    pool: &Arc<Pool>,
    threads: usize,
    x: &[f32],
    normalise: Option<Normalise<'_>>,
    matrix: &PackedMatrix,
    finish: Finish<'_>,
    form: Form,
    out: &mut [f32],
) {
    let rows = x.len() / matrix.inputs;
    // The kernel writes through pointers, trusting this.
    assert_eq!(out.len(), form.numbers.words(rows * matrix.outputs));
    if rows == 0 {
        return;
    }
    let packed = pack::rows(instruction_set, pool, x, matrix.inputs, normalise);
    let blocking = product_blocking(instruction_set);
    // The kernel reads whole panels, trusting this.
    assert_eq!(
        matrix.width, blocking.columns,
        "weights packed for this instruction set"
    );
    let call = Call {
        packed: packed.words(),
        panels: matrix,
        output: Output {
            rows,
            outputs: matrix.outputs,
            bias: &matrix.bias,
            finish,
            form,
            to: SharedMut::new(out),
        },
        groups: matrix.inputs,
        depth: blocking.depth,
    };
    block::for_each_task(pool, threads, [rows, matrix.outputs], blocking, |task| {
        // SAFETY: the tasks cover disjoint blocks of the output, which lives until all
        // are done; the scratch buffers have the sizes that `block` asks for.
        unsafe { exact_block(instruction_set, &call, task) }
    });
}

kernel! {
    /// # Safety
    /// That of [`block::block`].
    unsafe fn exact_block(call: &Call<'_, &PackedMatrix>, task: Task<'_>)
        = for<Set> generic_block::<Set, { Set::PRODUCT.rows }, { Set::PRODUCT.registers }>;
}

#[inline(always)]
unsafe fn generic_block<S: Blocked, const MR: usize, const NV: usize>(
    simd: S,
    call: &Call<'_, &PackedMatrix>,
    task: Task<'_>,
) {
    const {
        assert!(block::is(S::PRODUCT, MR, NV));
        assert!(S::PRODUCT_DEPTH.is_multiple_of(tile::CHAIN));
    };
    // SAFETY: the caller's promise.
    unsafe { block::block::<Exact<S>, &PackedMatrix, MR, NV>(Exact(simd), call, task) }
}

impl<S: Simd> block::Panels<Exact<S>> for &PackedMatrix {
    #[inline(always)]
    unsafe fn bring(
        self,
        dot: Exact<S>,
        panel: usize,
        start: usize,
        count: usize,
        scratch: *mut u32,
    ) -> Brought {
        let simd = dot.simd();
        let total = self.bias.len() * self.inputs;
        let offset = (panel * self.inputs + start) * self.width;
        let length = count * self.width;
        // SAFETY: the memory holds `inputs · width` values for each panel, of which these are some; the scales one for
        // each column; the caller's promise for the scratch.
        unsafe {
            match &self.panels {
                Panels::Single(memory) => {
                    let from = memory.elements::<f32>(total).as_ptr().add(offset);
                    Brought {
                        groups: from.cast(),
                        next: from.wrapping_add(length).cast(),
                        bytes: length * size_of::<f32>(),
                    }
                }
                Panels::Half(memory) => {
                    let from = memory.elements::<u16>(total).as_ptr().add(offset);
                    let mut i = 0;
                    while i < length {
                        simd.load_half(from.add(i)).store(scratch.add(i).cast());
                        i += S::LANES;
                    }
                    Brought {
                        groups: scratch,
                        next: from.wrapping_add(length).cast(),
                        bytes: length * size_of::<u16>(),
                    }
                }
                Panels::Codes(memory, scales) => {
                    let from = memory.elements::<i8>(total).as_ptr().add(offset);
                    let scales = scales.as_ptr().add(panel * self.width);
                    let mut k = 0;
                    while k < length {
                        let mut j = 0;
                        while j < self.width {
                            let value = simd.load_codes(from.add(k + j)) * simd.load(scales.add(j));
                            value.store(scratch.add(k + j).cast());
                            j += S::LANES;
                        }
                        k += self.width;
                    }
                    Brought {
                        groups: scratch,
                        next: from.wrapping_add(length).cast(),
                        bytes: length,
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn values<const MR: usize, const NV: usize>(
        self,
        _: Exact<S>,
        _: usize,
        _: usize,
        sums: &[[S::F32; NV]; MR],
    ) -> [[S::F32; NV]; MR] {
        *sums
    }
}
