//! A run in its folder: interrupted and resumed, it leaves what an unbroken one leaves.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use vcp_burn::Device;
use vcp_checkpoint::{Geometry, Settings, TowerGeometry, Weights};
use vcp_train::session::{
    Configuration, End, EpochProgress, Outputs, RunFolder, Session, StepProgress, Watch,
};
use vcp_train::{Error, Examples, LossWeights, Recipe, Scope, SyntheticExamples, Trainer};

const SIDE: usize = 32;

fn weights() -> Weights {
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(1, 64),
        patch_size: 8,
        native_grid: SIDE / 8,
        text: TowerGeometry::new(1, 64),
        context_length: 16,
        tap_count: 1,
        ..Geometry::vit_b_16()
    };
    let settings = Settings {
        image_size: SIDE,
        ..Settings::for_geometry(&geometry)
    };
    Weights::random(geometry, settings, 5).unwrap()
}

/// Two epochs of two steps each.
fn recipe() -> Recipe {
    Recipe {
        scope: Scope::Everything,
        epochs: 2,
        batch_size: 2,
        learning_rate: 1e-3,
        loss: LossWeights {
            grid: 1.0,
            ..Recipe::default().loss
        },
        ..Recipe::default()
    }
}

fn session(folder: &Path, recipe: Recipe) -> Session {
    let examples: Arc<dyn Examples> = Arc::new(SyntheticExamples::new(4, SIDE, 3));
    let weights = weights();
    let configuration = Configuration::new("1", &weights, &recipe).unwrap();
    let device = Device::flex();
    Session {
        folder: RunFolder::prepare(folder.to_owned(), false).unwrap(),
        trainer: Trainer::new(self::weights(), recipe, examples.count(), device, None).unwrap(),
        examples,
        weights,
        configuration: configuration.with("data", &[1, 2]).unwrap(),
        outputs: Outputs::Bundles { averaged: 2 },
        validation: None,
        patience: None,
        save_every: 0,
        workers: 1,
    }
}

/// What a training told, and when it is to stop.
#[derive(Default)]
struct Told {
    steps: Vec<u64>,
    epochs: Vec<usize>,
    stop_after: Option<u64>,
}

impl Watch for Told {
    fn step(&mut self, progress: &StepProgress) {
        assert_eq!(progress.all_steps, 4);
        assert!(progress.images_per_second > 0.0);
        self.steps.push(progress.report.step);
    }

    fn epoch(&mut self, progress: &EpochProgress) {
        assert_eq!(progress.all_epochs, 2);
        assert!(progress.mean_loss.is_some() && progress.validation.is_none());
        self.epochs.push(progress.epoch);
    }

    fn stops(&mut self) -> bool {
        self.stop_after.is_some() && self.steps.last() >= self.stop_after.as_ref()
    }
}

#[test]
fn a_stopped_run_ends_as_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
    assert_eq!(
        session(&whole, recipe()).run(&mut ()).unwrap(),
        End::Complete
    );

    let (mut steps, mut epochs) = (Vec::new(), Vec::new());
    for (stop_after, end) in [
        (Some(1), End::Stopped),
        (Some(3), End::Stopped),
        (None, End::Complete),
    ] {
        let mut told = Told {
            stop_after,
            ..Told::default()
        };
        assert_eq!(session(&parts, recipe()).run(&mut told).unwrap(), end);
        steps.extend(told.steps);
        epochs.extend(told.epochs);
    }
    assert_eq!(steps, [1, 2, 3, 4]);
    assert_eq!(epochs, [1, 2]);
    for name in ["epoch-001", "epoch-002", "last", "average"] {
        let file = format!("{name}.safetensors");
        let [one, other] = [&whole, &parts].map(|folder| fs::read(folder.join(&file)).unwrap());
        assert!(one == other, "{file}");
    }
    assert!(!parts.join("epoch-003.safetensors").exists());
    let lines = fs::read_to_string(parts.join("metrics.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 4);
}

#[test]
fn only_the_same_run_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Told {
        stop_after: Some(1),
        ..Told::default()
    };
    session(folder.path(), recipe()).run(&mut first).unwrap();
    let other = Recipe {
        learning_rate: 2e-3,
        ..recipe()
    };
    let error = session(folder.path(), other).run(&mut ()).unwrap_err();
    assert!(error.is_refusal());
    assert!(
        matches!(&error, Error::OtherRun { differing, .. } if *differing == ["recipe.learning_rate"]),
        "{error}"
    );
    fs::write(folder.path().join("config.toml"), "[program]\nversion = ").unwrap();
    let error = RunFolder::prepare(folder.path().to_owned(), true).unwrap_err();
    assert!(matches!(error, Error::NotARun { .. }), "{error}");
    assert!(folder.path().join("state.safetensors").exists());
}
