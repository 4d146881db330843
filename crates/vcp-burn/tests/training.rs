//! Losses and steps of training, and mixed precision, against the numbers of the official code. Stages and
//! gradients are in `device.rs`.

#![allow(
    clippy::float_cmp,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests"
)]

use std::collections::HashMap;

use vcp_burn::losses::{LossWeights, Losses, losses};
use vcp_burn::{Adam, AdamOptions, Burn, Device, Tensor};
use vcp_model::{Decoder, Model, Operations as _, VisionFeatures};
use vcp_testing::device::{WITHOUT_EFFECT, distance, features};
use vcp_testing::{Golden, Stage, goldens};

/// The devices that this build knows and that `VCP_CLIP_GPU=1` asks for.
fn device() -> Device {
    #[cfg(feature = "wgpu")]
    if std::env::var_os("VCP_CLIP_GPU").is_some() {
        return Device::wgpu(burn_tensor::DeviceKind::DefaultDevice);
    }
    Device::flex()
}

fn images(burn: &Burn, golden: &Golden) -> Tensor {
    let image = golden.stage("image");
    let (batch, side) = (image.shape[0], image.shape[2]);
    burn.constant([batch, 3, side * side], &image.values)
        .unwrap()
}

/// The official training: only what is not CLIP's changes.
fn official() -> Burn {
    Burn::training(device(), |name| name.starts_with("vcp."))
}

fn truth(burn: &Burn, training: &HashMap<String, Stage>) -> Tensor {
    let truth = &training["gt"];
    burn.constant(
        [truth.shape[0], truth.shape[1], truth.shape[2]],
        &truth.values,
    )
    .unwrap()
}

fn step(burn: &Burn, golden: &Golden, features: &VisionFeatures<Tensor>, truth: &Tensor) -> Losses {
    let decoder = Decoder::load(burn, &golden.weights()).unwrap();
    let logits = decoder.forward(burn, features);
    let weights = LossWeights::default();
    losses(burn, &decoder.maps, &logits, truth, weights, 1).unwrap()
}

/// A 16-bit float has 11 bits; rounding errors of many products in a row add up to more.
const MIXED: f64 = 2e-2;

/// What mixed precision leaves of losses and gradients, with the loss scaled up as training does it.
#[test]
fn mixed_precision_is_near() {
    const SCALE: f32 = 1024.0;
    for golden in goldens() {
        let training = golden.training();
        let Some(burn) = official().mixed_precision() else {
            eprintln!("skipped: this device does not compute with 16-bit floats");
            return;
        };
        let (features, truth) = (features(&burn, &golden), truth(&burn, &training));
        let losses = step(&burn, &golden, &features, &truth);
        let expected = f64::from(training["losses"].values[0]);
        let loss = losses.total.value().unwrap();
        let error = (f64::from(loss) - expected).abs() / expected;
        assert!(error < MIXED, "{}: {error:.1e}", golden.name);
        let gradients = burn.gradients_scaled(&losses.total, SCALE).unwrap();
        let (mut differences, mut sizes, mut compared) = (Vec::new(), Vec::new(), 0);
        for (name, stage) in &training {
            let name = name.strip_prefix("grad.").unwrap_or_default();
            let Some(found) = gradients.values(&format!("vcp.{name}")).unwrap() else {
                continue;
            };
            let pairs = found.iter().zip(&stage.values);
            differences.extend(pairs.map(|(found, it)| f64::from(*found) - f64::from(*it)));
            sizes.extend(stage.values.iter().map(|value| f64::from(*value)));
            compared += 1;
        }
        assert!(compared >= 15, "{}: only {compared} gradients", golden.name);
        let length = |values: &[f64]| values.iter().map(|it| it * it).sum::<f64>().sqrt();
        let distance = length(&differences) / length(&sizes);
        eprintln!(
            "{}: loss {error:.1e}, gradients {distance:.1e}",
            golden.name
        );
        // More than rounding of 32-bit floats would give: the products are of 16 bits.
        assert!(
            (1e-6..MIXED).contains(&distance),
            "{}: {distance:.1e}",
            golden.name
        );
        // What 16-bit floats cannot hold becomes infinite, and is not cut off at the largest of them:
        // that is how training finds out that its scale is too large.
        let losses = step(&burn, &golden, &features, &truth);
        let beyond = burn.gradients_scaled(&losses.total, 1e30).unwrap();
        let beyond = beyond.norm().unwrap();
        assert!(!beyond.is_finite(), "{}: {beyond:e}", golden.name);
    }
}

