//! Products of narrow numbers with registers of 512 bits.

#![allow(clippy::wildcard_imports)]

use super::POWER;
use crate::simd::sealed::Sealed;
use crate::{Avx512, Dot, Exact, F32x16, FloatDot, IntegerDot};
use core::arch::x86_64::*;

/// The proof that this machine has `AVX512_BF16` beside AVX-512F, BW and DQ: pairs of bf16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512Bf16(Avx512);

/// The proof that this machine has `AVX512_VNNI` beside AVX-512F and BW: groups of four whole numbers of 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512Vnni(Avx512);

/// The proof that this machine has AVX-512F and BW: groups of four whole numbers of 8 bits, as [`Avx2Bytes`](super::avx2::Avx2Bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512Bytes(Avx512);

/// A register of 16 groups.
#[derive(Clone, Copy, Debug)]
pub struct Groups512(__m512i);

/// A register of 16 sums, `i32`.
#[derive(Clone, Copy, Debug)]
pub struct I32x16(__m512i);

impl Avx512Bf16 {
    /// The token, where this machine has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        crate::features!(Avx512Bf16 detected)
            .then(Avx512::detect)
            .flatten()
            .map(Self)
    }
}

impl Avx512Vnni {
    /// The token, where this machine has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        crate::features!(Avx512Vnni detected)
            .then(Avx512::detect)
            .flatten()
            .map(Self)
    }
}

impl Avx512Bytes {
    /// The token, where this machine has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        crate::features!(Avx512Bytes detected)
            .then(Avx512::detect)
            .flatten()
            .map(Self)
    }
}

impl Sealed for Avx512Bf16 {}
impl Sealed for Avx512Vnni {}
impl Sealed for Avx512Bytes {}

/// What all of them have in common: loading groups.
macro_rules! groups {
    () => {
        type Simd = Avx512;
        type Groups = Groups512;

        #[inline(always)]
        fn simd(self) -> Avx512 {
            self.0
        }
        #[inline(always)]
        unsafe fn load(self, from: *const u32) -> Groups512 {
            // SAFETY: the token, and the caller's promise: 16 groups.
            unsafe { Groups512(_mm512_loadu_si512(from.cast())) }
        }
        #[inline(always)]
        fn splat(self, group: u32) -> Groups512 {
            // SAFETY: the token proves the instruction set.
            unsafe { Groups512(_mm512_set1_epi32(group.cast_signed())) }
        }
    };
}

