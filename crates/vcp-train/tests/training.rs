//! Small trainings: that they learn, and that an interrupted one ends as an unbroken one.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use vcp_burn::Device;
use vcp_checkpoint::{Geometry, Settings, TowerGeometry, Weights};
use vcp_train::{
    Batch, Batches, Error, Event, Example, Examples, LossScale, LossWeights, Position, Recipe,
    Scope, State, Trainer, run,
};

const SIDE: usize = 32;

/// Noise with a bright square somewhere.
struct Squares(usize);

impl Examples for Squares {
    fn count(&self) -> usize {
        self.0
    }

    fn example(&self, epoch: usize, index: usize) -> Result<Example, Error> {
        let mut state = (epoch * 1000 + index + 1) as u64;
        let mut random = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1_u64 << 24) as f32
        };
        let [left, top] = [(); 2].map(|()| (random() * 24.0) as usize);
        let is_inside = |at: usize| {
            let (x, y) = (at % SIDE, at / SIDE);
            (left..left + 8).contains(&x) && (top..top + 8).contains(&y)
        };
        let truth = (0..SIDE * SIDE).map(|at| f32::from(u8::from(is_inside(at))));
        let pixels = (0..3 * SIDE * SIDE).map(|at| {
            random() - 0.5
                + if is_inside(at % (SIDE * SIDE)) {
                    1.5
                } else {
                    0.0
                }
        });
        Ok(Example {
            name: format!("{epoch}-{index}"),
            pixels: pixels.collect(),
            truth: truth.collect(),
            key: None,
        })
    }
}

fn weights() -> Weights {
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(2, 64),
        patch_size: 4,
        native_grid: SIDE / 4,
        text: TowerGeometry::new(1, 64),
        context_length: 16,
        tap_count: 2,
        ..Geometry::vit_b_16()
    };
    let settings = Settings {
        image_size: SIDE,
        ..Settings::for_geometry(&geometry)
    };
    Weights::random(geometry, settings, 5).unwrap()
}

fn recipe(scope: Scope) -> Recipe {
    Recipe {
        scope,
        epochs: 2,
        batch_size: 3,
        learning_rate: 1e-3,
        loss: LossWeights {
            grid: 1.0,
            ..Recipe::default().loss
        },
        clip_norm: Some(5.0),
        ..Recipe::default()
    }
}

fn trainer(recipe: &Recipe, examples: &dyn Examples) -> Trainer {
    Trainer::new(
        weights(),
        recipe.clone(),
        examples.count(),
        Device::flex(),
        None,
    )
    .unwrap()
}

