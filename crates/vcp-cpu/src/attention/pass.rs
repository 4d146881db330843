//! One pass over the keys of a head, for a block of queries.

use crate::blocking::Blocked;
use crate::product::HEAD;
use crate::tile;
use vcp_simd::{Dot, FloatDot, Lanes as _, MOST_LANES, Register, Simd as _, math};

/// Most keys whose weights wait for their values.
pub(super) const CHUNK: usize = 128;

/// How far scores may be above the reference, in powers of two. Weights are up to 2⁶⁰, and so are sums of them and of
/// weighted values far from what `f32` and bf16 can hold; how exact they are does not depend on it.
const SLACK: f32 = 60.0;

/// Keys and values of a head, packed.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    /// Panels of keys, each channel by channel (group by group of them).
    pub(super) key: &'a [u32],
    /// What scores are multiplied with, where they are whole numbers.
    pub(super) scale: f32,
    /// 64 channels for each key (each group of keys).
    pub(super) value: &'a [u32],
    pub(super) count: usize,
}

/// How scores come from products.
pub(super) trait Scoring<F: Copy, const NV: usize>: Copy {
    /// Multiplies queries with keys.
    type Dot: Dot;

    fn dot(self) -> Self::Dot;

    fn float(self, sum: <Self::Dot as Dot>::Sums) -> F;

    /// What sums are multiplied with to be scores, for each query. Not negative.
    fn factors(self) -> [F; NV];
}

/// Most queries in a block.
pub(super) const MOST_QUERIES: usize = 64;

/// Where a block's results go.
#[derive(Clone, Copy)]
pub(super) struct Out {
    pub(super) to: *mut f32,
    /// From a query's row to the next.
    pub(super) step: usize,
    /// Queries.
    pub(super) count: usize,
}

/// Attention of one block of queries to all keys of one head.
///
/// # Safety
/// `queries` are packed in groups of what multiplies them, and `keys` for the tile's rows and in such groups; `scratch`
/// holds `(CHUNK + 64) · queries` words; `out` takes a row of 64 at each of its steps for every query.
#[inline(always)]
pub(super) unsafe fn query_block<
    D: FloatDot,
    Q: Scoring<D::Sums, NV>,
    const KEYS: usize,
    const NV: usize,
    const QUERIES: usize,
    const CHANNELS: usize,
>(
    dot: D,
    scoring: Q,
    queries: &[u32],
    keys: Keys<'_>,
    scratch: &mut [u32],
    out: Out,
) where
    D::Simd: Blocked,
{
    const {
        assert!(KEYS == D::Simd::SCORES.rows && NV == D::Simd::SCORES.registers);
        assert!(QUERIES == D::Simd::ATTENDED.rows && CHANNELS == D::Simd::ATTENDED.registers);
        assert!((NV * D::LANES).is_multiple_of(QUERIES) && NV * D::LANES <= MOST_QUERIES);
        assert!(HEAD.is_multiple_of(CHANNELS * D::LANES) && D::LANES == Q::Dot::LANES);
        assert!(CHUNK.is_multiple_of(KEYS) && KEYS.is_multiple_of(D::GROUP));
        assert!(D::GROUP <= 2 && HEAD.is_multiple_of(Q::Dot::GROUP));
    };
    let simd = dot.simd();
    let width = NV * D::LANES;
    let groups = HEAD / Q::Dot::GROUP;
    assert!(scratch.len() >= (CHUNK + HEAD) * width);
    assert!(queries.len() == groups * width && out.count <= width);
    assert!(keys.key.len() >= keys.count.next_multiple_of(KEYS) * groups);
    assert!(keys.value.len() >= keys.count.div_ceil(D::GROUP) * HEAD);
    let (sums, weights) = scratch.split_at_mut(HEAD * width);
    sums.fill(0);
    // SAFETY: `weights` holds `CHUNK` rows of `width` (tiles of KEYS rows divide CHUNK), `queries`
    // one for each group, `sums` 64 for each query; key panels are padded to whole tiles; values are read for
    // existing keys, padded to whole groups.
    unsafe {
        let factors = scoring.factors();
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
                let sums_of_keys = tile::chain::<Q::Dot, KEYS, NV>(
                    scoring.dot(),
                    groups,
                    panel,
                    KEYS,
                    queries.as_ptr(),
                    width,
                );
                let mut tile = [[simd.splat(0.0); NV]; KEYS];
                for (row, sums) in tile.iter_mut().zip(&sums_of_keys) {
                    for (score, sum) in row.iter_mut().zip(sums) {
                        *score = scoring.float(*sum);
                    }
                }
                let present = KEYS.min(keys.count - key);
                let mut highest = if present == KEYS {
                    largest(&tile, KEYS)
                } else {
                    largest(&tile, present)
                };
                let mut is_above = false;
                for j in 0..NV {
                    highest[j] = highest[j] * factors[j];
                    is_above |= highest[j].is_above(reference[j] + simd.splat(SLACK));
                }
                if is_above {
                    if key > first {
                        // What waits has weights by the reference before.
                        break;
                    }
                    rise::<D, NV>(dot, &highest, &mut reference, &mut total, sums);
                }
                let to = weights.as_mut_ptr().add((key - first) / D::GROUP * width);
                if present == KEYS {
                    weigh::<D, KEYS, NV>(dot, &tile, KEYS, [&factors, &reference], &mut share, to);
                } else {
                    weigh::<D, KEYS, NV>(
                        dot,
                        &tile,
                        present,
                        [&factors, &reference],
                        &mut share,
                        to,
                    );
                }
                key += KEYS;
            }
            key = key.min(keys.count);
            for (total, share) in total.iter_mut().zip(&share) {
                *total = *total + *share;
            }
            let groups = (key - first).div_ceil(D::GROUP);
            let values = keys.value.as_ptr().add(first / D::GROUP * HEAD);
            add_values::<D, QUERIES, CHANNELS>(dot, groups, weights.as_ptr(), width, values, sums);
        }

        let factors = total.map(|total| simd.splat(1.0) / total);
        scale::<D, NV>(dot, &factors, sums);
        for (query, row) in sums.chunks_exact(HEAD).enumerate().take(out.count) {
            let to = out.to.add(query * out.step).cast::<u32>();
            core::ptr::copy_nonoverlapping(row.as_ptr(), to, HEAD);
        }
    }
}

