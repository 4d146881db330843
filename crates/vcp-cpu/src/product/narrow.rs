//! Products of narrow numbers: bf16, or whole numbers of 8 bits.
//!
//! bf16: rows and weights are rounded to bf16, products and their sums are `f32`.
//!
//! int8: a weight is a whole number of 8 bits (7 where instructions would saturate) times a scale of its output, symmetric around zero. A row of activations
//! is brought to 0..=255 by a scale and a zero of its own, which depend on the row alone ([`Scale::of`]); so a result
//! depends on its image alone, whatever else is in the batch. Sums are exact, on every processor the same:
//! `Σ_k (a[m,k] − zero[m]) · w[n,k] = Σ_k a[m,k] · w[n,k] − zero[m] · Σ_k w[n,k]`, where the last sum is known when
//! the model loads. Only then they are multiplied with the two scales.

#[cfg(target_arch = "x86_64")]
use super::amx;
use super::block::{self, Brought, Call, Task};
use super::output::{Form, Output};
use super::{Rows, Storage, padded};
use crate::blocking::NarrowBlocked;
use crate::buffer::{Memory, Pool};
use crate::finish::Finish;
use crate::pack::Normalise;
use crate::pack::narrow::{self, Activations};
use crate::pointer::SharedMut;
use crate::units::{Bf16Unit, Int8Unit, NarrowUnit};
use rayon::prelude::*;
use std::sync::Arc;
#[cfg(target_arch = "x86_64")]
use vcp_simd::dot::{
    amx::{AmxBf16, AmxInt8},
    avx2::{Avx2Bytes, AvxVnni},
    avx512::{Avx512Bf16, Avx512Bytes, Avx512Vnni},
};
use vcp_simd::{Dot, IntegerDot, Simd, Supported, to_bf16};
#[cfg(test)]
use {
    crate::blocking::Tile,
    vcp_simd::dot::portable::{PortableBf16, PortableBytes, PortableSaturating},
};

/// Most inputs: sums of more products of 8 bits might not fit 32.
pub(crate) const MOST_INPUTS: usize = 1 << 15;

/// A weight matrix [outputs, inputs] of narrow numbers, in panels of columns.
pub(crate) struct NarrowMatrix {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    unit: NarrowUnit,
    /// Groups of numbers in a row.
    groups: usize,
    /// Columns of a panel.
    width: usize,
    /// [panels, groups, width, numbers of a group].
    panels: Memory,
    /// One value per output, padded to whole panels; zeros where the layer has none.
    bias: Vec<f32>,
    /// int8: what each output's whole numbers are multiplied with, padded.
    scales: Vec<f32>,
    /// int8: the sum of each output's whole numbers, padded.
    totals: Vec<i32>,
}

/// Brings weights to -`most`..=`most`, with ties to even, and gives the scale that this takes.
fn quantise(values: &[f32], most: i8, codes: &mut [i8]) -> f32 {
    let most = f32::from(most);
    let largest = values
        .iter()
        .fold(0.0_f32, |largest, value| largest.max(value.abs()));
    // What is no finite number makes none of the output's results.
    let none: f32 = values.iter().map(|value| value * 0.0).sum();
    let scale = if largest > 0.0 { largest / most } else { 1.0 } + none;
    for (code, value) in codes.iter_mut().zip(values) {
        *code = (value / scale).round_ties_even().clamp(-most, most) as i8;
    }
    scale
}

