//! A block of queries and all keys of a head.

use crate::blocking::{Blocked, Tile};
use crate::buffer::Buffer;
use crate::product::HEAD;
use crate::tile;
use crate::units::Bf16Unit;
#[cfg(test)]
use vcp_simd::Portable;
#[cfg(target_arch = "x86_64")]
use vcp_simd::{Avx512, dot::avx512::Avx512Bf16};
use vcp_simd::{Exact, FloatDot, Lanes as _, MOST_LANES, Register, Simd, kernel, math};

/// Keys handled between two looks at the running maximum.
pub(super) const CHUNK: usize = 128;

/// How far scores may be above the reference, in powers of two: weights are up to 256.
const SLACK: f32 = 8.0;

/// Keys and values of a head, packed.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    /// Panels of keys, each channel by channel (group by group of them).
    pub(super) key: &'a [u32],
    /// 64 channels for each key (each group of keys).
    pub(super) value: &'a [u32],
    pub(super) count: usize,
}

kernel! {
    /// Attention of one block of queries to all keys of one head.
    ///
    /// # Safety
    /// That of [`query_block`].
    pub(super) unsafe fn exact_block(
        query: &[u32],
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
    query: &[u32],
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
pub(super) unsafe fn bf16_block(
    unit: Bf16Unit,
    query: &[u32],
    keys: Keys<'_>,
    scratch: &mut Buffer,
    out: *mut f32,
    out_step: usize,
) {
    #[cfg(target_arch = "x86_64")]
    vcp_simd::features! { Avx512Bf16 enabled
        unsafe fn avx512(
            dot: Avx512Bf16,
            query: &[u32],
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
/// `query` holds at most a block of rows of 64, in groups; `keys` are packed for the tile's rows and the groups of `D`; `scratch`
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
    query: &[u32],
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
    assert!(query.len() <= width * HEAD / D::GROUP);
    assert!(keys.key.len() >= keys.count.next_multiple_of(KEYS) * HEAD / D::GROUP);
    assert!(keys.value.len() >= keys.count.div_ceil(D::GROUP) * HEAD);
    let (queries, rest) = scratch.split_at_mut(HEAD * width);
    let (sums, weights) = rest.split_at_mut(HEAD * width);
    let groups = HEAD / D::GROUP;
    put_queries(query, groups, width, queries);
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
                let panel = keys.key.as_ptr().add(key * groups);
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
            let pairs = (key - first).div_ceil(D::GROUP);
            let values = keys.value.as_ptr().add(first / D::GROUP * HEAD);
            for channel in (0..HEAD).step_by(CHANNELS * D::LANES) {
                for query in (0..width).step_by(QUERIES) {
                    let (a, b) = (weights.as_ptr().add(query), values.add(channel));
                    let sum = tile::chain::<D, QUERIES, CHANNELS>(dot, pairs, a, width, b, HEAD);
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
        for (query, row) in sums
            .chunks_exact(HEAD)
            .enumerate()
            .take(query.len() / groups)
        {
            let to = out.add(query * out_step).cast::<u32>();
            core::ptr::copy_nonoverlapping(row.as_ptr(), to, HEAD);
        }
    }
}

/// Qᵀ in groups of channels, `width` of them for each; columns without a query are zeros, and give an even average that
/// nobody reads.
#[inline(always)]
fn put_queries(query: &[u32], groups: usize, width: usize, queries: &mut [u32]) {
    if query.len() < width * groups {
        queries.fill(0);
    }
    for (column, row) in query.chunks_exact(groups).enumerate() {
        for (group, value) in row.iter().enumerate() {
            queries[group * width + column] = *value;
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
