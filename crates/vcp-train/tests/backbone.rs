//! Training behind a frozen part of a convolutional backbone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use vcp_burn::Device;
use vcp_burn::losses::LossWeights;
use vcp_checkpoint::Weights;
use vcp_random::Random;
use vcp_testing::device::convolutional_weights;
use vcp_train::{Batch, Error, Position, Recipe, Scope, Trainer};

const SIDE: usize = 40;
const BLOCKS: usize = 5;

fn weights() -> Weights {
    convolutional_weights(BLOCKS, SIDE)
}

fn recipe(scope: Scope) -> Recipe {
    Recipe {
        scope,
        epochs: 1,
        batch_size: 2,
        learning_rate: 1e-3,
        loss: LossWeights {
            grid: 1.0,
            ..Recipe::default().loss
        },
        dropout: 0.0,
        ..Recipe::default()
    }
}

fn trainer(scope: Scope) -> Trainer {
    Trainer::new(weights(), recipe(scope), 8, Device::flex(), None).unwrap()
}

/// A batch of two images, the second of which comes again in every batch.
fn batch(number: u64) -> Batch {
    let image = |seed: u64| {
        let mut random = Random::of(&[seed]);
        (0..3 * SIDE * SIDE)
            .map(|_| random.normal())
            .collect::<Vec<f32>>()
    };
    let truth = (0..2 * SIDE * SIDE).map(|at| f32::from(u8::from(at % SIDE < SIDE / 3)));
    Batch {
        position: Position {
            epoch: 0,
            batch: number as usize,
        },
        names: vec!["one".to_owned(), "two".to_owned()],
        pixels: [image(100 + number), image(7)].concat(),
        truth: truth.collect(),
        keys: vec![None, Some(7)],
    }
}

#[test]
fn what_is_trained_begins_at_the_block() {
    for first in [0, 3, BLOCKS] {
        let names = trainer(Scope::FromBlock(first)).trained_names();
        let of_backbone = names
            .iter()
            .filter_map(|name| name.strip_prefix("clip.visual.backbone."));
        let mut blocks: Vec<usize> = of_backbone
            .map(|name| {
                let number = name.strip_prefix("blocks.").unwrap();
                number.split('.').next().unwrap().parse().unwrap()
            })
            .collect();
        blocks.dedup();
        blocks.sort_unstable();
        blocks.dedup();
        assert_eq!(blocks, (first..BLOCKS).collect::<Vec<_>>());
        for name in [
            "clip.visual.neck.levels.0.feature.weight",
            "vcp.prompt_proj.weight",
        ] {
            assert!(names.iter().any(|own| own == name), "{name}");
        }
    }
    let all = trainer(Scope::Everything).trained_names();
    assert!(
        all.iter()
            .any(|name| name == "clip.visual.backbone.stem.weight")
    );
}

#[test]
fn where_it_is_cut_changes_no_loss() {
    let loss = |scope: Scope| trainer(scope).step(&batch(0)).unwrap().loss;
    let whole = loss(Scope::Everything);
    for first in [0, 2, BLOCKS, 99] {
        let found = loss(Scope::FromBlock(first));
        let difference = (found - whole).abs();
        assert!(
            difference < 1e-4 * whole,
            "{first}: {found} instead of {whole}"
        );
    }
}

#[test]
fn features_that_are_kept_change_no_bit() {
    for first in [3, BLOCKS] {
        let run = |room: u64| {
            let mut trainer = trainer(Scope::FromBlock(first));
            trainer.keep_features(room);
            for number in 0..4 {
                trainer.step(&batch(number)).unwrap();
            }
            trainer.state().unwrap().values
        };
        assert!(run(0) == run(1 << 30), "from block {first}");
    }
}

#[test]
fn a_transformer_has_no_backbone() {
    let weights = vcp_testing::device::small_weights();
    let made = Trainer::new(
        weights,
        recipe(Scope::FromBlock(3)),
        8,
        Device::flex(),
        None,
    );
    let error = made.err().unwrap();
    assert!(matches!(error, Error::Recipe(_)), "{error}");
    assert!(error.to_string().contains("convolutional"), "{error}");
}
