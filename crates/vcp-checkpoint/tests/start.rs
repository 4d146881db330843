//! What training starts from: CLIP as it is in its file, learned parts as the official code
//! (`train.py` and `models/`) and PyTorch's layers have them.

#![allow(clippy::unwrap_used, reason = "what is made here is made right")]

mod support;

use support::{openai, safetensors, small_settings, small_weights};
use vcp_checkpoint::{LearnedGeometry, LoadOptions, Weights};

fn start(seed: u64) -> (Weights, Weights) {
    let folder = tempfile::tempdir().unwrap();
    let original = small_weights(3);
    let clip = folder.path().join("clip.safetensors");
    std::fs::write(&clip, safetensors(&openai(&original), None)).unwrap();
    let geometry = original.geometry();
    let learned = LearnedGeometry {
        context_vectors: 5,
        deep_prompts: 3,
        tap_count: geometry.tap_count,
        ..LearnedGeometry::default()
    };
    let weights = Weights::start(
        &clip,
        learned,
        |_| small_settings(),
        seed,
        LoadOptions::default(),
    )
    .unwrap();
    (original, weights)
}

fn values(weights: &Weights, name: &str) -> Vec<f32> {
    weights.tensor(name).unwrap().to_f32()
}

#[test]
fn clip_is_the_files_and_the_rest_is_new() {
    let (original, weights) = start(1);
    assert_eq!(weights.geometry().context_vectors, 5);
    assert_eq!(weights.geometry().deep_prompts, 3);
    for name in original.names() {
        if name.starts_with("clip.") {
            let (found, mut expected) = (values(&weights, name), values(&original, name));
            if name == "clip.token_embedding.weight" {
                // CLIP's files lack the row of <|class|>.
                let rows = weights.geometry().vocabulary;
                let width = expected.len() / rows;
                expected[(rows - 1) * width..].fill(0.0);
            }
            assert!(found == expected, "{name}");
        }
    }
    let (again, other) = (start(1).1, start(2).1);
    let name = "vcp.prompt_proj.weight";
    assert!(values(&again, name) == values(&weights, name));
    assert!(values(&other, name) != values(&weights, name));
}

#[test]
fn learned_parts_have_the_official_spread() {
    let (_, weights) = start(7);
    let width = weights.geometry().vision.width as f32;
    let embedding = weights.geometry().embedding_width as f32;
    let layer = |inputs: f32| (1.0 / inputs.sqrt(), 1.0 / (3.0 * inputs).sqrt());
    // Name, largest size of a value, standard deviation.
    let cases = [
        ("trainable_linearlayer.fc.0.weight", layer(width)),
        ("Zero_try.q_proj_pre.weight", layer(embedding)),
        ("Zero_try.proj_post_t.weight", layer(width)),
        ("prompt_embeddings", (1.0, 1.0 / 3f32.sqrt())),
        ("deep_prompt_embeddings", (1.0, 1.0 / 3f32.sqrt())),
        ("New_Lan_Embed.prompt_query", (2.0, 0.88)),
        (
            "prompt_proj.weight",
            (f32::INFINITY, (2.0 / embedding).sqrt()),
        ),
    ];
    for (name, (bound, deviation)) in cases {
        let values = values(&weights, &format!("vcp.{name}"));
        let largest = values
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(
            largest <= bound * 1.0001,
            "{name}: {largest}, at most {bound}"
        );
        let count = values.len() as f32;
        let found = (values.iter().map(|value| value * value).sum::<f32>() / count).sqrt();
        // Five standard errors of a standard deviation.
        let slack = deviation * 5.0 / (2.0 * count).sqrt();
        assert!(
            (found - deviation).abs() <= slack,
            "{name}: deviation {found}, expected {deviation} ± {slack}"
        );
    }
    for (name, inputs) in [
        ("trainable_linearlayer.fc.0.bias", width),
        ("New_Lan_Embed.prompt_linear1.fc.bias", 3.0),
        ("prompt_proj.bias", embedding),
    ] {
        let values = values(&weights, &format!("vcp.{name}"));
        let bound = 1.0 / inputs.sqrt();
        assert!(values.iter().all(|value| value.abs() <= bound), "{name}");
        assert!(
            values.iter().any(|value| value.abs() > bound / 4.0),
            "{name}"
        );
    }
    let width = weights.geometry().text.width;
    assert_eq!(values(&weights, "vcp.prompt_norm.weight"), vec![1.0; width]);
    assert_eq!(values(&weights, "vcp.prompt_norm.bias"), vec![0.0; width]);
    let temperature = values(&weights, "vcp.Zero_try.prompt_temp_l1")[0];
    assert!((temperature - (1.0_f32 / 0.07).ln()).abs() < 1e-6);
}
