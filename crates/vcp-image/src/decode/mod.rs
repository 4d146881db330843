//! From a file's bytes to a [`Photo`].
//!
//! How the many kinds of pixel become 8-bit grey or RGB:
//! - alpha is dropped, not composited: the colour below it is what the camera or editor stored;
//! - palettes and 1-, 2- and 4-bit grey are expanded;
//! - 16 bits become the upper 8 (`value >> 8`), which is what Pillow does with 16-bit RGB, unless they
//!   hold fewer (see [`Bits`]);
//! - CMYK is converted to RGB by the decoder;
//! - colour profiles are ignored, as Pillow and the official code ignore them;
//! - of an animation the first picture is taken, of a file with pages the first that is a photo.

mod bits;
mod jpeg;
mod settle;
mod tiff;
mod webp;

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use image::codecs::{bmp::BmpDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::error::UnsupportedErrorKind;
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, Limits, metadata::Orientation};

pub use self::bits::{Bits, SampleDepth};
pub use self::settle::{Settled, settle_bits};
pub use self::tiff::{PageChoice, photo_pages};

use self::bits::{Narrowing, compact, depth_warning, largest_sample};
use self::jpeg::jpeg_is_complete;
pub(crate) use self::tiff::{Fault, TiffPage, Wanted, tiff_orientation};
use self::webp::sound_webp;
use crate::orientation::upright;
use crate::{Error, Photo, Warning, mask_from_photo};

/// What a decoder may allocate beside the pixels: tables, metadata, compressed rows.
pub(crate) const WORKING_MEMORY: u64 = 64 << 20;

/// Longest side of an image, well above what cameras and line scanners give.
pub(crate) const MAX_SIDE: u64 = 1 << 18;

/// How to decode an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Turn the photo as its metadata say (EXIF, or TIFF's own tag). The official code does not;
    /// people's photos need it. Default: `true`.
    pub apply_orientation: bool,
    /// Most pixels an image may have. Checked against the header before anything is decoded.
    /// Default: 200,000,000.
    pub max_pixels: u64,
    /// How many bits of 16-bit samples hold the brightness. Masks are read without: any value above 0
    /// is a defect. Default: guessed for each photo.
    pub bits: Bits,
    /// Which page of a TIFF file is read. Default: the first that is a photo.
    pub page: PageChoice,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            apply_orientation: true,
            max_pixels: 200_000_000,
            bits: Bits::Auto,
            page: PageChoice::Photo,
        }
    }
}

/// Decodes the image in a file: PNG, JPEG, BMP, TIFF or WebP, judged by its content.
///
/// # Errors
/// See [`Error`]; each names the path.
pub fn decode_file(path: &Path, options: &DecodeOptions) -> Result<Photo, Error> {
    open(path, options, Some(options.bits))
}

/// Decodes a ground-truth mask: grey, 255 where any colour channel of the file is above 0, also where
/// a 16-bit file numbers its defects 1, 2, 3, …, whose upper bytes are all 0. Transparent pixels are
/// none: see [`decode_mask_levels`].
///
/// # Errors
/// As [`decode_file`].
pub fn decode_mask_file(path: &Path, options: &DecodeOptions) -> Result<Photo, Error> {
    open(path, options, None).map(|photo| mask_from_photo(&photo))
}

/// Decodes a ground-truth mask without settling which of its values are defect: grey, the largest
/// colour channel of each pixel.
///
/// Of 16 bits the upper 8 are kept, but at least 1 where the value is above 0. Where a picture has an
/// alpha channel whose values differ, a pixel is no brighter than its alpha: programs that erase leave
/// any colour, often white, under what is transparent. An alpha channel that is the same everywhere
/// says nothing.
///
/// # Errors
/// As [`decode_file`].
pub fn decode_mask_levels(path: &Path, options: &DecodeOptions) -> Result<Photo, Error> {
    let photo = open(path, options, None)?;
    if photo.is_grey() {
        return Ok(photo);
    }
    let pixels = photo.pixels().chunks_exact(photo.channels());
    let pixels = pixels.map(|pixel| pixel.iter().copied().max().unwrap_or(0));
    let pixels = pixels.collect();
    Ok(Photo::from_parts(photo.width(), photo.height(), 1, pixels))
}

fn open(path: &Path, options: &DecodeOptions, bits: Option<Bits>) -> Result<Photo, Error> {
    let label = path.display().to_string();
    let file = regular_file(path, &label)?;
    decode(BufReader::new(file), &label, options, bits)
}

/// Opens a file that can be read and sought in.
fn regular_file(path: &Path, label: &str) -> Result<File, Error> {
    let file = std::fs::metadata(path).and_then(|metadata| {
        // A folder opens like a file on some systems and then has odd lengths. To open a pipe is to
        // wait until somebody writes to it.
        if metadata.is_dir() {
            Err(ErrorKind::IsADirectory.into())
        } else if metadata.is_file() {
            File::open(path)
        } else {
            Err(std::io::Error::other("it is not a regular file"))
        }
    });
    file.map_err(|source| Error::Read {
        file: label.to_owned(),
        source,
    })
}

