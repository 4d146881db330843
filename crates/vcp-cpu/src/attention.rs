//! Self-attention that never writes the scores to memory.
//!
//! For a block of queries, the keys are visited in chunks: scores of the chunk, running
//! maximum and sum (the "online" softmax of Milakov and Gimelshein 2018, used for attention
//! by Rabe and Staats 2021 and Dao et al. 2022), then the chunk's share of the output. All
//! of it stays in the first-level cache. Everything is transposed (a row per key or
//! channel, a column per query), so that the softmax runs down the columns and every lane
//! of a register is a query of its own: no sums across lanes, no padding of keys.

use crate::blocking::{Blocked, attention_blocking};
use crate::buffer::{Buffer, Pool};
use crate::pointer::SharedMut;
use crate::product::HEAD;
use crate::small::Matrices;
use crate::tile;
use rayon::prelude::*;
use std::sync::Arc;
use vcp_simd::{Lanes as _, Register as _, Supported, kernel, math};

/// Keys handled between two looks at the running maximum.
const CHUNK: usize = 128;

/// 1/√64 of the softmax, and log₂ e since the weights are computed as powers of two.
const SCALE: f32 = 0.125 * std::f32::consts::LOG2_E;

/// Softmax(q kᵀ / √64) v for every head.
///
/// `projected` is [batch, 3 · heads, rows, 64]: queries of all heads, then keys, then values
/// ([`crate::product::Layout::Heads`]). The result is [batch, rows, heads · 64].
pub(crate) fn self_attention(
    instruction_set: Supported,
    pool: &Arc<Pool>,
    projected: &[f32],
    batch: usize,
    heads: usize,
    rows: usize,
) -> Buffer {
    let blocking = attention_blocking(instruction_set);
    let head_size = rows * HEAD;
    let part = |image: usize, which: usize, head: usize| {
        let start = ((image * 3 + which) * heads + head) * head_size;
        &projected[start..start + head_size]
    };
    let padded_keys = rows.next_multiple_of(blocking.keys);
    let mut keys = pool.take(batch * heads * padded_keys * HEAD);
    keys.par_chunks_mut(padded_keys * HEAD)
        .enumerate()
        .for_each(|(index, packed)| {
            pack_keys(part(index / heads, 1, index % heads), blocking.keys, packed);
        });

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
            let query = &part(image, 0, head)[first * HEAD..(first + present) * HEAD];
            let key = &keys[index * padded_keys * HEAD..][..padded_keys * HEAD];
            let value = part(image, 2, head);
            // SAFETY: each task writes `present` rows of 64 channels that no other task
            // writes; `out` lives until all are done; the slices have the sizes asked for.
            unsafe {
                let to = shared
                    .get()
                    .add((image * rows + first) * heads * HEAD + head * HEAD);
                query_block(
                    instruction_set,
                    query,
                    key,
                    value,
                    scratch,
                    to,
                    heads * HEAD,
                );
            }
        },
    );
    out
}

/// [rows, 64] → panels of `height` keys, each channel by channel; missing keys are zeros.
fn pack_keys(rows: &[f32], height: usize, packed: &mut [f32]) {
    for (panel, rows) in packed
        .chunks_exact_mut(height * HEAD)
        .zip(rows.chunks(height * HEAD))
    {
        if rows.len() < height * HEAD {
            panel.fill(0.0);
        }
        for (i, row) in rows.chunks_exact(HEAD).enumerate() {
            for (channel, &value) in row.iter().enumerate() {
                panel[channel * height + i] = value;
            }
        }
    }
}

kernel! {
    /// Attention of one block of queries to all keys of one head.
    ///
    /// # Safety
    /// `query` holds at most a block of rows of 64; `key` is packed by [`pack_keys`] for
    /// this instruction set; `value` holds a row of 64 for each key; `scratch` holds
    /// `(CHUNK + 128) · queries`; `out` takes a row of 64 at each multiple of `out_step`
    /// for every query.
    unsafe fn query_block(
        query: &[f32],
        key: &[f32],
        value: &[f32],
        scratch: &mut [f32],
        out: *mut f32,
        out_step: usize,
    ) = for<Set> generic_query_block::<Set, { Set::ATTENTION.rows }, { Set::ATTENTION.registers }>;
}

