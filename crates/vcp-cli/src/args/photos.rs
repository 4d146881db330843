//! How photos are read, for the commands that read them.

use std::str::FromStr;

use clap::ValueEnum;
use vcp_image::{Bits, SampleDepth};

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
