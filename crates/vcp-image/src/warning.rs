//! What a reader of results should know of a photo that was read.

/// Something about a photo that was read after all, but perhaps not as its owner thinks.
///
/// As text it is a full sentence without the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The file is an animation.
    #[error("It is an animated {format}; only the first picture is used.")]
    Animation {
        /// The format's name, such as `WebP`.
        format: &'static str,
    },
    /// The file has further pages.
    #[error(
        "It has {pages} pages that are photos; page {page} is used. --page selects another, or all."
    )]
    Pages {
        /// The page that was read, counted from 1.
        page: u32,
        /// Pages that are no thumbnails and no masks.
        pages: usize,
    },
    /// The first page is no photo.
    #[error("Its first page is a thumbnail or a mask; page {page} is used.")]
    Thumbnail {
        /// The page that was read, counted from 1.
        page: u32,
    },
    /// The depth of its samples is a guess.
    #[error("Of its 16-bit samples, {bits} bits are used as brightness; --bits sets the number.")]
    FewerBits {
        /// Fewer than 16.
        bits: u32,
    },
    /// Samples are brighter than white.
    #[error(
        "It has 16-bit samples above {white}, the white of the {bits} bits that it is read with; --bits sets the number."
    )]
    AboveWhite {
        /// Fewer than 16.
        bits: u32,
        /// The largest sample of so many bits.
        white: u16,
    },
    /// Floating-point samples do not say what white is.
    #[error("Its samples are floating-point numbers; {white} is used as white.")]
    FloatingPoint {
        /// 1, 255 or 65535.
        white: u16,
    },
    /// For part of the picture there are no data.
    #[error(
        "Its {format} data end early or are broken: about {percent} % of the picture is filler, not photo."
    )]
    DataMissing {
        /// The format's name, such as `JPEG`.
        format: &'static str,
        /// The fraction of the picture in percent, 1 to 100.
        percent: u8,
    },
    /// The picture is there, without all of its detail.
    #[error("Its {format} data end early or are broken: some of the picture's detail is missing.")]
    DetailMissing {
        /// The format's name, such as `JPEG`.
        format: &'static str,
    },
    /// There is something in its data that no encoder writes.
    #[error("Its {format} data are damaged: parts of the picture may be wrong.")]
    Damaged {
        /// The format's name, such as `JPEG`.
        format: &'static str,
    },
    /// The end of the file is missing, but nothing of the picture.
    #[error("The end of the {format} file is missing; the picture itself is whole.")]
    NoEnd {
        /// The format's name, such as `PNG`.
        format: &'static str,
    },
    /// A check sum does not fit.
    #[error(
        "One of the check sums in the {format} file does not fit; the picture's data are whole by another."
    )]
    CheckSum {
        /// The format's name, such as `PNG`.
        format: &'static str,
    },
}

impl Warning {
    /// Whether it is true of all photos of a run together, so that a program that has said it once need
    /// not say it of each.
    #[must_use]
    pub fn is_of_the_run(&self) -> bool {
        matches!(self, Self::FewerBits { .. })
    }
}
