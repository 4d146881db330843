//! Softmax, L2 normalisation and layer norm of rows, in f64.

use super::{Expected, ROUNDING, Random, assert_within, cases, each_set, on_threads};
use crate::elementwise;
use crate::pack::Normalise;
use proptest::prelude::*;

/// Layer norm of one row. Mean and variance are sums of `width` terms, whose rounding the
/// factor 1/√(variance + ε) makes larger.
pub(super) fn normalised(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> Vec<Expected> {
    let count = x.len() as f64;
    let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
    let squares = x.iter().map(|&x| (f64::from(x) - mean).powi(2));
    let variance = squares.sum::<f64>() / count;
    let scale = 1.0 / (variance + f64::from(epsilon)).sqrt();
    let largest = x
        .iter()
        .fold(0.0_f64, |largest, &x| largest.max(f64::from(x.abs())));
    let each = x.iter().zip(weight).zip(bias);
    each.map(|((&x, &weight), &bias)| {
        let (weight, bias) = (f64::from(weight), f64::from(bias));
        let value = (f64::from(x) - mean) * scale * weight + bias;
        let centred = (count + 4.0) * ROUNDING * largest * scale * weight.abs();
        let rest = (count + 8.0) * ROUNDING * ((value - bias).abs() + bias.abs());
        Expected {
            value,
            allowed: centred + rest,
        }
    })
    .collect()
}

fn run_layer_norm(
    instruction_set: vcp_simd::Supported,
    threads: usize,
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
) -> Vec<f32> {
    let mut found = vec![f32::NAN; x.len()];
    let normalise = Normalise {
        weight,
        bias,
        epsilon,
    };
    on_threads(threads, || {
        elementwise::layer_norm(instruction_set, x, &mut found, normalise);
    });
    found
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn layer_norm_equals_its_definition(
        (rows, width) in (1_usize..=40, 1_usize..=300),
        offset in prop_oneof![Just(0.0_f32), -10.0_f32..10.0],
        spread in prop_oneof![Just(1.0_f32), Just(1e-3), Just(100.0)],
        epsilon in prop_oneof![Just(1e-5_f32), Just(1e-6)],
        seed in any::<u64>(),
    ) {
        let mut random = Random(seed);
        let x: Vec<f32> =
            random.fractions(rows * width).iter().map(|x| offset + spread * x).collect();
        let (weight, bias) = (random.fractions(width), random.fractions(width));
        let expected: Vec<_> = x
            .chunks_exact(width)
            .flat_map(|row| normalised(row, &weight, &bias, epsilon))
            .collect();
        each_set(|set| {
            let found = run_layer_norm(set, 2, &x, &weight, &bias, epsilon);
            assert_within(&format!("layer norm on {set:?}"), &found, &expected);
        });
    }

    #[test]
    fn l2_normalise_equals_its_definition(
        (rows, width) in (1_usize..=40, 1_usize..=300),
        scale in prop_oneof![Just(1.0_f32), Just(1e-6), Just(1e-20), Just(1e12)],
        zero_row in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let mut random = Random(seed);
        let mut x: Vec<f32> =
            random.fractions(rows * width).iter().map(|x| scale * x).collect();
        let zero_row = zero_row.index(rows);
        x[zero_row * width..][..width].fill(0.0);
        let expected: Vec<_> = x
            .chunks_exact(width)
            .flat_map(|row| {
                let squares = row.iter().map(|&x| f64::from(x).powi(2));
                let length = squares.sum::<f64>().sqrt().max(1e-12);
                row.iter().map(move |&x| {
                    let value = f64::from(x) / length;
                    Expected { value, allowed: value.abs() * (width + 4) as f64 * ROUNDING }
                })
            })
            .collect();
        each_set(|set| {
            let mut found = vec![f32::NAN; x.len()];
            on_threads(2, || elementwise::l2_normalise(set, &x, &mut found, width));
            assert_within(&format!("L2 normalisation on {set:?}"), &found, &expected);
        });
    }

    #[test]
    fn softmax_equals_its_definition(
        (rows, width) in (1_usize..=40, 1_usize..=300),
        spread in prop_oneof![Just(1.0_f32), Just(30.0), Just(1e4), Just(1e30)],
        offset in prop_oneof![Just(0.0_f32), Just(1e4), Just(-1e4)],
        seed in any::<u64>(),
    ) {
        let mut random = Random(seed);
        let x: Vec<f32> =
            random.fractions(rows * width).iter().map(|x| offset + spread * x).collect();
        let expected: Vec<_> = x.chunks_exact(width).flat_map(softmax).collect();
        each_set(|set| {
            let mut found = x.clone();
            on_threads(2, || elementwise::softmax(set, &mut found, width));
            assert_within(&format!("softmax on {set:?}"), &found, &expected);
        });
    }
}

fn softmax(row: &[f32]) -> Vec<Expected> {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = row
        .iter()
        .map(|&x| (f64::from(x) - f64::from(highest)).exp())
        .collect();
    let total: f64 = weights.iter().sum();
    let each = weights.iter().zip(row);
    each.map(|(weight, &x)| {
        // The exponent is the difference of two f32, rounded; below -87.3 the weight is that
        // of -87.3, which is nearly nothing.
        let exponent = (f64::from(x) - f64::from(highest)).abs().min(88.0);
        let relative = (exponent + row.len() as f64 + 8.0) * ROUNDING;
        Expected {
            value: weight / total,
            allowed: weight / total * relative + 2e-38,
        }
    })
    .collect()
}

/// One value that dominates, far beyond what eˣ can hold.
#[test]
fn softmax_of_extreme_rows() {
    let cases: [(&[f32], &[f32]); 5] = [
        (&[1e30, 0.0, -1e30], &[1.0, 0.0, 0.0]),
        (&[-3e38, 3e38], &[0.0, 1.0]),
        (&[7.5], &[1.0]),
        (&[-1e30; 4], &[0.25; 4]),
        (&[f32::NEG_INFINITY, 0.0, 0.0], &[0.0, 0.5, 0.5]),
    ];
    each_set(|set| {
        for (row, expected) in cases {
            let mut found = row.to_vec();
            elementwise::softmax(set, &mut found, row.len());
            let expected: Vec<_> = expected
                .iter()
                .map(|&value| Expected {
                    value: f64::from(value),
                    allowed: 2e-38,
                })
                .collect();
            assert_within(&format!("{row:?} on {set:?}"), &found, &expected);
        }
        let mut found = [0.0, f32::NAN, 1.0, 2.0, 3.0, 4.0];
        elementwise::softmax(set, &mut found, 3);
        assert!(found[..3].iter().all(|value| value.is_nan()), "{set:?}");
        assert!(found[3..].iter().all(|value| value.is_finite()), "{set:?}");
    });
}

/// A row of equal values has no variance: what is left is the bias, not a division by zero.
#[test]
fn layer_norm_of_constant_rows() {
    let bias = [0.5, -0.25, 1.0];
    each_set(|set| {
        for value in [0.0, 1.0, -3.0, 1024.0] {
            let found = run_layer_norm(set, 1, &[value; 3], &[2.0; 3], &bias, 1e-5);
            let expected = bias.map(|bias| Expected::exactly(f64::from(bias)));
            assert_within(&format!("{value} on {set:?}"), &found, &expected);
        }
    });
}

/// Rows without a length become zeros, and what is not a number stays in its row.
#[test]
fn rows_that_cannot_be_normalised() {
    each_set(|set| {
        let width = 37;
        let mut x = vec![0.0; 3 * width];
        x[width..2 * width].fill(1.0);
        x[2 * width + 36] = f32::NAN;
        let mut found = vec![f32::NAN; x.len()];
        elementwise::l2_normalise(set, &x, &mut found, width);
        assert!(found[..width].iter().all(|&value| value == 0.0), "{set:?}");
        let unit = 1.0 / (width as f64).sqrt();
        let unit = Expected {
            value: unit,
            allowed: 4.0 * unit * ROUNDING,
        };
        assert_within("unit row", &found[width..2 * width], &vec![unit; width]);
        assert!(found[2 * width..].iter().all(|value| value.is_nan()));

        let ones = vec![1.0; width];
        let found = run_layer_norm(set, 1, &x, &ones, &ones, 1e-5);
        assert!(found[..2 * width].iter().all(|&value| value == 1.0));
        assert!(found[2 * width..].iter().all(|value| value.is_nan()));
    });
}
