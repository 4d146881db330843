//! AVX-512F: 16 lanes, 32 registers.

#![allow(clippy::wildcard_imports)]

use crate::simd::{register, sealed::Sealed};
use crate::{Avx2, F32x8, InstructionSet, MOST_LANES, PAIRS, Simd};
use core::arch::x86_64::*;

/// The proof that this machine has AVX-512F, and all that [`crate::Avx2`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

/// A register of AVX-512: 16 lanes of `f32`.
#[derive(Clone, Copy, Debug)]
pub struct F32x16(pub(crate) __m512);

impl Avx512 {
    /// The token, where this machine has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        crate::features!(Avx512 detected).then_some(Self(()))
    }
}

impl Sealed for Avx512 {}

impl Simd for Avx512 {
    type F32 = F32x16;
    const LANES: usize = {
        assert!(size_of::<F32x16>() == 16 * size_of::<f32>() && 16 <= MOST_LANES);
        16
    };
    const NAME: InstructionSet = InstructionSet::Avx512;

    #[inline(always)]
    fn splat(self, value: f32) -> F32x16 {
        // SAFETY: the token proves the instruction set.
        unsafe { F32x16(_mm512_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> F32x16 {
        // SAFETY: the token, and the caller's promise: 16 values.
        unsafe { F32x16(_mm512_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn load_half(self, from: *const u16) -> F32x16 {
        // SAFETY: the token, and the caller's promise: 16 values of two bytes.
        unsafe { F32x16(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_codes(self, from: *const i8) -> F32x16 {
        // SAFETY: the token, and the caller's promise: 16 values of one byte.
        unsafe {
            let codes = _mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()));
            F32x16(_mm512_cvtepi32_ps(codes))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, values: F32x16, to: *mut u16) {
        // SAFETY: the token, and the caller's promise: 16 numbers of two bytes.
        unsafe {
            let bits = _mm512_castps_si512(values.0);
            let upper = _mm512_srli_epi32::<16>(bits);
            let odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
            let half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
            let rounded = _mm512_srli_epi32::<16>(_mm512_add_epi32(bits, half));
            let is_none = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values.0, values.0);
            let none = _mm512_set1_epi32(0x40);
            let narrow = _mm512_mask_or_epi32(rounded, is_none, upper, none);
            _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(narrow));
        }
    }
    #[inline(always)]
    fn add_pair_products(
        self,
        sums: &mut [i32; PAIRS],
        pairs: &[[i16; 2]; PAIRS],
        factors: [i16; 2],
    ) {
        Avx2::of(self).add_pair_products(sums, pairs, factors);
    }
    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        // SAFETY: a hint that never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

register! {
    F32x16 of Avx512:
    add _mm512_add_ps, sub _mm512_sub_ps, mul _mm512_mul_ps, div _mm512_div_ps,
    mul_add _mm512_fmadd_ps, max _mm512_max_ps, min _mm512_min_ps,
    splat _mm512_set1_ps, store _mm512_storeu_ps;

    #[inline(always)]
    fn nearest_whole(self) -> (Self, Self) {
        // SAFETY: `self` was made by a token.
        unsafe {
            let whole = _mm512_roundscale_ps::<0>(self.0);
            let power = _mm512_scalef_ps(_mm512_set1_ps(1.0), whole);
            (Self(whole), Self(power))
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: `self` was made by a token, and the token stands for AVX2 too.
        unsafe {
            let doubles = _mm512_castps_pd(self.0);
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(doubles));
            let eight = _mm256_add_ps(_mm512_castps512_ps256(self.0), high);
            F32x8(eight).sum()
        }
    }
    #[inline(always)]
    fn is_above(self, other: Self) -> bool {
        // SAFETY: `self` was made by a token.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0) != 0 }
    }
}
