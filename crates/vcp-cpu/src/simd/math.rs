//! Elementary functions on registers, to f32 rounding.

use super::Vector;
use vcp_model::Activation;

/// eˣ within 1.5 units in the last place for x in -87.3..=88; beyond, the value at the bound,
/// which is 1.2e-38 on one side and 1.7e38 on the other.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2, then a polynomial in r (the Taylor terms to r⁷ with
/// the last ones fitted) and a shift of the exponent.
#[inline(always)]
pub(crate) unsafe fn exp<V: Vector>(x: V) -> V {
    // SAFETY: register arithmetic only.
    unsafe {
        // In this order a NaN comes through instead of turning into a bound.
        let x = V::splat(-87.3).max(V::splat(88.0).min(x));
        let n = x.mul(V::splat(core::f32::consts::LOG2_E)).round();
        // ln 2 in two parts: n times the first is exact.
        let r = n.mul_add(V::splat(-0.693_359_4), x);
        let r = n.mul_add(V::splat(2.121_944_4e-4), r);
        let mut p = V::splat(1.987_569_1e-4);
        p = p.mul_add(r, V::splat(1.398_199_9e-3));
        p = p.mul_add(r, V::splat(8.333_452e-3));
        p = p.mul_add(r, V::splat(4.166_579_6e-2));
        p = p.mul_add(r, V::splat(1.666_666_5e-1));
        p = p.mul_add(r, V::splat(0.5));
        p = p.mul_add(r.mul(r), r).add(V::splat(1.0));
        p.mul(n.power_of_two())
    }
}

/// 2ˣ for x ≤ 0, within 2 units in the last place; below -126 the smallest normal number.
/// Half the work of [`exp`]: the whole part of x comes off without rounding.
#[inline(always)]
pub(crate) unsafe fn exp2_of_negative<V: Vector>(x: V) -> V {
    // SAFETY: register arithmetic only.
    unsafe {
        // In this order a NaN comes through.
        let x = V::splat(-126.0).max(x);
        let n = x.round();
        let r = x.sub(n);
        // Minimax for the relative error on |r| ≤ 1/2.
        let mut p = V::splat(1.534_581_1e-4);
        p = p.mul_add(r, V::splat(1.339_993_1e-3));
        p = p.mul_add(r, V::splat(9.618_489e-3));
        p = p.mul_add(r, V::splat(5.550_328_6e-2));
        p = p.mul_add(r, V::splat(2.402_264_6e-1));
        p = p.mul_add(r, V::splat(6.931_472e-1));
        p = p.mul_add(r, V::splat(1.0));
        p.mul(n.power_of_two())
    }
}

/// x·Φ(x), the exact GELU, within 1.2e-7 · min(|x|, 1) and half a unit in the last place; Φ is the normal
/// distribution's share below x.
///
/// It is max(x, 0) − |x|·Φ(−|x|), and Φ(−|x|) = 2^(−1 − |x|·p(|x|)) with a polynomial p whose
/// coefficients make the largest error of the product |x|·Φ(−|x|) least for |x| ≤ 6.5; the exponent
/// goes on falling to |x| = 10, where it is −107 and is cut off. Written with erf, as x/2 · (1 + erf), the
/// value would be the small difference of large numbers wherever x is negative, and an erf that stops at
/// 1 − 6e-8 makes all large values too small: a shift that adds up over the blocks of a tower.
#[inline(always)]
unsafe fn gelu<V: Vector>(x: V) -> V {
    const FARTHEST: f32 = -10.0;
    // SAFETY: register arithmetic only.
    unsafe {
        let zero = V::splat(0.0);
        let far = V::splat(FARTHEST);
        // −|x|, cut off for positive x: −∞ has to stay infinite, so that it is noticed.
        let below = x.min(far.max(zero.sub(x)));
        let t = far.max(below);
        let mut p = V::splat(-1.902_060_5e-6);
        p = p.mul_add(t, V::splat(-2.805_688_6e-5));
        p = p.mul_add(t, V::splat(-1.314_729_9e-4));
        p = p.mul_add(t, V::splat(2.720_762e-4));
        p = p.mul_add(t, V::splat(7.245_422e-3));
        p = p.mul_add(t, V::splat(5.262_761_2e-2));
        p = p.mul_add(t, V::splat(-4.591_621_5e-1));
        p = p.mul_add(t, V::splat(1.151_111));
        let share = exp2_of_negative(t.mul(p));
        let half = below.mul(V::splat(0.5));
        // In this order a NaN comes through.
        half.mul_add(share, zero.max(x))
    }
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) unsafe fn sigmoid<V: Vector>(x: V) -> V {
    // SAFETY: register arithmetic only.
    unsafe {
        let one = V::splat(1.0);
        one.div(one.add(exp(V::splat(0.0).sub(x))))
    }
}

/// GELU (exact) or `QuickGELU` (x · sigmoid(1.702 x)).
#[inline(always)]
pub(crate) unsafe fn activate<V: Vector>(activation: Activation, x: V) -> V {
    // SAFETY: register arithmetic only.
    unsafe {
        match activation {
            Activation::Gelu => gelu(x),
            Activation::QuickGelu => x.mul(sigmoid(x.mul(V::splat(1.702)))),
        }
    }
}
