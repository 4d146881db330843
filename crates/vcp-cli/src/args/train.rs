//! Arguments of `vcp-clip train`.

use std::num::NonZeroUsize;
use std::ops::Bound;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vcp_train::Recipe;

use super::data::OrientationArgs;
use super::numbers::{self, within};
use super::{ChoiceArgs, ConfigArgs, DatasetArgs, TrainDeviceArgs};

/// Train VCP-CLIP as the paper does.
///
/// CLIP is frozen; the parts that VCP-CLIP adds are trained on images with masks. Without further
/// options this is the official training: --dataset visa --root DIR --clip ViT-L-14-336px.pt --out RUN.
///
/// The folder RUN gets config.toml (everything the run depends on), epoch-001.pth and so on and last.pth
/// in the official layout, last.safetensors for --model, metrics.jsonl, event files for TensorBoard,
/// loss.png, and with a validation best.pth and best.safetensors. The same command resumes an
/// interrupted run from its last saved state, and ends with the same weights.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct TrainArgs {
    /// The folder for the run.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    #[command(flatten)]
    pub(crate) data: DatasetArgs,

    #[command(flatten)]
    pub(crate) orientation: OrientationArgs,

    /// The split to train on: train, validation, test, or all. The official code uses test, because
    /// only that has masks.
    #[arg(
        long,
        value_name = "SPLIT",
        default_value = "test",
        help_heading = "Data"
    )]
    pub(crate) split: String,

    /// Which model to start from: --clip alone gives random learned parts, as in the paper; --clip with
    /// --checkpoint, or --model, continues with trained ones.
    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,

    /// Context vectors in place of the product's name, from 1 to 64; with --clip alone.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        help_heading = "Model",
        value_parser = within(1_usize..=64)
    )]
    pub(crate) context_vectors: usize,

    /// Prompt rows in each block of the text tower, from 0 to 64; 0 for none (the official code's
    /// --total_d_layer_len 0); with --clip alone.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        help_heading = "Model",
        value_parser = within(0_usize..=64)
    )]
    pub(crate) deep_prompts: usize,

    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,

    #[command(flatten)]
    pub(crate) augmentation: AugmentationArgs,

    #[command(flatten)]
    pub(crate) validation: ValidationArgs,

    /// Also write average.pth and average.safetensors: the mean of the weights of so many last epochs,
    /// from 0 to 100000.
    #[arg(
        long,
        value_name = "EPOCHS",
        default_value_t = 0,
        value_parser = within(0_usize..=100_000)
    )]
    pub(crate) average: usize,

    /// Keep the vision tower's features of images for later epochs, in at most so many gigabytes of
    /// memory, from 0 to 65536; with --augment none. On the CPU, results do not change.
    #[arg(long, value_name = "GB", default_value_t = 0.0, value_parser = within(0.0_f64..=65536.0))]
    pub(crate) feature_cache: f64,

    /// Save the state after so many steps, from 0 to 1000000000, or a minute if these take longer, and
    /// at the end of every epoch; with 0, only there.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 100,
        value_parser = within(0_u64..=1_000_000_000)
    )]
    pub(crate) save_every: u64,

    /// Threads that prepare images, from 1 to 64.
    #[arg(long, value_name = "N", default_value = "1", value_parser = numbers::count(64))]
    pub(crate) workers: NonZeroUsize,

    #[command(flatten)]
    pub(crate) device: TrainDeviceArgs,

    /// Remove the run in --out and start again.
    #[arg(long)]
    pub(crate) restart: bool,

    /// Print neither progress nor notes.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// How to train; the defaults are the official constants.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recipe")]
pub(crate) struct RecipeArgs {
    /// Epochs: passes over all images, from 1 to 100000.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = within(1..=Recipe::MOST_EPOCHS))]
    pub(crate) epochs: usize,