/// Decodes an image held in memory; `label` stands for it in errors.
///
/// # Errors
/// See [`Error`]; each names the label.
pub fn decode_bytes(bytes: &[u8], label: &str, options: &DecodeOptions) -> Result<Photo, Error> {
    decode(Cursor::new(bytes), label, options, Some(options.bits))
}

/// How long a file may be: as long as its pixels could make it, and some more.
pub(crate) fn longest_file(max_pixels: u64) -> u64 {
    max_pixels.saturating_mul(16).saturating_add(WORKING_MEMORY)
}

/// One image on its way: where it comes from, and what is allowed.
struct Source<'a> {
    label: &'a str,
    format: ImageFormat,
    options: &'a DecodeOptions,
    /// None for masks.
    bits: Option<Bits>,
}

fn decode<R: BufRead + Seek>(
    mut reader: R,
    label: &str,
    options: &DecodeOptions,
    bits: Option<Bits>,
) -> Result<Photo, Error> {
    let read_error = |source| Error::Read {
        file: label.to_owned(),
        source,
    };
    let max_bytes = longest_file(options.max_pixels);
    let bytes = reader.seek(SeekFrom::End(0)).map_err(read_error)?;
    if bytes > max_bytes {
        return Err(Error::FileTooLong {
            file: label.to_owned(),
            bytes,
            max_bytes,
            max_pixels: options.max_pixels,
        });
    }
    reader.seek(SeekFrom::Start(0)).map_err(read_error)?;
    let mut start = Vec::with_capacity(32);
    reader
        .by_ref()
        .take(32)
        .read_to_end(&mut start)
        .map_err(read_error)?;
    reader.seek(SeekFrom::Start(0)).map_err(read_error)?;

    let unknown = || Error::UnknownFormat {
        file: label.to_owned(),
    };
    let format = if tiff::is_tiff(&start) {
        ImageFormat::Tiff
    } else {
        image::guess_format(&start).map_err(|_| unknown())?
    };
    let source = Source {
        label,
        format,
        options,
        bits,
    };
    // The decoders are other people's code fed with strangers' bytes. Should one of them panic, that
    // is one bad image, not the end of a long run; nothing of ours is shared with them.
    let decoded = vcp_panics::caught(|| match format {
        ImageFormat::Png => {
            source.check_png_header(&start)?;
            let limits = limits(WORKING_MEMORY);
            let decoder = PngDecoder::with_limits(reader, limits);
            let is_animated = |decoder: &PngDecoder<R>| decoder.is_apng().unwrap_or(false);
            let is_animated = decoder.as_ref().is_ok_and(is_animated);
            source.first_picture(decoder, is_animated)
        }
        ImageFormat::Jpeg => {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map_err(read_error)?;
            if !jpeg_is_complete(&bytes) {
                return Err(source.invalid("it ends before its end marker"));
            }
            source.pixels(JpegDecoder::new(Cursor::new(bytes)))
        }
        ImageFormat::Bmp => source.pixels(BmpDecoder::new(reader)),
        ImageFormat::Tiff => source.tiff(reader),
        ImageFormat::WebP => {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map_err(read_error)?;
            let Some(bytes) = sound_webp(&bytes) else {
                return Err(source.invalid("one of its chunks reaches past its end"));
            };
            let decoder = WebPDecoder::new(Cursor::new(bytes));
            let is_animated = decoder.as_ref().is_ok_and(WebPDecoder::has_animation);
            source.first_picture(decoder, is_animated)
        }
        _ => Err(unknown()),
    });
    decoded.unwrap_or_else(|_| Err(source.invalid("the decoder gave up on it")))
}

