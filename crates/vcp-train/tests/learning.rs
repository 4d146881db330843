//! Training from random weights finds defects that it has not seen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use vcp_burn::Device;
use vcp_checkpoint::{Geometry, Settings, TowerGeometry, Weights};
use vcp_dataset::synthetic::sample;
use vcp_image::{Photo, normalise};
use vcp_metrics::{Collector, ImageMap, PixelOptions};
use vcp_predict::{Predictor, PredictorOptions};
use vcp_train::{
    Batches, Error, Example, Examples, LossWeights, Position, Recipe, Schedule, Scope, Trainer,
};

const SIDE: usize = 64;
const STEPS: usize = 90;
const BATCH: usize = 16;
/// Each is seen several times.
const PICTURES: usize = 720;

/// Drawn pictures of the simpler kind, since this training lasts seconds: calm surfaces without
/// objects, and defects that are areas.
fn pictures(first_seed: u64, count: usize) -> Vec<(Photo, Vec<u8>)> {
    const SURFACES: [&str; 5] = [
        "plain:",
        "brushed metal:",
        "clouds:",
        "concrete:",
        "grains:",
    ];
    const DEFECTS: [&str; 6] = ["clean", "stain", "burn", "foreign surface", "hole", "patch"];
    (first_seed..)
        .map(|seed| sample(seed, SIDE))
        .filter(|it| {
            SURFACES.iter().any(|surface| it.what.starts_with(surface))
                && it.defects.iter().all(|defect| DEFECTS.contains(defect))
        })
        .take(count)
        .map(|it| (it.image, it.mask))
        .collect()
}

struct Drawn(Vec<(Photo, Vec<u8>)>);

impl Examples for Drawn {
    fn count(&self) -> usize {
        STEPS * BATCH
    }

    fn example(&self, _epoch: usize, index: usize) -> Result<Example, Error> {
        let (image, mask) = &self.0[index % PICTURES];
        Ok(Example {
            name: format!("picture {index}"),
            pixels: normalise(image),
            truth: mask.iter().map(|&it| f32::from(u8::from(it > 0))).collect(),
            key: None,
        })
    }
}

fn pixel_auroc(weights: &Weights, judged: &[(Photo, Vec<u8>)]) -> f64 {
    let predictor = Predictor::new(weights, &PredictorOptions::default()).unwrap();
    let mut collector = Collector::new(PixelOptions::default()).unwrap();
    for (image, mask) in judged {
        let found = predictor.predict(&[predictor.prepare(image)]).unwrap();
        let image = ImageMap {
            map: &found[0].branch2,
            mask: Some(mask),
            width: SIDE,
            height: SIDE,
        };
        collector.add(&image).unwrap();
    }
    collector.report().auroc.unwrap().value
}

#[test]
fn a_few_dozen_steps_find_defects_on_pictures_never_seen() {
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(3, 64),
        patch_size: 8,
        native_grid: SIDE / 8,
        text: TowerGeometry::new(1, 64),
        tap_count: 2,
        context_length: 32,
        ..Geometry::vit_b_16()
    };
    let settings = Settings {
        taps: vec![2, 3],
        image_size: SIDE,
        ..Settings::for_geometry(&geometry)
    };
    let weights = || Weights::random(geometry, settings.clone(), 3).unwrap();
    let recipe = Recipe {
        scope: Scope::Everything,
        epochs: 1,
        batch_size: BATCH,
        learning_rate: 3e-3,
        temperature_learning_rate: 3e-3,
        schedule: Schedule::Cosine,
        warm_up: 5,
        beta1: 0.9,
        beta2: 0.98,
        clip_norm: Some(1.0),
        loss: LossWeights {
            grid: 1.0,
            defect: 4.0,
            ..Recipe::default().loss
        },
        // The losses on pixels join for the last third.
        pixels_from: 0.67,
        dropout: 0.0,
        ..Recipe::default()
    };
    let judged = pictures(1_000_000, 60);
    let mut trained = weights();
    let before = pixel_auroc(&trained, &judged);

    let examples: Arc<dyn Examples> = Arc::new(Drawn(pictures(0, PICTURES)));
    let options = PredictorOptions::default();
    let mut trainer =
        Trainer::new(weights(), recipe, STEPS * BATCH, Device::flex(), &options).unwrap();
    let mut batches = Batches::start(&examples, BATCH, Position::default(), 1).unwrap();
    for _ in 0..STEPS {
        trainer.step(&batches.next().unwrap().unwrap()).unwrap();
    }
    trainer.write_into(&mut trained).unwrap();
    let after = pixel_auroc(&trained, &judged);
    eprintln!("pixel AUROC before {before:.3}, after {after:.3}");
    assert!(before < 0.75, "{before}");
    assert!(after > 0.85, "{after}");
}
