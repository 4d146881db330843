//! Arguments of `vcp-clip eval`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::numbers::{self, within};
use super::{ChoiceArgs, ConfigArgs, DatasetArgs, Format, RunArgs, TilingArgs};
use super::{ComputingName, CopiesName};

/// Evaluate a model on data sets as they were downloaded, by the official protocol.
///
/// Prints the official table and writes results.json, results.csv, results.md, images.csv and
/// report.html into --out. An interrupted run resumes after the last finished category.
///
/// Maps are 0.2 times branch 1 plus 0.8 times branch 2 (unless the model has other weights), smoothed,
/// and scaled to 0..1 over each category; so are image scores. Images are taken as stored: like the
/// official test, and unlike `segment`, eval ignores their EXIF orientation, unless --orientation is
/// given.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
#[expect(clippy::struct_excessive_bools, reason = "as many as on/off options")]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) data: DatasetArgs,

    /// The split to evaluate: train, validation, test, or all. Images of data sets without splits
    /// belong to each.
    #[arg(
        long,
        value_name = "SPLIT",
        default_value = "test",
        help_heading = "Data"
    )]
    pub(crate) split: String,

    /// At most so many images of each category, from 1 to 1000000000, spread evenly over its list: for a
    /// quick estimate.
    #[arg(
        long,
        value_name = "N",
        value_parser = numbers::count(1_000_000_000),
        help_heading = "Data"
    )]
    pub(crate) limit: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,

    /// Weights of branch 1 and branch 2 in the maps, each from 0 to 1, together at most 1 [default: the
    /// model's own, which are 0.2,0.8 unless others were learned].
    #[arg(
        long,
        value_name = "A,B",
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_parser = numbers::share(),
        help_heading = "Protocol"
    )]
    pub(crate) blend: Vec<f32>,

    /// Standard deviation in pixels of the Gaussian that smooths maps, from 0 to 1000; 0 for none.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 8.0,
        value_parser = within(0.0_f32..=1000.0),
        help_heading = "Protocol"
    )]
    pub(crate) smoothing: f32,

    /// Number of a branch's largest pixels whose mean is the image score, from 1 to 16777216 [default:
    /// 2000 at 518 px, as in the official code; at other image sizes in proportion to the area].
    #[arg(
        long,
        value_name = "N",
        value_parser = numbers::count(16_777_216),
        help_heading = "Protocol"
    )]
    pub(crate) score_pixels: Option<NonZeroUsize>,

    /// Compare the images of each category with so many good ones of its train split, chosen at random, as in the field's
    /// few-shot protocol; from 1 to 100000. Of a category without such, with good ones of those that are evaluated, which are
    /// left out then.
    #[arg(
        long,
        value_name = "N",
        value_parser = numbers::count(100_000),
        conflicts_with = "no_references",
        help_heading = "Protocol"
    )]
    pub(crate) references: Option<NonZeroUsize>,

    /// Seed by which --references are chosen, from 0 to 9223372036854775807 [default: 0]. With several, separated by commas, each choice has a folder of its own, and the mean
    /// and standard deviation of every figure are printed.
    #[arg(
        long,
        value_name = "SEED,…",
        value_delimiter = ',',
        value_parser = within(numbers::SEEDS),
        help_heading = "Protocol"
    )]
    pub(crate) seed: Vec<u64>,

    /// What to remember of each reference photo beside itself, for parts that may lie either way. Takes that many times
    /// as long.
    #[arg(
        long,
        value_name = "COPIES",
        default_value = "none",
        help_heading = "Protocol"
    )]
    pub(crate) reference_copies: CopiesName,

    /// Do not compare with the reference photos that are stored with the model.
    #[arg(long, help_heading = "Protocol")]
    pub(crate) no_references: bool,

    /// Both AUPRO figures end at this false-positive rate, above 0 and up to 1.
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 0.3,
        value_parser = within(numbers::ABOVE_0_TO_1),
        help_heading = "Protocol"
    )]
    pub(crate) aupro_limit: f64,

    /// Evenly spaced thresholds of the official AUPRO, from 1 to 1000000.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        value_parser = within(1_usize..=1_000_000),
        help_heading = "Protocol"
    )]
    pub(crate) aupro_steps: usize,

    /// Bounds of the false-positive rate between which AUPIMO is taken, each above 0 and up to 1.
    #[arg(
        long,
        value_name = "LO,HI",
        value_delimiter = ',',
        default_value = "1e-5,1e-4",
        value_parser = within(numbers::ABOVE_0_TO_1),
        help_heading = "Protocol"
    )]
    pub(crate) aupimo_bounds: Vec<f64>,

    /// Turn images by their EXIF orientation, as `segment` does. The official test does not, but the
    /// official converter, which writes its input, does. Masks are turned by their own orientation
    /// only.
    #[arg(long, help_heading = "Protocol")]
    pub(crate) orientation: bool,

    /// Count pixels in fixed memory instead of sorting them: every pixel figure to within 1e-4, or
    /// undefined where that cannot be guaranteed.
    #[arg(long, help_heading = "Protocol")]
    pub(crate) streaming: bool,

    #[command(flatten)]
    pub(crate) tiling: TilingArgs,

    /// Also evaluate each type of defect alone, against all normal images.
    #[arg(long, help_heading = "Results")]
    pub(crate) by_defect: bool,

    /// The folder for results.
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    pub(crate) out: Option<PathBuf>,

    /// Take thresholds and colour scale from this file, which `vcp-clip calibrate` wrote, instead of
    /// from the model. They do not change the official figures; results with them are reported beside
    /// those.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub(crate) calibration: Option<PathBuf>,

    /// Further files to write for each image, separated by commas.
    #[arg(
        long,
        value_name = "KIND,…",
        value_delimiter = ',',
        value_enum,
        help_heading = "Results"
    )]
    pub(crate) save: Vec<EvalSave>,

    /// Evaluate all categories again, also those that an earlier run into --out has finished.
    #[arg(long, help_heading = "Results")]
    pub(crate) restart: bool,

    /// What to print: the table for people, or results.json on one line.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "table",
        help_heading = "Results"
    )]
    pub(crate) format: Format,

    /// Evaluate nothing; print the differences of the second of these results.json from the first.
    #[arg(
        long,
        value_names = ["A.json", "B.json"],
        num_args = 2,
        conflicts_with_all = ["dataset", "root", "out", "save"],
        help_heading = "Results"
    )]
    pub(crate) compare: Vec<PathBuf>,

    /// Evaluate twice in one pass, computed in f32 and in bf16 or int8, each into a folder of its own below
    /// --out, and print how much that changes: figures, maps, image scores, and decisions by the model's
    /// calibration (without one, by the threshold of the best F1 in f32). To see on images of your own
    /// whether a faster precision is as good. On the CPU only; takes as long as both.
    #[arg(long, value_name = "PRECISION", value_enum, help_heading = "Results")]
    pub(crate) compare_precision: Option<ComputingName>,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// A kind of file written for each image of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum EvalSave {
    /// strips/DATASET/IMAGE.png: photo, map, thresholded map and truth side by side. The official code
    /// draws the same four, but scales the colours to each picture and marks only values above the
    /// threshold; here colours compare between pictures, and values at the threshold are marked too.
    Strips,
    /// maps/DATASET/IMAGE.map.npy, .branch1.npy and .branch2.npy: the same maps as those of `segment`.
    Npy,
}