/// Trains until `steps` steps have been made in all.
fn train(
    recipe: &Recipe,
    examples: &Arc<dyn Examples>,
    state: &Path,
    steps: u64,
    threads: usize,
) -> BTreeMap<String, Vec<f32>> {
    let mut trainer = trainer(recipe, &**examples);
    if state.exists() {
        trainer.resume(State::read(state).unwrap()).unwrap();
    }
    run(&mut trainer, examples, state, 0, threads, |_, event| {
        Ok::<_, Error>(match event {
            Event::Step(report) if report.step >= steps => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    })
    .unwrap();
    trainer.state().unwrap().values
}

#[test]
fn an_interrupted_training_ends_as_an_unbroken_one() {
    for scope in [Scope::Learned, Scope::Everything] {
        let (recipe, examples): (_, Arc<dyn Examples>) = (recipe(scope), Arc::new(Squares(8)));
        let folder = tempfile::tempdir().unwrap();
        let unbroken = train(&recipe, &examples, &folder.path().join("unbroken"), 99, 1);
        let state = folder.path().join("broken");
        // In an epoch, at its end, and after it.
        for steps in [1, 3, 4, 99] {
            let _ = train(&recipe, &examples, &state, steps, 2);
        }
        let end = State::read(&state).unwrap();
        assert_eq!(end.position, Position { epoch: 2, batch: 0 });
        assert_eq!(end.steps, 6);
        assert!(end.values == unbroken, "{scope:?}");
        let start = trainer(&recipe, &*examples).state().unwrap().values;
        assert!(end.values != start);
        let mut prefixes: Vec<_> = end.values.keys().map(|name| &name[..4]).collect();
        prefixes.dedup();
        assert_eq!(
            prefixes,
            if scope == Scope::Everything {
                vec!["clip", "vcp."]
            } else {
                vec!["vcp."]
            }
        );
    }
}

#[test]
fn an_interrupted_training_in_mixed_precision_ends_as_an_unbroken_one() {
    let examples: Arc<dyn Examples> = Arc::new(Squares(8));
    let single = recipe(Scope::Learned);
    let mixed = Recipe {
        mixed_precision: true,
        ..single.clone()
    };
    let folder = tempfile::tempdir().unwrap();
    let unbroken = train(&mixed, &examples, &folder.path().join("unbroken"), 99, 1);
    let state = folder.path().join("broken");
    for steps in [2, 99] {
        let _ = train(&mixed, &examples, &state, steps, 1);
    }
    let end = State::read(&state).unwrap();
    assert!(end.values == unbroken);
    let whole = State::read(&folder.path().join("unbroken")).unwrap();
    assert_eq!(end.loss_scale, whole.loss_scale);
    assert_ne!(end.loss_scale, Some(LossScale::default()));
    // Near the other one, and not the same.
    let exact = train(&single, &examples, &folder.path().join("single"), 99, 1);
    let start = trainer(&single, &*examples).state().unwrap().values;
    let distance = |one: &BTreeMap<String, Vec<f32>>| {
        let pairs = one.values().flatten().zip(exact.values().flatten());
        pairs
            .map(|(one, other)| f64::from(one - other).powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let (moved, off) = (distance(&start), distance(&unbroken));
    // In Adam's first steps, a gradient that is nothing but rounding counts as much as any other.
    assert!(off > 0.0 && off < 0.5 * moved, "{off} of {moved}");
    // A run in the one does not go on in the other.
    let mut other = trainer(&mixed, &*examples);
    let of_single = State::read(&folder.path().join("single")).unwrap();
    let damaged = State {
        loss_scale: Some(scale(3.0, 0)),
        ..end.clone()
    };
    for state in [of_single, damaged] {
        let before = other.state().unwrap();
        let error = other.resume(state).unwrap_err();
        assert!(
            error.to_string().contains("was not one in mixed"),
            "{error}"
        );
        assert!(other.state().unwrap() == before);
    }
    let error = trainer(&single, &*examples).resume(end).unwrap_err();
    assert!(error.to_string().contains("was one in mixed"), "{error}");
}

/// A scale of the loss so many steps after it changed.
fn scale(factor: f32, steps: u32) -> LossScale {
    serde_json::from_value(serde_json::json!({"factor": factor, "steps": steps})).unwrap()
}

#[test]
fn gradients_beyond_16_bit_floats_lower_the_scale_and_cost_no_batch() {
    let recipe = Recipe {
        mixed_precision: true,
        ..recipe(Scope::Learned)
    };
    let examples: Arc<dyn Examples> = Arc::new(Squares(3));
    let batch = Batches::start(&examples, 3, Position::default(), 1)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let step = |factor: f32| {
        let mut trainer = trainer(&recipe, &*examples);
        let mut state = trainer.state().unwrap();
        state.loss_scale = Some(scale(factor, 7));
        trainer.resume(state).unwrap();
        let report = trainer.step(&batch).unwrap();
        assert_eq!(report.step, 1);
        (report, trainer.state().unwrap())
    };
    let largest = 16_777_216.0;
    let (report, state) = step(largest);
    let found = state.loss_scale.unwrap();
    assert!(found.factor() < largest, "{found:?}");
    assert_eq!(found, scale(found.factor(), 1));
    // As if it had begun there.
    let (again, same) = step(found.factor());
    assert!(again == report && same.values == state.values);
    assert_eq!(same.loss_scale, Some(scale(found.factor(), 8)));
}

#[test]
fn it_learns() {
    let examples: Arc<dyn Examples> = Arc::new(Squares(16));
    let recipe = Recipe {
        epochs: 8,
        batch_size: 4,
        ..recipe(Scope::Everything)
    };
    let mut trainer = trainer(&recipe, &*examples);
    let mut losses = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    run(
        &mut trainer,
        &examples,
        &folder.path().join("state"),
        0,
        1,
        |_, event| {
            if let Event::Step(report) = event {
                losses.push(report.loss);
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        },
    )
    .unwrap();
    assert_eq!(losses.len(), 32);
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    let (first, last) = (mean(&losses[..4]), mean(&losses[28..]));
    assert!(last < 0.75 * first, "{first} to {last}");
}

#[test]
fn batches_do_not_depend_on_the_number_of_threads() {
    let examples: Arc<dyn Examples> = Arc::new(Squares(7));
    let from = Position { epoch: 0, batch: 1 };
    let take = |threads| -> Vec<Batch> {
        let batches = Batches::start(&examples, 3, from, threads).unwrap();
        batches.take(6).map(Result::unwrap).collect()
    };
    let alone = take(1);
    assert!(alone == take(3));
    let sizes: Vec<_> = alone.iter().map(|batch| batch.names.len()).collect();
    assert_eq!(sizes, [3, 1, 3, 3, 1, 3]);
    assert_eq!(alone[2].names[0], "1-0");
}

#[test]
fn states_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let recipe = recipe(Scope::Learned);
    let mut state = trainer(&recipe, &Squares(3)).state().unwrap();
    state.write(&path).unwrap();
    assert!(State::read(&path).unwrap() == state);

    let bytes = std::fs::read(&path).unwrap();
    for length in [0, 7, 100, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(
            matches!(State::read(&path), Err(Error::State { .. })),
            "{length}"
        );
    }
    // A flipped bit in a value, a moment, the description or the digest itself.
    for at in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        assert!(
            matches!(State::read(&path), Err(Error::State { .. })),
            "byte {at} of {}",
            bytes.len()
        );
    }
    let (name, _) = state.values.pop_first().unwrap();
    let error = trainer(&recipe, &Squares(3)).resume(state).unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
}

#[test]
fn a_loss_that_is_no_number_names_the_images() {
    for (mixed_precision, advice) in [
        (false, "A lower learning rate"),
        (true, "Without mixed precision"),
    ] {
        let recipe = Recipe {
            mixed_precision,
            ..recipe(Scope::Learned)
        };
        let error = without_numbers(&recipe);
        assert!(error.contains("0-0, 0-1, 0-2"), "{error}");
        assert!(error.contains(advice), "{error}");
    }
}

/// What a step with a pixel that is no number says. It changes nothing.
fn without_numbers(recipe: &Recipe) -> String {
    let mut trainer = trainer(recipe, &Squares(3));
    let before = trainer.state().unwrap();
    let mut batch = Batches::start(
        &(Arc::new(Squares(3)) as Arc<dyn Examples>),
        3,
        Position::default(),
        1,
    )
    .unwrap()
    .next()
    .unwrap()
    .unwrap();
    batch.pixels[5] = f32::NAN;
    let error = trainer.step(&batch).unwrap_err();
    assert!(trainer.state().unwrap() == before);
    error.to_string()
}
