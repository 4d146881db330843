//! Options by which inspections are judged.

use std::path::PathBuf;

use clap::Args;
use vcp_clip::ThresholdOptions;

use super::CopiesName;
use super::numbers::{self, within};
use crate::exit::usage;

/// What the values of maps and scores are compared with, and photos with.
#[derive(Debug, Args)]
pub(crate) struct JudgingArgs {
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

    /// What to remember of each reference photo beside itself, for parts that may lie either way. Takes that many times
    /// as long.
    #[arg(
        long,
        value_name = "COPIES",
        default_value = "none",
        help_heading = "References"
    )]
    pub(crate) reference_copies: CopiesName,

    /// Do not compare with the reference photos that are stored with the model.
    #[arg(long, help_heading = "References")]
    pub(crate) no_references: bool,
}

impl JudgingArgs {
    /// The thresholds that are given.
    ///
    /// # Errors
    /// Wrong usage, when the colour scale is none.
    pub(crate) fn thresholds(&self) -> anyhow::Result<ThresholdOptions> {
        let range = match self.range[..] {
            [] => None,
            [low, high] if low < high => Some((low, high)),
            _ => {
                return Err(usage(
                    "--range takes two numbers LO,HI, the first below the second.",
                ));
            }
        };
        Ok(ThresholdOptions {
            score: self.score_threshold,
            review: self.review_threshold,
            pixel: self.pixel_threshold,
            range,
        })
    }
}
