//! Arguments of `vcp-clip segment`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ChoiceArgs, ConfigArgs, JudgingArgs, PhotoArgs, RunArgs, TilingArgs};

/// Find defects in photos: a score, regions and maps for each.
///
/// Prints one JSON line per photo as soon as it is done. With --out, also writes pictures and
/// arrays.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct SegmentArgs {
    /// Photos: a file, a folder, a pattern such as 'photos/*.png', or - to read paths from
    /// standard input, one per line.
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,

    /// Write files into this folder, with the folder structure of the photos.
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    pub(crate) out: Option<PathBuf>,

    /// What to write into --out, separated by commas [default: overlay].
    #[arg(
        long,
        value_name = "KIND,…",
        value_delimiter = ',',
        value_enum,
        help_heading = "Results"
    )]
    pub(crate) save: Vec<Save>,

    /// What to print: a JSON line per photo, or a table for people.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "json",
        help_heading = "Results"
    )]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) judging: JudgingArgs,

    /// End with exit status 3 when a photo has a defect.
    #[arg(long, help_heading = "Results")]
    pub(crate) fail_on_anomaly: bool,

    /// End with exit status 3 when a photo has a defect or is to be reviewed.
    #[arg(long, help_heading = "Results")]
    pub(crate) fail_on_review: bool,

    #[command(flatten)]
    pub(crate) photos: PhotoArgs,

    #[command(flatten)]
    pub(crate) tiling: TilingArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// A kind of file written for each photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Save {
    /// NAME.overlay.png: the photo, the map over it and the contours of the regions.
    Overlay,
    /// NAME.heatmap.png: the map in colours.
    Heatmap,
    /// NAME.mask.png: white where the map reaches the pixel threshold.
    Mask,
    /// NAME.map.npy, NAME.branch1.npy and NAME.branch2.npy: the maps as 32-bit floats; with --tile, at
    /// the photo's own resolution.
    Npy,
    /// NAME.json: the printed line.
    Json,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object per line.
    Json,
    /// A table for people.
    Table,
}
