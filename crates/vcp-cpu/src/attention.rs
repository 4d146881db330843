//! Self-attention that never writes the scores to memory.
//!
//! For a block of queries, the keys are visited in chunks: scores of the chunk, running
//! maximum and sum (the "online" softmax of Milakov and Gimelshein 2018, used for attention
//! by Rabe and Staats 2021 and Dao et al. 2022), then the chunk's share of the output. All
//! of it stays in the first-level cache. Everything is transposed (a row per key or
//! channel, a column per query), so that the softmax runs down the columns and every lane
//! of a register is a query of its own: no sums across lanes, no padding of keys.

use crate::blocking::{AttentionBlocking, Blocked, Tile, attention_blocking};
use crate::buffer::{Buffer, Pool};
use crate::pointer::SharedMut;
use crate::product::HEAD;
use crate::small::Matrices;
use crate::tile;
use crate::units::{Bf16Unit, with_bf16};
use rayon::prelude::*;
use std::sync::Arc;
#[cfg(test)]
use vcp_simd::Portable;
#[cfg(target_arch = "x86_64")]
use vcp_simd::{Avx512, dot::avx512::Avx512Bf16};
use vcp_simd::{Dot as _, Exact, FloatDot, Lanes as _, Simd, Supported, bf16_pair, kernel, math};

/// Keys handled between two looks at the running maximum.
const CHUNK: usize = 128;

/// 1/√64 of the softmax, and log₂ e since the weights are computed as powers of two.
const SCALE: f32 = 0.125 * std::f32::consts::LOG2_E;

/// Softmax(q kᵀ / √64) v for every head.
///
/// `projected` is [batch, 3 · heads, rows, 64]: queries of all heads, then keys, then values
/// ([`crate::product::Layout::Heads`]). The result is [batch, rows, heads · 64]. With a `unit`, queries, keys, values and
/// the softmax's weights are rounded to bf16, and products of them summed up in `f32`.
pub(crate) fn self_attention(
    instruction_set: Supported,
    unit: Option<Bf16Unit>,
    pool: &Arc<Pool>,
    projected: &[f32],
    [batch, heads, rows]: [usize; 3],
) -> Buffer {
    let blocking = match unit {
        None => attention_blocking(instruction_set),
        Some(unit) => with_bf16!(unit, dot => AttentionBlocking::with(dot.simd())),
    };
    let group = if unit.is_some() { 2 } else { 1 };
    let head_size = rows * HEAD;
    let part = |image: usize, which: usize, head: usize| {
        let start = ((image * 3 + which) * heads + head) * head_size;
        &projected[start..start + head_size]
    };
    let key_words = rows.next_multiple_of(blocking.keys) * HEAD / group;
    let mut keys = pool.take(batch * heads * key_words);
    keys.words_mut()
        .par_chunks_mut(key_words)
        .enumerate()
        .for_each(|(index, packed)| {
            let rows = part(index / heads, 1, index % heads);
            if group == 1 {
                pack_keys(rows, blocking.keys, packed);
            } else {
                pack_key_pairs(instruction_set, rows, blocking.keys, packed);
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
            let query = &part(image, 0, head)[first * HEAD..(first + present) * HEAD];
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
                        value,
                        count: rows,
                    };
                    bf16_block(unit, query, keys, scratch, to, step);
                } else {
                    let keys = Keys {
                        key,
                        value: words_of(part(image, 2, head)),
                        count: rows,
                    };
                    exact_block(instruction_set, query, keys, scratch, to, step);
                }
            }
        },
    );
    out
}

