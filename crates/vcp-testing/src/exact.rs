//! Elementary functions in f64, stated so that they are plainly right: what kernels are held against.

/// The error function, by its series 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·5···(2n+1)), whose terms all have
/// one sign.
#[must_use]
pub fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 * sum.abs() {
        term *= 2.0 * x * x / (2.0 * n + 3.0);
        sum += term;
        n += 1.0;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// The logistic function 1 / (1 + e⁻ˣ).
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The fraction of the standard normal distribution below x.
#[must_use]
pub fn normal_below(x: f64) -> f64 {
    0.5 * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
}

/// GELU, x times the fraction of the standard normal distribution below x.
#[must_use]
pub fn gelu(x: f64) -> f64 {
    x * normal_below(x)
}

/// QuickGELU, x · sigmoid(1.702 · x).
#[must_use]
pub fn quick_gelu(x: f64) -> f64 {
    x * sigmoid(1.702 * x)
}

/// The distance from the f32 next to `value` to the next larger one: a unit in the last place.
#[must_use]
pub fn last_place(value: f64) -> f64 {
    let near = (value as f32).abs();
    f64::from(f32::from_bits(near.to_bits() + 1)) - f64::from(near)
}

/// Against tabulated values (Abramowitz and Stegun, table 7.1).
#[test]
fn erf_is_right() {
    let table = [
        (0.0, 0.0),
        (0.5, 0.520_499_877_8),
        (1.0, 0.842_700_792_9),
        (2.0, 0.995_322_265_0),
        (3.0, 0.999_977_909_5),
        (7.0, 1.0),
    ];
    for (x, value) in table {
        assert!((erf(x) - value).abs() < 1e-10, "{x}");
        assert!((erf(-x) + value).abs() < 1e-10, "-{x}");
    }
}
