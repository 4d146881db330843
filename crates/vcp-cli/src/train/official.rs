//! `vcp-clip train`: what VCP-CLIP adds to CLIP, on images with masks.

use std::sync::Arc;

use vcp_checkpoint::LearnedGeometry;
use vcp_dataset::{Collection, Sample, Split};
use vcp_predict::PredictorOptions;
use vcp_train::session::{Outputs, RunFolder, Session, ValidationSet};
use vcp_train::{
    Augmentation, DatasetExamples, Examples as _, LossWeights, Recipe, Schedule, Scope, Trainer,
    TrainingSet,
};

use crate::args::{
    AugmentName, AugmentationArgs, DatasetArgs, RecipeArgs, ScheduleName, TrainArgs,
};
use crate::console;
use crate::data::{collection, read_usable, settled, split};
use crate::exit::{Exit, OrUsage, usage};
use crate::model::Choice;

const GIGABYTE: f64 = 1e9;

pub(crate) fn run(arguments: TrainArgs) -> anyhow::Result<Exit> {
    let split = split("--split", &arguments.split)?;
    let collection = collection(arguments.data.clone(), arguments.orientation.orientation)?;
    let mut sets = read(&collection, split, arguments.quiet)?;
    let mut judged = judged_apart(&arguments)?;
    // One depth for the photos of training and of validation.
    let all = sets
        .iter()
        .flat_map(|set| &set.samples)
        .chain(judged.iter().map(|(_, sample)| sample));
    let decode = settled(&collection.options.decode, all, arguments.quiet);
    let recipe = recipe(
        &arguments.recipe,
        TrainingSet::learning_rate(&sets),
        arguments.device.mixed_precision,
    );
    recipe.check().or_usage()?;
    let device = super::find_device(&arguments.device, arguments.quiet)?;

    let share = arguments.validation.val_share;
    for set in sets.iter_mut().filter(|_| share > 0.0) {
        judged.extend(set.hold_out(share, recipe.seed));
    }
    if judged.is_empty() && arguments.validation.patience.is_some() {
        return Err(usage(
            "--patience needs something to judge epochs by: --val-share or --val-dataset.",
        ));
    }
    let mut sources = Vec::new();
    let mut augmented = Vec::new();
    for set in sets {
        let augmentation = augmentation(&arguments.augmentation, &set.augmentation())?;
        augmentation.check().or_usage()?;
        if !arguments.quiet {
            say_recipe(&set, &recipe, &augmentation);
        }
        sources.push(set.source(&augmentation, &decode));
        augmented.push((set.samples, augmentation));
    }

    let (seed, workers) = (recipe.seed, arguments.workers.get());
    let learned = LearnedGeometry {
        context_vectors: arguments.context_vectors,
        // Checkpoints without prompts in the text still hold a set of them.
        deep_prompts: arguments.deep_prompts.max(1),
        deep_prompting: arguments.deep_prompts > 0,
        ..LearnedGeometry::default()
    };
    let choice = Choice::to_train(arguments.choice, learned, seed)?;
    let weights = choice.open(arguments.quiet)?.into_weights();
    choice.settle_cost(&device, &weights, None, arguments.quiet)?;
    let side = weights.settings().image_size;
    let examples = DatasetExamples::augmented(augmented, side, decode.clone(), seed);
    let examples = super::noticing(examples, arguments.quiet);
    if examples.count() == 0 {
        return Err(usage(
            "There is nothing to train on: of no image of this split it is known where its defects \
             are. --split names another.",
        ));
    }
    let configuration = super::configuration(&weights, &recipe)?
        .with("data", &sources)?
        .with_validation(&judged)?;
    let start = choice.open(true)?.into_weights();
    let tower = device.tower(&start, recipe.mixed_precision).or_usage()?;
    let folder = RunFolder::prepare(arguments.out, arguments.restart).map_err(super::refused)?;
    let burn = device.burn();
    let mut trainer = Trainer::new(start, recipe, examples.count(), burn, Some(tower))?;
    trainer.keep_features((arguments.feature_cache * GIGABYTE) as u64);
    let session = Session {
        folder,
        trainer,
        examples: Arc::new(examples),
        weights,
        configuration,
        outputs: Outputs::Checkpoints {
            averaged: arguments.average,
        },
        validation: (!judged.is_empty()).then_some(ValidationSet {
            samples: judged,
            decode,
            predictor: Box::new(move |weights| {
                device.predictor(weights, &PredictorOptions::default())
            }),
        }),
        patience: arguments.validation.patience,
        save_every: arguments.save_every,
        workers,
    };
    super::run(session, arguments.quiet)
}