    /// Images in a step, from 1 to 4096.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 32,
        value_parser = within(1_usize..=Recipe::MOST_BATCH)
    )]
    pub(crate) batch_size: usize,

    /// Learning rate of all but the temperatures, from 0 to 10 [default: 4e-5; 2e-5 if all data sets
    /// are mvtec].
    #[arg(long, value_name = "RATE", value_parser = within(0.0_f32..=10.0))]
    pub(crate) learning_rate: Option<f32>,

    /// Learning rate of both temperatures, from 0 to 10.
    #[arg(long, value_name = "RATE", default_value_t = 0.01, value_parser = within(0.0_f32..=10.0))]
    pub(crate) temperature_learning_rate: f32,

    /// Do not train the temperatures: the same as --temperature-learning-rate 0.
    #[arg(long)]
    pub(crate) fixed_temperatures: bool,

    /// Learn the weights of the branches in the map, instead of keeping the model's (0.2 and 0.8, unless
    /// it has others). Bundles store them; .pth files cannot.
    #[arg(long)]
    pub(crate) learned_blend: bool,

    /// Schedule of the learning rate.
    #[arg(long, value_name = "NAME", value_enum, default_value = "constant")]
    pub(crate) schedule: ScheduleName,

    /// Steps in which the learning rate rises to its full size, from 0 to 1000000000.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 0,
        value_parser = within(0_u64..=1_000_000_000)
    )]
    pub(crate) warm_up: u64,

    /// Adam's first beta, from 0 to below 1.
    #[arg(long, value_name = "BETA", default_value_t = 0.5, value_parser = within(0.0_f32..1.0))]
    pub(crate) beta1: f32,

    /// Adam's second beta, from 0 to below 1.
    #[arg(long, value_name = "BETA", default_value_t = 0.999, value_parser = within(0.0_f32..1.0))]
    pub(crate) beta2: f32,

    /// Adam's epsilon, above 0 and up to 1.
    #[arg(
        long,
        value_name = "EPSILON",
        default_value_t = 1e-8,
        value_parser = within((Bound::Excluded(0.0_f32), Bound::Included(1.0)))
    )]
    pub(crate) epsilon: f32,

    /// Weight decay: fraction of each matrix that is subtracted in each step, times the learning rate;
    /// from 0 to 100.
    #[arg(
        long,
        value_name = "FRACTION",
        default_value_t = 0.0,
        value_parser = within(0.0_f32..=100.0)
    )]
    pub(crate) weight_decay: f32,

    /// Clip the norm of all gradients together to this, above 0 and up to 1000000 [default: never].
    #[arg(
        long,
        value_name = "NORM",
        value_parser = within((Bound::Excluded(0.0_f32), Bound::Included(1e6)))
    )]
    pub(crate) clip_norm: Option<f32>,

    /// Fraction of the prompts' channels that is dropped in each step, from 0 to below 1.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.1, value_parser = within(0.0_f32..1.0))]
    pub(crate) dropout: f32,

    /// Weight of the focal loss, from 0 to 1000.
    #[arg(
        long,
        value_name = "WEIGHT",
        default_value_t = 1.0,
        value_parser = within(0.0_f32..=1000.0)
    )]
    pub(crate) focal: f32,

    /// Weight of the dice loss, from 0 to 1000.
    #[arg(
        long,
        value_name = "WEIGHT",
        default_value_t = 1.0,
        value_parser = within(0.0_f32..=1000.0)
    )]
    pub(crate) dice: f32,

    /// Weight of a loss on image scores, from 0 to 1000. The official training has none.
    #[arg(
        long,
        value_name = "WEIGHT",
        default_value_t = 0.0,
        value_parser = within(0.0_f32..=1000.0)
    )]
    pub(crate) image_loss: f32,

    /// Weight of a cross-entropy on patches, from 0 to 1000; useful early in training.
    #[arg(
        long,
        value_name = "WEIGHT",
        default_value_t = 0.0,
        value_parser = within(0.0_f32..=1000.0)
    )]
    pub(crate) grid_loss: f32,

    /// Seed of the initial weights, the augmentation and the order of images, from 0 to
    /// 9223372036854775807.
    #[arg(long, value_name = "N", default_value_t = 333, value_parser = within(numbers::SEEDS))]
    pub(crate) seed: u64,
}

/// Schedule of the learning rate, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScheduleName {
    /// The learning rate stays the same.
    Constant,
    /// The learning rate falls to 0 along half a cosine wave.
    Cosine,
}

