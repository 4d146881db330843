//! Plain Rust: 8 lanes that the compiler turns into whatever registers the build's target has.

use crate::simd::sealed::Sealed;
use crate::{InstructionSet, Lanes, MOST_LANES, Register, Simd};
use core::ops::{Add, Div, Mul, Sub};

/// The token of what every machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portable(());

const LANES: usize = 8;

/// 8 lanes of `f32` in plain Rust.
#[derive(Clone, Copy, Debug)]
pub struct PortableF32(pub(crate) [f32; LANES]);

impl Portable {
    /// The token.
    #[must_use]
    pub fn new() -> Self {
        Self(())
    }
}

impl Default for Portable {
    fn default() -> Self {
        Self::new()
    }
}

impl Sealed for Portable {}

impl Simd for Portable {
    type F32 = PortableF32;
    const LANES: usize = {
        assert!(LANES <= MOST_LANES);
        LANES
    };
    const NAME: InstructionSet = InstructionSet::Portable;

    #[inline(always)]
    fn splat(self, value: f32) -> PortableF32 {
        PortableF32([value; LANES])
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> PortableF32 {
        // SAFETY: the caller's promise: `LANES` values.
        PortableF32(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_half(self, from: *const u16) -> PortableF32 {
        // SAFETY: the caller's promise: `LANES` values.
        let bits = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        PortableF32(bits.map(|bits| half::f16::from_bits(bits).to_f32()))
    }
    #[inline(always)]
    unsafe fn load_codes(self, from: *const i8) -> PortableF32 {
        // SAFETY: the caller's promise: `LANES` values.
        let codes = unsafe { from.cast::<[i8; LANES]>().read_unaligned() };
        PortableF32(codes.map(f32::from))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, values: PortableF32, to: *mut u16) {
        // SAFETY: the caller's promise: `LANES` numbers.
        unsafe {
            let narrow = values.0.map(crate::to_bf16);
            to.cast::<[u16; LANES]>().write_unaligned(narrow);
        }
    }
    #[inline(always)]
    fn prefetch<T>(self, at: *const T) {
        let _ = at;
    }
}

impl PortableF32 {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = [0.0; LANES];
        for ((out, &a), &b) in out.iter_mut().zip(&self.0).zip(&other.0) {
            *out = f(a, b);
        }
        Self(out)
    }
}

impl Add for PortableF32 {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl Sub for PortableF32 {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl Mul for PortableF32 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl Div for PortableF32 {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
}

impl Lanes for PortableF32 {
    #[inline(always)]
    fn all(self, value: f32) -> Self {
        Self([value; LANES])
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        let mut out = [0.0; LANES];
        for (i, out) in out.iter_mut().enumerate() {
            *out = Lanes::mul_add(self.0[i], factor.0[i], term.0[i]);
        }
        Self(out)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, Lanes::max)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, Lanes::min)
    }
    #[inline(always)]
    fn nearest_whole(self) -> (Self, Self) {
        let (mut whole, mut power) = ([0.0; LANES], [0.0; LANES]);
        for ((&lane, whole), power) in self.0.iter().zip(&mut whole).zip(&mut power) {
            (*whole, *power) = Lanes::nearest_whole(lane);
        }
        (Self(whole), Self(power))
    }
}

impl Register for PortableF32 {
    #[inline(always)]
    fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
    #[inline(always)]
    fn is_above(self, other: Self) -> bool {
        self.0.iter().zip(&other.0).any(|(one, other)| one > other)
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise: `LANES` values.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    fn write(self, to: &mut [f32]) {
        to[..LANES].copy_from_slice(&self.0);
    }
}
