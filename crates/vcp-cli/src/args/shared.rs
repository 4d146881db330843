//! Options that several commands take.

use std::ops::Bound;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vcp_checkpoint::bounds;
use vcp_clip::references::Copies;

use super::numbers::within;

/// Where options can be set besides the command line.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Read further options from this TOML file; its keys are the long option names.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Where pulled files and bundles are kept.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// Keep pulled weights in this folder instead of the platform's cache folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}

/// Which model to use and what to change about it.
#[derive(Debug, Args)]
pub(crate) struct ChoiceArgs {
    /// A bundle: its path, the name of a pulled one (visa, mvtec), or built-in, the small one that
    /// comes with the program [default: built-in; for bench, random weights].
    #[arg(
        long,
        help_heading = "Model",
        value_name = "BUNDLE",
        conflicts_with_all = ["clip", "checkpoint"]
    )]
    pub(crate) model: Option<PathBuf>,

    /// CLIP weights: an OpenAI archive such as ViT-L-14-336px.pt, a safetensors or torch.save file, or
    /// the index of one in parts. Needs --checkpoint.
    #[arg(
        long,
        help_heading = "Model",
        value_name = "FILE",
        conflicts_with = "model"
    )]
    pub(crate) clip: Option<PathBuf>,

    /// A trained VCP-CLIP checkpoint such as train_visa.pth. Needs --clip.
    #[arg(
        long,
        help_heading = "Model",
        value_name = "FILE",
        conflicts_with = "model"
    )]
    pub(crate) checkpoint: Option<PathBuf>,

    /// Vision blocks whose output is used, numbered from 1 to 1024 [default: the bundle's, else spread
    /// evenly: 6,12,18,24 for ViT-L].
    #[arg(
        long,
        help_heading = "Model",
        value_name = "BLOCK,…",
        value_delimiter = ',',
        value_parser = within(1_usize..=1024)
    )]
    pub(crate) taps: Vec<usize>,

    /// Side in pixels to which photos are resized, from 1 to 4096; pixels beyond the last whole patch
    /// are ignored [default: the bundle's, else 518, or 37 patches where these are fewer].
    #[arg(
        long,
        help_heading = "Model",
        value_name = "PIXELS",
        value_parser = within(bounds::IMAGE_SIZE)
    )]
    pub(crate) image_size: Option<usize>,

    /// Fractions of a branch's largest pixels, above 0 and up to 1, separated by commas: the mean over each
    /// is taken, and their mean is the score [default: the bundle's, else 2000 of 518 x 518 pixels]
    #[arg(
        long,
        help_heading = "Model",
        value_name = "F,…",
        value_delimiter = ',',
        value_parser = within((Bound::Excluded(0.0_f32), Bound::Included(1.0)))
    )]
    pub(crate) score_fractions: Vec<f32>,

    /// A text for a good product; must contain <|class|>, which stands for the product.
    /// Repeatable [default: the bundle's, else "a photo of a good <|class|>"].
    #[arg(long, help_heading = "Model", value_name = "TEXT")]
    pub(crate) template_normal: Vec<String>,

    /// A text for a defective product; must contain <|class|>. Repeatable [default: the bundle's, else
    /// "a photo of a damaged <|class|>"].
    #[arg(long, help_heading = "Model", value_name = "TEXT")]
    pub(crate) template_anomalous: Vec<String>,

    /// Activation function of both towers. The published checkpoints need gelu [default: the
    /// bundle's, else gelu].
    #[arg(long, help_heading = "Model", value_name = "NAME", value_enum)]
    pub(crate) activation: Option<ActivationName>,

    /// Whether the context vectors in the texts depend on the photo. A checkpoint that was trained
    /// with the official code's --use_global, which turns that off, needs off [default: the bundle's,
    /// else on].
    #[arg(long, help_heading = "Model", value_name = "NAME", value_enum)]
    pub(crate) global_context: Option<OnOrOff>,

    /// Skip and list tensors in the weight files that are unknown to the model, instead of refusing the
    /// file; they may mean that it belongs to another model.
    #[arg(long, help_heading = "Model")]
    pub(crate) ignore_unknown_tensors: bool,

    /// Run even if one image is estimated to take more than 10 minutes or 32 GiB.
    #[arg(long, help_heading = "Model")]
    pub(crate) no_cost_limit: bool,

    #[command(flatten)]
    pub(crate) cache: CacheArgs,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOrOff {
    /// The context vectors depend on the photo.
    On,
    /// The context vectors are the learned ones alone.
    Off,
}

/// Copies of reference photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CopiesName {
    /// Nothing.
    None,
    /// Its mirror image, left to right.
    Mirrored,
    /// Its mirror image, the same upside down, and the photo turned by half a turn.
    Turned,
}

impl CopiesName {
    pub(crate) fn copies(self) -> Copies {
        match self {
            Self::None => Copies::None,
            Self::Mirrored => Copies::Mirrored,
            Self::Turned => Copies::Turned,
        }
    }
}

/// An activation function by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ActivationName {
    /// The exact GELU, with the error function.
    Gelu,
    /// x · sigmoid(1.702 x), with which OpenAI trained CLIP.
    Quickgelu,
}
