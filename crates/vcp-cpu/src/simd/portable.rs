//! 8 lanes of plain Rust.

use super::Vector;

#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = [0.0; 8];
        for ((out, &a), &b) in out.iter_mut().zip(&self.0).zip(&other.0) {
            *out = f(a, b);
        }
        Self(out)
    }
}

// SAFETY: no special instructions; pointers are read and written within `LANES`.
unsafe impl Vector for Portable {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the trait's contract.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_half(from: *const u16) -> Self {
        // SAFETY: the trait's contract.
        let bits = unsafe { from.cast::<[u16; 8]>().read_unaligned() };
        Self(bits.map(|bits| half::f16::from_bits(bits).to_f32()))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the trait's contract.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        let mut out = [0.0; 8];
        for (i, out) in out.iter_mut().enumerate() {
            // Where the instruction is not part of the build's target, `mul_add` would call
            // into the C library for every lane.
            *out = if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
                self.0[i].mul_add(factor.0[i], term.0[i])
            } else {
                self.0[i] * factor.0[i] + term.0[i]
            };
        }
        Self(out)
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        // Adding and taking away 1.5 · 2²³ leaves the nearest integer, ties to even, for the
        // small values that come here; unlike `round_ties_even` it needs no call.
        const SHIFT: f32 = 12_582_912.0;
        Self(self.0.map(|value| (value + SHIFT) - SHIFT))
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        Self(
            self.0
                .map(|value| f32::from_bits((((value as i32) + 127) << 23) as u32)),
        )
    }
    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        let _ = at;
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}
