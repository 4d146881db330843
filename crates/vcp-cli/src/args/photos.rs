//! How photos are read, for the commands that read them.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};
use vcp_clip::InspectionMask;
use vcp_clip::photos::ScanOptions;
use vcp_image::{Bits, DecodeOptions, PageChoice, SampleDepth};

use super::numbers::{self, within};
use crate::exit::OrUsage;

/// Which photos are found, and how they are read.
#[derive(Debug, Args)]
pub(crate) struct PhotoArgs {
    /// Search subfolders too [default: true].
    // The other on/off options are off unless given; `super::command` gives them what this has.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_value = "true", default_missing_value = "true", hide_default_value = true,
          hide_possible_values = true, action = ArgAction::Set,
          value_parser = BoolishValueParser::new(), help_heading = "Photos")]
    pub(crate) recursive: bool,

    /// Do not turn photos by their EXIF orientation, like the official code.
    #[arg(long, help_heading = "Photos")]
    pub(crate) no_orientation: bool,

    /// Refuse photos of more pixels than this, before they are decoded; from 1 to 100000000000.
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = 200_000_000,
        value_parser = within(numbers::PIXELS),
        help_heading = "Photos"
    )]
    pub(crate) max_pixels: u64,

    /// How many bits of 16-bit samples hold the brightness. Many cameras write only 10 or 12.
    #[arg(
        long,
        value_name = "BITS",
        default_value = "auto",
        help_heading = "Photos"
    )]
    pub(crate) bits: BitsName,

    /// Page of TIFF files to process: a number from 1, or `all`, each as a photo of its own [default:
    /// the first that is no thumbnail].
    #[arg(long, value_name = "PAGE", help_heading = "Photos")]
    pub(crate) page: Option<PageName>,

    /// Inspect only the part of photos that is not black in this picture, which is brought to each
    /// photo's size.
    #[arg(long, value_name = "PNG", help_heading = "Photos")]
    pub(crate) inspect_mask: Option<PathBuf>,

    /// Ignore the part of photos that is not black in this picture, which is brought to each photo's
    /// size.
    #[arg(long, value_name = "PNG", help_heading = "Photos")]
    pub(crate) ignore_mask: Option<PathBuf>,
}

impl PhotoArgs {
    /// How inputs are looked up.
    pub(crate) fn scan_options(&self) -> ScanOptions {
        ScanOptions {
            recursive: self.recursive,
        }
    }

    /// How photos are decoded; of every page of a file, as of its first photo.
    pub(crate) fn decode_options(&self) -> DecodeOptions {
        DecodeOptions {
            apply_orientation: !self.no_orientation,
            max_pixels: self.max_pixels,
            bits: self.bits.bits(),
            page: match self.page {
                Some(PageName::Number(number)) => PageChoice::Number(number),
                Some(PageName::All) | None => PageChoice::Photo,
            },
        }
    }

    /// The part of photos that counts.
    ///
    /// # Errors
    /// Wrong usage, when a mask cannot be used.
    pub(crate) fn mask(&self) -> anyhow::Result<Option<InspectionMask>> {
        let (inspect, ignore) = (self.inspect_mask.as_deref(), self.ignore_mask.as_deref());
        InspectionMask::open(inspect, ignore, &self.decode_options()).or_usage()
    }

    /// Whether each page of a file is a photo of its own.
    pub(crate) fn every_page(&self) -> bool {
        self.page == Some(PageName::All)
    }
}

/// How many bits of 16-bit samples hold the brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BitsName {
    /// By the largest sample of the run's photos: 8, 10, 12 or 16.
    Auto,
    /// White is 255.
    #[value(name = "8")]
    Eight,
    /// White is 1023.
    #[value(name = "10")]
    Ten,
    /// White is 4095.
    #[value(name = "12")]
    Twelve,
    /// White is 16383.
    #[value(name = "14")]
    Fourteen,
    /// White is 65535.
    #[value(name = "16")]
    Sixteen,
}

impl BitsName {
    pub(crate) fn bits(self) -> Bits {
        match self {
            Self::Auto => Bits::Auto,
            Self::Eight => Bits::Fixed(SampleDepth::Eight),
            Self::Ten => Bits::Fixed(SampleDepth::Ten),
            Self::Twelve => Bits::Fixed(SampleDepth::Twelve),
            Self::Fourteen => Bits::Fixed(SampleDepth::Fourteen),
            Self::Sixteen => Bits::Fixed(SampleDepth::Sixteen),
        }
    }
}

/// Which pages of a TIFF file are photos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageName {
    /// Every one that is no thumbnail and no mask.
    All,
    /// This one, counted from 1.
    Number(u32),
}

impl FromStr for PageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number) if number > 0 => Ok(Self::Number(number)),
            _ if text == "all" => Ok(Self::All),
            _ => Err("a page is `all` or a number from 1 on".to_owned()),
        }
    }
}
