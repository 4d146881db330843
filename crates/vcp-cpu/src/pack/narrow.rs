//! Activations as narrow numbers, in panels of rows.

use super::{Normalise, normalise_row};
use crate::buffer::{Buffer, Pool};
use crate::units::{Bf16Unit, Int8Unit, RowPanels};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use vcp_simd::{Lanes as _, Register as _, Supported, bf16_pair, kernel};

/// Numbers that are multiplied with weights.
#[derive(Clone, Copy)]
pub(crate) enum Activations<'a> {
    F32(&'a [f32]),
    /// Of a product before ([`crate::product::Numbers::Bf16`]).
    Bf16(&'a [u16]),
}

impl Activations<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }
}

/// Rows to be packed.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) instruction_set: Supported,
    pub(crate) pool: &'a Arc<Pool>,
    /// [rows, width].
    pub(crate) x: Activations<'a>,
    pub(crate) width: usize,
    /// Groups of a packed row; numbers behind the row's own are zeros, or anything where weights are zeros.
    pub(crate) groups: usize,
    pub(crate) normalise: Option<Normalise<'a>>,
}

/// Rows of whole numbers.
pub(crate) struct Quantised {
    pub(crate) words: Buffer,
    /// Of each row, what its whole numbers are multiplied with.
    pub(crate) scales: Vec<f32>,
    /// Of each row, the whole number that stands for 0.
    pub(crate) zeros: Vec<i32>,
}

/// A range that is less could not be divided by.
pub(crate) const NOTHING: f32 = 256.0 * f32::MIN_POSITIVE;

/// 1.5 · 2²³: what is added to it has no room for a fraction, and its last bits are the whole number.
pub(crate) const ROUNDS: f32 = 12_582_912.0;

/// How a row is brought to 0..=255: x ≈ (code − zero) · scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) scale: f32,
    pub(crate) zero: i32,
}

impl Scale {
    /// From the row's smallest and largest value, or 0 where all are on one side of it. Where a value is no finite number,
    /// neither is the scale, and so no result.
    pub(crate) fn of([low, high]: [f32; 2]) -> Self {
        let range = high - low;
        if range < NOTHING {
            return Self {
                scale: 1.0,
                zero: 0,
            };
        }
        let scale = range / 255.0;
        let zero = (-low / scale).round_ties_even();
        Self {
            scale,
            zero: zero as i32,
        }
    }
}

impl Source<'_> {
    /// Rounded to bf16.
    pub(crate) fn bf16(&self, unit: Bf16Unit) -> Buffer {
        let panels = unit.row_panels();
        let mut packed = self.take(panels);
        packed
            .words_mut()
            .par_chunks_mut(panels.height * self.groups)
            .enumerate()
            .for_each_init(
                || self.scratch(panels),
                |(row, narrow), (index, panel)| {
                    let narrow = narrow.words_mut();
                    let rows = self.rows(index, panels);
                    for (at, words) in rows.clone().zip(narrow.chunks_exact_mut(self.groups)) {
                        match (self.x, self.normalise) {
                            (Activations::Bf16(values), None) => {
                                pair_up(&values[at * self.width..][..self.width], words);
                            }
                            _ => round_row(self.instruction_set, self.row(at, row), words),
                        }
                    }
                    panels.lay(&narrow[..rows.len() * self.groups], self.groups, panel);
                },
            );
        packed
    }

    /// As whole numbers of 8 bits.
    pub(crate) fn int8(&self, unit: Int8Unit) -> Quantised {
        let panels = unit.row_panels();
        let rows = self.x.len() / self.width;
        let mut words = self.take(panels);
        let (mut scales, mut zeros) = (vec![0.0; rows], vec![0; rows]);
        words
            .words_mut()
            .par_chunks_mut(panels.height * self.groups)
            .zip(scales.par_chunks_mut(panels.height))
            .zip(zeros.par_chunks_mut(panels.height))
            .enumerate()
            .for_each_init(
                || self.scratch(panels),
                |(row, narrow), (index, ((panel, scales), zeros))| {
                    let narrow = narrow.words_mut();
                    for (i, at) in self.rows(index, panels).enumerate() {
                        let source = self.row(at, row);
                        let scale = Scale::of(limits(self.instruction_set, source));
                        (scales[i], zeros[i]) = (scale.scale, scale.zero);
                        let words = &mut narrow[i * self.groups..][..self.groups];
                        quantise_row(self.instruction_set, source, scale, words);
                    }
                    panels.lay(&narrow[..scales.len() * self.groups], self.groups, panel);
                },
            );
        Quantised {
            words,
            scales,
            zeros,
        }
    }

    fn take(&self, panels: RowPanels) -> Buffer {
        let rows = (self.x.len() / self.width).next_multiple_of(panels.height);
        self.pool.take(rows * self.groups)
    }

    /// A row of numbers, and a panel of narrow rows.
    fn scratch(&self, panels: RowPanels) -> (Buffer, Buffer) {
        let narrow = self.pool.take_zeroed(panels.height * self.groups);
        (self.pool.take(self.width), narrow)
    }

    /// The rows of a panel.
    fn rows(&self, panel: usize, panels: RowPanels) -> Range<usize> {
        let first = panel * panels.height;
        first..(self.x.len() / self.width).min(first + panels.height)
    }

    /// A row, normalised where that is asked for; `scratch` has room for it.
    fn row<'a>(&'a self, row: usize, scratch: &'a mut Buffer) -> &'a [f32] {
        let range = row * self.width..(row + 1) * self.width;
        match (self.x, self.normalise) {
            (Activations::F32(values), None) => &values[range],
            (Activations::F32(values), Some(normalise)) => {
                normalise_row(self.instruction_set, &values[range], scratch, normalise);
                scratch
            }
            (Activations::Bf16(values), normalise) => {
                assert!(
                    normalise.is_none(),
                    "what is normalised is not rounded before"
                );
                widen(self.instruction_set, &values[range], scratch);
                scratch
            }
        }
    }
}

