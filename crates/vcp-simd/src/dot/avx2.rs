//! Products of whole numbers with registers of 256 bits.

#![allow(clippy::wildcard_imports)]

use crate::simd::sealed::Sealed;
use crate::{Avx2, Dot, F32x8, IntegerDot};
use core::arch::x86_64::*;

/// The proof that this machine has AVX-VNNI: groups of four whole numbers of 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvxVnni(Avx2);

/// The proof that this machine has AVX2: groups of four whole numbers of 8 bits.
///
/// `vpmaddubsw` adds up pairs of products in 16 bits, where they must not saturate: so the right side has a bit
/// less ([`IntegerDot::LARGEST`]). `vpmaddwd` on numbers of 16 bits would do without that; it took a fifth longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2Bytes(Avx2);

/// A register of 8 groups.
#[derive(Clone, Copy, Debug)]
pub struct Groups256(__m256i);

/// A register of 8 sums, `i32`.
#[derive(Clone, Copy, Debug)]
pub struct I32x8(__m256i);

impl AvxVnni {
    /// The token, where this machine has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        crate::features!(AvxVnni detected)
            .then(Avx2::detect)
            .flatten()
            .map(Self)
    }
}

impl Avx2Bytes {
    /// The token, where this machine has the instructions.
    #[must_use]
    pub fn detect() -> Option<Self> {
        Avx2::detect().map(Self)
    }
}

impl Sealed for AvxVnni {}
impl Sealed for Avx2Bytes {}

/// All but the products.
macro_rules! common {
    () => {
        type Simd = Avx2;
        type Groups = Groups256;
        type Sums = I32x8;

        #[inline(always)]
        fn simd(self) -> Avx2 {
            self.0
        }
        #[inline(always)]
        fn zero(self) -> I32x8 {
            // SAFETY: the token proves the instruction set.
            unsafe { I32x8(_mm256_setzero_si256()) }
        }
        #[inline(always)]
        unsafe fn load(self, from: *const u32) -> Groups256 {
            // SAFETY: the token, and the caller's promise: 8 groups.
            unsafe { Groups256(_mm256_loadu_si256(from.cast())) }
        }
        #[inline(always)]
        fn splat(self, group: u32) -> Groups256 {
            // SAFETY: the token proves the instruction set.
            unsafe { Groups256(_mm256_set1_epi32(group.cast_signed())) }
        }
        #[inline(always)]
        fn add(self, one: I32x8, other: I32x8) -> I32x8 {
            // SAFETY: the token proves the instruction set.
            unsafe { I32x8(_mm256_add_epi32(one.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn load_sums(self, from: *const u32) -> I32x8 {
            // SAFETY: the token, and the caller's promise.
            unsafe { I32x8(_mm256_loadu_si256(from.cast())) }
        }
        #[inline(always)]
        unsafe fn store_sums(self, sums: I32x8, to: *mut u32) {
            // SAFETY: the token, and the caller's promise.
            unsafe { _mm256_storeu_si256(to.cast(), sums.0) }
        }
    };
}

impl Dot for AvxVnni {
    common!();
    const GROUP: usize = 4;

    #[inline(always)]
    fn multiply_add(self, left: Groups256, right: Groups256, sums: I32x8) -> I32x8 {
        // SAFETY: the token proves the instruction set.
        unsafe { I32x8(_mm256_dpbusd_avx_epi32(sums.0, left.0, right.0)) }
    }
}

impl Dot for Avx2Bytes {
    common!();
    const GROUP: usize = 4;

    #[inline(always)]
    fn multiply_add(self, left: Groups256, right: Groups256, sums: I32x8) -> I32x8 {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let pairs = _mm256_maddubs_epi16(left.0, right.0);
            let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            I32x8(_mm256_add_epi32(sums.0, fours))
        }
    }
}

/// What becomes of sums.
macro_rules! integers {
    ($token:ident $largest:literal) => {
        impl IntegerDot for $token {
            const LARGEST: i8 = $largest;

            #[inline(always)]
            unsafe fn minus(self, sums: I32x8, zero: i32, offsets: *const i32) -> F32x8 {
                // SAFETY: the token, and the caller's promise.
                unsafe {
                    let offsets = _mm256_loadu_si256(offsets.cast());
                    let excess = _mm256_mullo_epi32(offsets, _mm256_set1_epi32(zero));
                    F32x8(_mm256_cvtepi32_ps(_mm256_sub_epi32(sums.0, excess)))
                }
            }
            #[inline(always)]
            fn float(self, sums: I32x8) -> F32x8 {
                // SAFETY: the token proves the instruction set.
                unsafe { F32x8(_mm256_cvtepi32_ps(sums.0)) }
            }
        }
    };
}
integers!(AvxVnni 127);
integers!(Avx2Bytes 64);
