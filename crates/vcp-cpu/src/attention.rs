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
//! rises, and sums shrink, when a score is far above it. Which happens seldom behind the first keys.

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
use vcp_simd::{
    Dot as _, Exact, FloatDot, Lanes as _, MOST_LANES, Register, Simd, Supported, bf16_pair,
    kernel, math,
};

/// Keys handled between two looks at the running maximum.
const CHUNK: usize = 128;

/// How far scores may be above the reference, in powers of two: weights are up to 256.
const SLACK: f32 = 8.0;

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
    ) = for<Set> exact_query_block::<
        Set,
        { Set::SCORES.rows },
        { Set::SCORES.registers },
        { Set::ATTENDED.rows },
        { Set::ATTENDED.registers },
    >;
}

#[inline(always)]
unsafe fn exact_query_block<
    S: Blocked,
    const KEYS: usize,
    const NV: usize,
    const QUERIES: usize,
    const CHANNELS: usize,
>(
    simd: S,
    query: &[f32],
    keys: Keys<'_>,
    scratch: &mut Buffer,
    out: *mut f32,
    out_step: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        query_block::<Exact<S>, KEYS, NV, QUERIES, CHANNELS>(
            Exact(simd),
            query,
            keys,
            scratch,
            out,
            out_step,
        );
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
            const SCORES: Tile = Avx512::SCORES;
            const ATTENDED: Tile = Avx512::ATTENDED;
            // SAFETY: the caller's promise.
            unsafe {
                query_block::<
                    _,
                    { SCORES.rows },
                    { SCORES.registers },
                    { ATTENDED.rows },
                    { ATTENDED.registers },
                >(dot, query, keys, scratch, out, out_step);
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
            const SCORES: Tile = Portable::SCORES;
            const ATTENDED: Tile = Portable::ATTENDED;
            // SAFETY: the caller's promise.
            unsafe {
                query_block::<
                    _,
                    { SCORES.rows },
                    { SCORES.registers },
                    { ATTENDED.rows },
                    { ATTENDED.registers },
                >(dot, query, keys, scratch, out, out_step);
            }
        }
    }
}

/// Attention of one block of queries to all keys of one head.
///
/// # Safety
/// `query` holds at most a block of rows of 64; `keys` are packed for the tile's rows and the groups of `D`; `scratch`
/// holds `(CHUNK + 128) · queries` words; `out` takes a row of 64 at each multiple of `out_step`
/// for every query.
#[inline(always)]
#[allow(
    clippy::too_many_lines,
    reason = "one pass over the keys, step by step"
)]
unsafe fn query_block<
    D: FloatDot,
    const KEYS: usize,
    const NV: usize,
    const QUERIES: usize,
    const CHANNELS: usize,
>(
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
        assert!(KEYS == D::Simd::SCORES.rows && NV == D::Simd::SCORES.registers);
        assert!(QUERIES == D::Simd::ATTENDED.rows && CHANNELS == D::Simd::ATTENDED.registers);
        assert!((NV * D::LANES).is_multiple_of(QUERIES));
        assert!(HEAD.is_multiple_of(CHANNELS * D::LANES));
        assert!(CHUNK.is_multiple_of(KEYS) && KEYS.is_multiple_of(D::GROUP));
        assert!(D::GROUP <= 2 && HEAD.is_multiple_of(D::GROUP));
    };
    let simd = dot.simd();
    let width = NV * D::LANES;
    let scratch = scratch.words_mut();
    assert!(scratch.len() >= (CHUNK + 2 * HEAD) * width);
    assert!(query.len() <= width * HEAD);
    assert!(keys.key.len() >= keys.count.next_multiple_of(KEYS) * HEAD / D::GROUP);
    assert!(keys.value.len() >= keys.count.div_ceil(D::GROUP) * HEAD);
    let (queries, rest) = scratch.split_at_mut(HEAD * width);
    let (sums, weights) = rest.split_at_mut(HEAD * width);
    put_queries::<D>(query, width, queries);
    sums.fill(0);
    // SAFETY: `weights` holds `CHUNK` rows of `width` (tiles of KEYS rows divide CHUNK), `queries`
    // 64 rows, `sums` 64 for each query; key panels are padded to whole tiles; values are read for
    // existing keys, padded to whole groups.
    unsafe {
        let mut reference = [simd.splat(f32::NEG_INFINITY); NV];
        let mut total = [simd.splat(0.0); NV];
        let mut key = 0;
        while key < keys.count {
            let first = key;
            // Sums of the chunk alone: adding them to those before it is one rounding, not one for
            // each key.
            let mut share = [simd.splat(0.0); NV];
            while key < keys.count && key < first + CHUNK {
                let panel = keys.key.as_ptr().add(key * (HEAD / D::GROUP));
                let groups = HEAD / D::GROUP;
                let tile =
                    tile::chain::<D, KEYS, NV>(dot, groups, panel, KEYS, queries.as_ptr(), width);
                let present = KEYS.min(keys.count - key);
                let highest = if present == KEYS {
                    largest(&tile, KEYS)
                } else {
                    largest(&tile, present)
                };
                let mut is_above = false;
                for (highest, reference) in highest.iter().zip(&reference) {
                    is_above |= highest.is_above(*reference + simd.splat(SLACK));
                }
                if is_above {
                    if key > first {
                        // What waits has weights by the reference before.
                        break;
                    }
                    let mut shrink = [simd.splat(0.0); NV];
                    for j in 0..NV {
                        let higher = reference[j].max(highest[j]);
                        // At first this is 2^(−∞ − x), which comes out as (nearly) zero,
                        // and everything it multiplies is zero.
                        shrink[j] = math::exp2(reference[j] - higher);
                        reference[j] = higher;
                        total[j] = total[j] * shrink[j];
                    }
                    scale::<D, NV>(dot, &shrink, sums);
                }
                let to = weights.as_mut_ptr().add((key - first) / D::GROUP * width);
                if present == KEYS {
                    weigh::<D, KEYS, NV>(dot, &tile, KEYS, &reference, &mut share, to);
                } else {
                    weigh::<D, KEYS, NV>(dot, &tile, present, &reference, &mut share, to);
                }
                key += KEYS;
            }
            key = key.min(keys.count);
            for (total, share) in total.iter_mut().zip(&share) {
                *total = *total + *share;
            }
            let groups = (key - first).div_ceil(D::GROUP);
            let values = keys.value.as_ptr().add(first / D::GROUP * HEAD);
            for channel in (0..HEAD).step_by(CHANNELS * D::LANES) {
                for query in (0..width).step_by(QUERIES) {
                    let (a, b) = (weights.as_ptr().add(query), values.add(channel));
                    let sum = tile::chain::<D, QUERIES, CHANNELS>(dot, groups, a, width, b, HEAD);
                    let to = sums.as_mut_ptr().add(query * HEAD + channel);
                    let mut tile = tile::load::<D, QUERIES, CHANNELS>(dot, to, HEAD);
                    for (row, sum) in tile.iter_mut().zip(&sum) {
                        for (element, sum) in row.iter_mut().zip(sum) {
                            *element = *element + *sum;
                        }
                    }
                    tile::store::<D, QUERIES, CHANNELS>(dot, &tile, to, HEAD);
                }
            }
        }

        let factors = total.map(|total| simd.splat(1.0) / total);
        scale::<D, NV>(dot, &factors, sums);
        for (query, row) in sums.chunks_exact(HEAD).enumerate().take(query.len() / HEAD) {
            let to = out.add(query * out_step).cast::<u32>();
            core::ptr::copy_nonoverlapping(row.as_ptr(), to, HEAD);
        }
    }
}

