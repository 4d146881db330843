//! A block of queries and all keys of a head.

use super::scores;
use crate::blocking::{Blocked, Tile};
use crate::buffer::Buffer;
use crate::product::HEAD;
use crate::tile;
use crate::units::{AttentionUnit, Bf16Unit, ScoreUnit};
#[cfg(test)]
use vcp_simd::Portable;
#[cfg(target_arch = "x86_64")]
use vcp_simd::{
    Avx512,
    dot::avx512::{Avx512Bf16, Avx512Vnni},
};
use vcp_simd::{
    Dot, Exact, FloatDot, IntegerDot, Lanes as _, MOST_LANES, Register, Simd, kernel, math,
};

/// Keys handled between two looks at the running maximum.
pub(super) const CHUNK: usize = 128;

/// How far scores may be above the reference, in powers of two: weights are up to 256.
const SLACK: f32 = 8.0;

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
        float_block::<Exact<S>, KEYS, NV, QUERIES, CHANNELS>(
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
pub(super) unsafe fn narrow_block(
    unit: AttentionUnit,
    query: &[u32],
    keys: Keys<'_>,
    scratch: &mut Buffer,
    out: *mut f32,
    out_step: usize,
) {
    /// The kernel with the tiles of an instruction set.
    macro_rules! with_tiles {
        ($kernel:ident of $set:ident($($argument:expr),*)) => {{
            const SCORES: Tile = $set::SCORES;
            const ATTENDED: Tile = $set::ATTENDED;
            $kernel::<
                _,
                { SCORES.rows },
                { SCORES.registers },
                { ATTENDED.rows },
                { ATTENDED.registers },
            >($($argument),*)
        }};
    }
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
            // SAFETY: the caller's promise.
            unsafe { with_tiles!(float_block of Avx512(dot, query, keys, scratch, out, out_step)) }
        }
    }
    #[cfg(target_arch = "x86_64")]
    vcp_simd::features! { Avx512Bf16Vnni enabled
        unsafe fn avx512_vnni(
            dots: (Avx512Bf16, Avx512Vnni),
            query: &[u32],
            keys: Keys<'_>,
            scratch: &mut Buffer,
            out: *mut f32,
            out_step: usize,
        ) {
            // SAFETY: the caller's promise.
            unsafe { with_tiles!(whole_block of Avx512(dots, query, keys, scratch, out, out_step)) }
        }
    }
    match (unit.bf16, unit.scores) {
        // Heads are too narrow for AMX's tiles, and its processors have these instructions too.
        // SAFETY: the tokens prove the features; the caller's promise.
        #[cfg(target_arch = "x86_64")]
        (Bf16Unit::Amx(unit), scores) => unsafe {
            let bf16 = AttentionUnit {
                bf16: Bf16Unit::Avx512(unit.registers()),
                scores,
            };
            narrow_block(bf16, query, keys, scratch, out, out_step);
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        (Bf16Unit::Avx512(dot), Some(ScoreUnit::Avx512Vnni(scores))) => unsafe {
            avx512_vnni((dot, scores), query, keys, scratch, out, out_step);
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        (Bf16Unit::Avx512(dot), _) => unsafe { avx512(dot, query, keys, scratch, out, out_step) },
        #[cfg(test)]
        (Bf16Unit::Portable(dot) | Bf16Unit::Tiled(dot), Some(ScoreUnit::Portable(scores))) => {
            // SAFETY: the caller's promise.
            unsafe {
                with_tiles!(whole_block of Portable((dot, scores), query, keys, scratch, out, out_step));
            }
        }
        #[cfg(test)]
        (Bf16Unit::Portable(dot) | Bf16Unit::Tiled(dot), _) => {
            // SAFETY: the caller's promise.
            unsafe {
                with_tiles!(float_block of Portable(dot, query, keys, scratch, out, out_step))
            }
        }
    }
}

/// How scores come from products.
trait Scoring<F: Copy, const NV: usize>: Copy {
    /// Multiplies queries with keys.
    type Dot: Dot;

    fn dot(self) -> Self::Dot;

    fn float(self, sum: <Self::Dot as Dot>::Sums) -> F;

    /// What sums are multiplied with to be scores, for each query. Not negative.
    fn factors(self) -> [F; NV];
}

/// Scores are the products' sums.
#[derive(Clone, Copy)]
struct Floats<D>(D);

impl<D: FloatDot, const NV: usize> Scoring<D::Sums, NV> for Floats<D> {
    type Dot = D;

    #[inline(always)]
    fn dot(self) -> D {
        self.0
    }
    #[inline(always)]
    fn float(self, sum: D::Sums) -> D::Sums {
        sum
    }
    #[inline(always)]
    fn factors(self) -> [D::Sums; NV] {
        [self.0.simd().splat(1.0); NV]
    }
}

/// Scores are the sums times a factor for each query.
#[derive(Clone, Copy)]
struct Whole<D, F, const NV: usize> {
    dot: D,
    factors: [F; NV],
}

impl<D: IntegerDot, const NV: usize> Scoring<<D::Simd as Simd>::F32, NV>
    for Whole<D, <D::Simd as Simd>::F32, NV>
{
    type Dot = D;

    #[inline(always)]
    fn dot(self) -> D {
        self.dot
    }
    #[inline(always)]
    fn float(self, sum: D::Sums) -> <D::Simd as Simd>::F32 {
        self.dot.float(sum)
    }
    #[inline(always)]
    fn factors(self) -> [<D::Simd as Simd>::F32; NV] {
        self.factors
    }
}

/// A block with scores of the numbers as they are.
///
/// # Safety
/// `query` holds at most a block of rows of 64, in groups; that of [`query_block`] for the rest.
#[inline(always)]
unsafe fn float_block<
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
    let (groups, width) = (HEAD / D::GROUP, NV * D::LANES);
    let (queries, scratch) = scratch.words_mut().split_at_mut(HEAD * width);
    put_queries(query, groups, width, queries);
    let out = Out {
        to: out,
        step: out_step,
        count: query.len() / groups,
    };
    // SAFETY: the caller's promise.
    unsafe {
        query_block::<D, _, KEYS, NV, QUERIES, CHANNELS>(
            dot,
            Floats(dot),
            &queries[..groups * width],
            keys,
            scratch,
            out,
        );
    }
}

