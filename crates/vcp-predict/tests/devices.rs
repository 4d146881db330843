//! The predictor with its model on a device that fails.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::Arc;

use vcp_cpu::Cpu;
use vcp_image::Photo;
use vcp_model::{DeviceError, DeviceErrorKind, Model, Operations as _};
use vcp_predict::references::{Comparison, MemoryBuilder, MemoryDetails, ReferenceMemory};
use vcp_predict::{Error, Predictor, PredictorOptions, Prepared};
use vcp_testing::device::Probe;
use vcp_testing::mini;

const OPTIONS: PredictorOptions = PredictorOptions {
    instruction_set: None,
    threads: NonZero::new(2),
    blend: None,
    smoothing: 8.0,
    score_pixels: None,
};

fn probe() -> Probe<Cpu> {
    Probe::new(Cpu::new(NonZero::new(2)).unwrap())
}

fn image(predictor: &Predictor) -> [Prepared; 1] {
    let values = mini().stage("image").values.clone();
    let size = 3 * predictor.image_size().pow(2);
    [predictor
        .prepared_from_normalised(values[..size].to_vec())
        .unwrap()]
}

/// Operations and transfers of loading the mini model, and of one image after that.
fn counts() -> [usize; 2] {
    let (device, weights) = (probe(), mini().weights());
    let model = Model::load(&device, &weights).unwrap();
    let loading = device.count();
    let side = weights.settings().image_size;
    let pixels = vec![0.5; 3 * side * side];
    let images = device.constant([1, 3, side * side], &pixels).unwrap();
    let logits = model.forward(&device, &images);
    for tap in logits.branch1.iter().chain(&logits.branch2) {
        drop(device.values(tap).unwrap());
    }
    [loading, device.count() - loading]
}

/// Wherever in loading or in a photo a device fails, its error is what the caller gets.
#[test]
fn a_device_that_fails_gives_its_error() {
    let weights = mini().weights();
    let [loading, photo] = counts();
    assert!(loading > 50 && photo > 50, "{loading}, {photo}");
    let steps = (0..loading).step_by(7).chain(loading - 1..loading + photo);
    for (number, after) in steps.enumerate() {
        let kinds = [DeviceErrorKind::OutOfMemory, DeviceErrorKind::Failed];
        let error = DeviceError {
            kind: kinds[number % 2],
            message: format!("operation {after}"),
        };
        let device = probe().failing_after(after, error.clone());
        let found = match Predictor::on(device, &weights, &OPTIONS) {
            Err(found) => found,
            Ok(predictor) => predictor.predict(&image(&predictor)).unwrap_err(),
        };
        let text = found.to_string();
        let Error::Device(found) = found else {
            panic!("after {after} operations: {text}");
        };
        assert_eq!(found, error);
        assert!(text.contains(&error.to_string()), "{text}");
    }
    let device = probe().failing_after(
        loading + photo,
        DeviceError {
            kind: DeviceErrorKind::Failed,
            message: "too late".to_owned(),
        },
    );
    let predictor = Predictor::on(device, &weights, &OPTIONS).unwrap();
    let found = predictor.predict(&image(&predictor)).unwrap();
    let cpu = Predictor::new(&weights, &OPTIONS).unwrap();
    assert!(found == cpu.predict(&image(&cpu)).unwrap());
}

/// What the tower gave in vain is not decoded.
#[test]
fn features_that_failed_are_not_handed_on() {
    let weights = mini().weights();
    let [loading, _] = counts();
    let error = DeviceError {
        kind: DeviceErrorKind::OutOfMemory,
        message: "amid the tower".to_owned(),
    };
    let device = probe().failing_after(loading + 9, error.clone());
    let predictor = Predictor::on(device, &weights, &OPTIONS).unwrap();
    let found = predictor.vision(&image(&predictor)).err().unwrap();
    assert!(matches!(found, Error::Device(found) if found == error));
}

#[test]
fn the_model_never_asks_for_the_batch() {
    for weights in vcp_testing::variants()
        .into_iter()
        .map(|variant| variant.weights)
        .chain([mini().weights()])
    {
        let device = probe();
        let side = weights.settings().image_size;
        let pixels = vec![0.5; 2 * 3 * side * side];
        let images = device.constant([2, 3, side * side], &pixels).unwrap();
        let map = device.without_batch(|| {
            let model = Model::load(&device, &weights).unwrap();
            let logits = model.forward(&device, &images);
            model.decoder.maps.map(&device, &logits.branch2)
        });
        assert_eq!(device.shape(&map), [2, side, side]);
    }
}

/// The tower runs on the device and the comparison on the CPU, with the same result as on the CPU alone.
#[test]
fn photos_are_compared_with_good_ones_whatever_the_device() {
    let weights = mini().weights();
    let here = Predictor::new(&weights, &OPTIONS).unwrap();
    let there = Predictor::on(probe(), &weights, &OPTIONS).unwrap();
    let photo = |seed: usize| {
        let pixels = (0..60 * 50 * 3).map(|index| (index * (seed + 7) % 251) as u8);
        Photo::from_rgb(60, 50, pixels.collect()).unwrap()
    };
    let mut found = Vec::new();
    for predictor in [&here, &there] {
        let mut builder = MemoryBuilder::new(predictor.cpu(), &weights, 2);
        for seed in 0..2 {
            let prepared = predictor.prepare_photo(photo(seed), None).unwrap();
            let watch = &mut || ControlFlow::Continue(());
            predictor
                .remember(prepared, seed.to_string(), &mut builder, watch)
                .unwrap();
        }
        let details = MemoryDetails {
            data: String::new(),
            date: String::new(),
            apply_orientation: true,
            windows: None,
            bits: None,
        };
        let references = builder.finish(predictor.cpu(), details).unwrap();
        let memory = ReferenceMemory::new(predictor.cpu(), &references, &weights).unwrap();
        let comparison = Comparison::with(Arc::new(memory));
        let prepared = predictor.prepare_photo(photo(5), None).unwrap();
        let prepared = prepared.compared_with(Some(comparison));
        let watch = &mut |_, _| ControlFlow::Continue(());
        let (_, prediction) = predictor.predict_photo(prepared, watch).unwrap();
        found.push((references.digest(), prediction));
    }
    assert_eq!(found[0], found[1]);
}