/// Numbers in groups of two; behind the last one of an odd row comes 0.
fn pair_up(from: &[u16], to: &mut [u32]) {
    let pairs = from.chunks_exact(2);
    if let [last] = pairs.remainder() {
        to[from.len() / 2] = u32::from(*last);
    }
    for (to, pair) in to.iter_mut().zip(pairs) {
        *to = u32::from(pair[0]) | u32::from(pair[1]) << 16;
    }
}

kernel! {
    /// bf16 as `f32`.
    fn widen<S: Simd>(simd: S, from: &[u16], to: &mut [f32]) {
        let _ = simd;
        for (to, from) in to.iter_mut().zip(from) {
            *to = f32::from_bits(u32::from(*from) << 16);
        }
    }
}

kernel! {
    /// Pairs of bf16.
    fn round_row<S: Simd>(simd: S, from: &[f32], to: &mut [u32]) {
        let _ = simd;
        let pairs = from.chunks_exact(2);
        let last = pairs.remainder();
        for (to, pair) in to.iter_mut().zip(pairs) {
            *to = bf16_pair(pair[0], pair[1]);
        }
        if let [last] = last {
            to[from.len() / 2] = bf16_pair(*last, 0.0);
        }
    }
}

kernel! {
    /// The smallest and the largest value, or 0 where that is smaller or larger; no numbers where a value is not finite.
    pub(crate) fn limits<S: Simd>(simd: S, row: &[f32]) -> [f32; 2] {
        let nothing = simd.splat(0.0);
        let (mut low, mut high, mut check) = (nothing, nothing, nothing);
        let mut registers = row.chunks_exact(S::LANES);
        for values in registers.by_ref() {
            let values = simd.read(values);
            (low, high) = (low.min(values), high.max(values));
            // Zero, unless a value is infinite or no number.
            check = values.mul_add(nothing, check);
        }
        let mut lanes = [[0.0_f32; vcp_simd::MOST_LANES]; 3];
        for (register, lanes) in [low, high, check].into_iter().zip(&mut lanes) {
            register.write(lanes);
        }
        let (mut least, mut most, mut none) = (0.0_f32, 0.0_f32, 0.0_f32);
        let [lows, highs, checks] = &lanes;
        for ((low, high), check) in lows.iter().zip(highs).zip(checks).take(S::LANES) {
            (least, most) = (least.min(*low), most.max(*high));
            none += check;
        }
        for &value in registers.remainder() {
            (least, most) = (least.min(value), most.max(value));
            none += value * 0.0;
        }
        [least + none, most + none]
    }
}

/// The nearest whole number, ties to even, of a value that is brought to 0..=255.
#[inline(always)]
pub(crate) fn code(value: f32, inverse: f32, zero: f32) -> u8 {
    let code = (value * inverse + zero).clamp(0.0, 255.0);
    (code + ROUNDS).to_bits() as u8
}

kernel! {
    /// Groups of four.
    fn quantise_row<S: Simd>(simd: S, from: &[f32], scale: Scale, to: &mut [u32]) {
        let _ = simd;
        let (inverse, zero) = (1.0 / scale.scale, scale.zero as f32);
        let groups = from.chunks_exact(4);
        let last = groups.remainder();
        let count = from.len() / 4;
        for (to, four) in to.iter_mut().zip(groups) {
            let mut group = [0; 4];
            for (code_of, value) in group.iter_mut().zip(four) {
                *code_of = code(*value, inverse, zero);
            }
            *to = u32::from_le_bytes(group);
        }
        if !last.is_empty() {
            let mut group = [0; 4];
            for (code_of, value) in group.iter_mut().zip(last) {
                *code_of = code(*value, inverse, zero);
            }
            to[count] = u32::from_le_bytes(group);
        }
    }
}