/// And of what the whole model gives.
#[test]
fn maps_in_mixed_precision_are_near() {
    for golden in goldens() {
        let Some(burn) = Burn::new(device()).mixed_precision() else {
            eprintln!("skipped: this device does not compute with 16-bit floats");
            return;
        };
        let model = Model::load(&burn, &golden.weights()).unwrap();
        let logits = model.forward(&burn, &images(&burn, &golden));
        for (name, branch) in [("map1", &logits.branch1), ("map2", &logits.branch2)] {
            let found = burn.values(&model.decoder.maps.map(&burn, branch)).unwrap();
            let pairs = found.iter().zip(&golden.stage(name).values);
            let worst = pairs.map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp);
            let worst = worst.unwrap();
            eprintln!("{}: {name} {worst:.1e}", golden.name);
            assert!(
                f64::from(worst) < MIXED,
                "{}: {name}: {worst:e}",
                golden.name
            );
        }
    }
}

#[test]
fn five_steps() {
    for golden in goldens() {
        let training = golden.training();
        let burn = official();
        let (features, truth) = (features(&burn, &golden), truth(&burn, &training));
        let (of_temperatures, of_others) = golden.learning_rates;
        let mut adam = Adam::new(AdamOptions::default());
        for expected in training["losses"].values.chunks_exact(3) {
            let losses = step(&burn, &golden, &features, &truth);
            let found = [&losses.total, &losses.branch1, &losses.branch2];
            for (found, expected) in found.into_iter().zip(expected) {
                let found = found.value().unwrap();
                let error = ((found - expected) / expected).abs();
                assert!(
                    error < 1e-5,
                    "{}: {found} instead of {expected}",
                    golden.name
                );
            }
            let gradients = burn.gradients(&losses.total).unwrap();
            let rate = |name: &str| {
                if name.contains("prompt_temp") {
                    of_temperatures
                } else {
                    of_others
                }
            };
            adam.step(&burn, &gradients, rate, |_| true).unwrap();
        }
        let (before, after) = (golden.weights(), burn.trained_values().unwrap());
        let expected = training
            .iter()
            .filter_map(|(name, stage)| Some((name.strip_prefix("after.")?, stage)));
        let mut compared = 0;
        for (name, expected) in expected.filter(|(name, _)| !WITHOUT_EFFECT.contains(name)) {
            let name = format!("vcp.{name}");
            let before = before.tensor(&name).unwrap().to_f32();
            let Some(after) = after.get(&name) else {
                assert!(
                    before == expected.values,
                    "{}: {name} is not trained",
                    golden.name
                );
                continue;
            };
            let change = before.iter().zip(&expected.values);
            let change = change.map(|(before, after)| f64::from(*after) - f64::from(*before));
            let distance = distance(after, &expected.values, change);
            assert!(distance < 1e-2, "{}: {name}: {distance:.1e}", golden.name);
            compared += 1;
        }
        assert!(compared >= 15, "{}: only {compared} tensors", golden.name);
    }
}

/// What the optimiser remembers, and the parameters, can be put away and taken out again.
#[test]
fn an_interrupted_training_goes_on_as_if_it_had_not_been() {
    let golden = vcp_testing::mini();
    let training = golden.training();
    let make = |burn: &Burn, adam: &mut Adam| {
        let (features, truth) = (features(burn, &golden), truth(burn, &training));
        let losses = step(burn, &golden, &features, &truth);
        let gradients = burn.gradients(&losses.total).unwrap();
        adam.step(burn, &gradients, |_| 1e-3, |_| true).unwrap();
    };
    let options = AdamOptions {
        weight_decay: 0.1,
        ..AdamOptions::default()
    };
    let (burn, mut adam) = (official(), Adam::new(options));
    make(&burn, &mut adam);
    make(&burn, &mut adam);
    let (values, state) = (burn.trained_values().unwrap(), adam.state().unwrap());
    make(&burn, &mut adam);

    let other = official();
    drop(Decoder::load(&other, &golden.weights()).unwrap());
    let mut extended = values.clone();
    extended.insert("vcp.nothing".to_owned(), vec![1.0]);
    assert_eq!(other.set_trained_values(extended).unwrap(), ["vcp.nothing"]);
    assert!(other.trained_values().unwrap() == values);
    let mut again = Adam::from_state(options, state, &other).unwrap();
    make(&other, &mut again);
    assert!(other.trained_values().unwrap() == burn.trained_values().unwrap());
    assert!(again.state().unwrap() == adam.state().unwrap());
}