impl Source<'_> {
    fn format_name(&self) -> &'static str {
        match self.format {
            ImageFormat::Png => "PNG",
            ImageFormat::Jpeg => "JPEG",
            ImageFormat::Bmp => "BMP",
            ImageFormat::Tiff => "TIFF",
            _ => "WebP",
        }
    }

    fn invalid(&self, reason: &str) -> Error {
        Error::Invalid {
            file: self.label.to_owned(),
            format: self.format_name(),
            reason: reason.trim_end_matches('.').to_owned(),
        }
    }

    fn error(&self, error: &ImageError) -> Error {
        let unsupported = |reason: String| Error::Unsupported {
            file: self.label.to_owned(),
            format: self.format_name(),
            reason,
        };
        match error {
            ImageError::Unsupported(error) => unsupported(match error.kind() {
                UnsupportedErrorKind::GenericFeature(what) => what,
                UnsupportedErrorKind::Color(color) => format!("pixels of the kind {color:?}"),
                _ => error.to_string(),
            }),
            ImageError::Limits(_) => {
                self.invalid("decoding it would take more memory than its size can explain")
            }
            ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.invalid("it ends too early")
            }
            other => self.invalid(&other.to_string()),
        }
    }

    fn check_size(&self, width: u64, height: u64) -> Result<(), Error> {
        if width == 0 || height == 0 {
            return Err(Error::Empty {
                file: self.label.to_owned(),
                width,
                height,
            });
        }
        let max_pixels = self.options.max_pixels;
        if width.saturating_mul(height) > max_pixels {
            return Err(Error::TooManyPixels {
                file: self.label.to_owned(),
                width,
                height,
                max_pixels,
            });
        }
        if width.max(height) > MAX_SIDE {
            return Err(Error::SideTooLong {
                file: self.label.to_owned(),
                width,
                height,
                max_side: MAX_SIDE,
            });
        }
        Ok(())
    }

    /// Checks a PNG's size ahead of the decoder, which reserves memory for a row when it is made.
    /// PNG's first chunk must be the header, so the size stands at a fixed place.
    fn check_png_header(&self, start: &[u8]) -> Result<(), Error> {
        let number = |at: usize| {
            let bytes: Option<[u8; 4]> = start.get(at..at + 4).and_then(|b| b.try_into().ok());
            bytes.map(|bytes| u64::from(u32::from_be_bytes(bytes)))
        };
        match (start.get(12..16), number(16), number(20)) {
            (Some(b"IHDR"), Some(width), Some(height)) => self.check_size(width, height),
            _ => Err(self.invalid("it does not begin with an image header")),
        }
    }

    /// The pixels of a file that may hold further pictures.
    fn first_picture<D: ImageDecoder>(
        &self,
        decoder: Result<D, ImageError>,
        is_animated: bool,
    ) -> Result<Photo, Error> {
        let format = self.format_name();
        let warning = is_animated.then_some(Warning::Animation { format });
        Ok(self.pixels(decoder)?.with_warnings(warning))
    }

    fn tiff<R: Read + Seek>(&self, reader: R) -> Result<Photo, Error> {
        let wanted = Wanted {
            page: self.options.page,
            bits: self.bits,
            max_bytes: longest_file(self.options.max_pixels),
            check_size: &|width, height| self.check_size(width, height),
        };
        let read = || -> Result<_, Fault> {
            let mut page = TiffPage::open(reader, &wanted)?;
            let photo = page.whole()?;
            Ok((photo, page.orientation()))
        };
        let (photo, orientation) = read().map_err(|fault| fault.about(self.label))?;
        Ok(if self.options.apply_orientation {
            upright(photo, orientation)
        } else {
            photo
        })
    }

    fn pixels<D: ImageDecoder>(&self, decoder: Result<D, ImageError>) -> Result<Photo, Error> {
        let mut decoder = decoder.map_err(|error| self.error(&error))?;
        let (width, height) = decoder.dimensions();
        self.check_size(u64::from(width), u64::from(height))?;
        let kind = decoder.color_type();
        let bytes = decoder.total_bytes();
        let limits = limits(bytes.saturating_mul(2).saturating_add(WORKING_MEMORY));
        decoder
            .set_limits(limits)
            .map_err(|error| self.error(&error))?;
        // Broken metadata do not make the picture unusable.
        let orientation = if self.options.apply_orientation {
            decoder.orientation().unwrap_or(Orientation::NoTransforms)
        } else {
            Orientation::NoTransforms
        };
        let (channels, keep, bytes_per_sample) = match kind {
            ColorType::L8 => (1, 1, 1),
            ColorType::La8 => (2, 1, 1),
            ColorType::Rgb8 => (3, 3, 1),
            ColorType::Rgba8 => (4, 3, 1),
            ColorType::L16 => (1, 1, 2),
            ColorType::La16 => (2, 1, 2),
            ColorType::Rgb16 => (3, 3, 2),
            ColorType::Rgba16 => (4, 3, 2),
            other => {
                return Err(Error::Unsupported {
                    file: self.label.to_owned(),
                    format: self.format_name(),
                    reason: format!(
                        "its pixels are of the kind {other:?}, whose range is not known"
                    ),
                });
            }
        };
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        // Asked for and given back at once: the allocation below would end the process instead.
        if Vec::<u8>::new().try_reserve_exact(length).is_err() {
            return Err(Error::OutOfMemory {
                file: self.label.to_owned(),
                width: u64::from(width),
                height: u64::from(height),
                bytes,
            });
        }
        // Zeroed memory is not touched until it is written, so a short file that claims to be large
        // costs little before its decoder finds out.
        let mut buffer = vec![0; length];
        decoder
            .read_image(&mut buffer)
            .map_err(|error| self.error(&error))?;
        let mut warning = None;
        let narrowing = match self.bits {
            None => Narrowing::AnyBit,
            Some(_) if bytes_per_sample == 1 => Narrowing::Depth(SampleDepth::Sixteen),
            Some(bits) => {
                let largest = largest_sample(&buffer, channels, keep);
                let depth = match bits {
                    Bits::Auto => SampleDepth::guess(largest),
                    Bits::Fixed(depth) | Bits::Settled(depth) => depth,
                };
                warning = depth_warning(bits, depth, largest);
                Narrowing::Depth(depth)
            }
        };
        compact(&mut buffer, channels, keep, bytes_per_sample, narrowing);
        let photo =
            Photo::from_parts(width as usize, height as usize, keep, buffer).with_warnings(warning);
        Ok(upright(photo, orientation))
    }
}

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}
