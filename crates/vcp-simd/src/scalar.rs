//! A single lane: for loops that the compiler turns into instructions on whole registers. So there are
//! no calls and no branches here.

use crate::Lanes;

/// 1.5 · 2²³. Added to a small number it leaves the nearest whole number, ties to even, in the lowest
/// bits of the sum; unlike `round_ties_even` that needs no call.
const SHIFT: f32 = 12_582_912.0;

impl Lanes for f32 {
    #[inline(always)]
    fn all(self, value: f32) -> f32 {
        value
    }
    #[inline(always)]
    fn mul_add(self, factor: f32, term: f32) -> f32 {
        // Where the instruction is not part of the build's target, `mul_add` would call into the C
        // library for every lane.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            f32::mul_add(self, factor, term)
        } else {
            self * factor + term
        }
    }
    #[inline(always)]
    fn max(self, other: f32) -> f32 {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn min(self, other: f32) -> f32 {
        if self < other { self } else { other }
    }
    #[inline(always)]
    fn nearest_whole(self) -> (f32, f32) {
        let shifted = self + SHIFT;
        let exponent = shifted
            .to_bits()
            .wrapping_sub(SHIFT.to_bits())
            .wrapping_add(127);
        (shifted - SHIFT, f32::from_bits(exponent << 23))
    }
}
