//! Arguments of `vcp-clip segment`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::numbers::{self, within};
use super::{ChoiceArgs, ConfigArgs, PhotoArgs, RunArgs, TilingArgs};

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

    /// Values at the two ends of the colour scale of heat maps and overlays, each from -1000 to 1000
    /// [default: the model's calibration, else 0,1].
    #[arg(
        long,
        value_name = "LO,HI",
        value_delimiter = ',',
        allow_negative_numbers = true,
        value_parser = within(numbers::VALUES),
        help_heading = "Results"
    )]
    pub(crate) range: Vec<f32>,

    /// Pixels at or above this value, from -1000 to 1000, belong to defect regions and masks [default:
    /// the model's calibration, else 0.5].
    #[arg(
        long,
        value_name = "VALUE",
        allow_negative_numbers = true,
        value_parser = within(numbers::VALUES),
        help_heading = "Results"
    )]
    pub(crate) pixel_threshold: Option<f32>,

    /// Photos with a score at or above this value, from -1000 to 1000, have a defect [default: the
    /// model's calibration, else 0.5]. If given, the calibration's review threshold is not used.
    #[arg(
        long,
        value_name = "VALUE",
        allow_negative_numbers = true,
        value_parser = within(numbers::VALUES),
        help_heading = "Results"
    )]
    pub(crate) score_threshold: Option<f32>,

    /// Photos with a score at or above this value, from -1000 to 1000, and below the score threshold are
    /// to be reviewed [default: the model's calibration, else none].
    #[arg(
        long,
        value_name = "VALUE",
        allow_negative_numbers = true,
        value_parser = within(numbers::VALUES),
        help_heading = "Results"
    )]
    pub(crate) review_threshold: Option<f32>,

    /// Report and draw no region of fewer pixels of the photo than this, from 1 to 100000000000. The
    /// score does not depend on it.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 1,
        value_parser = within(numbers::PIXELS),
        help_heading = "Results"
    )]
    pub(crate) min_area: u64,

    /// Take thresholds and colour scale from this file, which `vcp-clip calibrate` wrote, instead of
    /// from the model.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) calibration: Option<PathBuf>,

    /// Compare with this good photo, or those in this folder or pattern: what has nothing like it in them counts more.
    /// Repeatable; one photo helps, some that differ as good ones may help more. They take the place of those that are
    /// stored with the model. For thresholds that go with them, see `calibrate --references`.
    #[arg(
        long = "reference",
        value_name = "PATH",
        conflicts_with_all = ["no_references", "calibration"],
        help_heading = "References"
    )]
    pub(crate) references: Vec<PathBuf>,

    /// Do not compare with the reference photos that are stored with the model.
    #[arg(long, help_heading = "References")]
    pub(crate) no_references: bool,

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
