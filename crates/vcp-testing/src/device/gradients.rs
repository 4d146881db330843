//! Gradients, on devices that have them, against those of the official code.

use std::collections::BTreeMap;

use vcp_model::{Decoder, GridLogits, MapMaker, Operations, VisionFeatures};

use crate::{Golden, goldens};

/// Parameters whose gradients are zero in exact arithmetic: softmax and layer norm do not see them.
pub const WITHOUT_EFFECT: [&str; 2] = [
    "Zero_try.k_proj_pre_1.bias",
    "New_Lan_Embed.prompt_linear1.fc.bias",
];

/// What a device makes of logits: the official training's loss, and its gradients by the canonical names
/// of the parameters that it depends on.
pub struct Trained {
    /// The sum of focal and dice loss over the taps of both branches.
    pub loss: f32,
    /// Gradients in row-major order.
    pub gradients: BTreeMap<String, Vec<f32>>,
}

/// ‖found − expected‖ / ‖reference‖.
///
/// # Panics
/// Where there are not as many values as are expected.
#[must_use]
pub fn distance(found: &[f32], expected: &[f32], reference: impl Iterator<Item = f64>) -> f64 {
    assert_eq!(found.len(), expected.len());
    let squares = found.iter().zip(expected);
    let difference: f64 = squares
        .map(|(found, expected)| (f64::from(*found) - f64::from(*expected)).powi(2))
        .sum();
    let size: f64 = reference.map(|value| value * value).sum();
    (difference / size).sqrt()
}

/// What the official code's vision tower gives for a golden's images.
pub fn features<O: Operations>(device: &O, golden: &Golden) -> VisionFeatures<O::Tensor> {
    let stage = |name: &str| {
        let stage = golden.stage(name);
        let (batch, width) = (stage.shape[0], stage.shape[stage.shape.len() - 1]);
        let rows = stage.values.len() / (batch * width);
        device
            .constant([batch, rows, width], &stage.values)
            .unwrap()
    };
    let taps = golden.settings.taps.iter();
    VisionFeatures {
        image_feature: stage("image_feature"),
        taps: taps.map(|tap| stage(&format!("tap_{tap}"))).collect(),
    }
}

/// The loss of the official training and every gradient of it. The device keeps gradients for the
/// parameters whose canonical names begin with `vcp.`; `train` takes it, what makes maps of logits, logits
/// and the masks [batch, side, side].
pub fn gradients<O: Operations>(
    name: &str,
    device: impl Fn() -> O,
    train: impl Fn(&O, &MapMaker, &GridLogits<O::Tensor>, &O::Tensor) -> Trained,
) {
    for golden in goldens() {
        let (device, training) = (device(), golden.training());
        let what = format!("{} on {name}", golden.name);
        let truth = &training["gt"];
        let shape = [truth.shape[0], truth.shape[1], truth.shape[2]];
        let truth = device.constant(shape, &truth.values).unwrap();
        let decoder = Decoder::load(&device, &golden.weights()).unwrap();
        let logits = decoder.forward(&device, &features(&device, &golden));
        let found = train(&device, &decoder.maps, &logits, &truth);

        let expected = training["losses"].values[0];
        let error = ((found.loss - expected) / expected).abs();
        assert!(
            error < 1e-5,
            "{what}: loss {} instead of {expected}",
            found.loss
        );
        let mut compared = 0;
        for (name, expected) in &training {
            let Some(name) = name.strip_prefix("grad.") else {
                continue;
            };
            let values = found.gradients.get(&format!("vcp.{name}"));
            if WITHOUT_EFFECT.contains(&name) {
                let values = values.into_iter().flatten();
                let largest = values.fold(0.0_f32, |most, value| most.max(value.abs()));
                assert!(largest < 1e-5, "{what}: {name}: {largest}");
                continue;
            }
            let Some(values) = values else {
                // The official optimiser knows it, but nothing reads it.
                assert_eq!(name, "prompt_text_projection", "{what}");
                assert!(expected.values.iter().all(|value| *value == 0.0));
                continue;
            };
            let size = expected.values.iter().map(|value| f64::from(*value));
            let distance = distance(values, &expected.values, size);
            assert!(distance < 1e-4, "{what}: {name}: {distance:.1e}");
            compared += 1;
        }
        assert!(compared >= 15, "{what}: only {compared} gradients");
        let is_trained = |name: &String| name.starts_with("vcp.");
        assert!(found.gradients.keys().all(is_trained), "{what}");
    }
}
