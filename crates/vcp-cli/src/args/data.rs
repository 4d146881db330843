//! Arguments of `vcp-clip data …`, and those that say which data sets are meant.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::numbers::{self, within};
use super::{BitsName, ConfigArgs};

/// Check, convert, describe and make data sets.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    Check(CheckArgs),
    Convert(ConvertArgs),
    List(LayoutsArgs),
    Synth(SynthArgs),
}

/// Which data sets, and how they lie on the disk.
#[derive(Clone, Debug, Args)]
pub(crate) struct DatasetArgs {
    /// Layout of the data set in the next --root: mvtec, mvtec-loco, mvtec-ad-2, visa, btad, mpdd,
    /// ksdd2, dagm, rsdds, magnetic-tile, bsdata, real-iad, lookout, folder, manifest or meta;
    /// `vcp-clip data list` describes each. Repeatable, with a --root for each.
    #[arg(long, value_name = "LAYOUT", help_heading = "Data")]
    pub(crate) dataset: Vec<String>,

    /// The folder of a data set, as it was unpacked.
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(crate) root: Vec<PathBuf>,

    /// The list to read, for lookout, manifest, meta and real-iad [default: the one found in the root].
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub(crate) manifest: Option<PathBuf>,

    /// Name of the data set, for folder, manifest and meta [default: the folder's or the list's name].
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub(crate) name: Option<String>,

    /// Folder of normal images, for folder.
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(crate) normal: Option<PathBuf>,

    /// Folder of anomalous images, for folder.
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(crate) anomalous: Option<PathBuf>,

    /// Folder of masks, for folder.
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(crate) masks: Option<PathBuf>,

    /// Pixels of masks above this value are defect, from 0 to 254 [default: 0, as in the official code;
    /// 127 for JPEG masks of folder and manifest, rsdds and magnetic-tile].
    #[arg(long, value_name = "VALUE", value_parser = within(0_u8..=254), help_heading = "Data")]
    pub(crate) mask_threshold: Option<u8>,

    /// Let lists name files outside the root.
    #[arg(long, help_heading = "Data")]
    pub(crate) allow_outside_root: bool,

    /// Only these categories, separated by commas; repeatable.
    #[arg(
        long,
        value_name = "NAME,…",
        value_delimiter = ',',
        help_heading = "Data"
    )]
    pub(crate) category: Vec<String>,

    /// Keep all images of an object in one split: in the test split if one of them is there in the
    /// data set, else in the train split. For data sets that show objects repeatedly, such as bsdata.
    #[arg(long, help_heading = "Data")]
    pub(crate) split_by_object: bool,

    /// Refuse images of more pixels than this, before they are decoded; from 1 to 100000000000.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 200_000_000,
        value_parser = within(numbers::PIXELS),
        help_heading = "Data"
    )]
    pub(crate) max_pixels: u64,

    /// How many bits of 16-bit samples hold the brightness. Many cameras write only 10 or 12.
    #[arg(
        long,
        value_name = "BITS",
        default_value = "auto",
        help_heading = "Data"
    )]
    pub(crate) bits: BitsName,
}

/// Whether images are turned.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct OrientationArgs {
    /// Turn images by their EXIF orientation, as `segment` does; by default they are taken as stored.
    /// Masks are turned by their own orientation only.
    #[arg(long, help_heading = "Data")]
    pub(crate) orientation: bool,
}

/// Count the images of data sets by category, split and type of defect, and report every problem.
///
/// Ends with exit status 1 if there are problems.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) data: DatasetArgs,

    #[command(flatten)]
    pub(crate) orientation: OrientationArgs,

    /// Only count and pair files; do not decode images and masks to compare them.
    #[arg(long)]
    pub(crate) shallow: bool,

    /// Print one JSON object per data set instead of tables.
    #[arg(long)]
    pub(crate) json: bool,

    /// Threads that decode, from 1 to 256 [default: one per processor core].
    #[arg(long, value_name = "N", value_parser = numbers::threads())]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Do not show progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Convert data sets for another program.
///
/// `vcp-clip eval` needs no conversion; this is for running the official code.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) data: DatasetArgs,

    #[command(flatten)]
    pub(crate) orientation: OrientationArgs,

    /// Which program's form to write.
    #[arg(long, value_name = "FORM", value_enum, default_value = "official")]
    pub(crate) to: Form,

    /// The folder to write into.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Threads that decode and write, from 1 to 256 [default: one per processor core].
    #[arg(long, value_name = "N", value_parser = numbers::threads())]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Do not show progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// A form of data sets that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// The official VCP-CLIP code's tree of BMP and PNG files, and its meta_NAME.json.
    Official,
}

/// List the layouts of data sets that can be read, and what each expects.
#[derive(Debug, Args)]
pub(crate) struct LayoutsArgs {
    /// Only this layout.
    #[arg(value_name = "LAYOUT")]
    pub(crate) layout: Option<String>,

    /// Print one JSON object instead of text.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// Make a data set of synthetic images with defects and their masks, for inspection by eye.
///
/// The built-in model is trained on images like these. The folder is laid out like MVTec-AD: read it
/// with --dataset mvtec --root DIR.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct SynthArgs {
    /// The folder to write, which must not exist.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,

    /// Number of images, from 1 to 1000000; about half of them are clean.
    #[arg(long, value_name = "N", default_value = "100", value_parser = numbers::count(1_000_000))]
    pub(crate) count: NonZeroUsize,

    /// Width and height of the images in pixels, from 32 to 2048.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 256,
        value_parser = within(32_u16..=2048)
    )]
    pub(crate) size: u16,

    /// The first image's seed, from 0 to 9223372036854775807; each further image has the next one. The
    /// same seed gives the same image.
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        value_parser = within(numbers::SEEDS)
    )]
    pub(crate) seed: u64,

    /// Also write sheet.png: the first 96 images in a grid, with lines around the defects.
    #[arg(long)]
    pub(crate) sheet: bool,

    /// Threads that make images, from 1 to 256 [default: one per processor core].
    #[arg(long, value_name = "N", value_parser = numbers::threads())]
    pub(crate) threads: Option<NonZeroUsize>,

    /// Do not show progress.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}
