//! Elementary functions on registers, to f32 rounding.

use super::Vector;
use vcp_model::Activation;

/// eˣ within 2 units in the last place; 0 below -87.3, capped above 88.
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
        let r = n.mul_add(V::splat(-0.693_359_375), x);
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

/// erf(x) within 3e-7: an odd rational function on |x| ≤ 4, where erf is 1 to f32 rounding
/// (the widely used 13/8 minimax coefficients).
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
        p = p.mul_add(x2, V::splat(-2.954_599_8e-3));
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