impl NarrowMatrix {
    /// Packs a matrix; weights that are not stored so are rounded.
    pub(crate) fn pack(
        unit: NarrowUnit,
        [outputs, inputs]: [usize; 2],
        bias: Option<&[f32]>,
        rows: &impl Rows,
    ) -> Self {
        assert!(inputs <= MOST_INPUTS, "sums that fit 32 bits");
        let (width, group) = (unit.blocking().columns, unit.group());
        let groups = inputs.div_ceil(group).next_multiple_of(unit.step());
        let count = outputs.div_ceil(width);
        let mut matrix = Self {
            outputs,
            inputs,
            unit,
            groups,
            width,
            panels: Memory::zeroed(0),
            bias: padded(bias, outputs, width),
            scales: Vec::new(),
            totals: Vec::new(),
        };
        let total = count * width * groups * group;
        match unit {
            NarrowUnit::Bf16(_) => {
                let mut memory = Memory::lasting(total * size_of::<u16>());
                let panels: &mut [u16] = memory.elements_mut(total);
                panels
                    .par_chunks_mut(width * groups * group)
                    .enumerate()
                    .for_each_init(
                        || vec![0.0; inputs],
                        |row, (index, panel)| {
                            let first = index * width;
                            for column in 0..width.min(outputs - first) {
                                rows.read(first + column..first + column + 1, row);
                                let narrow = row.iter().map(|value| to_bf16(*value));
                                put(narrow, column, [width, group], panel);
                            }
                        },
                    );
                matrix.panels = memory;
            }
            NarrowUnit::Int8(integers) => {
                let mut memory = Memory::lasting(total);
                let mut scales = vec![0.0; count * width];
                let mut totals = vec![0; count * width];
                let panels: &mut [i8] = memory.elements_mut(total);
                let most = integers.largest_weight();
                let stored = match rows.storage() {
                    Storage::Codes(scales) if most == 127 => Some(scales),
                    _ => None,
                };
                panels
                    .par_chunks_mut(width * groups * group)
                    .zip(scales.par_chunks_mut(width))
                    .zip(totals.par_chunks_mut(width))
                    .enumerate()
                    .for_each_init(
                        || (vec![0.0; inputs], vec![0; inputs]),
                        |(row, codes), (index, ((panel, scales), totals))| {
                            let first = index * width;
                            for column in 0..width.min(outputs - first) {
                                let range = first + column..first + column + 1;
                                if let Some(stored) = stored {
                                    rows.codes(range, codes);
                                    scales[column] = stored[first + column];
                                } else {
                                    rows.read(range, row);
                                    scales[column] = quantise(row, most, codes);
                                }
                                totals[column] = codes.iter().map(|code| i32::from(*code)).sum();
                                put(codes.iter().copied(), column, [width, group], panel);
                            }
                        },
                    );
                (matrix.panels, matrix.scales, matrix.totals) = (memory, scales, totals);
            }
        }
        matrix
    }
}

impl NarrowMatrix {
    /// For the record of operations.
    pub(crate) fn precision(&self) -> &'static str {
        match self.unit {
            NarrowUnit::Bf16(_) => "bf16 ",
            NarrowUnit::Int8(_) => "int8 ",
        }
    }
}

/// Puts a row of the matrix into a column of its panel [groups, width, group].
fn put<T>(
    row: impl Iterator<Item = T>,
    column: usize,
    [width, group]: [usize; 2],
    panel: &mut [T],
) {
    for (k, value) in row.enumerate() {
        panel[(k / group * width + column) * group + k % group] = value;
    }
}

/// `x` [rows, inputs] times the matrix, into `out`, which holds `rows · outputs` numbers.
#[allow(clippy::too_many_arguments)]
pub(crate) fn multiply(
    instruction_set: Supported,
    pool: &Arc<Pool>,
    threads: usize,
    x: Activations<'_>,
    normalise: Option<Normalise<'_>>,
    matrix: &NarrowMatrix,
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
    let output = Output {
        rows,
        outputs: matrix.outputs,
        bias: &matrix.bias,
        finish,
        form,
        to: SharedMut::new(out),
    };
    let source = narrow::Source {
        instruction_set,
        pool,
        x,
        width: matrix.inputs,
        groups: matrix.groups,
        normalise,
    };
    let blocking = matrix.unit.blocking();
    let sizes = [rows, matrix.outputs];
    match matrix.unit {
        NarrowUnit::Bf16(unit) => {
            let packed = source.bf16(unit);
            let call = Call {
                packed: packed.words(),
                panels: Bf16Panels(matrix),
                output,
                groups: matrix.groups,
                depth: blocking.depth,
            };
            block::for_each_task(pool, threads, sizes, blocking, |task| {
                // SAFETY: the tasks cover disjoint blocks of the output, which lives until all are done; the scratch
                // buffers have the sizes that `block` asks for.
                unsafe { bf16_block(unit, &call, task) }
            });
        }
        NarrowUnit::Int8(unit) => {
            let packed = source.int8(unit);
            let call = Call {
                packed: packed.words.words(),
                panels: Int8Panels {
                    matrix,
                    scales: &packed.scales,
                    zeros: &packed.zeros,
                },
                output,
                groups: matrix.groups,
                depth: blocking.depth,
            };
            block::for_each_task(pool, threads, sizes, blocking, |task| {
                // SAFETY: as above.
                unsafe { int8_block(unit, &call, task) }
            });
        }
    }
}

