//! Products of narrow numbers: groups of them side by side in 32 bits, multiplied and summed up by one instruction.
//!
//! A group is what a lane of 32 bits holds: one `f32`, two bf16, or four whole numbers of 8 bits. A
//! [`Dot`] token multiplies each group of one register with that of another and adds the products up in the lane.
//! So a matrix product is the same loop whatever the numbers are: over groups instead of over numbers.

#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
pub mod portable;

use crate::Simd;
use core::fmt::Debug;

/// A token: the proof that this machine multiplies groups of narrow numbers.
pub trait Dot: Copy + Debug + Send + Sync + crate::simd::sealed::Sealed + 'static {
    /// The `f32` registers that go with it, of as many lanes.
    type Simd: Simd;
    /// A register of groups, one in each lane.
    type Groups: Copy;
    /// A register of sums, one in each lane: `f32` or `i32`.
    type Sums: Copy;
    /// Numbers in a group.
    const GROUP: usize;
    /// Lanes of a register.
    const LANES: usize = <Self::Simd as Simd>::LANES;

    /// The token of the `f32` registers.
    fn simd(self) -> Self::Simd;

    /// Sums of nothing.
    fn zero(self) -> Self::Sums;

    /// Loads a group for each lane. No alignment is asked for.
    ///
    /// # Safety
    /// `from` must be readable for that many.
    unsafe fn load(self, from: *const u32) -> Self::Groups;

    /// The same group in all lanes.
    fn splat(self, group: u32) -> Self::Groups;

    /// Adds the products of the numbers of two groups to the sum of each lane. Of whole numbers, those of `left`
    /// are not negative.
    fn multiply_add(self, left: Self::Groups, right: Self::Groups, sums: Self::Sums) -> Self::Sums;

    /// The sum of two sums.
    fn add(self, one: Self::Sums, other: Self::Sums) -> Self::Sums;

    /// Loads what [`store_sums`](Self::store_sums) stored.
    ///
    /// # Safety
    /// `from` must be readable for as many sums as there are lanes.
    unsafe fn load_sums(self, from: *const u32) -> Self::Sums;

    /// Stores the sums of all lanes, 32 bits each.
    ///
    /// # Safety
    /// `to` must be writable for as many sums.
    unsafe fn store_sums(self, sums: Self::Sums, to: *mut u32);
}

/// A register of `f32`.
type F32<D> = <<D as Dot>::Simd as Simd>::F32;

/// Products of numbers with a point: their sums are `f32`.
pub trait FloatDot: Dot<Sums = F32<Self>> {
    /// 2ˣ for x up to 127, about as exactly as [`join`](Self::join) rounds it.
    fn power(self, x: F32<Self>) -> F32<Self>;

    /// Rounds one number for each group and lane, and puts them side by side; of groups of one, `second` is left out.
    /// Numbers are in 0..=2¹²⁰.
    fn join(self, first: F32<Self>, second: F32<Self>) -> Self::Groups;

    /// Stores a group for each lane.
    ///
    /// # Safety
    /// `to` must be writable for that many.
    unsafe fn store(self, groups: Self::Groups, to: *mut u32);
}

/// Products of whole numbers of 8 bits, 0 to 255 on the left.
pub trait IntegerDot: Dot {
    /// How far from 0 the numbers on the right may be. Beyond, sums may saturate.
    const LARGEST: i8;

    /// `sum − zero · offset` in each lane, as `f32`.
    ///
    /// # Safety
    /// `offsets` must be readable for as many whole numbers as there are lanes.
    unsafe fn minus(self, sums: Self::Sums, zero: i32, offsets: *const i32) -> F32<Self>;

    /// The sums as `f32`.
    fn float(self, sums: Self::Sums) -> F32<Self>;
}

/// Groups of one `f32`: the arithmetic of [`Simd`] itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact<S>(pub S);

impl<S: Simd> crate::simd::sealed::Sealed for Exact<S> {}

impl<S: Simd> Dot for Exact<S> {
    type Simd = S;
    type Groups = S::F32;
    type Sums = S::F32;
    const GROUP: usize = 1;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }
    #[inline(always)]
    fn zero(self) -> S::F32 {
        self.0.splat(0.0)
    }
    #[inline(always)]
    unsafe fn load(self, from: *const u32) -> S::F32 {
        // SAFETY: the caller's promise; a group is an `f32`.
        unsafe { self.0.load(from.cast()) }
    }
    #[inline(always)]
    fn splat(self, group: u32) -> S::F32 {
        self.0.splat(f32::from_bits(group))
    }
    #[inline(always)]
    fn multiply_add(self, left: S::F32, right: S::F32, sums: S::F32) -> S::F32 {
        use crate::Lanes as _;
        left.mul_add(right, sums)
    }
    #[inline(always)]
    fn add(self, one: S::F32, other: S::F32) -> S::F32 {
        one + other
    }
    #[inline(always)]
    unsafe fn load_sums(self, from: *const u32) -> S::F32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store_sums(self, sums: S::F32, to: *mut u32) {
        use crate::Register as _;
        // SAFETY: the caller's promise.
        unsafe { sums.store(to.cast()) }
    }
}

impl<S: Simd> FloatDot for Exact<S> {
    #[inline(always)]
    fn power(self, x: S::F32) -> S::F32 {
        crate::math::exp2(x)
    }
    #[inline(always)]
    fn join(self, first: S::F32, _: S::F32) -> S::F32 {
        first
    }
    #[inline(always)]
    unsafe fn store(self, groups: S::F32, to: *mut u32) {
        use crate::Register as _;
        // SAFETY: the caller's promise.
        unsafe { groups.store(to.cast()) }
    }
}

/// Coefficients of 2ʳ for r in 0..1, with a relative error of 1.04e-4, a thirtieth of that of rounding to bf16, and exact at
/// both ends: so powers of whole numbers are exact.
const POWER: [f32; 4] = [1.0, 0.695_424_3, 0.226_307_7, 0.078_268];

/// The nearest bf16, ties to even: the upper half of an `f32`. What is no number stays none.
///
/// The same as `half::bf16::from_f32`, without branches, so that the compiler can vectorise loops of it.
#[inline(always)]
#[must_use]
pub fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let none = bits >> 16 | 0x40;
    let is_number = bits & 0x7fff_ffff <= 0x7f80_0000;
    (if is_number { rounded } else { none }) as u16
}

/// Two bf16 in a group: the first in the lower half.
#[inline(always)]
#[must_use]
pub fn bf16_pair(first: f32, second: f32) -> u32 {
    u32::from(to_bf16(first)) | u32::from(to_bf16(second)) << 16
}
