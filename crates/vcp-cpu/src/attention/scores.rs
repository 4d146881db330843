//! Scores as products of whole numbers of 8 bits, in the manner of "`SageAttention`" (Zhang et al. 2024).
//!
//! A softmax does not change when something is added to all scores of a query. So each channel's smallest value may be taken
//! off the keys, which takes away what all keys of a head have in common: the large channels of trained towers. What is left is
//! brought to 0..=255 by one scale for the head. A query is brought to −127..=127 by a scale of its own. Sums are exact.

use crate::pack::narrow::{NOTHING, ROUNDS, code as code_of};
use crate::product::HEAD;
use vcp_simd::kernel;

/// Groups of four channels in a row.
pub(super) const GROUPS: usize = HEAD / 4;

/// Words of a row of bf16.
const WORDS: usize = HEAD / 2;

#[inline(always)]
fn widened(words: &[u32]) -> [f32; HEAD] {
    let mut row = [0.0; HEAD];
    for (pair, word) in row.as_chunks_mut::<2>().0.iter_mut().zip(words) {
        *pair = [
            f32::from_bits(word << 16),
            f32::from_bits(word & 0xffff_0000),
        ];
    }
    row
}

/// Whole numbers, four in a word.
#[inline(always)]
fn joined(codes: &[u8; HEAD]) -> [u32; GROUPS] {
    let mut words = [0; GROUPS];
    for (word, codes) in words.iter_mut().zip(codes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*codes);
    }
    words
}

kernel! {
    /// The keys of a head, [rows, 64] of bf16, as whole numbers in panels of `height` keys, each group by group; missing
    /// keys are zeros. Gives what a whole number stands for; no number where a key is not finite.
    pub(super) fn quantise_keys<S: Simd>(
        simd: S,
        rows: &[u32],
        height: usize,
        packed: &mut [u32],
    ) -> f32 {
        let _ = simd;
        let mut low = [f32::INFINITY; HEAD];
        let mut high = [f32::NEG_INFINITY; HEAD];
        // Zero, unless a value is infinite or no number.
        let mut check = [0.0_f32; HEAD];
        for row in rows.chunks_exact(WORDS) {
            let row = widened(row);
            for (((low, high), check), value) in low.iter_mut().zip(&mut high).zip(&mut check).zip(row) {
                *low = if value < *low { value } else { *low };
                *high = if value > *high { value } else { *high };
                *check += value * 0.0;
            }
        }
        let ranges = low.iter().zip(&high).map(|(low, high)| high - low);
        let range = ranges.fold(0.0, f32::max);
        let scale = if range < NOTHING { 1.0 } else { range / 255.0 };
        let inverse = 1.0 / scale;
        for (panel, rows) in packed.chunks_exact_mut(height * GROUPS).zip(rows.chunks(height * WORDS)) {
            if rows.len() < height * WORDS {
                panel.fill(0);
            }
            for (i, row) in rows.chunks_exact(WORDS).enumerate() {
                let row = widened(row);
                let mut codes = [0; HEAD];
                for ((code, value), low) in codes.iter_mut().zip(row).zip(&low) {
                    *code = code_of(value - low, inverse, 0.0);
                }
                for (group, word) in joined(&codes).iter().enumerate() {
                    panel[group * height + i] = *word;
                }
            }
        }
        scale + check.iter().sum::<f32>()
    }
}

/// At most `width` queries, [queries, 64] of bf16, as whole numbers in groups of channels, `width` of them for each; columns
/// without a query are zeros. `factors` becomes what scores are multiplied with; no number where a query is not finite.
#[inline(always)]
pub(super) fn quantise_queries(
    query: &[u32],
    key_scale: f32,
    width: usize,
    queries: &mut [u32],
    factors: &mut [f32],
) {
    if query.len() < width * WORDS {
        queries.fill(0);
    }
    for ((column, row), factor) in query.chunks_exact(WORDS).enumerate().zip(factors) {
        let row = widened(row);
        let (mut largest, mut check) = (0.0_f32, 0.0_f32);
        for value in row {
            let magnitude = value.abs();
            largest = if magnitude > largest {
                magnitude
            } else {
                largest
            };
            check += value * 0.0;
        }
        let scale = if largest < NOTHING {
            1.0
        } else {
            largest / 127.0
        };
        let inverse = 1.0 / scale;
        let mut codes = [0; HEAD];
        for (code, value) in codes.iter_mut().zip(row) {
            // Two's complement of 8 bits.
            *code = (value * inverse + ROUNDS).to_bits() as u8;
        }
        for (group, word) in joined(&codes).iter().enumerate() {
            queries[group * width + column] = *word;
        }
        *factor = (scale + check) * key_scale;
    }
}
