//! What can go wrong between a file and its pixels.

use std::path::PathBuf;

/// An image that could not be read, or a picture that could not be written.
///
/// Every variant names the file (or the label given for bytes in memory) it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be opened or read.
    #[error("{file} could not be read: {source}.")]
    Read {
        /// Path or label of the image.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The first bytes are those of none of the supported formats.
    #[error(
        "{file} is not a PNG, JPEG, BMP, TIFF, WebP, GIF or PNM image (judged by its first bytes, not by its name)."
    )]
    UnknownFormat {
        /// Path or label of the image.
        file: String,
    },
    /// A picture of a format that is not read.
    #[error("{file} is {format}, a format that is not read: {advice}.")]
    OtherFormat {
        /// Path or label of the image.
        file: String,
        /// The format's name, such as `HEIC`.
        format: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A file that is no picture at all, but of a kind that often lies in a picture's place.
    #[error("{file} is no image: {reason}.")]
    NoImage {
        /// Path or label of the file.
        file: String,
        /// What it is, and what to do.
        reason: &'static str,
    },
    /// A supported format, used in a way that is not supported.
    #[error(
        "{file} is a kind of {format} image that is not supported: {reason}. Convert it to an 8-bit RGB PNG."
    )]
    Unsupported {
        /// Path or label of the image.
        file: String,
        /// The format's name, such as `TIFF`.
        format: &'static str,
        /// What is not supported.
        reason: String,
    },
    /// The file is broken, or ends too early.
    #[error("{file} is not a valid {format} image: {reason}.")]
    Invalid {
        /// Path or label of the image.
        file: String,
        /// The format's name, such as `JPEG`.
        format: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// The image has more pixels than allowed; nothing was decoded.
    #[error(
        "{file} has {width} × {height} pixels, more than the {max_pixels} that are allowed; raise the limit with --max-pixels if you trust the file."
    )]
    TooManyPixels {
        /// Path or label of the image.
        file: String,
        /// Width found in the header.
        width: u64,
        /// Height found in the header.
        height: u64,
        /// [`DecodeOptions::max_pixels`](crate::DecodeOptions::max_pixels).
        max_pixels: u64,
    },
    /// One side of the image is longer than any photo's; nothing was decoded. Resized first one way
    /// and then the other, a line of a hundred million pixels would need as many rows of the result.
    #[error(
        "{file} has {width} × {height} pixels, and no side of a photo may have more than {max_side}."
    )]
    SideTooLong {
        /// Path or label of the image.
        file: String,
        /// Width found in the header.
        width: u64,
        /// Height found in the header.
        height: u64,
        /// The longest side that is read.
        max_side: u64,
    },
    /// The file itself is larger than any image of the allowed size.
    #[error(
        "{file} is {bytes} bytes long, more than the {max_bytes} an image of {max_pixels} pixels can need; raise the limit with --max-pixels if you trust the file."
    )]
    FileTooLong {
        /// Path or label of the image.
        file: String,
        /// Length of the file.
        bytes: u64,
        /// Longest length that is read.
        max_bytes: u64,
        /// [`DecodeOptions::max_pixels`](crate::DecodeOptions::max_pixels).
        max_pixels: u64,
    },
    /// This machine has no memory for the pixels.
    #[error(
        "{file} has {width} × {height} pixels, for which {bytes} bytes of memory are needed that this machine does not give."
    )]
    OutOfMemory {
        /// Path or label of the image.
        file: String,
        /// Width found in the header.
        width: u64,
        /// Height found in the header.
        height: u64,
        /// Bytes that could not be had.
        bytes: u64,
    },
    /// The image has no pixels.
    #[error("{file} has no pixels ({width} × {height}).")]
    Empty {
        /// Path or label of the image.
        file: String,
        /// Width found.
        width: u64,
        /// Height found.
        height: u64,
    },
    /// Pixels given by the caller do not fill the size given with them.
    #[error(
        "{found} bytes of pixels were given for a photo of {width} × {height} pixels with {channels} channels, which needs {expected}."
    )]
    PixelCount {
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
        /// Channels per pixel: 1 or 3.
        channels: usize,
        /// Bytes given.
        found: usize,
        /// Bytes needed (saturated).
        expected: usize,
    },
    /// A file holds another photo than when it was opened.
    #[error(
        "{} held a photo of {} × {} pixels when it was opened and holds one of {} × {} now; leave files as they \
         are while they are processed.", file.display(), opened.0, opened.1, found.0, found.1
    )]
    Changed {
        /// The file.
        file: PathBuf,
        /// Width and height when it was opened.
        opened: (usize, usize),
        /// Width and height now.
        found: (usize, usize),
    },
    /// A picture could not be written.
    #[error("{} could not be written: {source}.", file.display())]
    Write {
        /// Where the picture was to go.
        file: PathBuf,
        /// What the operating system or the encoder said.
        source: std::io::Error,
    },
    /// A picture could not be turned into the bytes of a file.
    #[error("A picture of {width} × {height} pixels could not be encoded as {format}: {source}.")]
    Encode {
        /// The format's name, such as `JPEG`.
        format: &'static str,
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
        /// What the encoder said.
        source: std::io::Error,
    },
}