/// The bits of numbers.
fn words_of(values: &[f32]) -> &[u32] {
    // SAFETY: an `f32` has the size and the alignment of a `u32`, of which every bit pattern is a value.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// [rows, 64] → panels of `height` keys, each channel by channel; missing keys are zeros.
fn pack_keys(rows: &[f32], height: usize, packed: &mut [u32]) {
    for (panel, rows) in packed
        .chunks_exact_mut(height * HEAD)
        .zip(rows.chunks(height * HEAD))
    {
        if rows.len() < height * HEAD {
            panel.fill(0);
        }
        for (i, row) in rows.chunks_exact(HEAD).enumerate() {
            for (channel, &value) in row.iter().enumerate() {
                panel[channel * height + i] = value.to_bits();
            }
        }
    }
}

kernel! {
    /// As [`pack_keys`], with pairs of channels as bf16.
    fn pack_key_pairs<S: Simd>(simd: S, rows: &[f32], height: usize, packed: &mut [u32]) {
        let _ = simd;
        for (panel, rows) in packed
            .chunks_exact_mut(height * HEAD / 2)
            .zip(rows.chunks(height * HEAD))
        {
            if rows.len() < height * HEAD {
                panel.fill(0);
            }
            for (i, row) in rows.chunks_exact(HEAD).enumerate() {
                let mut pairs = [0; HEAD / 2];
                for (to, pair) in pairs.iter_mut().zip(row.chunks_exact(2)) {
                    *to = bf16_pair(pair[0], pair[1]);
                }
                for (channel, pair) in pairs.iter().enumerate() {
                    panel[channel * height + i] = *pair;
                }
            }
        }
    }
}

kernel! {
    /// [rows, 64] → [pairs of rows, 64], as bf16; a missing row is zeros.
    fn pack_value_pairs<S: Simd>(simd: S, rows: &[f32], packed: &mut [u32]) {
        let _ = simd;
        for (packed, rows) in packed.chunks_exact_mut(HEAD).zip(rows.chunks(2 * HEAD)) {
            let (first, second) = rows.split_at(HEAD);
            if second.len() == HEAD {
                for ((to, first), second) in packed.iter_mut().zip(first).zip(second) {
                    *to = bf16_pair(*first, *second);
                }
            } else {
                for (to, first) in packed.iter_mut().zip(first) {
                    *to = bf16_pair(*first, 0.0);
                }
            }
        }
    }
}

/// Keys and values of a head, packed.
#[derive(Clone, Copy)]
struct Keys<'a> {
    /// Panels of keys, each channel by channel (group by group of them).
    key: &'a [u32],
    /// 64 channels for each key (each group of keys).
    value: &'a [u32],
    count: usize,
}

kernel! {
    /// Attention of one block of queries to all keys of one head.
    ///
    /// # Safety
    /// That of [`query_block`].
    unsafe fn exact_block(
        query: &[f32],
        keys: Keys<'_>,
        scratch: &mut Buffer,
        out: *mut f32,
        out_step: usize,
    ) = for<Set> exact_query_block::<Set, { Set::ATTENTION.rows }, { Set::ATTENTION.registers }>;
}

#[inline(always)]
unsafe fn exact_query_block<S: Blocked, const MR: usize, const NV: usize>(
    simd: S,
    query: &[f32],
    keys: Keys<'_>,
    scratch: &mut Buffer,
    out: *mut f32,
    out_step: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        query_block::<Exact<S>, MR, NV>(Exact(simd), query, keys, scratch, out, out_step);
    }
}