/// Qᵀ, scaled, in groups of channels, `width` of them for each; columns without a query are zeros, and give an even
/// average that nobody reads.
#[inline(always)]
fn put_queries<D: FloatDot>(query: &[f32], width: usize, queries: &mut [u32]) {
    if query.len() < width * HEAD {
        queries.fill(0);
    }
    for (column, row) in query.chunks_exact(HEAD).enumerate() {
        let mut groups = [0; HEAD];
        for (to, group) in groups.iter_mut().zip(row.chunks_exact(D::GROUP)) {
            *to = D::group(group[0] * SCALE, group[D::GROUP - 1] * SCALE);
        }
        for (channel, group) in groups[..HEAD / D::GROUP].iter().enumerate() {
            queries[channel * width + column] = *group;
        }
    }
}

/// Multiplies each query's sums with its factor.
#[inline(always)]
fn scale<D: FloatDot, const NV: usize>(dot: D, factors: &[D::Sums; NV], sums: &mut [u32]) {
    let simd = dot.simd();
    for (factors, sums) in factors.iter().zip(sums.chunks_exact_mut(D::LANES * HEAD)) {
        let mut each = [0.0; MOST_LANES];
        factors.write(&mut each);
        for (factor, sums) in each.iter().zip(sums.chunks_exact_mut(HEAD)) {
            for sums in sums.chunks_exact_mut(D::LANES) {
                // SAFETY: a register's worth of sums.
                unsafe {
                    let scaled = dot.load_sums(sums.as_ptr()) * simd.splat(*factor);
                    dot.store_sums(scaled, sums.as_mut_ptr());
                }
            }
        }
    }
}

/// The largest score of `present` keys for each query.
#[inline(always)]
fn largest<R: Register, const KEYS: usize, const NV: usize>(
    scores: &[[R; NV]; KEYS],
    present: usize,
) -> [R; NV] {
    let mut highest = scores[0];
    for (_, row) in scores
        .iter()
        .enumerate()
        .take_while(|(index, _)| *index < present)
        .skip(1)
    {
        for (highest, score) in highest.iter_mut().zip(row) {
            *highest = highest.max(*score);
        }
    }
    highest
}

/// Weights of `present` keys from their scores, in groups; their sums are added to `share`.
///
/// # Safety
/// `to` takes a row of `NV` registers for each group of the tile's rows.
#[inline(always)]
unsafe fn weigh<D: FloatDot, const KEYS: usize, const NV: usize>(
    dot: D,
    scores: &[[D::Sums; NV]; KEYS],
    present: usize,
    reference: &[D::Sums; NV],
    share: &mut [D::Sums; NV],
    to: *mut u32,
) {
    let none = dot.simd().splat(0.0);
    for (group, rows) in scores.chunks_exact(D::GROUP).enumerate() {
        let (one, two) = (rows[0], rows[D::GROUP - 1]);
        for j in 0..NV {
            let mut pair = [none; 2];
            if group * D::GROUP < present {
                pair[0] = dot.power(one[j] - reference[j]);
            }
            if D::GROUP == 2 && group * 2 + 1 < present {
                pair[1] = dot.power(two[j] - reference[j]);
            }
            share[j] = share[j]
                + if D::GROUP == 2 {
                    pair[0] + pair[1]
                } else {
                    pair[0]
                };
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add((group * NV + j) * D::LANES);
                dot.store(dot.join(pair[0], pair[1]), to);
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
