//! AVX2, FMA and F16C: 8 lanes, 16 registers.

#![allow(clippy::wildcard_imports)]

use crate::simd::{register, sealed::Sealed};
use crate::{InstructionSet, MOST_LANES, PAIRS, Simd};
use core::arch::x86_64::*;

/// The proof that this machine has AVX2, FMA and F16C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

/// A register of AVX2: 8 lanes of `f32`.
#[derive(Clone, Copy, Debug)]
pub struct F32x8(pub(crate) __m256);

impl Avx2 {
    /// The token, where this machine has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        crate::features!(Avx2 detected).then_some(Self(()))
    }

    /// The token of a machine that has AVX-512, which stands for AVX2 too.
    #[inline(always)]
    pub(crate) fn of(_: crate::Avx512) -> Self {
        Self(())
    }
}

impl Sealed for Avx2 {}

impl Simd for Avx2 {
    type F32 = F32x8;
    const LANES: usize = {
        assert!(size_of::<F32x8>() == 8 * size_of::<f32>() && 8 <= MOST_LANES);
        8
    };
    const NAME: InstructionSet = InstructionSet::Avx2;

    #[inline(always)]
    fn splat(self, value: f32) -> F32x8 {
        // SAFETY: the token proves the instruction set.
        unsafe { F32x8(_mm256_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> F32x8 {
        // SAFETY: the token, and the caller's promise: 8 values.
        unsafe { F32x8(_mm256_loadu_ps(from)) }
    }
    #[inline(always)]
    unsafe fn load_half(self, from: *const u16) -> F32x8 {
        // SAFETY: the token, and the caller's promise: 8 values of two bytes.
        unsafe { F32x8(_mm256_cvtph_ps(_mm_loadu_si128(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_codes(self, from: *const i8) -> F32x8 {
        // SAFETY: the token, and the caller's promise: 8 values of one byte.
        unsafe {
            let codes = _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()));
            F32x8(_mm256_cvtepi32_ps(codes))
        }
    }
    #[inline(always)]
    unsafe fn store_bf16(self, values: F32x8, to: *mut u16) {
        // SAFETY: the token, and the caller's promise: 8 numbers of two bytes.
        unsafe {
            let bits = _mm256_castps_si256(values.0);
            let upper = _mm256_srli_epi32::<16>(bits);
            let odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
            let half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
            let rounded = _mm256_srli_epi32::<16>(_mm256_add_epi32(bits, half));
            let is_none = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(values.0, values.0));
            let none = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
            let narrow = _mm256_blendv_epi8(rounded, none, is_none);
            // Packing works on halves of registers.
            let packed = _mm256_permute4x64_epi64::<0x08>(_mm256_packus_epi32(narrow, narrow));
            _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(packed));
        }
    }
    #[inline(always)]
    fn add_pair_products(
        self,
        sums: &mut [i32; PAIRS],
        pairs: &[[i16; 2]; PAIRS],
        factors: [i16; 2],
    ) {
        let factors = i32::from(factors[0] as u16) | i32::from(factors[1]) << 16;
        // SAFETY: the token proves the instruction set; the arrays are as large as a register.
        unsafe {
            let pairs = _mm256_loadu_si256(pairs.as_ptr().cast());
            let products = _mm256_madd_epi16(pairs, _mm256_set1_epi32(factors));
            let to = sums.as_mut_ptr().cast();
            _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), products));
        }
    }
    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        // SAFETY: a hint that never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
}

register! {
    F32x8 of Avx2:
    add _mm256_add_ps, sub _mm256_sub_ps, mul _mm256_mul_ps, div _mm256_div_ps,
    mul_add _mm256_fmadd_ps, max _mm256_max_ps, min _mm256_min_ps,
    splat _mm256_set1_ps, store _mm256_storeu_ps;

    #[inline(always)]
    fn nearest_whole(self) -> (Self, Self) {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        // SAFETY: `self` was made by a token. The exponent's field is built from a small integer.
        unsafe {
            let whole = _mm256_round_ps::<NEAREST>(self.0);
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
            let power = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent));
            (Self(whole), Self(power))
        }
    }

    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: `self` was made by a token.
        unsafe {
            let four = _mm_add_ps(
                _mm256_castps256_ps128(self.0),
                _mm256_extractf128_ps::<1>(self.0),
            );
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }
    #[inline(always)]
    fn is_above(self, other: Self) -> bool {
        // SAFETY: `self` was made by a token.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0)) != 0 }
    }
}
