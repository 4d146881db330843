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

/// erf(x) within 4.5e-7 (3.5e-7 with fused multiply-adds): an odd rational function on
/// |x| ≤ 4, where erf is 1 to f32 rounding (the widely used 13/8 minimax coefficients).
#[inline(always)]
pub(crate) unsafe fn erf<V: Vector>(x: V) -> V {
    // SAFETY: register arithmetic only.
    unsafe {
        let x = V::splat(-4.0).max(V::splat(4.0).min(x));
        let x2 = x.mul(x);
        let mut p = V::splat(-2.726_142_3e-10);
        p = p.mul_add(x2, V::splat(2.770_681_5e-8));
        p = p.mul_add(x2, V::splat(-2.101_024e-6));
        p = p.mul_add(x2, V::splat(-5.692_506_3e-5));
        p = p.mul_add(x2, V::splat(-7.349_906_3e-4));
        p = p.mul_add(x2, V::splat(-2.954_6e-3));
        p = p.mul_add(x2, V::splat(-1.609_603_3e-2));
        let p = p.mul(x);
        let mut q = V::splat(-1.456_607_2e-5);
        q = q.mul_add(x2, V::splat(-2.133_740_6e-4));
        q = q.mul_add(x2, V::splat(-1.682_827e-3));
        q = q.mul_add(x2, V::splat(-7.373_329_3e-3));
        q = q.mul_add(x2, V::splat(-1.426_473_9e-2));
        p.div(q)
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

/// GELU (exact, with erf) or `QuickGELU` (x · sigmoid(1.702 x)).
#[inline(always)]
pub(crate) unsafe fn activate<V: Vector>(activation: Activation, x: V) -> V {
    // SAFETY: register arithmetic only.
    unsafe {
        match activation {
            Activation::Gelu => {
                let half = x.mul(V::splat(0.5));
                let erf = erf(x.mul(V::splat(core::f32::consts::FRAC_1_SQRT_2)));
                half.mul_add(erf, half)
            }
            Activation::QuickGelu => x.mul(sigmoid(x.mul(V::splat(1.702)))),
        }
    }
}
