//! A block of queries and all keys of a head: what it is computed with.

use super::pass::{Keys, MOST_QUERIES, Out, Scoring, query_block};
use super::scores;
use crate::blocking::{Blocked, Tile};
use crate::buffer::Buffer;
use crate::pack::interleave;
use crate::product::HEAD;
use crate::units::{AttentionUnit, Bf16Unit, ScoreUnit};
#[cfg(test)]
use vcp_simd::Portable;
#[cfg(target_arch = "x86_64")]
use vcp_simd::{
    Avx512,
    dot::avx512::{Avx512Bf16, Avx512Vnni},
};
use vcp_simd::{Dot, Exact, FloatDot, IntegerDot, Simd, kernel};

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
        (Bf16Unit::Avx512(dot), None) => unsafe {
            avx512(dot, query, keys, scratch, out, out_step);
        },
        #[cfg(test)]
        (Bf16Unit::Portable(dot) | Bf16Unit::Tiled(dot), Some(ScoreUnit::Portable(scores))) => {
            // SAFETY: the caller's promise.
            unsafe {
                with_tiles!(whole_block of Portable((dot, scores), query, keys, scratch, out, out_step));
            }
        }
        #[cfg(test)]
        (Bf16Unit::Portable(dot) | Bf16Unit::Tiled(dot), None) => {
            // SAFETY: the caller's promise.
            unsafe {
                with_tiles!(float_block of Portable(dot, query, keys, scratch, out, out_step));
            }
        }
        #[cfg(all(test, target_arch = "x86_64"))]
        _ => unreachable!("units of one width"),
    }
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
    let queries = &mut queries[..groups * width];
    // Columns without a query are zeros, and give an even average that nobody reads.
    interleave(query, groups, width, queries);
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
            queries,
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
    scores::quantise_queries(query, keys.scale, width, queries, &mut each);
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
