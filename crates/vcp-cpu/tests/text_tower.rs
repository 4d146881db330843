//! The text tower, which runs ten rows of which most are computed once, against a plain
//! statement that runs all of them for every image.

#[allow(dead_code, reason = "shared by several tests")]
mod plain;

use vcp_checkpoint::{Activation, Geometry, Settings, TowerGeometry, Weights};
use vcp_cpu::Cpu;
use vcp_model::{Model, Operations as _};
use vcp_testing::{Tolerance, assert_close, mini};

/// Context vectors [batch, r, E] of the size that the tower sees in use.
fn contexts(weights: &Weights, batch: usize) -> Vec<f32> {
    let geometry = weights.geometry();
    let count = batch * geometry.context_vectors * geometry.text.width;
    (0..count).map(|i| (i as f32 * 0.7).sin()).collect()
}

#[track_caller]
fn check(what: &str, weights: &Weights) {
    let (batch, geometry) = (2, weights.geometry());
    let (r, width) = (geometry.context_vectors, geometry.text.width);
    let cpu = Cpu::new(None).expect("threads start");
    let model = Model::load(&cpu, weights).expect("the model loads");
    let contexts = contexts(weights, batch);
    let context = cpu.tensor([batch, r, width], &contexts);
    let found = model.decoder.text.forward(&cpu, &context);
    let expected: Vec<f32> = contexts
        .chunks_exact(r * width)
        .flat_map(|image| {
            let rows: Vec<Vec<f64>> = image
                .chunks_exact(width)
                .map(|row| row.iter().map(|&x| f64::from(x)).collect())
                .collect();
            plain::text(weights, &rows)
        })
        .flatten()
        .map(|x| x as f32)
        .collect();
    assert_eq!(cpu.shape(&found), [batch, 2, width], "{what}");
    assert_close(what, found.as_slice(), &expected, Tolerance::Rounding);
    // The sides and the images differ by more than the tolerance: nothing was mixed up.
    let rows: Vec<&[f32]> = expected.chunks_exact(width).collect();
    for (i, a) in rows.iter().enumerate() {
        for b in &rows[..i] {
            let apart = a.iter().zip(*b).any(|(a, b)| (a - b).abs() > 1e-3);
            assert!(apart, "{what}: row {i}");
        }
    }
}

fn random(r: usize, n: usize, layers: usize, normal: &[&str], anomalous: &[&str]) -> Weights {
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(1, 64),
        patch_size: 4,
        native_grid: 2,
        text: TowerGeometry::new(layers, 64),
        context_length: 77,
        context_vectors: r,
        deep_prompts: n.max(1),
        deep_prompting: n > 0,
        tap_count: 1,
        ..Geometry::vit_l_14()
    };
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    let settings = Settings {
        taps: vec![1],
        image_size: 8,
        normal_templates: texts(normal),
        anomalous_templates: texts(anomalous),
        activation: Activation::Gelu,
        ..Settings::default()
    };
    Weights::random(geometry, settings, 11).expect("a sensible geometry")
}

#[test]
fn mini_model() {
    check("mini", &mini().weights());
}

#[test]
fn any_number_of_context_vectors_and_prompts() {
    let (normal, anomalous) = (
        "a photo of a good <|class|>",
        "a photo of a damaged <|class|>",
    );
    for (r, n, layers) in [
        (1, 1, 1),
        (2, 3, 2),
        (1, 3, 3),
        (4, 1, 2),
        (4, 3, 2),
        (2, 0, 1),
        (3, 0, 3),
    ] {
        let weights = random(r, n, layers, &[normal], &[anomalous]);
        check(&format!("r = {r}, n = {n}, {layers} layers"), &weights);
    }
}

#[test]
fn class_mark_anywhere() {
    let cases = [
        (
            "<|class|> without defect.",
            "<|class|> with a scratch on it",
        ),
        ("<|class|>", "broken <|class|>"),
        (
            "a <|class|> as it should be, seen from above",
            "<|class|> !",
        ),
    ];
    for (normal, anomalous) in cases {
        let weights = random(2, 2, 2, &[normal], &[anomalous]);
        check(&format!("{normal:?} and {anomalous:?}"), &weights);
    }
}

#[test]
fn several_templates_of_several_lengths() {
    let normal = [
        "a good <|class|>",
        "<|class|> without defect",
        "a fine <|class|>",
    ];
    let anomalous = ["a photo of a damaged <|class|> .", "a bad <|class|>"];
    check("five templates", &random(2, 1, 2, &normal, &anomalous));
}

/// The longest template that the position table holds, with the context vectors.
#[test]
fn as_long_as_there_are_positions() {
    // Start, 73 words, two context vectors, end.
    let longest = format!("{}<|class|>", "good ".repeat(73));
    check("77 rows", &random(2, 1, 1, &[&longest], &["bad <|class|>"]));
}