/// Lets the reference rise to the highest scores, and all sums shrink accordingly.
#[inline(always)]
fn rise<D: FloatDot, const NV: usize>(
    dot: D,
    highest: &[D::Sums; NV],
    reference: &mut [D::Sums; NV],
    total: &mut [D::Sums; NV],
    sums: &mut [u32],
) {
    let mut shrink = *highest;
    for j in 0..NV {
        let higher = reference[j].max(highest[j]);
        // At first this is 2^(−∞ − x), which comes out as (nearly) zero, and everything it multiplies is zero.
        shrink[j] = math::exp2(reference[j] - higher);
        reference[j] = higher;
        total[j] = total[j] * shrink[j];
    }
    scale::<D, NV>(dot, &shrink, sums);
}

/// Adds the values of some groups of keys, weighted, to the sums of `width` queries [queries, 64].
///
/// # Safety
/// There have to be as many groups of weights, `width` words each, and of values, 64 words each.
#[inline(always)]
unsafe fn add_values<D: FloatDot, const QUERIES: usize, const CHANNELS: usize>(
    dot: D,
    groups: usize,
    weights: *const u32,
    width: usize,
    values: *const u32,
    sums: &mut [u32],
) {
    assert!(sums.len() >= width * HEAD && width.is_multiple_of(QUERIES));
    for channel in (0..HEAD).step_by(CHANNELS * D::LANES) {
        for query in (0..width).step_by(QUERIES) {
            // SAFETY: the caller's promise; tiles of the sums are whole, since they divide both sides.
            unsafe {
                let (a, b) = (weights.add(query), values.add(channel));
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
    for row in scores.iter().take(present).skip(1) {
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
    [factors, reference]: [&[D::Sums; NV]; 2],
    share: &mut [D::Sums; NV],
    to: *mut u32,
) {
    let none = dot.simd().splat(0.0);
    let mut minus = *reference;
    for minus in &mut minus {
        *minus = none - *minus;
    }
    for (group, rows) in scores.chunks_exact(D::GROUP).enumerate() {
        let (one, two) = (rows[0], rows[D::GROUP - 1]);
        for j in 0..NV {
            let mut pair = [none; 2];
            if group * D::GROUP < present {
                pair[0] = dot.power(one[j].mul_add(factors[j], minus[j]));
            }
            if D::GROUP == 2 && group * 2 + 1 < present {
                pair[1] = dot.power(two[j].mul_add(factors[j], minus[j]));
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