/// Sums of whole numbers.
macro_rules! whole_sums {
    () => {
        type Sums = I32x16;

        #[inline(always)]
        fn zero(self) -> I32x16 {
            // SAFETY: the token proves the instruction set.
            unsafe { I32x16(_mm512_setzero_si512()) }
        }
        #[inline(always)]
        fn add(self, one: I32x16, other: I32x16) -> I32x16 {
            // SAFETY: the token proves the instruction set.
            unsafe { I32x16(_mm512_add_epi32(one.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn load_sums(self, from: *const u32) -> I32x16 {
            // SAFETY: the token, and the caller's promise.
            unsafe { I32x16(_mm512_loadu_si512(from.cast())) }
        }
        #[inline(always)]
        unsafe fn store_sums(self, sums: I32x16, to: *mut u32) {
            // SAFETY: the token, and the caller's promise.
            unsafe { _mm512_storeu_si512(to.cast(), sums.0) }
        }
    };
}

impl Dot for Avx512Bf16 {
    groups!();
    type Sums = F32x16;
    const GROUP: usize = 2;

    #[inline(always)]
    fn zero(self) -> F32x16 {
        Exact(self.0).zero()
    }
    #[inline(always)]
    fn multiply_add(self, left: Groups512, right: Groups512, sums: F32x16) -> F32x16 {
        // SAFETY: the token proves the instruction set; the types of bf16 are registers of the same bits.
        unsafe {
            let left = core::mem::transmute::<__m512i, __m512bh>(left.0);
            let right = core::mem::transmute::<__m512i, __m512bh>(right.0);
            F32x16(_mm512_dpbf16_ps(sums.0, left, right))
        }
    }
    #[inline(always)]
    fn add(self, one: F32x16, other: F32x16) -> F32x16 {
        one + other
    }
    #[inline(always)]
    unsafe fn load_sums(self, from: *const u32) -> F32x16 {
        // SAFETY: the caller's promise.
        unsafe { Exact(self.0).load_sums(from) }
    }
    #[inline(always)]
    unsafe fn store_sums(self, sums: F32x16, to: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe { Exact(self.0).store_sums(sums, to) }
    }
}

impl FloatDot for Avx512Bf16 {
    #[inline(always)]
    fn power(self, x: F32x16) -> F32x16 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let fraction = _mm512_reduce_ps::<1>(x.0);
            let mut p = _mm512_set1_ps(POWER[3]);
            p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(POWER[2]));
            p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(POWER[1]));
            p = _mm512_fmadd_ps(p, fraction, _mm512_set1_ps(POWER[0]));
            F32x16(_mm512_scalef_ps(p, x.0))
        }
    }
    #[inline(always)]
    fn join(self, first: F32x16, second: F32x16) -> Groups512 {
        // SAFETY: the token proves the instruction set. Numbers in 0..=2¹²⁰ cannot overflow when half a unit of the last
        // place is added.
        unsafe {
            let half = _mm512_set1_epi32(0x8000);
            let first = _mm512_add_epi32(_mm512_castps_si512(first.0), half);
            let second = _mm512_add_epi32(_mm512_castps_si512(second.0), half);
            // The upper half of the first below the upper half of the second.
            let first = _mm512_srli_epi32::<16>(first);
            Groups512(_mm512_mask_blend_epi16(0xaaaa_aaaa, first, second))
        }
    }
    #[inline(always)]
    unsafe fn store(self, groups: Groups512, to: *mut u32) {
        // SAFETY: the token, and the caller's promise.
        unsafe { _mm512_storeu_si512(to.cast(), groups.0) }
    }
}

impl Dot for Avx512Vnni {
    groups!();
    whole_sums!();
    const GROUP: usize = 4;

    #[inline(always)]
    fn multiply_add(self, left: Groups512, right: Groups512, sums: I32x16) -> I32x16 {
        // SAFETY: the token proves the instruction set.
        unsafe { I32x16(_mm512_dpbusd_epi32(sums.0, left.0, right.0)) }
    }
}

impl Dot for Avx512Bytes {
    groups!();
    whole_sums!();
    const GROUP: usize = 4;

    #[inline(always)]
    fn multiply_add(self, left: Groups512, right: Groups512, sums: I32x16) -> I32x16 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let pairs = _mm512_maddubs_epi16(left.0, right.0);
            let fours = _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
            I32x16(_mm512_add_epi32(sums.0, fours))
        }
    }
}

/// What becomes of sums of whole numbers.
macro_rules! integers {
    ($token:ident $largest:literal) => {
        impl IntegerDot for $token {
            const LARGEST: i8 = $largest;

            #[inline(always)]
            unsafe fn minus(self, sums: I32x16, zero: i32, offsets: *const i32) -> F32x16 {
                // SAFETY: the token, and the caller's promise.
                unsafe {
                    let offsets = _mm512_loadu_si512(offsets.cast());
                    let excess = _mm512_mullo_epi32(offsets, _mm512_set1_epi32(zero));
                    F32x16(_mm512_cvtepi32_ps(_mm512_sub_epi32(sums.0, excess)))
                }
            }
            #[inline(always)]
            fn float(self, sums: I32x16) -> F32x16 {
                // SAFETY: the token proves the instruction set.
                unsafe { F32x16(_mm512_cvtepi32_ps(sums.0)) }
            }
        }
    };
}
integers!(Avx512Vnni 127);
integers!(Avx512Bytes 64);
