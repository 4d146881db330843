//! What kernels of training need besides [`vcp_simd::math`]: slopes of activations, a logarithm, sums and
//! maxima. The compiler turns it into instructions on whole registers: no calls, no branches, and all is
//! inlined into the kernel.

use vcp_simd::math::{exp, normal_tails, sigmoid};

/// Sums and maxima are taken in this many interleaved parts, since the compiler may not change their
/// order.
pub(crate) const LANES: usize = 16;

/// The slope of GELU: Φ(x) + x·φ(x), with the normal distribution's Φ and its density φ.
#[inline(always)]
pub(crate) fn gelu_slope(x: f32) -> f32 {
    /// 1 / √(2π).
    const DENSITY: f32 = 0.398_942_3;
    let tail = 0.5 * normal_tails(x);
    let below = if x < 0.0 { tail } else { 1.0 - tail };
    below + x * DENSITY * exp(-0.5 * x * x)
}

/// The slope of x·σ(1.702·x).
#[inline(always)]
pub(crate) fn quick_gelu_slope(x: f32) -> f32 {
    let share = sigmoid(1.702 * x);
    share + 1.702 * x * share * (1.0 - share)
}

/// ln x for normal positive x, within 3 units in the last place (the coefficients of Cephes' `logf`).
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    // x = 2ⁿ·m with √½ ≤ m < √2.
    let offset = x.to_bits().wrapping_sub(0x3f35_04f3);
    let n = (offset.cast_signed() >> 23) as f32;
    let m = f32::from_bits((offset & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let m2 = m * m;
    let mut p = 7.037_683_6e-2;
    p = p * m - 1.151_461e-1;
    p = p * m + 1.167_699_9e-1;
    p = p * m - 1.242_014_1e-1;
    p = p * m + 1.424_932_3e-1;
    p = p * m - 1.666_805_7e-1;
    p = p * m + 2.000_071_5e-1;
    p = p * m - 2.499_999_4e-1;
    p = p * m + 0.333_333_3;
    let tail = p * m * m2 - n * 2.121_944_4e-4 - 0.5 * m2;
    tail + m + n * 0.693_359_4
}

/// Σ f(i), in a fixed order.
#[inline(always)]
pub(crate) fn sum(length: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut parts = [0.0; LANES];
    let whole = length / LANES * LANES;
    let mut start = 0;
    while start < whole {
        for (lane, part) in parts.iter_mut().enumerate() {
            *part += f(start + lane);
        }
        start += LANES;
    }
    let mut total = 0.0;
    for part in parts {
        total += part;
    }
    for index in whole..length {
        total += f(index);
    }
    total
}

/// The largest value; −∞ if there is none. NaN is passed over.
#[inline(always)]
pub(crate) fn largest(values: &[f32]) -> f32 {
    let mut parts = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (part, &value) in parts.iter_mut().zip(chunk) {
            *part = if value > *part { value } else { *part };
        }
    }
    parts
        .into_iter()
        .chain(rest.iter().copied())
        .fold(f32::NEG_INFINITY, f32::max)
}