/// Data sets with the samples of a split.
fn read(
    collection: &Collection,
    split: Option<Split>,
    quiet: bool,
) -> anyhow::Result<Vec<TrainingSet>> {
    let all = read_usable(collection, quiet)?;
    let sets = all.into_iter().map(|read| TrainingSet::of(read, split));
    Ok(sets.collect())
}

/// Says which of the official recipes was taken for a data set, and why.
fn say_recipe(set: &TrainingSet, recipe: &Recipe, augmentation: &Augmentation) {
    console::note(&format!(
        "{} is trained by the official recipe for {} (learning rate {}, mosaics with probability {}), \
         because {}; --learning-rate and --mosaic set others.",
        set.name,
        set.recipe(),
        recipe.learning_rate,
        augmentation.mosaic,
        set.reason()
    ));
}

/// Samples of data sets that are judged by and not trained on.
fn judged_apart(all: &TrainArgs) -> anyhow::Result<Vec<(String, Sample)>> {
    let (arguments, data) = (&all.validation, &all.data);
    if arguments.val_dataset.is_empty() {
        if arguments.val_root.is_empty() {
            return Ok(Vec::new());
        }
        return Err(usage(
            "--val-root needs a --val-dataset that says how it lies.",
        ));
    }
    let split = split("--val-split", &arguments.val_split)?;
    let collection = collection(
        DatasetArgs {
            dataset: arguments.val_dataset.clone(),
            root: arguments.val_root.clone(),
            category: arguments.val_category.clone(),
            manifest: None,
            name: None,
            normal: None,
            anomalous: None,
            masks: None,
            ..data.clone()
        },
        all.orientation.orientation,
    )?;
    let sets = read(&collection, split, all.quiet)?;
    let all = sets.into_iter().flat_map(TrainingSet::into_judged);
    Ok(all.collect())
}

/// `usual` is the learning rate of the official recipe.
fn recipe(arguments: &RecipeArgs, usual: f32, is_mixed: bool) -> Recipe {
    Recipe {
        scope: Scope::Learned,
        epochs: arguments.epochs,
        batch_size: arguments.batch_size,
        learning_rate: arguments.learning_rate.unwrap_or(usual),
        temperature_learning_rate: if arguments.fixed_temperatures {
            0.0
        } else {
            arguments.temperature_learning_rate
        },
        schedule: match arguments.schedule {
            ScheduleName::Constant => Schedule::Constant,
            ScheduleName::Cosine => Schedule::Cosine,
        },
        warm_up: arguments.warm_up,
        beta1: arguments.beta1,
        beta2: arguments.beta2,
        epsilon: arguments.epsilon,
        weight_decay: arguments.weight_decay,
        clip_norm: arguments.clip_norm,
        loss: LossWeights {
            focal: arguments.focal,
            dice: arguments.dice,
            grid: arguments.grid_loss,
            image: arguments.image_loss,
            ..Recipe::default().loss
        },
        learned_blend: arguments.learned_blend,
        mixed_precision: is_mixed,
        pixels_from: 0.0,
        dropout: arguments.dropout,
        seed: arguments.seed,
    }
}

/// `usual` is that of the official recipe.
fn augmentation(
    arguments: &AugmentationArgs,
    usual: &Augmentation,
) -> anyhow::Result<Augmentation> {
    if arguments.augment == AugmentName::None {
        return Ok(Augmentation::none());
    }
    let [least, most] = arguments.noise_variance[..] else {
        return Err(usage(
            "--noise-variance takes two numbers, the smallest and the largest: A,B.",
        ));
    };
    Ok(Augmentation {
        mosaic: arguments.mosaic.unwrap_or(usual.mosaic),
        rotation: arguments.rotation,
        rotation_degrees: arguments.rotation_degrees,
        quarter_turns: arguments.quarter_turns,
        brightness_contrast: arguments.brightness_contrast,
        brightness_limit: arguments.brightness_limit,
        contrast_limit: arguments.contrast_limit,
        noise: arguments.noise,
        noise_variance: [least, most],
        blur_or_jitter: arguments.blur_or_jitter,
        jitter_limit: arguments.jitter_limit,
        jitter_hue: arguments.jitter_hue,
    })
}