/// Weights as bf16.
#[derive(Clone, Copy)]
struct Bf16Panels<'a>(&'a NarrowMatrix);

/// Weights as whole numbers of 8 bits, and what the rows have been divided by.
#[derive(Clone, Copy)]
struct Int8Panels<'a> {
    matrix: &'a NarrowMatrix,
    scales: &'a [f32],
    zeros: &'a [i32],
}

impl NarrowMatrix {
    /// Where groups of a panel lie in memory, `bytes` for each number.
    #[inline(always)]
    fn place(
        &self,
        group: usize,
        panel: usize,
        start: usize,
        count: usize,
        bytes: usize,
    ) -> Brought {
        let offset = (panel * self.groups + start) * self.width * group * bytes;
        let length = count * self.width * group * bytes;
        let bytes = self
            .panels
            .elements::<i8>(self.bias.len() * self.groups * group * bytes);
        let from = bytes[offset..offset + length].as_ptr();
        Brought {
            groups: from.cast(),
            next: from.wrapping_add(length).cast(),
            bytes: length,
        }
    }
}

impl<D: Dot<Sums = <<D as Dot>::Simd as Simd>::F32>> block::Panels<D> for Bf16Panels<'_> {
    #[inline(always)]
    unsafe fn bring(self, _: D, panel: usize, start: usize, count: usize, _: *mut u32) -> Brought {
        self.0
            .place(D::GROUP, panel, start, count, size_of::<u16>())
    }

    #[inline(always)]
    unsafe fn values<const MR: usize, const NV: usize>(
        self,
        _: D,
        _: usize,
        _: usize,
        sums: &[[D::Sums; NV]; MR],
    ) -> [[D::Sums; NV]; MR] {
        *sums
    }
}

impl<D: IntegerDot> block::Panels<D> for Int8Panels<'_> {
    #[inline(always)]
    unsafe fn bring(self, _: D, panel: usize, start: usize, count: usize, _: *mut u32) -> Brought {
        self.matrix.place(D::GROUP, panel, start, count, 1)
    }

    #[inline(always)]
    unsafe fn values<const MR: usize, const NV: usize>(
        self,
        dot: D,
        first_row: usize,
        first_column: usize,
        sums: &[[D::Sums; NV]; MR],
    ) -> [[<D::Simd as Simd>::F32; NV]; MR] {
        let simd = dot.simd();
        let mut values = [[simd.splat(0.0); NV]; MR];
        // SAFETY: totals and scales are padded to whole panels.
        unsafe {
            let totals = self.matrix.totals.as_ptr().add(first_column);
            let scales = self.matrix.scales.as_ptr().add(first_column);
            for (i, (values, sums)) in values.iter_mut().zip(sums).enumerate() {
                // Rows that only fill up the last panel have neither.
                let row = (first_row + i).min(self.zeros.len() - 1);
                let (zero, scale) = (self.zeros[row], simd.splat(self.scales[row]));
                for (j, (value, sum)) in values.iter_mut().zip(sums).enumerate() {
                    let whole = dot.minus(*sum, zero, totals.add(j * D::LANES));
                    *value = whole * (scale * simd.load(scales.add(j * D::LANES)));
                }
            }
        }
        values
    }
}