#[inline(always)]
unsafe fn generic_query_block<S: Blocked, const MR: usize, const NV: usize>(
    simd: S,
    query: &[f32],
    key: &[f32],
    value: &[f32],
    scratch: &mut [f32],
    out: *mut f32,
    out_step: usize,
) {
    const {
        assert!(MR == S::ATTENTION.rows && NV == S::ATTENTION.registers);
        assert!(CHUNK.is_multiple_of(MR) && HEAD.is_multiple_of(MR));
    };
    let width = NV * S::LANES;
    assert!(scratch.len() >= (CHUNK + 2 * HEAD) * width);
    assert!(query.len() <= width * HEAD);
    let present = query.len() / HEAD;
    let key_count = value.len() / HEAD;
    let (queries, rest) = scratch.split_at_mut(HEAD * width);
    let (sums, scores) = rest.split_at_mut(HEAD * width);
    // Qᵀ, scaled; columns without a query are zeros, and give
    // an even average that nobody reads.
    queries.fill(0.0);
    for (column, row) in query.chunks_exact(HEAD).enumerate() {
        for (channel, &element) in row.iter().enumerate() {
            queries[channel * width + column] = element * SCALE;
        }
    }
    sums.fill(0.0);
    // SAFETY: `scores` holds `CHUNK` rows of `width` (tiles of MR rows divide CHUNK), `sums`
    // and `queries` 64 rows; key panels are padded to whole tiles; value rows are read for
    // existing keys only.
    unsafe {
        let mut maximum = [simd.splat(f32::NEG_INFINITY); NV];
        let mut total = [simd.splat(0.0); NV];
        let mut first = 0;
        while first < key_count {
            let count = CHUNK.min(key_count - first);
            let mut row = 0;
            while row < count {
                let panel = key.as_ptr().add((first + row) * HEAD);
                let tile = tile::chain::<S, MR, NV>(simd, HEAD, panel, MR, queries.as_ptr());
                tile::store::<S, MR, NV>(&tile, scores.as_mut_ptr().add(row * width), width);
                row += MR;
            }

            let mut highest = maximum;
            for row in 0..count {
                for (j, highest) in highest.iter_mut().enumerate() {
                    *highest =
                        highest.max(simd.load(scores.as_ptr().add(row * width + j * S::LANES)));
                }
            }
            // Sums of the chunk alone: adding them to those before it is one rounding, not one for
            // each key.
            let mut share = [simd.splat(0.0); NV];
            let mut shrink = [simd.splat(0.0); NV];
            for j in 0..NV {
                // In the first chunk this is 2^(−∞ − x), which comes out as (nearly) zero,
                // and everything it multiplies is zero.
                shrink[j] = math::exp2_of_negative(maximum[j] - highest[j]);
            }
            maximum = highest;
            for row in 0..count {
                for j in 0..NV {
                    let at = scores.as_mut_ptr().add(row * width + j * S::LANES);
                    let weight = math::exp2_of_negative(simd.load(at) - maximum[j]);
                    share[j] = share[j] + weight;
                    weight.store(at);
                }
            }
            for j in 0..NV {
                total[j] = total[j].mul_add(shrink[j], share[j]);
            }

            let mut channel = 0;
            while channel < HEAD {
                let to = sums.as_mut_ptr().add(channel * width);
                let values = value.as_ptr().add(first * HEAD + channel);
                let mut tile = tile::chain::<S, MR, NV>(simd, count, values, HEAD, scores.as_ptr());
                let before = tile::load::<S, MR, NV>(simd, to, width);
                for (row, before) in tile.iter_mut().zip(&before) {
                    for ((element, before), shrink) in row.iter_mut().zip(before).zip(&shrink) {
                        *element = before.mul_add(*shrink, *element);
                    }
                }
                tile::store::<S, MR, NV>(&tile, to, width);
                channel += MR;
            }
            first += count;
        }

        for (j, total) in total.iter().enumerate() {
            let factor = simd.splat(1.0) / *total;
            for channel in 0..HEAD {
                let at = sums.as_mut_ptr().add(channel * width + j * S::LANES);
                (simd.load(at) * factor).store(at);
            }
        }
        for column in 0..present {
            let to = out.add(column * out_step);
            for channel in 0..HEAD {
                *to.add(channel) = sums[channel * width + column];
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
