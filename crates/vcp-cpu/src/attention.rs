//! Self-attention that never writes the scores to memory.
//!
//! For a block of queries, the keys are visited in chunks: scores of a few keys at a time become weights while
//! they are in registers, and then come the chunk's shares of the output. All of it stays close. Scores are
//! transposed (a row per key, a column per query), so that the softmax runs down the columns and every lane
//! of a register is a query of its own: no sums across lanes, no padding of keys.
//!
//! Weights are powers of the scores less a reference, and the sums of weights and of weighted values are divided by each
//! other at the end (the "online" softmax of Milakov and Gimelshein 2018, used for attention by Rabe and Staats 2021 and
//! Dao et al. 2022). The reference need not be the maximum so far: it only has to keep weights from overflowing, so it
//! rises, for all queries of a block, when a score of one of them is far above it: sums shrink, and what waits for its
//! values is added first. Behind the first keys that takes scores that are quite unlike those before. So the last bits of a
//! query's result may depend on the queries beside it in its image, and on nothing else.

mod block;
mod pass;
mod scores;

use self::block::{exact_block, narrow_block};
use self::pass::{CHUNK, Keys};
use crate::blocking::{AttentionBlocking, attention_blocking};
use crate::buffer::{Buffer, Pool};
use crate::pack::interleave;
use crate::pointer::SharedMut;
use crate::product::HEAD;
use crate::small::Matrices;
use crate::units::{AttentionUnit, with_bf16};
use rayon::prelude::*;
use std::sync::Arc;
use vcp_simd::{Dot as _, Supported, kernel};

/// What queries are multiplied with: 1/√64 of the softmax, and log₂ e since the weights are computed as powers of two.
pub(crate) const SCALE: f32 = 0.125 * std::f32::consts::LOG2_E;

/// Softmax(q kᵀ / √64) v for every head.
///
/// `projected` is [batch, 3 · heads, rows, 64]: queries of all heads times [`SCALE`], then keys, then values
/// ([`crate::product::Layout::Heads`]); `f32`, or with a `unit` bf16, two in a word. The result is
/// [batch, rows, heads · 64]. With a `unit` the softmax's weights are rounded to bf16 too, and products summed up in `f32`;
/// scores may be products of whole numbers ([`scores`]).
pub(crate) fn self_attention(
    instruction_set: Supported,
    unit: Option<AttentionUnit>,
    pool: &Arc<Pool>,
    projected: &[u32],
    [batch, heads, rows]: [usize; 3],
) -> Buffer {
    let blocking = match unit {
        None => attention_blocking(instruction_set),
        Some(unit) => with_bf16!(unit.bf16, dot => AttentionBlocking::with(dot.simd())),
    };
    let group = if unit.is_some() { 2 } else { 1 };
    let groups = HEAD / group;
    let part = |image: usize, which: usize, head: usize| {
        let start = ((image * 3 + which) * heads + head) * rows * groups;
        &projected[start..start + rows * groups]
    };
    let scores = unit.and_then(|unit| unit.scores);
    let key_groups = if scores.is_some() {
        scores::GROUPS
    } else {
        groups
    };
    let key_words = rows.next_multiple_of(blocking.keys) * key_groups;
    let mut keys = pool.take(batch * heads * key_words);
    let mut key_scales = vec![1.0; batch * heads];
    keys.words_mut()
        .par_chunks_mut(key_words)
        .zip(&mut key_scales)
        .enumerate()
        .for_each(|(index, (packed, scale))| {
            let rows = part(index / heads, 1, index % heads);
            if scores.is_some() {
                *scale = scores::quantise_keys(instruction_set, rows, blocking.keys, packed);
            } else {
                for (panel, rows) in packed
                    .chunks_exact_mut(blocking.keys * groups)
                    .zip(rows.chunks(blocking.keys * groups))
                {
                    interleave(rows, groups, blocking.keys, panel);
                }
            }
        });
    let value_words = rows.div_ceil(2) * HEAD;
    let mut values = unit.map(|_| pool.take(batch * heads * value_words));
    if let Some(values) = &mut values {
        values
            .words_mut()
            .par_chunks_mut(value_words)
            .enumerate()
            .for_each(|(index, packed)| {
                let rows = part(index / heads, 2, index % heads);
                pack_value_pairs(instruction_set, rows, packed);
            });
    }

    let mut out = pool.take(batch * rows * heads * HEAD);
    let shared = SharedMut::new(&mut out);
    let blocks = rows.div_ceil(blocking.queries);
    (0..batch * heads * blocks).into_par_iter().for_each_init(
        || pool.take((CHUNK + 2 * HEAD) * blocking.queries),
        |scratch, task| {
            let (index, block) = (task / blocks, task % blocks);
            let (image, head) = (index / heads, index % heads);
            let first = block * blocking.queries;
            let present = blocking.queries.min(rows - first);
            let query = &part(image, 0, head)[first * groups..(first + present) * groups];
            let key = &keys.words()[index * key_words..][..key_words];
            // SAFETY: each task writes `present` rows of 64 channels that no other task
            // writes; `out` lives until all are done; the slices have the sizes asked for.
            unsafe {
                let to = shared
                    .get()
                    .add((image * rows + first) * heads * HEAD + head * HEAD);
                let step = heads * HEAD;
                if let (Some(unit), Some(values)) = (unit, &values) {
                    let value = &values.words()[index * value_words..][..value_words];
                    let keys = Keys {
                        key,
                        scale: key_scales[index],
                        value,
                        count: rows,
                    };
                    narrow_block(unit, query, keys, scratch, to, step);
                } else {
                    let keys = Keys {
                        key,
                        scale: 1.0,
                        value: part(image, 2, head),
                        count: rows,
                    };
                    exact_block(instruction_set, query, keys, scratch, to, step);
                }
            }
        },
    );
    out
}