/// # Safety
/// That of [`block::block`].
unsafe fn bf16_block(unit: Bf16Unit, call: &Call<'_, Bf16Panels<'_>>, task: Task<'_>) {
    match unit {
        #[cfg(target_arch = "x86_64")]
        Bf16Unit::Amx(tiles) => {
            vcp_simd::features! { Avx512Bf16 enabled
                unsafe fn run(tiles: AmxBf16, call: &Call<'_, Bf16Panels<'_>>, task: Task<'_>) {
                    // SAFETY: the caller's promise.
                    unsafe { amx::block::<_, _, 2>(tiles.registers(), tiles, call, task) }
                }
            }
            // SAFETY: the token proves the features; the caller's promise.
            unsafe { run(tiles, call, task) }
        }
        #[cfg(target_arch = "x86_64")]
        Bf16Unit::Avx512(dot) => {
            vcp_simd::features! { Avx512Bf16 enabled
                unsafe fn run(
                    dot: Avx512Bf16,
                    call: &Call<'_, Bf16Panels<'_>>,
                    task: Task<'_>,
                ) {
                    // SAFETY: the caller's promise.
                    unsafe { block::block::<
                            _,
                            _,
                            { <Avx512Bf16 as NarrowBlocked>::PRODUCT.rows },
                            { <Avx512Bf16 as NarrowBlocked>::PRODUCT.registers },
                        >(dot, call, task); }
                }
            }
            // SAFETY: the token proves the features; the caller's promise.
            unsafe { run(dot, call, task) }
        }
        #[cfg(all(test, target_arch = "x86_64"))]
        Bf16Unit::Tiled(dot) => {
            let tiles = crate::tests::PlainTiles(dot);
            // SAFETY: the caller's promise.
            unsafe { amx::block::<_, _, 4>(dot, tiles, call, task) }
        }
        #[cfg(test)]
        Bf16Unit::Portable(dot) => {
            const TILE: Tile = PortableBf16::PRODUCT;
            // SAFETY: the caller's promise.
            unsafe {
                block::block::<_, _, { TILE.rows }, { TILE.registers }>(dot, call, task);
            }
        }
    }
}

/// # Safety
/// That of [`block::block`].
unsafe fn int8_block(unit: Int8Unit, call: &Call<'_, Int8Panels<'_>>, task: Task<'_>) {
    /// One copy of the kernel.
    macro_rules! copy {
        ($token:ident, $type:ty, $dot:expr) => {{
            vcp_simd::features! { $token enabled
                unsafe fn run(dot: $type, call: &Call<'_, Int8Panels<'_>>, task: Task<'_>) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        block::block::<
                            _,
                            _,
                            { <$type as NarrowBlocked>::PRODUCT.rows },
                            { <$type as NarrowBlocked>::PRODUCT.registers },
                        >(dot, call, task);
                    }
                }
            }
            // SAFETY: the token proves the features; the caller's promise.
            unsafe { run($dot, call, task) }
        }};
    }
    match unit {
        #[cfg(target_arch = "x86_64")]
        Int8Unit::Amx(tiles) => {
            vcp_simd::features! { Avx512Vnni enabled
                unsafe fn run(tiles: AmxInt8, call: &Call<'_, Int8Panels<'_>>, task: Task<'_>) {
                    // SAFETY: the caller's promise.
                    unsafe { amx::block::<_, _, 2>(tiles.registers(), tiles, call, task) }
                }
            }
            // SAFETY: the token proves the features; the caller's promise.
            unsafe { run(tiles, call, task) }
        }
        #[cfg(target_arch = "x86_64")]
        Int8Unit::Avx512Vnni(dot) => copy!(Avx512Vnni, Avx512Vnni, dot),
        #[cfg(target_arch = "x86_64")]
        Int8Unit::AvxVnni(dot) => copy!(AvxVnni, AvxVnni, dot),
        #[cfg(target_arch = "x86_64")]
        Int8Unit::Avx512Bytes(dot) => copy!(Avx512Bytes, Avx512Bytes, dot),
        #[cfg(target_arch = "x86_64")]
        Int8Unit::Avx2Bytes(dot) => copy!(Avx2, Avx2Bytes, dot),
        #[cfg(all(test, target_arch = "x86_64"))]
        Int8Unit::Tiled(dot) => {
            let tiles = crate::tests::PlainTiles(dot);
            // SAFETY: the caller's promise.
            unsafe { amx::block::<_, _, 4>(dot, tiles, call, task) }
        }
        #[cfg(test)]
        Int8Unit::PortableBytes(dot) => {
            const TILE: Tile = PortableBytes::PRODUCT;
            // SAFETY: the caller's promise.
            unsafe {
                block::block::<_, _, { TILE.rows }, { TILE.registers }>(dot, call, task);
            }
        }
        #[cfg(test)]
        Int8Unit::PortableSaturating(dot) => {
            const TILE: Tile = PortableSaturating::PRODUCT;
            // SAFETY: the caller's promise.
            unsafe {
                block::block::<_, _, { TILE.rows }, { TILE.registers }>(dot, call, task);
            }
        }
    }
}
