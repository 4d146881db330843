//! The predictor against the official code's blended and smoothed maps.

use vcp_checkpoint::{Precision, Settings};
use vcp_cpu::{Cpu, InstructionSet};
use vcp_image::Photo;
use vcp_predict::{Predictor, PredictorOptions, mean_of_largest, pixels_for_score};
use vcp_testing::{Tolerance, assert_close, goldens, mini};

#[test]
fn blended_and_smoothed_maps() {
    for golden in goldens() {
        let predictor = Predictor::new(&golden.weights(), &PredictorOptions::default())
            .expect("the model loads");
        let image = golden.stage("image");
        let pixels = image.shape[2] * image.shape[3];
        let expected = ["blended_smoothed", "map1", "map2"].map(|name| golden.stage(name));
        for (index, values) in image.values.chunks_exact(3 * pixels).enumerate() {
            let prepared = predictor
                .prepared_from_normalised(values.to_vec())
                .expect("its size");
            let prediction = &predictor.predict(&[prepared]).expect("a prediction")[0];
            let found = [
                &prediction.blended,
                &prediction.branch1,
                &prediction.branch2,
            ];
            for (found, expected) in found.iter().zip(&expected) {
                let expected = &expected.values[index * pixels..][..pixels];
                assert_close(golden.name, found, expected, Tolerance::Map);
            }
            let count = pixels_for_score(predictor.image_size());
            let score = [&prediction.branch1, &prediction.branch2]
                .map(|map| mean_of_largest(map, count))
                .iter()
                .sum::<f32>()
                / 2.0;
            assert!((prediction.score - score).abs() < 1e-6);
        }
    }
}

/// With narrow numbers, maps are the official code's within a tolerance of their own, on every instruction set that has them.
#[test]
fn maps_with_narrow_numbers() {
    for (precision, tolerance) in [
        (Precision::Bf16, Tolerance::Bf16Map),
        (Precision::Int8, Tolerance::Int8Map),
    ] {
        for set in InstructionSet::available() {
            let cpu = Cpu::with_instruction_set(None, set).expect("threads start");
            if cpu.with_precision(precision).is_err() {
                println!(
                    "{} does not compute in {precision}: it is not run.",
                    set.name()
                );
                continue;
            }
            for golden in goldens() {
                let weights = golden.weights();
                let settings = Settings {
                    precision,
                    ..weights.settings().clone()
                };
                let weights = weights.with_settings(settings).expect("the same model");
                let options = PredictorOptions {
                    instruction_set: Some(set),
                    ..PredictorOptions::default()
                };
                let predictor = Predictor::new(&weights, &options).expect("the model loads");
                let image = golden.stage("image");
                let pixels = image.shape[2] * image.shape[3];
                let expected = ["map1", "map2"].map(|name| golden.stage(name));
                for (index, values) in image.values.chunks_exact(3 * pixels).enumerate() {
                    let prepared = predictor
                        .prepared_from_normalised(values.to_vec())
                        .expect("its size");
                    let found = &predictor.predict(&[prepared]).expect("a prediction")[0];
                    for (found, expected) in [&found.branch1, &found.branch2].iter().zip(&expected)
                    {
                        let expected = &expected.values[index * pixels..][..pixels];
                        let what = format!("{} in {precision} with {}", golden.name, set.name());
                        assert_close(&what, found, expected, tolerance);
                        assert!(found.as_slice() != expected, "{what}: computed in f32");
                    }
                }
            }
        }
    }
}

/// A batch larger than what runs at once gives what its photos give alone.
#[test]
fn batches_equal_single_photos() {
    let predictor =
        Predictor::new(&mini().weights(), &PredictorOptions::default()).expect("the model loads");
    let prepared: Vec<_> = (0..60_u32)
        .map(|index| {
            let pixels = (0..90 * 70 * 3_u32)
                .map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(index * 7919) >> 24) as u8);
            let photo = Photo::from_rgb(90, 70, pixels.collect()).expect("a photo");
            predictor.prepare(&photo)
        })
        .collect();
    let together = predictor.predict(&prepared).expect("predictions");
    for (index, (prepared, expected)) in prepared.iter().zip(&together).enumerate() {
        let alone = predictor
            .predict(std::slice::from_ref(prepared))
            .expect("a prediction");
        assert!(alone[0] == *expected, "photo {index}");
    }
}

#[test]
fn images_prepared_for_another_size_are_refused() {
    let golden = mini();
    let predictor =
        Predictor::new(&golden.weights(), &PredictorOptions::default()).expect("the model loads");
    let error = predictor
        .prepared_from_normalised(vec![0.0; 3 * 56 * 56])
        .expect_err("56, not 70");
    assert!(
        error.to_string().contains("56") && error.to_string().contains("70"),
        "{error}"
    );
}