kernel! {
    /// [rows, 64] of bf16, two in a word → [pairs of rows, 64]; a missing row is zeros.
    fn pack_value_pairs<S: Simd>(simd: S, rows: &[u32], packed: &mut [u32]) {
        const WORDS: usize = HEAD / 2;
        let _ = simd;
        for (packed, rows) in packed.chunks_exact_mut(HEAD).zip(rows.chunks(2 * WORDS)) {
            let (first, second) = rows.split_at(WORDS);
            let second = if second.is_empty() { &[0; WORDS] } else { second };
            for ((to, first), second) in packed.chunks_exact_mut(2).zip(first).zip(second) {
                to[0] = first & 0xffff | second << 16;
                to[1] = first >> 16 | second & 0xffff_0000;
            }
        }
    }
}

/// Attention of few rows, stated plainly; see [`vcp_model::Operations::attention`].
pub(crate) fn plain(
    query: Matrices<'_>,
    key: Matrices<'_>,
    value: Matrices<'_>,
    heads: usize,
    causal: bool,
    out: &mut [f32],
) {
    let channels = query.columns;
    let width = channels / heads;
    let scale = 1.0 / (width as f32).sqrt();
    let mut weights = Vec::with_capacity(key.rows);
    for (index, out) in out.chunks_exact_mut(width).enumerate() {
        let (row, head) = (index / heads, index % heads);
        let (image, row) = (row / query.rows, row % query.rows);
        let visible = if causal {
            key.rows - query.rows + row + 1
        } else {
            key.rows
        };
        let part = |matrices: Matrices<'_>, row: usize| {
            let start = (image * matrices.rows + row) * channels + head * width;
            start..start + width
        };
        let query = &query.values[part(query, row)];
        weights.clear();
        weights.extend((0..visible).map(|row| {
            let key = &key.values[part(key, row)];
            scale * query.iter().zip(key).map(|(q, k)| q * k).sum::<f32>()
        }));
        let highest = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut total = 0.0;
        for weight in &mut weights {
            *weight = (*weight - highest).exp();
            total += *weight;
        }
        out.fill(0.0);
        for (row, weight) in weights.iter().enumerate() {
            let value = &value.values[part(value, row)];
            for (out, value) in out.iter_mut().zip(value) {
                *out += weight / total * value;
            }
        }
    }
}
