//! Arguments of `vcp-clip segment`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ChoiceArgs, ConfigArgs, JudgingArgs, OutTableArgs, PhotoArgs, RunArgs, TilingArgs};

/// Find defects in photos: a score, regions and maps for each.
///
/// Prints one JSON line per photo as soon as it is done. With --out, also writes pictures and
/// arrays; with --out-table, a table in place of the lines.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct SegmentArgs {
    /// Photos: a file, a folder, a pattern such as 'photos/*.png', or - to read paths from
    /// standard input, one per line.
    #[arg(value_name = "INPUT", required_unless_present = "from")]
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

    /// What to print: json, a line per photo, or table, for people [default: json, and nothing with
    /// --out-table]. Or how --out-table is written: parquet or csv [default: as its name ends].
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        hide_possible_values = true,
        help_heading = "Results"
    )]
    pub(crate) format: Option<SegmentFormat>,

    #[command(flatten)]
    pub(crate) out_table: OutTableArgs,

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

/// How results are printed, or how a table of them is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SegmentFormat {
    /// Printed: one JSON object per line.
    Json,
    /// Printed: a table for people.
    Table,
    /// Written: Apache Parquet.
    Parquet,
    /// Written: comma-separated values.
    Csv,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object per line.
    Json,
    /// A table for people.
    Table,
}
