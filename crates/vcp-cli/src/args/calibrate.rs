//! Arguments of `vcp-clip calibrate`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::CopiesName;
use super::numbers::{self, within};
use super::{ChoiceArgs, ConfigArgs, PhotoArgs, RunArgs, TilingArgs};

/// How many reference photos are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReferenceCount {
    All,
    Some(NonZeroUsize),
}

fn reference_count(text: &str) -> Result<ReferenceCount, String> {
    if text == "all" {
        return Ok(ReferenceCount::All);
    }
    let count = text.parse().map(ReferenceCount::Some);
    count.map_err(|_| "expected a number of photos, 1 or more, or `all`".to_owned())
}

/// Find the thresholds that suit your photos: from good ones alone, or from good and bad ones.
///
/// From good photos (INPUT, or --normal alone), the thresholds are such that few new good photos
/// will reach them; the stated bound holds for any distribution of scores. With bad photos too, they
/// are those with the best F1, unless a target is given. Prints a calibration as JSON, and its meaning
/// on standard error; --out writes it to a file for `segment`.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct CalibrateArgs {
    /// Photos without defects: files, folders, patterns such as 'good/*.png', or - to read paths
    /// from standard input, one per line. At least 10 different ones; 59 to guarantee with 95 %
    /// confidence that at most 5 % of future good photos are reported.
    #[arg(
        value_name = "INPUT",
        conflicts_with_all = ["normal", "anomalous", "masks", "dataset", "root"]
    )]
    pub(crate) inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,

    /// A folder of photos without defects.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "dataset",
        help_heading = "Photos"
    )]
    pub(crate) normal: Option<PathBuf>,

    /// A folder of photos with defects.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "dataset",
        help_heading = "Photos"
    )]
    pub(crate) anomalous: Option<PathBuf>,

    /// A folder of pictures, named like the photos of --anomalous, that are not black where the
    /// defects are.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "dataset",
        requires = "anomalous",
        help_heading = "Photos"
    )]
    pub(crate) masks: Option<PathBuf>,

    /// Layout of the data set in --root, such as mvtec, visa or lookout.
    #[arg(
        long,
        value_name = "LAYOUT",
        requires = "root",
        help_heading = "Photos"
    )]
    pub(crate) dataset: Option<String>,

    /// The folder of the data set.
    #[arg(
        long,
        value_name = "DIR",
        requires = "dataset",
        help_heading = "Photos"
    )]
    pub(crate) root: Option<PathBuf>,

    /// Only these categories of the data set, separated by commas.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        requires = "dataset",
        help_heading = "Photos"
    )]
    pub(crate) category: Vec<String>,

    /// Only this split of the data set: train, validation or test.
    #[arg(
        long,
        value_name = "NAME",
        requires = "dataset",
        help_heading = "Photos"
    )]
    pub(crate) split: Option<String>,

    /// The list of the data set's photos, if the layout has one and does not find it.
    #[arg(
        long,
        value_name = "FILE",
        requires = "dataset",
        help_heading = "Photos"
    )]
    pub(crate) manifest: Option<PathBuf>,

    /// Pixels of masks above this value are defect, from 0 to 254 [default: 0; 127 for JPEG masks and
    /// for some layouts].
    #[arg(long, value_name = "VALUE", value_parser = within(0_u8..=254), help_heading = "Photos")]
    pub(crate) mask_threshold: Option<u8>,

    /// Let the list name files outside the root.
    #[arg(long, requires = "dataset", help_heading = "Photos")]
    pub(crate) allow_outside_root: bool,

    /// Largest fraction of good photos that may be reported, above 0 and below 1 [default: 0.05]. If
    /// given, the thresholds come from the good photos alone.
    #[arg(
        long,
        value_name = "FRACTION",
        value_parser = within(numbers::BETWEEN_0_AND_1),
        help_heading = "Thresholds"
    )]
    pub(crate) false_alarms_per_image: Option<f64>,

    /// Largest fraction of a good photo's pixels that may be marked, from 0 to below 1 [default:
    /// 0.001]. The fraction of good photos with more is bounded by --false-alarms-per-image.
    #[arg(
        long,
        value_name = "FRACTION",
        value_parser = within(0.0_f64..1.0),
        help_heading = "Thresholds"
    )]
    pub(crate) false_alarms_per_pixel: Option<f64>,

    /// Largest fraction of good photos that you are willing to review, above 0 and below 1, or `off` for
    /// two outcomes only. Photos between the review threshold, which at most this fraction of good
    /// photos reaches, and the score threshold are to be reviewed.
    #[arg(
        long,
        value_name = "FRACTION",
        default_value = "0.2",
        help_heading = "Thresholds"
    )]
    pub(crate) review: ReviewShare,

    /// Confidence with which these bounds hold, above 0 and below 1.
    #[arg(
        long,
        value_name = "PROBABILITY",
        default_value_t = 0.95,
        value_parser = within(numbers::BETWEEN_0_AND_1),
        help_heading = "Thresholds"
    )]
    pub(crate) confidence: f64,

    /// Choose the largest thresholds that at least this fraction of the bad photos, and of the pixels
    /// in their masks, reaches; above 0 and up to 1.
    #[arg(
        long,
        value_name = "FRACTION",
        value_parser = within(numbers::ABOVE_0_TO_1),
        conflicts_with_all = ["inputs", "false_alarms_per_image", "false_alarms_per_pixel"],
        help_heading = "Thresholds"
    )]
    pub(crate) target_recall: Option<f64>,

    /// Store so many of the good photos, spread evenly, or `all`, with the model, to compare others with; --out must
    /// name a bundle then. Thresholds are found with each photo compared with the others only.
    #[arg(
        long,
        value_name = "N|all",
        value_parser = reference_count,
        conflicts_with = "no_references",
        help_heading = "References"
    )]
    pub(crate) references: Option<ReferenceCount>,

    /// What to remember of each reference photo beside itself, for parts that may lie either way. Takes that many times
    /// as long.
    #[arg(
        long,
        value_name = "COPIES",
        default_value = "none",
        help_heading = "References"
    )]
    pub(crate) reference_copies: CopiesName,

    /// Leave out the reference photos that are stored with the model.
    #[arg(long, help_heading = "References")]
    pub(crate) no_references: bool,

    /// Write the calibration into this file: NAME.json for `segment --calibration`, or
    /// NAME.safetensors for a bundle that holds the model as well.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) out: Option<PathBuf>,

    /// Replace the file if it exists, which may be the bundle given with --model.
    #[arg(long, help_heading = "Results")]
    pub(crate) force: bool,

    /// A description of the photos, stored with the calibration [default: the inputs as given].
    #[arg(long, value_name = "TEXT", help_heading = "Results")]
    pub(crate) data: Option<String>,

    #[command(flatten)]
    pub(crate) photos: PhotoArgs,

    #[command(flatten)]
    pub(crate) tiling: TilingArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// The largest fraction of good photos that is to be reviewed; none for two outcomes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ReviewShare(pub(crate) Option<f64>);

impl FromStr for ReviewShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let fraction = within(numbers::BETWEEN_0_AND_1)(text);
        let fraction = fraction.map_err(|expected| format!("{expected}, or `off`"))?;
        Ok(Self(Some(fraction)))
    }
}
