//! Elementary functions that the compiler turns into instructions on whole registers: no calls, no
//! branches. Everything is inlined, so that it is compiled inside [`pulp::Arch::dispatch`] for
//! the instruction set of the machine.

/// Sums and maxima are taken in this many interleaved parts, since the compiler may not change their
/// order.
pub(crate) const LANES: usize = 16;

/// eˣ within 2 units in the last place for −87.3 ≤ x ≤ 88; beyond, the value at the bound. NaN stays
/// NaN.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2, then a polynomial in r and a shift of the exponent.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.3 { -87.3 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts: n times the first is exact.
    let r = x - n * 0.693_359_4;
    let r = r + n * 2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    p = p * (r * r) + r + 1.0;
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    p * f32::from_bits(exponent << 23)
}

/// erf(x) within 4.5e-7: an odd rational function on |x| ≤ 4, where erf is 1 to f32 rounding (the
/// widely used 13/8 minimax coefficients).
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let x = if x < -4.0 { -4.0 } else { x };
    let x = if x > 4.0 { 4.0 } else { x };
    let x2 = x * x;
    let mut p = -2.726_142_3e-10;
    p = p * x2 + 2.770_681_5e-8;
    p = p * x2 - 2.101_024e-6;
    p = p * x2 - 5.692_506_3e-5;
    p = p * x2 - 7.349_906_3e-4;
    p = p * x2 - 2.954_6e-3;
    p = p * x2 - 1.609_603_3e-2;
    let mut q = -1.456_607_2e-5;
    q = q * x2 - 2.133_740_6e-4;
    q = q * x2 - 1.682_827e-3;
    q = q * x2 - 7.373_329_3e-3;
    q = q * x2 - 1.426_473_9e-2;
    x * p / q
}

/// The normal distribution's Φ(x).
#[inline(always)]
fn normal_share(x: f32) -> f32 {
    0.5 + 0.5 * erf(x * std::f32::consts::FRAC_1_SQRT_2)
}

/// x·Φ(x).
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    x * normal_share(x)
}

/// Φ(x) + x·φ(x).
#[inline(always)]
pub(crate) fn gelu_slope(x: f32) -> f32 {
    /// 1 / √(2π).
    const DENSITY: f32 = 0.398_942_3;
    normal_share(x) + x * DENSITY * exp(-0.5 * x * x)
}

#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// x·σ(1.702·x).
#[inline(always)]
pub(crate) fn quick_gelu(x: f32) -> f32 {
    x * sigmoid(1.702 * x)
}

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
