//! Training from random weights finds defects that it has not seen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use rayon::prelude::*;
use vcp_burn::Device;
use vcp_checkpoint::{Geometry, Settings, TowerGeometry, Weights};
use vcp_image::{Photo, normalise};
use vcp_metrics::{Collector, ImageMap, PixelOptions};
use vcp_predict::{Predictor, PredictorOptions};
use vcp_synthetic::{SMALLEST, Synthetic, sample};
use vcp_train::{
    Batches, Error, Example, Examples, LossWeights, Position, Recipe, Schedule, Scope, Trainer,
};

const SIDE: usize = 64;
const STEPS: usize = 144;
const BATCH: usize = 32;
/// Each is seen several times, turned and mirrored.
const PICTURES: usize = 480;

/// Surfaces without a pattern or an object.
fn is_calm(picture: &Synthetic) -> bool {
    const SURFACES: [&str; 5] = [
        "plain:",
        "brushed metal:",
        "clouds:",
        "concrete:",
        "grains:",
    ];
    SURFACES
        .iter()
        .any(|surface| picture.what.starts_with(surface))
}

/// Drawn pictures of the simpler kind, since this training lasts seconds: calm surfaces, a third of
/// them clean, the others with defects that are areas and not the smallest.
fn pictures(first_seed: u64, count: usize) -> Vec<(Photo, Vec<u8>)> {
    const DEFECTS: [&str; 4] = ["stain", "burn", "hole", "patch"];
    /// Drawn at once, on all cores.
    const AT_ONCE: u64 = 256;
    let mut found = Vec::with_capacity(count);
    let mut clean = 0;
    for first in (first_seed..).step_by(AT_ONCE as usize) {
        let drawn: Vec<Synthetic> = (first..first + AT_ONCE)
            .into_par_iter()
            // The smallest picture of a seed mostly shows the same surface, and is drawn at once.
            .filter(|&seed| is_calm(&sample(seed, SMALLEST)))
            .map(|seed| sample(seed, SIDE))
            .filter(is_calm)
            .collect();
        for picture in drawn {
            let is_wanted = if picture.is_clean() {
                clean * 3 <= found.len()
            } else {
                let marked = picture.mask.iter().filter(|&&it| it > 0).count();
                picture.defects.iter().all(|it| DEFECTS.contains(it)) && marked * 80 > SIDE * SIDE
            };
            if is_wanted {
                clean += usize::from(picture.is_clean());
                found.push((picture.image, picture.mask));
            }
            if found.len() == count {
                return found;
            }
        }
    }
    found
}

struct Drawn(Vec<(Photo, Vec<u8>)>);

/// A square of values in one of the eight ways in which it lies on itself.
fn turned<T: Copy>(values: &[T], way: usize) -> Vec<T> {
    (0..SIDE * SIDE)
        .map(|at| {
            let (mut row, mut column) = (at / SIDE, at % SIDE);
            if way & 1 > 0 {
                row = SIDE - 1 - row;
            }
            if way & 2 > 0 {
                column = SIDE - 1 - column;
            }
            if way & 4 > 0 {
                (row, column) = (column, row);
            }
            values[row * SIDE + column]
        })
        .collect()
}

impl Examples for Drawn {
    fn count(&self) -> usize {
        STEPS * BATCH
    }

    fn example(&self, _epoch: usize, index: usize) -> Result<Example, Error> {
        let (image, mask) = &self.0[index % PICTURES];
        let way = index / PICTURES % 8;
        let truth: Vec<f32> = mask.iter().map(|&it| f32::from(u8::from(it > 0))).collect();
        Ok(Example {
            name: format!("picture {index}"),
            pixels: normalise(image)
                .chunks_exact(SIDE * SIDE)
                .flat_map(|channel| turned(channel, way))
                .collect(),
            truth: turned(&truth, way),
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
            map: &found[0].blended,
            mask: Some(mask),
            width: SIDE,
            height: SIDE,
        };
        collector.add(&image).unwrap();
    }
    collector.report().auroc.unwrap().value
}

#[test]
fn some_dozen_steps_find_defects_on_pictures_never_seen() {
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
        // The losses on pixels join for the last fifth.
        pixels_from: 0.8,
        dropout: 0.0,
        ..Recipe::default()
    };
    let judged = pictures(13_000_000, 96);
    let mut trained = weights();
    let before = pixel_auroc(&trained, &judged);

    let examples: Arc<dyn Examples> = Arc::new(Drawn(pictures(0, PICTURES)));
    let mut trainer = Trainer::new(weights(), recipe, STEPS * BATCH, Device::flex(), None).unwrap();
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
