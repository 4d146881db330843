//! Arguments of `vcp-clip pretrain`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::{ConfigArgs, DatasetArgs, TrainDeviceArgs};

/// Train a small model from random weights, on pictures that are made up.
///
/// Nothing is needed but time: half of the pictures show defects, all are drawn from the seed while
/// training goes on. Photos of data sets with masks can be mixed in. A run that was interrupted, in
/// whatever way, goes on where it last saved when the same command is given again. Every epoch leaves
/// a bundle in --out that `segment` and `eval` take with --model.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct PretrainArgs {
    /// The folder for the run.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Begin with this bundle's weights instead of random ones; its shape counts, not the options'.
    #[arg(long, value_name = "BUNDLE", help_heading = "Model")]
    pub(crate) from: Option<PathBuf>,

    /// Side of the square pictures, in pixels.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 144,
        help_heading = "Model"
    )]
    pub(crate) image_size: usize,

    /// Side of a patch in pixels.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 8,
        help_heading = "Model"
    )]
    pub(crate) patch: usize,

    /// Channels of the vision tower, a multiple of 64.
    #[arg(long, value_name = "N", default_value_t = 192, help_heading = "Model")]
    pub(crate) width: usize,

    /// Blocks of the vision tower.
    #[arg(long, value_name = "N", default_value_t = 6, help_heading = "Model")]
    pub(crate) layers: usize,

    /// Channels of the text tower and of what both towers are compared in, a multiple of 64.
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Model")]
    pub(crate) text_width: usize,

    /// Blocks of the text tower.
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Model")]
    pub(crate) text_layers: usize,

    /// Vision blocks whose output is used, counted from 1.
    #[arg(
        long,
        value_name = "BLOCK,…",
        value_delimiter = ',',
        default_value = "2,4,6",
        help_heading = "Model"
    )]
    pub(crate) taps: Vec<usize>,

    #[command(flatten)]
    pub(crate) data: DatasetArgs,

    /// Share of the images that are photos from the data sets.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.2,
        help_heading = "Data"
    )]
    pub(crate) photos: f64,

    /// Epochs.
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = "Recipe")]
    pub(crate) epochs: usize,

    /// Images in an epoch.
    #[arg(
        long,
        value_name = "N",
        default_value = "2000",
        help_heading = "Recipe"
    )]
    pub(crate) epoch_images: NonZeroUsize,

    /// Images in a step.
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "Recipe")]
    pub(crate) batch_size: usize,

    /// Largest learning rate: it rises to this in --warm-up steps and falls along half a cosine.
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 1e-3,
        help_heading = "Recipe"
    )]
    pub(crate) learning_rate: f32,

    /// Steps in which the learning rate rises from 0.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 200,
        help_heading = "Recipe"
    )]
    pub(crate) warm_up: u64,

    /// Share of each matrix that is taken off it per step, times the learning rate.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.05,
        help_heading = "Recipe"
    )]
    pub(crate) weight_decay: f32,

    /// Share of the steps after which the official losses on pixels, and --image-loss, join the loss on
    /// patches.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.5,
        help_heading = "Recipe"
    )]
    pub(crate) pixels_from: f32,

    /// How much more a defect counts than its absence in the loss on patches.
    #[arg(
        long,
        value_name = "TIMES",
        default_value_t = 4.0,
        help_heading = "Recipe"
    )]
    pub(crate) defect_weight: f32,

    /// Weight of a cross-entropy of the image score, which is to make it tell whole pictures apart.
    /// It joins when --pixels-from says.
    #[arg(
        long,
        value_name = "WEIGHT",
        default_value_t = 0.0,
        help_heading = "Recipe"
    )]
    pub(crate) image_loss: f32,

    /// From which weights, pictures and their order follow.
    #[arg(long, value_name = "N", default_value_t = 333, help_heading = "Recipe")]
    pub(crate) seed: u64,

    /// Besides, write average.safetensors: the mean of the weights of so many last epochs.
    #[arg(long, value_name = "EPOCHS", default_value_t = 0)]
    pub(crate) average: usize,

    /// Save the state after so many steps, or a minute if these take longer, besides at the end of every
    /// epoch.
    #[arg(long, value_name = "STEPS", default_value_t = 100)]
    pub(crate) save_every: u64,

    /// Threads that make pictures.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) workers: NonZeroUsize,

    /// Begin anew although --out holds a run.
    #[arg(long)]
    pub(crate) restart: bool,

    /// Print neither progress nor notes.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) device: TrainDeviceArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}