/// A block with scores of whole numbers: those of the keys are packed so, those of the queries, which are bf16, become it.
///
/// # Safety
/// As [`float_block`].
#[inline(always)]
unsafe fn whole_block<
    T: TwoDots,
    const KEYS: usize,
    const NV: usize,
    const QUERIES: usize,
    const CHANNELS: usize,
>(
    dots: T,
    query: &[u32],
    keys: Keys<'_>,
    scratch: &mut Buffer,
    out: *mut f32,
    out_step: usize,
) where
    <T::Values as Dot>::Simd: Blocked,
{
    let (values, dot) = dots.both();
    let width = NV * T::Values::LANES;
    let (queries, scratch) = scratch.words_mut().split_at_mut(HEAD * width);
    let mut each = [0.0; MOST_QUERIES];
    let queries = &mut queries[..scores::GROUPS * width];
    scores::put_queries(query, keys.scale, width, queries, &mut each);
    let simd = values.simd();
    let mut factors = [simd.splat(0.0); NV];
    for (factors, each) in factors.iter_mut().zip(each.chunks(T::Values::LANES)) {
        *factors = simd.read(each);
    }
    let out = Out {
        to: out,
        step: out_step,
        count: query.len() / (HEAD / 2),
    };
    let scoring = Whole { dot, factors };
    // SAFETY: the caller's promise.
    unsafe {
        query_block::<T::Values, _, KEYS, NV, QUERIES, CHANNELS>(
            values, scoring, queries, keys, scratch, out,
        );
    }
}

/// What multiplies weights with values, and what queries with keys, of registers as wide.
trait TwoDots: Copy {
    type Values: FloatDot;
    type Scores: IntegerDot<Simd = <Self::Values as Dot>::Simd>;

    fn both(self) -> (Self::Values, Self::Scores);
}

impl<V: FloatDot, S: IntegerDot<Simd = V::Simd>> TwoDots for (V, S) {
    type Values = V;
    type Scores = S;

    #[inline(always)]
    fn both(self) -> (V, S) {
        self
    }
}

/// Most queries in a block.
const MOST_QUERIES: usize = 64;

/// Where a block's results go.
#[derive(Clone, Copy)]
struct Out {
    to: *mut f32,
    /// From a query's row to the next.
    step: usize,
    /// Queries.
    count: usize,
}

/// Attention of one block of queries to all keys of one head.
///
/// # Safety
/// `queries` are packed in groups of what multiplies them, and `keys` for the tile's rows and in such groups; `scratch`
/// holds `(CHUNK + 64) · queries` words; `out` takes a row of 64 at each of its steps for every query.
#[inline(always)]
unsafe fn query_block<
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
    // 64 rows, `sums` 64 for each query; key panels are padded to whole tiles; values are read for
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
        for (query, row) in sums.chunks_exact(HEAD).enumerate().take(out.count) {
            let to = out.to.add(query * out.step).cast::<u32>();
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
