//! The predictor with its model on Burn: the one way from a photo to a score, on another device.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::num::NonZero;

use vcp_burn::{Burn, Device};
use vcp_model::DeviceErrorKind;
use vcp_predict::{Error, Predictor, PredictorOptions};
use vcp_testing::{Tolerance, assert_close, goldens, mini};

const OPTIONS: PredictorOptions = PredictorOptions {
    instruction_set: None,
    threads: NonZero::new(2),
    blend: None,
    smoothing: 8.0,
    score_pixels: None,
};

/// The device that this build knows and that `VCP_CLIP_GPU=1` asks for.
fn device() -> Device {
    #[cfg(feature = "wgpu")]
    if std::env::var_os("VCP_CLIP_GPU").is_some() {
        return Device::wgpu(burn_tensor::DeviceKind::DefaultDevice);
    }
    Device::flex()
}

#[test]
fn maps_and_scores() {
    for golden in goldens() {
        let weights = golden.weights();
        let predictor = Predictor::on(Burn::new(device()), &weights, &OPTIONS).unwrap();
        let cpu = Predictor::new(&weights, &OPTIONS).unwrap();
        let image = golden.stage("image");
        let pixels = image.shape[2] * image.shape[3];
        let expected = ["blended_smoothed", "map1", "map2"].map(|name| golden.stage(name));
        for (index, values) in image.values.chunks_exact(3 * pixels).enumerate() {
            let prepared = [predictor.prepared_from_normalised(values.to_vec()).unwrap()];
            let found = &predictor.predict(&prepared).unwrap()[0];
            for (found, expected) in [&found.blended, &found.branch1, &found.branch2]
                .iter()
                .zip(&expected)
            {
                let expected = &expected.values[index * pixels..][..pixels];
                assert_close(golden.name, found, expected, Tolerance::Map);
            }
            let score = cpu.predict(&prepared).unwrap()[0].score;
            assert_close("score", &[found.score], &[score], Tolerance::Map);
        }
    }
}

/// The same image gives the same bits again, and so do the two halves of the way.
#[test]
fn looking_again_changes_nothing() {
    let weights = mini().weights();
    let predictor = Predictor::on(Burn::new(device()), &weights, &OPTIONS).unwrap();
    let values = mini().stage("image").values.clone();
    let size = 3 * predictor.image_size().pow(2);
    let prepared = [predictor
        .prepared_from_normalised(values[..size].to_vec())
        .unwrap()];
    let logits = predictor.logits(&prepared).unwrap();
    assert!(predictor.logits(&prepared).unwrap() == logits);
    let features = predictor.vision(&prepared).unwrap();
    assert!(predictor.decode(&features).unwrap() == logits);
}

/// What is too much for a device's memory at once goes through the tower in parts.
#[test]
fn many_images_are_seen_as_each_alone() {
    let weights = mini().weights();
    let predictor = Predictor::on(Burn::new(device()), &weights, &OPTIONS).unwrap();
    let values = mini().stage("image").values.clone();
    let size = 3 * predictor.image_size().pow(2);
    // More than two batches of 1400 rows.
    let count = 120;
    let prepared: Vec<_> = (0..count)
        .map(|image| {
            let shifted = values.iter().map(|value| value + image as f32 / 100.0);
            predictor
                .prepared_from_normalised(shifted.take(size).collect())
                .unwrap()
        })
        .collect();
    let together = predictor.vision(&prepared).unwrap();
    let logits = predictor.decode(&together).unwrap();
    assert_eq!(logits.len(), count);
    for image in [0, 1, 52, 53, 54, 106, 119] {
        let alone = &predictor.logits(&prepared[image..=image]).unwrap()[0];
        for (found, expected) in logits[image].branch2().zip(alone.branch2()) {
            assert_close("logits", found, expected, Tolerance::Stage);
        }
    }
}

/// Burn has no other way to say that something went wrong than to panic. Nobody else sees that.
#[test]
fn a_device_that_breaks_off_gives_an_error() {
    let golden = mini();
    let predictor = Predictor::on(Burn::new(device()), &golden.weights(), &OPTIONS).unwrap();
    let values = golden.stage("image").values.clone();
    let size = 3 * predictor.image_size().pow(2);
    let prepared = [predictor
        .prepared_from_normalised(values[..size].to_vec())
        .unwrap()];
    let mut features = predictor.vision(&prepared).unwrap();
    features.image_feature = predictor.cpu().tensor([1, 1, 3], &[1.0, 2.0, 3.0]);
    let Err(Error::Device(said)) = predictor.decode(&features) else {
        panic!("three channels where the model has more");
    };
    assert_eq!(said.kind, DeviceErrorKind::Failed);
    assert!(!said.message.is_empty());
    assert!(predictor.predict(&prepared).is_ok(), "it goes on");
}
