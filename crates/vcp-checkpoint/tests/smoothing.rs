//! Smoothed weights are the same function of what comes in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::small_weights;
use vcp_checkpoint::{ElementType, ErrorKind, Storing, Weights};
use vcp_random::Random;

const NORM: &str = "clip.visual.transformer.resblocks.1.ln_1";
const MATRIX: &str = "clip.visual.transformer.resblocks.1.attn.in_proj_weight";
const WIDTH: usize = 128;

/// A model whose norm is not the one that training starts with.
fn model(seed: u64) -> Weights {
    let mut weights = small_weights(seed);
    for (part, phase) in [("weight", 0.3), ("bias", 0.9)] {
        let values = (0..WIDTH).map(|i| (i as f32 + phase).sin()).collect();
        weights.replace(&format!("{NORM}.{part}"), values).unwrap();
    }
    weights
}

/// Factors over several powers of two.
fn factors(seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..WIDTH)
        .map(|_| (random.below(1 << 16) as f32 / 65536.0 * 8.0 - 4.0).exp2())
        .collect()
}

/// The matrix times the norm's output, of some normalised values.
fn product(weights: &Weights, matrix: &str) -> Vec<f64> {
    let read = |name: &str| -> Vec<f64> {
        let values = weights.tensor(name).unwrap().to_f32();
        values.into_iter().map(f64::from).collect()
    };
    let (weight, bias) = (
        read(&format!("{NORM}.weight")),
        read(&format!("{NORM}.bias")),
    );
    let normed: Vec<f64> = (0..WIDTH)
        .map(|i| (i as f64 * 1.7).cos() * weight[i] + bias[i])
        .collect();
    let matrix = read(matrix);
    let rows = matrix.chunks_exact(WIDTH);
    rows.map(|row| row.iter().zip(&normed).map(|(a, b)| a * b).sum())
        .collect()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    let largest = expected
        .iter()
        .fold(0.0, |most: f64, it| most.max(it.abs()));
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * largest,
            "{found} is not {expected}"
        );
    }
}

#[test]
fn the_product_of_a_norm_and_a_matrix_stays() {
    let mut weights = model(40);
    let expected = product(&weights, MATRIX);
    let before = weights.tensor(MATRIX).unwrap().to_f32();
    let norm = weights.tensor(&format!("{NORM}.bias")).unwrap().to_f32();
    assert_eq!(
        weights.tensor(MATRIX).unwrap().element_type(),
        ElementType::F16
    );
    let factors = factors(1);
    weights.smooth(NORM, &[MATRIX], &factors).unwrap();
    let tensor = weights.tensor(MATRIX).unwrap();
    assert_eq!(tensor.element_type(), ElementType::F32);
    for (index, (found, before)) in tensor.to_f32().iter().zip(&before).enumerate() {
        assert_eq!(found.to_bits(), (before * factors[index % WIDTH]).to_bits());
    }
    let mut row = vec![0.0; WIDTH];
    tensor.read_rows(5..6, &mut row);
    assert_eq!(row, tensor.to_f32()[5 * WIDTH..6 * WIDTH]);
    let bias = weights.tensor(&format!("{NORM}.bias")).unwrap().to_f32();
    let divided = norm.iter().zip(&factors).map(|(a, b)| a / b);
    assert!(divided.eq(bias));
    assert_close(&product(&weights, MATRIX), &expected, 1e-6);
    // A second call is on top of the first one.
    let inverse: Vec<f32> = factors.iter().map(|factor| 1.0 / factor).collect();
    weights.smooth(NORM, &[MATRIX], &inverse).unwrap();
    assert_close(&product(&weights, MATRIX), &expected, 1e-6);
    for (found, before) in weights.tensor(MATRIX).unwrap().to_f32().iter().zip(&before) {
        assert!((found - before).abs() <= 1e-6 * before.abs());
    }
    // Values set afterwards are not multiplied.
    weights.replace(MATRIX, before.clone()).unwrap();
    assert_eq!(weights.tensor(MATRIX).unwrap().to_f32(), before);
}