/// How images are augmented; the defaults are the official constants.
#[derive(Debug, Args)]
#[command(next_help_heading = "Augmentation")]
pub(crate) struct AugmentationArgs {
    /// Whether images are augmented, as the options below say.
    #[arg(long, value_name = "NAME", value_enum, default_value = "official")]
    pub(crate) augment: AugmentName,

    /// Probability, from 0 to 1, that a mosaic of four anomalous images of the category replaces an
    /// image [default: 0.2 for mvtec, else 0].
    #[arg(long, value_name = "PROBABILITY", value_parser = numbers::share())]
    pub(crate) mosaic: Option<f32>,

    /// Probability of a rotation about the centre, from 0 to 1.
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.5, value_parser = numbers::share())]
    pub(crate) rotation: f32,

    /// Largest angle of the rotation to either side, from 0 to 180.
    #[arg(
        long,
        value_name = "DEGREES",
        default_value_t = 30.0,
        value_parser = within(0.0_f32..=180.0)
    )]
    pub(crate) rotation_degrees: f32,

    /// Probability of up to 3 quarter turns, from 0 to 1.
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.5, value_parser = numbers::share())]
    pub(crate) quarter_turns: f32,

    /// Probability of a change of brightness and contrast, from 0 to 1.
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.5, value_parser = numbers::share())]
    pub(crate) brightness_contrast: f32,

    /// Largest change of brightness, as a fraction of 255, from 0 to 1.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.2, value_parser = numbers::share())]
    pub(crate) brightness_limit: f32,

    /// Largest change of contrast: the difference of its factor from 1, from 0 to 1.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.2, value_parser = numbers::share())]
    pub(crate) contrast_limit: f32,

    /// Probability of Gaussian noise, from 0 to 1.
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.5, value_parser = numbers::share())]
    pub(crate) noise: f32,

    /// Smallest and largest variance of the noise for 8-bit values, each from 0 to 65025.
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        default_value = "10,50",
        value_parser = within(0.0_f32..=65025.0)
    )]
    pub(crate) noise_variance: Vec<f32>,

    /// Probability, from 0 to 1, of one of: blur of 3 pixels, jitter of colours, Gaussian blur of 3 to
    /// 7 pixels.
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.5, value_parser = numbers::share())]
    pub(crate) blur_or_jitter: f32,

    /// Largest jitter of brightness, contrast and saturation, from 0 to 1.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.2, value_parser = numbers::share())]
    pub(crate) jitter_limit: f32,

    /// Largest jitter of hue, as a fraction of the colour circle, from 0 to 0.5.
    #[arg(long, value_name = "FRACTION", default_value_t = 0.2, value_parser = within(0.0_f32..=0.5))]
    pub(crate) jitter_hue: f32,
}

/// Whether images are augmented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AugmentName {
    /// As the options say; by default as in the official training.
    Official,
    /// No augmentation.
    None,
}

/// Validation after every epoch. The official code evaluates on test products; here nothing is
/// evaluated by default.
#[derive(Debug, Args)]
#[command(next_help_heading = "Validation")]
pub(crate) struct ValidationArgs {
    /// Hold out this fraction of the normal and of the anomalous images for validation, from 0 to
    /// below 1. Images of one object stay together.
    #[arg(
        long,
        value_name = "FRACTION",
        default_value_t = 0.0,
        conflicts_with = "val_dataset",
        value_parser = within(0.0_f64..1.0)
    )]
    pub(crate) val_share: f64,

    /// Validate on a data set of this layout. Repeatable, with a --val-root for each.
    #[arg(long, value_name = "LAYOUT")]
    pub(crate) val_dataset: Vec<String>,

    /// The folder of a data set to validate on.
    #[arg(long, value_name = "DIR")]
    pub(crate) val_root: Vec<PathBuf>,

    /// Only these of its categories, separated by commas; repeatable.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) val_category: Vec<String>,

    /// The split to validate on: train, validation, test, or all.
    #[arg(long, value_name = "SPLIT", default_value = "test")]
    pub(crate) val_split: String,

    /// Stop after so many epochs, from 1 to 100000, without improvement [default: never].
    #[arg(long, value_name = "EPOCHS", value_parser = within(1_usize..=100_000))]
    pub(crate) patience: Option<usize>,
}
