//! `vcp-clip pretrain`: a small model from random weights, or on a pretrained backbone.

use std::sync::Arc;

use serde::Serialize;
use vcp_checkpoint::{
    Backbone, CONVOLUTIONAL_STRIDE, Geometry, LoadOptions, Settings, TensorFile, TowerGeometry,
    Weights,
};
use vcp_dataset::{Sample, Split, digest_of_listing};
use vcp_image::DecodeOptions;
use vcp_train::session::{Configuration, DataSource, Outputs, RunFolder, Session};
use vcp_train::{
    DatasetExamples, Examples, LossWeights, Mixture, Recipe, Schedule, Scope, SyntheticExamples,
    Trainer, forget_unused_tokens, varied, with_image_size,
};

use crate::args::PretrainArgs;
use crate::data::{collection, read_usable, settled};
use crate::exit::{Exit, OrUsage, usage};

pub(crate) fn run(arguments: &PretrainArgs) -> anyhow::Result<Exit> {
    let device = super::find_device(&arguments.device, arguments.quiet)?;
    let weights = start(arguments)?;
    let recipe = recipe(arguments, &weights)?;
    recipe.check().or_usage()?;
    let side = weights.settings().image_size;
    let photos = photos(arguments)?;
    let configuration = configuration(arguments, &weights, &recipe, photos.as_ref())?;
    let examples = examples(arguments, side, photos)?;
    let folder =
        RunFolder::prepare(arguments.out.clone(), arguments.restart).map_err(super::refused)?;
    // The state holds what is trained, so both may be those of the start.
    let mut trainer = Trainer::new(
        start(arguments)?,
        recipe,
        examples.count(),
        device.burn(),
        None,
    )?;
    if arguments.pictures.same_pictures {
        const GIGABYTE: f64 = 1e9;
        trainer.keep_features((arguments.pictures.feature_cache * GIGABYTE) as u64);
    }
    let session = Session {
        folder,
        trainer,
        examples,
        weights,
        configuration,
        outputs: Outputs::Bundles {
            averaged: arguments.average,
        },
        validation: None,
        patience: None,
        save_every: arguments.save_every,
        workers: arguments.workers.get(),
    };
    super::run(session, arguments.quiet)
}

fn recipe(arguments: &PretrainArgs, weights: &Weights) -> anyhow::Result<Recipe> {
    let tuned = arguments.tune_blocks;
    let scope = match weights.geometry().backbone {
        Some(backbone) => Scope::FromBlock(backbone.blocks.saturating_sub(tuned)),
        None if tuned > 0 => {
            return Err(usage(
                "--tune-blocks trains blocks of a convolutional tower's backbone, and this model has none. \
                 --tower FILE makes one.",
            ));
        }
        None => Scope::Everything,
    };
    Ok(Recipe {
        scope,
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
            image: arguments.image_loss,
            ..Recipe::default().loss
        },
        learned_blend: false,
        mixed_precision: arguments.device.mixed_precision,
        pixels_from: arguments.pixels_from,
        dropout: 0.0,
        seed: arguments.seed,
    })
}

/// The weights at the start.
fn start(arguments: &PretrainArgs) -> anyhow::Result<Weights> {
    if let Some(bundle) = &arguments.from {
        let weights = Weights::open_bundle(bundle).or_usage()?;
        return with_image_size(weights, arguments.image_size).or_usage();
    }
    let backbone = arguments.tower.as_deref().map(TensorFile::open);
    let backbone = backbone.transpose().or_usage()?;
    let patch_size = match backbone {
        Some(_) => CONVOLUTIONAL_STRIDE,
        None => arguments.patch,
    };
    let geometry = Geometry {
        embedding_width: arguments.text_width,
        vision: TowerGeometry::new(arguments.layers, arguments.width),
        backbone: backbone.as_ref().map(|_| Backbone::efficientnet_lite0()),
        patch_size,
        // An image too small is refused for itself.
        native_grid: (arguments.image_size / patch_size.max(1)).max(1),
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
    if let Some(file) = &backbone {
        weights
            .set_backbone(file, LoadOptions::default())
            .or_usage()?;
    }
    Ok(weights)
}

/// Photos to mix in, and how to read them.
struct Photos {
    samples: Vec<Sample>,
    decode: DecodeOptions,
}

fn photos(arguments: &PretrainArgs) -> anyhow::Result<Option<Photos>> {
    if arguments.data.dataset.is_empty() {
        return Ok(None);
    }
    let collection = collection(arguments.data.clone(), true)?;
    let read = read_usable(&collection, arguments.quiet)?;
    let samples = read.into_iter().flat_map(|read| read.dataset.samples);
    let samples: Vec<Sample> = samples
        .filter(|sample| sample.split.belongs_to(Split::Train))
        .collect();
    Ok(Some(Photos {
        decode: settled(&collection.options.decode, &samples, arguments.quiet),
        samples,
    }))
}

fn examples(
    arguments: &PretrainArgs,
    side: usize,
    photos: Option<Photos>,
) -> anyhow::Result<Arc<dyn Examples>> {
    let count = arguments.epoch_images.get();
    let mut made = SyntheticExamples::new(count, side, arguments.seed);
    if arguments.pictures.disturb {
        made = made.disturbed(arguments.pictures.grey);
    }
    if arguments.pictures.same_pictures {
        made = made.repeated();
    }
    let made = Arc::new(made);
    let Some(Photos { samples, decode }) = photos else {
        return Ok(made);
    };
    let photos = DatasetExamples::new(samples, side, decode, arguments.seed);
    let photos = super::noticing(photos, arguments.quiet);
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

/// What is trained on, as it stands in config.toml.
#[derive(Serialize)]
struct Data {
    epoch_images: usize,
    /// Raised when the same seed draws other pictures than before.
    drawing: u32,
    /// The fraction without colour of pictures that are disturbed.
    #[serde(skip_serializing_if = "Option::is_none")]
    disturbed: Option<f32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    same_pictures: bool,
    #[serde(flatten)]
    mixed: Option<Mixed>,
}

#[derive(Serialize)]
struct Mixed {
    photos: usize,
    share_of_photos: f64,
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits: Option<u32>,
}

/// All that the run depends on.
fn configuration(
    arguments: &PretrainArgs,
    weights: &Weights,
    recipe: &Recipe,
    photos: Option<&Photos>,
) -> Result<Configuration, vcp_train::Error> {
    let data = Data {
        epoch_images: arguments.epoch_images.get(),
        drawing: 2,
        disturbed: arguments
            .pictures
            .disturb
            .then_some(arguments.pictures.grey),
        same_pictures: arguments.pictures.same_pictures,
        mixed: photos.map(|photos| Mixed {
            photos: photos.samples.len(),
            share_of_photos: arguments.photos,
            digest: digest_of_listing(&photos.samples),
            bits: DataSource::bits(&photos.decode),
        }),
    };
    super::configuration(weights, recipe)?.with("data", &data)
}