#[test]
fn smoothed_weights_are_stored_smoothed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    let mut weights = model(41);
    let expected = product(&weights, MATRIX);
    weights.smooth(NORM, &[MATRIX], &factors(2)).unwrap();
    for (storing, tolerance) in [
        (Storing::AsStored, 1e-6),
        (Storing::F32, 1e-6),
        (Storing::F16, 1e-3),
        (Storing::Bf16, 1e-2),
        // Single weights are checked below.
        (Storing::Int8, 0.5),
    ] {
        weights.write_bundle(&path, storing).unwrap();
        let mut bundle = Weights::open_bundle(&path).unwrap();
        assert_close(&product(&bundle, MATRIX), &expected, tolerance);
        let stored = bundle.tensor(MATRIX).unwrap();
        if let Some(scales) = stored.scales() {
            let values = weights.tensor(MATRIX).unwrap().to_f32();
            for (index, (found, value)) in stored.to_f32().iter().zip(&values).enumerate() {
                assert!((found - value).abs() <= 0.5001 * scales[index / WIDTH]);
            }
        }
        // What is stored as codes can be smoothed too, and is none any more.
        let stored = product(&bundle, MATRIX);
        bundle.smooth(NORM, &[MATRIX], &factors(3)).unwrap();
        assert_close(&product(&bundle, MATRIX), &stored, 1e-6);
        let tensor = bundle.tensor(MATRIX).unwrap();
        assert_eq!(tensor.element_type(), ElementType::F32);
        assert_eq!((tensor.scales(), tensor.stored_bytes()), (None, None));
        assert_eq!(tensor.codes(0..1, &mut [0; WIDTH]), None);
        bundle.write_bundle(&path, Storing::AsStored).unwrap();
        let again = Weights::open_bundle(&path).unwrap();
        support::assert_equal(&again, &bundle);
        assert_eq!(again.settings().precision, bundle.settings().precision);
        bundle.write_bundle(&path, Storing::Int8).unwrap();
        let again = Weights::open_bundle(&path).unwrap();
        assert!(again.tensor(MATRIX).unwrap().scales().is_some());
    }
}

#[test]
fn what_cannot_be_smoothed_stays_as_it_is() {
    let mut weights = model(42);
    let with = |channel: usize, value: f32| {
        let mut factors = factors(4);
        factors[channel] = value;
        factors
    };
    let text = "clip.transformer.resblocks.0.attn.in_proj_weight";
    let cases: [(&str, &[&str], Vec<f32>, &str); 12] = [
        (
            NORM,
            &[MATRIX],
            with(3, 0.0),
            "the factor of channel 3 is 0",
        ),
        (
            NORM,
            &[MATRIX],
            with(3, -1.0),
            "the factor of channel 3 is -1",
        ),
        (
            NORM,
            &[MATRIX],
            with(0, f32::NAN),
            "the factor of channel 0 is NaN",
        ),
        (
            NORM,
            &[MATRIX],
            with(127, f32::INFINITY),
            "the factor of channel 127 is inf",
        ),
        (NORM, &[MATRIX], with(9, 1e-45), "which divided by"),
        (
            NORM,
            &[MATRIX],
            vec![1.0; 127],
            "ln_1.weight has the shape [128], which does not fit 127 factors",
        ),
        (NORM, &[MATRIX], vec![], "which does not fit 0 factors"),
        (
            NORM,
            &[MATRIX, text],
            factors(4),
            "in_proj_weight has the shape [192, 64]",
        ),
        (
            NORM,
            &["clip.visual.proj", MATRIX],
            factors(4),
            "clip.visual.proj has the shape [128, 64]",
        ),
        (
            NORM,
            &[MATRIX, "clip.visual.ln_post.bias"],
            factors(4),
            "ln_post.bias has the shape [128]",
        ),
        (
            NORM,
            &[MATRIX, MATRIX],
            factors(4),
            "in_proj_weight is named twice",
        ),
        (
            NORM,
            &["clip.nothing"],
            factors(4),
            "no tensor named clip.nothing",
        ),
    ];
    for (norm, matrices, factors, says) in cases {
        let error = weights.smooth(norm, matrices, &factors).expect_err(says);
        let message = error.to_string();
        assert!(message.contains(says), "{message}\nlacks: {says}");
    }
    assert!(
        weights
            .smooth("clip.nothing", &[MATRIX], &factors(4))
            .is_err()
    );
    // Together they are no number above 0 any more.
    let mut twice = model(42);
    twice
        .replace(&format!("{NORM}.bias"), vec![0.0; WIDTH])
        .unwrap();
    twice
        .replace(&format!("{NORM}.weight"), vec![0.0; WIDTH])
        .unwrap();
    twice.smooth(NORM, &[MATRIX], &[1e-30; WIDTH]).unwrap();
    let error = twice.smooth(NORM, &[MATRIX], &[1e-30; WIDTH]).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Smoothing { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("are 0 together"), "{error}");
    support::assert_equal(&weights, &model(42));
}
