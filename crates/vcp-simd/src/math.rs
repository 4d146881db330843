//! Elementary functions to f32 rounding, on registers and on single numbers ([`Lanes`]).

use crate::Lanes;

/// eˣ within 1.5 units in the last place for x in -87.3..=88 (2 where multiply-adds round twice);
/// beyond, the value at the bound, which is 1.2e-38 on one side and 1.7e38 on the other. NaN stays NaN.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2, then a polynomial in r (the Taylor terms to r⁷ with
/// the last ones fitted) and a shift of the exponent.
#[inline(always)]
#[must_use]
pub fn exp<V: Lanes>(x: V) -> V {
    let all = |value| x.all(value);
    // In this order a NaN comes through instead of turning into a bound.
    let x = all(-87.3).max(all(88.0).min(x));
    let (n, power) = (x * all(core::f32::consts::LOG2_E)).nearest_whole();
    // ln 2 in two parts: n times the first is exact.
    let r = n.mul_add(all(-0.693_359_4), x);
    let r = n.mul_add(all(2.121_944_4e-4), r);
    let mut p = all(1.987_569_1e-4);
    p = p.mul_add(r, all(1.398_199_9e-3));
    p = p.mul_add(r, all(8.333_452e-3));
    p = p.mul_add(r, all(4.166_579_6e-2));
    p = p.mul_add(r, all(1.666_666_5e-1));
    p = p.mul_add(r, all(0.5));
    p = p.mul_add(r * r, r) + all(1.0);
    p * power
}

/// 2ˣ for x < 127.5, within 2 units in the last place; below -126 the smallest normal number. NaN stays NaN.
/// Half the work of [`exp`]: the whole part of x comes off without rounding.
#[inline(always)]
#[must_use]
pub fn exp2<V: Lanes>(x: V) -> V {
    let all = |value| x.all(value);
    // In this order a NaN comes through.
    let x = all(-126.0).max(x);
    let (n, power) = x.nearest_whole();
    let r = x - n;
    // Minimax for the relative error on |r| ≤ 1/2.
    let mut p = all(1.534_581_1e-4);
    p = p.mul_add(r, all(1.339_993_1e-3));
    p = p.mul_add(r, all(9.618_489e-3));
    p = p.mul_add(r, all(5.550_328_6e-2));
    p = p.mul_add(r, all(2.402_264_6e-1));
    p = p.mul_add(r, all(6.931_472e-1));
    p = p.mul_add(r, all(1.0));
    p * power
}

/// As [`exp2`], with a relative error of 7.6e-5, for results that are rounded to bf16: half the work.
#[inline(always)]
#[must_use]
pub fn exp2_to_bf16<V: Lanes>(x: V) -> V {
    let all = |value| x.all(value);
    // In this order a NaN comes through.
    let x = all(-126.0).max(x);
    let (n, power) = x.nearest_whole();
    let r = x - n;
    // Minimax for the relative error on |r| ≤ 1/2.
    let mut p = all(5.517_168e-2);
    p = p.mul_add(r, all(2.426_111_6e-1));
    p = p.mul_add(r, all(6.932_61e-1));
    p = p.mul_add(r, all(9.999_280_7e-1));
    p * power
}

/// `ReLU6`: values below 0 become 0, values above 6 become 6. NaN stays NaN.
#[inline(always)]
#[must_use]
pub fn relu6<V: Lanes>(x: V) -> V {
    // In this order a NaN comes through instead of turning into a bound.
    x.all(6.0).min(x.all(0.0).max(x))
}

/// The exact GELU x·Φ(x), within 1.2e-7 · min(|x|, 1) and half a unit in the last place; Φ(x) is the
/// fraction of the standard normal distribution below x.
///
/// It is max(x, 0) − |x|·Φ(−|x|). Written with erf, as x/2 · (1 + erf), the value would be the small
/// difference of large numbers wherever x is negative, and an erf that stops at 1 − 6e-8 makes all large
/// values too small: a shift that adds up over the blocks of a tower.
#[inline(always)]
#[must_use]
pub fn gelu<V: Lanes>(x: V) -> V {
    let below = minus_magnitude(x);
    let half = below * x.all(0.5);
    // In this order a NaN comes through.
    half.mul_add(tails_beyond(below), x.all(0.0).max(x))
}

/// As [`gelu`], within 1e-4 · |x|·Φ(−|x|) + 2e-7 + 1e-24 · |x| and half a unit in the last place, for results that are
/// rounded to bf16, with two thirds of the work: less than rounding changes, but far below 0, where the result is hardly
/// more than nothing.
#[inline(always)]
#[must_use]
pub fn gelu_to_bf16<V: Lanes>(x: V) -> V {
    let all = |value| x.all(value);
    let below = minus_magnitude(x);
    let half = below * all(0.5);
    // As `tails_beyond`, with a polynomial that makes the error of x·Φ(x) least.
    let t = all(FARTHEST).max(below);
    let mut p = all(4.361_276e-4);
    p = p.mul_add(t, all(6.835_898e-3));
    p = p.mul_add(t, all(5.129_530_7e-2));
    p = p.mul_add(t, all(-4.603_600_7e-1));
    p = p.mul_add(t, all(1.150_795_8));
    // In this order a NaN comes through.
    half.mul_add(exp2_to_bf16(t * p), all(0.0).max(x))
}

/// The fraction of the standard normal distribution farther from 0 than |x|, on both sides together:
/// 2·Φ(−|x|), or erfc(|x|/√2). The error is at most 2.4e-7 · min(1, 1/|x|) + 1.4e-32; beyond |x| = 10
/// the value stays what it is there. NaN stays NaN.
#[inline(always)]
#[must_use]
pub fn normal_tails<V: Lanes>(x: V) -> V {
    tails_beyond(minus_magnitude(x))
}

/// Where the exponent of the tails is cut off.
const FARTHEST: f32 = -10.0;

/// −|x|, cut off for positive x: −∞ has to stay infinite, so that it is noticed.
#[inline(always)]
fn minus_magnitude<V: Lanes>(x: V) -> V {
    x.min(x.all(FARTHEST).max(x.all(0.0) - x))
}

/// 2·Φ(t) for t ≤ 0.
///
/// It is 2^(t·p(t)) with a polynomial p whose coefficients make the largest error of the product |t|·Φ(t)
/// least for t ≥ −6.5; the exponent goes on falling to t = −10, where it is −107 and is cut off.
#[inline(always)]
fn tails_beyond<V: Lanes>(t: V) -> V {
    let all = |value| t.all(value);
    let t = all(FARTHEST).max(t);
    let mut p = all(-1.902_060_5e-6);
    p = p.mul_add(t, all(-2.805_688_6e-5));
    p = p.mul_add(t, all(-1.314_729_9e-4));
    p = p.mul_add(t, all(2.720_762e-4));
    p = p.mul_add(t, all(7.245_422e-3));
    p = p.mul_add(t, all(5.262_761_2e-2));
    p = p.mul_add(t, all(-4.591_621_5e-1));
    p = p.mul_add(t, all(1.151_111));
    exp2(t * p)
}

/// The logistic function 1 / (1 + e⁻ˣ), within 2.5 units in the last place.
#[inline(always)]
#[must_use]
pub fn sigmoid<V: Lanes>(x: V) -> V {
    let one = x.all(1.0);
    one / (one + exp(x.all(0.0) - x))
}

/// QuickGELU, x·σ(1.702·x) with the [`sigmoid`] σ.
#[inline(always)]
#[must_use]
pub fn quick_gelu<V: Lanes>(x: V) -> V {
    x * sigmoid(x * x.all(1.702))
}
