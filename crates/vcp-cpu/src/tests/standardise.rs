//! [`standardise::standardise`] where sums in f32 would not do, and where there is nothing to divide by.

use super::{Random, each_set, on_threads};
use crate::standardise;

fn run(set: vcp_simd::Supported, x: &[f32], sizes: [usize; 2], epsilon: f32) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.len()];
    on_threads(2, || {
        standardise::standardise(set, x, &mut out, sizes, epsilon);
    });
    out
}

/// Thousands of rows whose mean is a thousand times their spread.
#[test]
fn small_spreads_beside_large_means() {
    let (rows, channels) = (20_736, 5);
    let noise = Random(1).fractions(rows * channels);
    let x: Vec<f32> = noise.iter().map(|x| 1000.0 + x).collect();
    each_set(|set| {
        let found = run(set, &x, [rows, channels], 0.0);
        for channel in 0..channels {
            let column = |values: &'_ [f32]| -> Vec<f64> {
                let rows = values.chunks_exact(channels);
                rows.map(|row| f64::from(row[channel])).collect()
            };
            let given = column(&x);
            let mean = given.iter().sum::<f64>() / rows as f64;
            let squares = given.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
            let deviation = (squares / rows as f64).sqrt();
            for (found, given) in column(&found).iter().zip(&given) {
                let expected = (given - mean) / deviation;
                let error = (found - expected).abs();
                assert!(
                    error <= 2e-7 * expected.abs().max(1e-3),
                    "{error:e} on {set:?}"
                );
            }
        }
    });
}

/// Channels without any spread become zeros, and what is no number takes its own channel only.
#[test]
fn channels_stay_apart() {
    let (rows, channels) = (700, 11);
    let mut x = Random(2).fractions(rows * channels);
    for row in x.chunks_exact_mut(channels) {
        row[3] = 123.456;
    }
    x[500 * channels + 7] = f32::NAN;
    each_set(|set| {
        let found = run(set, &x, [rows, channels], 1e-5);
        for (index, value) in found.iter().enumerate() {
            match index % channels {
                3 => assert!(value.abs() < 1e-9, "{value:e} on {set:?}"),
                7 => assert!(value.is_nan(), "value {index} on {set:?}"),
                _ => assert!(value.is_finite(), "value {index} on {set:?}"),
            }
        }
    });
}
