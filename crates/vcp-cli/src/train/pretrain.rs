//! `vcp-clip pretrain`: a small model from random weights.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use vcp_burn::Device;
use vcp_checkpoint::{Geometry, Precision, Settings, TowerGeometry, Weights};
use vcp_dataset::Split;
use vcp_predict::PredictorOptions;
use vcp_train::{
    DatasetExamples, Event, Examples, LossWeights, Mixture, Recipe, Schedule, Scope, State,
    StepReport, SyntheticExamples, Trainer, forget_unused_tokens, run as train, varied,
};

use crate::args::PretrainArgs;
use crate::data::Datasets;
use crate::exit::{Exit, OrUsage, usage};
use crate::interrupt::Stop;

pub(crate) fn run(arguments: &PretrainArgs) -> anyhow::Result<Exit> {
    let recipe = recipe(arguments);
    recipe.check().or_usage()?;
    let start = start(arguments)?;
    let side = start.settings().image_size;
    let examples = examples(arguments, side)?;
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("{} cannot be created", arguments.out.display()))?;
    let state = arguments.out.join("state.safetensors");

    // The state holds what is trained, so the weights in hand may be those of the start.
    let mut trainer = Trainer::new(
        again(arguments)?,
        recipe,
        examples.count(),
        Device::flex(),
        &PredictorOptions::default(),
    )?;
    if state.exists() && !arguments.restart {
        trainer.resume(State::read(&state)?)?;
    }
    let stop = Stop::on_signals()?;
    let mut log = Log::new(arguments, &trainer)?;
    let mut weights = start;
    let workers = arguments.workers.get();
    let save_every = arguments.save_every;
    let is_complete = train(
        &mut trainer,
        &examples,
        &state,
        save_every,
        workers,
        |trainer, event| -> anyhow::Result<_> {
            match event {
                Event::Step(report) => log.step(&report)?,
                Event::Epoch(epoch) => {
                    let path = arguments.out.join(format!("epoch-{epoch:03}.safetensors"));
                    write(trainer, &mut weights, &path)?;
                    write(
                        trainer,
                        &mut weights,
                        &arguments.out.join("last.safetensors"),
                    )?;
                }
            }
            Ok(if stop.is_requested() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        },
    )?;
    Ok(if is_complete {
        Exit::Done
    } else {
        Exit::Interrupted
    })
}

fn recipe(arguments: &PretrainArgs) -> Recipe {
    Recipe {
        scope: Scope::Everything,
        epochs: arguments.epochs,
        batch_size: arguments.batch_size,
        learning_rate: arguments.learning_rate,
        temperature_learning_rate: arguments.learning_rate,
        schedule: Schedule::Cosine,
        warm_up: arguments.warm_up,
        beta1: 0.9,
        beta2: 0.98,
        epsilon: 1e-8,
        weight_decay: arguments.weight_decay,
        clip_norm: Some(1.0),
        loss: LossWeights {
            grid: 1.0,
            defect: arguments.defect_weight,
            ..Recipe::default().loss
        },
        pixels_from: arguments.pixels_from,
        seed: arguments.seed,
    }
}

/// The weights at the start.
fn start(arguments: &PretrainArgs) -> anyhow::Result<Weights> {
    if let Some(bundle) = &arguments.from {
        let weights = Weights::open_bundle(bundle).or_usage()?;
        let settings = Settings {
            image_size: arguments.image_size,
            ..weights.settings().clone()
        };
        return weights.with_settings(settings).or_usage();
    }
    let geometry = Geometry {
        embedding_width: arguments.text_width,
        vision: TowerGeometry::new(arguments.layers, arguments.width),
        patch_size: arguments.patch,
        native_grid: arguments.image_size / arguments.patch.max(1),
        text: TowerGeometry::new(arguments.text_layers, arguments.text_width),
        tap_count: arguments.taps.len(),
        context_length: 32,
        ..Geometry::vit_b_16()
    };
    let settings = Settings {
        taps: arguments.taps.clone(),
        image_size: arguments.image_size,
        ..Settings::default()
    };
    let mut weights = Weights::random(geometry, settings, arguments.seed).or_usage()?;
    forget_unused_tokens(&mut weights)?;
    Ok(weights)
}

/// As [`start`]; weights are not cloned, since those of a file are a view of it.
fn again(arguments: &PretrainArgs) -> anyhow::Result<Weights> {
    start(arguments)
}

fn examples(arguments: &PretrainArgs, side: usize) -> anyhow::Result<Arc<dyn Examples>> {
    let count = arguments.epoch_images.get();
    let made = Arc::new(SyntheticExamples::new(count, side, arguments.seed));
    if arguments.data.dataset.is_empty() {
        return Ok(made);
    }
    let datasets = Datasets::new(arguments.data.clone(), true)?;
    let decode = datasets.decode_options().clone();
    let read = datasets.read()?;
    let samples = read.into_iter().flat_map(|read| read.dataset.samples);
    let for_training = samples.filter(|sample| sample.split.belongs_to(Split::Train));
    let photos = DatasetExamples::new(for_training.collect(), side, decode, arguments.seed);
    if photos.count() == 0 {
        return Err(usage(
            "No image of the data sets is for training: they have none in their train split of which \
             it is known where its defects are.",
        ));
    }
    let photos = Arc::new(photos.with_change(varied));
    Ok(Arc::new(Mixture::new(
        made,
        photos,
        arguments.photos,
        arguments.seed,
    )))
}

fn write(trainer: &Trainer, weights: &mut Weights, path: &Path) -> anyhow::Result<()> {
    trainer.write_into(weights)?;
    Ok(weights.write_bundle(path, Precision::F16)?)
}

/// What is said while it goes on.
struct Log {
    quiet: bool,
    file: std::fs::File,
    all: u64,
    first: u64,
    began: Instant,
    said: Instant,
    images: usize,
    mean: f32,
}

impl Log {
    fn new(arguments: &PretrainArgs, trainer: &Trainer) -> anyhow::Result<Self> {
        let path = arguments.out.join("metrics.jsonl");
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self {
            quiet: arguments.quiet,
            file,
            all: trainer.all_steps(),
            first: trainer.state().steps,
            began: Instant::now(),
            said: Instant::now(),
            images: arguments.batch_size,
            mean: f32::NAN,
        })
    }

    fn step(&mut self, report: &StepReport) -> anyhow::Result<()> {
        self.mean = if self.mean.is_nan() {
            report.loss
        } else {
            0.98 * self.mean + 0.02 * report.loss
        };
        let line = serde_json::json!({
            "step": report.step,
            "epoch": report.position.epoch,
            "loss": report.loss,
            "branch1": report.branch1,
            "branch2": report.branch2,
        });
        writeln!(self.file, "{line}")?;
        if !self.quiet && self.said.elapsed() >= Duration::from_secs(10) {
            self.said = Instant::now();
            let made = report.step - self.first;
            let rate = made as f64 / self.began.elapsed().as_secs_f64();
            let left = (self.all - report.step) as f64 / rate;
            let _ = writeln!(
                std::io::stderr(),
                "step {} of {}, loss {:.4}, {:.1} images/s, {:.0} min left",
                report.step,
                self.all,
                self.mean,
                rate * self.images as f64,
                left / 60.0
            );
        }
        Ok(())
    }
}