/// # Safety
/// That of [`query_block`].
unsafe fn bf16_block(
    unit: Bf16Unit,
    query: &[f32],
    keys: Keys<'_>,
    scratch: &mut Buffer,
    out: *mut f32,
    out_step: usize,
) {
    #[cfg(target_arch = "x86_64")]
    vcp_simd::features! { Avx512Bf16 enabled
        unsafe fn avx512(
            dot: Avx512Bf16,
            query: &[f32],
            keys: Keys<'_>,
            scratch: &mut Buffer,
            out: *mut f32,
            out_step: usize,
        ) {
            const TILE: Tile = Avx512::ATTENTION;
            // SAFETY: the caller's promise.
            unsafe {
                query_block::<_, { TILE.rows }, { TILE.registers }>(
                    dot, query, keys, scratch, out, out_step,
                );
            }
        }
    }
    match unit {
        // Heads are too narrow for AMX's tiles, and its processors have these instructions too.
        // SAFETY: the token proves the features; the caller's promise.
        #[cfg(target_arch = "x86_64")]
        Bf16Unit::Amx(unit) => unsafe {
            avx512(unit.registers(), query, keys, scratch, out, out_step);
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Bf16Unit::Avx512(dot) => unsafe { avx512(dot, query, keys, scratch, out, out_step) },
        #[cfg(test)]
        Bf16Unit::Portable(dot) | Bf16Unit::Tiled(dot) => {
            const TILE: Tile = Portable::ATTENTION;
            // SAFETY: the caller's promise.
            unsafe {
                query_block::<_, { TILE.rows }, { TILE.registers }>(
                    dot, query, keys, scratch, out, out_step,
                );
            }
        }
    }
}

/// Attention of one block of queries to all keys of one head.
///
/// # Safety
/// `query` holds at most a block of rows of 64; `keys` are packed for the tile's rows and the groups of `D`; `scratch`
/// holds `(CHUNK + 128) · queries`; `out` takes a row of 64 at each multiple of `out_step`
/// for every query.
#[inline(always)]
#[allow(
    clippy::too_many_lines,
    reason = "one pass over the keys, step by step"
)]
unsafe fn query_block<D: FloatDot, const MR: usize, const NV: usize>(
    dot: D,
    query: &[f32],
    keys: Keys<'_>,
    scratch: &mut Buffer,
    out: *mut f32,
    out_step: usize,
) where
    D::Simd: Blocked,
{
    const {
        assert!(MR == D::Simd::ATTENTION.rows && NV == D::Simd::ATTENTION.registers);
        assert!(CHUNK.is_multiple_of(MR) && HEAD.is_multiple_of(MR));
        assert!(CHUNK.is_multiple_of(D::GROUP) && HEAD.is_multiple_of(D::GROUP));
        assert!(D::GROUP <= 2);
    };
    let simd = dot.simd();
    let width = NV * D::LANES;
    let scratch = scratch.words_mut();
    assert!(scratch.len() >= (CHUNK + 2 * HEAD) * width);
    assert!(query.len() <= width * HEAD);
    assert!(keys.key.len() >= keys.count.next_multiple_of(MR) * HEAD / D::GROUP);
    assert!(keys.value.len() >= keys.count.div_ceil(D::GROUP) * HEAD);
    let present = query.len() / HEAD;
    let (queries, rest) = scratch.split_at_mut(HEAD * width);
    let (sums, scores) = rest.split_at_mut(HEAD * width);
    // Qᵀ, scaled; columns without a query are zeros, and give
    // an even average that nobody reads.
    queries.fill(0);
    for (column, row) in query.chunks_exact(HEAD).enumerate() {
        for (channels, group) in row.chunks_exact(D::GROUP).enumerate() {
            let [first, last] = [group[0], group[D::GROUP - 1]];
            queries[channels * width + column] = D::group(first * SCALE, last * SCALE);
        }
    }
    sums.fill(0);
    // SAFETY: `scores` holds `CHUNK` rows of `width` (tiles of MR rows divide CHUNK), `sums`
    // and `queries` 64 rows; key panels are padded to whole tiles; values are read for
    // existing keys, padded to whole groups.
    unsafe {
        let mut maximum = [simd.splat(f32::NEG_INFINITY); NV];
        let mut total = [simd.splat(0.0); NV];
        let mut first = 0;
        while first < keys.count {
            let count = CHUNK.min(keys.count - first);
            let mut row = 0;
            while row < count {
                let panel = keys.key.as_ptr().add((first + row) * (HEAD / D::GROUP));
                let groups = HEAD / D::GROUP;
                let tile = tile::chain::<D, MR, NV>(dot, groups, panel, MR, queries.as_ptr());
                tile::store::<D, MR, NV>(dot, &tile, scores.as_mut_ptr().add(row * width), width);
                row += MR;
            }

            let mut highest = maximum;
            for row in 0..count {
                for (j, highest) in highest.iter_mut().enumerate() {
                    let at = scores.as_ptr().add(row * width + j * D::LANES);
                    *highest = highest.max(dot.load_sums(at));
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
            // Weights take the place of scores; groups of two rows that of the first half of the rows.
            for group in 0..count.div_ceil(D::GROUP) {
                for j in 0..NV {
                    let row = group * D::GROUP;
                    let at = scores.as_ptr().add(row * width + j * D::LANES);
                    let one = math::exp2_of_negative(dot.load_sums(at) - maximum[j]);
                    share[j] = share[j] + one;
                    let mut two = simd.splat(0.0);
                    if D::GROUP == 2 && row + 1 < count {
                        let score = dot.load_sums(at.add(width));
                        two = math::exp2_of_negative(score - maximum[j]);
                        share[j] = share[j] + two;
                    }
                    let to = scores.as_mut_ptr().add(group * width + j * D::LANES);
                    dot.store(dot.join(one, two), to);
                }
            }
            for j in 0..NV {
                total[j] = total[j].mul_add(shrink[j], share[j]);
            }

            let mut channel = 0;
            while channel < HEAD {
                let to = sums.as_mut_ptr().add(channel * width);
                let values = keys.value.as_ptr().add(first / D::GROUP * HEAD + channel);
                let groups = count.div_ceil(D::GROUP);
                let mut tile = tile::chain::<D, MR, NV>(dot, groups, values, HEAD, scores.as_ptr());
                let before = tile::load::<D, MR, NV>(dot, to, width);
                for (row, before) in tile.iter_mut().zip(&before) {
                    for ((element, before), shrink) in row.iter_mut().zip(before).zip(&shrink) {
                        *element = before.mul_add(*shrink, *element);
                    }
                }
                tile::store::<D, MR, NV>(dot, &tile, to, width);
                channel += MR;
            }
            first += count;
        }

        for (j, total) in total.iter().enumerate() {
            let factor = simd.splat(1.0) / *total;
            for channel in 0..HEAD {
                let at = sums.as_mut_ptr().add(channel * width + j * D::LANES);
                dot.store_sums(dot.load_sums(at) * factor, at);
            }
        }
        for column in 0..present {
            let to = out.add(column * out_step);
            for channel in 0..HEAD {
                *to.add(channel) = f32::from_bits(sums[channel * width + column]);
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
