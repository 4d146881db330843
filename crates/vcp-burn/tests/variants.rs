//! An image side that the patch does not divide, and the paper's ablations: losses, gradients and
//! steps of training against PyTorch's numbers.

#![allow(clippy::unwrap_used, reason = "tests")]

use vcp_burn::losses::{LossWeights, losses};
use vcp_burn::{Adam, AdamOptions, Burn, Device, Gradients, Tensor};
use vcp_model::{Decoder, Model, Operations as _};
use vcp_testing::device::WITHOUT_EFFECT;
use vcp_testing::{Stage, Tolerance, Variant, assert_close, variants};

fn images(burn: &Burn, stage: &Stage) -> Tensor {
    let [batch, channels, side, _] = stage.shape[..] else {
        panic!("images have four dimensions");
    };
    burn.constant([batch, channels, side * side], &stage.values)
        .unwrap()
}

#[test]
fn training() {
    for variant in variants() {
        train(&variant);
    }
}

fn train(variant: &Variant) {
    let frozen = Burn::new(Device::flex());
    let burn = Burn::training(Device::flex(), |name| name.starts_with("vcp."));
    let model = Model::load(&frozen, &variant.weights).unwrap();
    let mut features = model
        .vision
        .forward(&frozen, &images(&frozen, variant.stage("image")));
    let there = |x: &Tensor| {
        let values = frozen.values(x).unwrap();
        burn.constant(frozen.shape(x), &values).unwrap()
    };
    let taps = features.taps.iter();
    features.taps = taps.map(there).collect();
    features.image_feature = there(&features.image_feature);
    let truth = variant.stage("gt");
    let shape = [truth.shape[0], truth.shape[1], truth.shape[2]];
    let truth = burn.constant(shape, &truth.values).unwrap();

    let expected = &variant.stage("losses").values;
    let mut adam = Adam::new(AdamOptions::default());
    for (step, expected) in expected.iter().enumerate() {
        let decoder = Decoder::load(&burn, &variant.weights).unwrap();
        let logits = decoder.forward(&burn, &features);
        let (maps, parts) = (&decoder.maps, LossWeights::default());
        let losses = losses(&burn, maps, &logits, &truth, parts, 1).unwrap();
        let gradients = burn.gradients(&losses.total).unwrap();
        if step == 0 {
            check_gradients(variant, &gradients);
        }
        let loss = [losses.total.value().unwrap()];
        let what = format!("{}: loss {step}", variant.name);
        assert_close(&what, &loss, &[*expected], Tolerance::Rounding);
        let rate = |name: &str| {
            if name.contains("prompt_temp") {
                0.01
            } else {
                4e-5
            }
        };
        adam.step(&burn, &gradients, rate, |_| false).unwrap();
    }

    let values = burn.trained_values().unwrap();
    let mut compared = 0;
    for (name, after) in variant.stages("after.") {
        if WITHOUT_EFFECT.contains(&name) {
            continue;
        }
        let name = format!("vcp.{name}");
        // What takes part in nothing is not trained, and stays.
        let found = values.get(&name).cloned();
        let found = found.unwrap_or_else(|| variant.weights.tensor(&name).unwrap().to_f32());
        let what = format!("{}: {name} after the steps", variant.name);
        assert_close(&what, &found, &after.values, Tolerance::Rounding);
        compared += 1;
    }
    assert!(compared >= 10, "{}: only {compared}", variant.name);
}

/// The same parameters have gradients, and of the same lengths and values.
fn check_gradients(variant: &Variant, gradients: &Gradients) {
    let mut names: Vec<&str> = gradients.names().collect();
    // The bias of keys, which changes nothing, is no parameter here.
    let mut expected: Vec<String> = variant
        .stages("length.")
        .filter(|(name, _)| *name != WITHOUT_EFFECT[0])
        .map(|(name, _)| format!("vcp.{name}"))
        .collect();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected, "{}", variant.name);
    for (name, length) in variant.stages("length.") {
        if WITHOUT_EFFECT.contains(&name) {
            continue;
        }
        let found = gradients.values(&format!("vcp.{name}")).unwrap().unwrap();
        let squares = found.iter().map(|value| f64::from(*value).powi(2));
        let what = format!("{}: gradient of {name}", variant.name);
        let found_length = squares.sum::<f64>().sqrt() as f32;
        let error = (found_length / length.values[0] - 1.0).abs();
        assert!(error < 1e-4, "{what}: {error:e}");
        for (_, values) in variant.stages("grad.").filter(|(own, _)| *own == name) {
            assert_close(&what, &found, &values.values, Tolerance::Stage);
        }
    }
}
