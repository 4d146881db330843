//! From a file's bytes to a [`Photo`].
//!
//! How the many kinds of pixel become 8-bit grey or RGB:
//! - alpha is dropped, not composited: the colour below it is what the camera or editor stored;
//! - palettes and 1-, 2- and 4-bit grey are expanded;
//! - 16 bits become the upper 8 (`value >> 8`), which is what Pillow does with 16-bit RGB, unless they
//!   hold fewer (see [`Bits`]);
//! - CMYK is converted to RGB as Pillow does it;
//! - colour profiles are ignored, as Pillow and the official code ignore them;
//! - of an animation the first picture is taken, of a file with pages the first that is a photo.

mod bits;
mod gif;
mod jpeg;
mod png;
mod samples;
mod settle;
mod tiff;
mod webp;

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, pnm::PnmDecoder, webp::WebPDecoder};
use image::error::UnsupportedErrorKind;
use image::{ColorType, ImageDecoder, ImageError, Limits, metadata::Orientation};

pub use self::bits::{Bits, SampleDepth};
pub use self::samples::{SampleRows, decode_samples};
pub use self::settle::{Settled, settle_bits};
pub use self::tiff::{PageChoice, photo_pages};

use self::bits::{Narrowing, compact, depth_warning, largest_sample};
pub(crate) use self::tiff::{Fault, TiffPage, Wanted, tiff_orientation};
use crate::kind::other_content;
use crate::orientation::upright;
use crate::{Error, Kind, Photo, Warning, mask_from_photo};

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

/// Decodes the image in a file: PNG, JPEG, BMP, TIFF, WebP, GIF or PNM, judged by its content.
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
    kind: Kind,
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
    let mut start = Vec::with_capacity(Kind::LENGTH);
    reader
        .by_ref()
        .take(Kind::LENGTH as u64)
        .read_to_end(&mut start)
        .map_err(read_error)?;
    reader.seek(SeekFrom::Start(0)).map_err(read_error)?;

    let kind = match Kind::of(&start) {
        Some(kind) if kind.is_read() => kind,
        other => return Err(not_read(label.to_owned(), other, &start)),
    };
    let source = Source {
        label,
        kind,
        options,
        bits,
    };
    let whole = |mut reader: R| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(read_error)?;
        Ok(bytes)
    };
    // The decoders are other people's code fed with strangers' bytes. Should one of them panic, that
    // is one bad image, not the end of a long run; nothing of ours is shared with them.
    let decoded = vcp_panics::caught(|| match kind {
        Kind::Png => source.png(&start, reader),
        Kind::Jpeg => source.jpeg(&whole(reader)?),
        Kind::Bmp => source.pixels(BmpDecoder::new(reader)),
        Kind::Tiff => source.tiff(reader),
        Kind::WebP => source.webp(&whole(reader)?),
        Kind::Gif => source.gif(&whole(reader)?),
        Kind::Pnm => source.pnm(reader),
        other => Err(not_read(label.to_owned(), Some(other), &start)),
    });
    decoded.unwrap_or_else(|_| Err(source.invalid("the decoder gave up on it")))
}

/// What is said of a file that is not decoded.
fn not_read(file: String, kind: Option<Kind>, start: &[u8]) -> Error {
    match (kind, other_content(start)) {
        (Some(kind), _) => Error::OtherFormat {
            file,
            format: kind.name(),
            advice: kind.advice(),
        },
        (None, Some(reason)) => Error::NoImage { file, reason },
        (None, None) => Error::UnknownFormat { file },
    }
}

impl Source<'_> {
    fn invalid(&self, reason: &str) -> Error {
        Error::Invalid {
            file: self.label.to_owned(),
            format: self.kind.name(),
            reason: reason.trim_end_matches('.').to_owned(),
        }
    }

    fn unsupported(&self, reason: impl Into<String>) -> Error {
        Error::Unsupported {
            file: self.label.to_owned(),
            format: self.kind.name(),
            reason: reason.into(),
        }
    }

    fn out_of_memory(&self, (width, height): (u64, u64), bytes: u64) -> Error {
        Error::OutOfMemory {
            file: self.label.to_owned(),
            width,
            height,
            bytes,
        }
    }

    fn error(&self, error: &ImageError) -> Error {
        match error {
            ImageError::Unsupported(error) => self.unsupported(match error.kind() {
                UnsupportedErrorKind::GenericFeature(what) => what,
                _ => "its pixels are of a kind that is not known".to_owned(),
            }),
            ImageError::Limits(_) => {
                self.invalid("decoding it would take more memory than its size can explain")
            }
            ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.invalid("it ends too early")
            }
            _ => self.invalid("its data are damaged"),
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
        match png::size(start) {
            (0, 0) if start.get(12..16) != Some(b"IHDR") => {
                Err(self.invalid("it does not begin with an image header"))
            }
            (width, height) => self.check_size(width, height),
        }
    }

    /// The pixels of a file that may hold further pictures.
    fn first_picture<D: ImageDecoder>(
        &self,
        decoder: Result<D, ImageError>,
        is_animated: bool,
    ) -> Result<Photo, Error> {
        let format = self.kind.name();
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
        self.upright(photo, orientation)
    }

    fn png<R: BufRead + Seek>(&self, start: &[u8], reader: R) -> Result<Photo, Error> {
        self.check_png_header(start)?;
        let picture = png::read(reader, self.bits).map_err(|failure| match failure {
            png::Failure::Invalid(reason) => self.invalid(reason),
            png::Failure::OutOfMemory(bytes) => self.out_of_memory(png::size(start), bytes),
            png::Failure::Read(source) => Error::Read {
                file: self.label.to_owned(),
                source,
            },
        })?;
        let orientation = exif_orientation(picture.exif.as_deref());
        self.upright(picture.photo, orientation)
    }

    fn jpeg(&self, bytes: &[u8]) -> Result<Photo, Error> {
        let mut size = (0, 0);
        let failed = |failure, size| match failure {
            jpeg::Failure::Invalid(reason) => self.invalid(&reason),
            jpeg::Failure::Unsupported(reason) => self.unsupported(reason),
            jpeg::Failure::OutOfMemory(bytes) => self.out_of_memory(size, bytes),
        };
        let header = jpeg::Header::read(bytes).map_err(|failure| failed(failure, size))?;
        let (width, height) = header.size();
        size = (width as u64, height as u64);
        self.check_size(size.0, size.1)?;
        let orientation = exif_orientation(header.exif());
        let decoded = header.decode().map_err(|failure| failed(failure, size))?;
        let photo = Photo::from_parts(width, height, decoded.channels, decoded.pixels)
            .with_warnings(decoded.damage.warnings());
        self.upright(photo, orientation)
    }

    fn webp(&self, bytes: &[u8]) -> Result<Photo, Error> {
        let Some(bytes) = webp::sound_webp(bytes) else {
            return Err(self.invalid("one of its chunks reaches past its end"));
        };
        if let Some((width, height)) = webp::size(bytes) {
            self.check_size(width, height)?;
            if width.max(height) == webp::UNREADABLE_SIDE {
                return Err(self.unsupported(
                    "one of its sides has 16384 pixels, which the decoder takes for none",
                ));
            }
        }
        let decoder = WebPDecoder::new(Cursor::new(bytes));
        let is_animated = decoder.as_ref().is_ok_and(WebPDecoder::has_animation);
        self.first_picture(decoder, is_animated)
    }

    fn gif(&self, bytes: &[u8]) -> Result<Photo, Error> {
        let is_animated = gif::is_animation(bytes);
        self.first_picture(GifDecoder::new(Cursor::new(bytes)), is_animated)
    }

    fn pnm<R: BufRead>(&self, reader: R) -> Result<Photo, Error> {
        let decoder = PnmDecoder::new(reader);
        // The decoder brings samples to 16 bits if the file says how many there are.
        let is_scaled = decoder
            .as_ref()
            .is_ok_and(|decoder| decoder.header().maximal_sample() < u32::from(u16::MAX));
        let bits = match self.bits {
            Some(_) if is_scaled => Some(Bits::Fixed(SampleDepth::Sixteen)),
            bits => bits,
        };
        Source { bits, ..*self }.pixels(decoder)
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
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
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
                return Err(self.unsupported(format!(
                    "its pixels are of the kind {other:?}, whose range is not known"
                )));
            }
        };
        let length = usize::try_from(bytes).unwrap_or(usize::MAX);
        // Asked for and given back at once: the allocation below would end the process instead.
        if Vec::<u8>::new().try_reserve_exact(length).is_err() {
            return Err(self.out_of_memory((u64::from(width), u64::from(height)), bytes));
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
        self.upright(photo, orientation)
    }

    /// The photo turned as its metadata ask for, if that is wanted.
    fn upright(&self, photo: Photo, orientation: Orientation) -> Result<Photo, Error> {
        if !self.options.apply_orientation {
            return Ok(photo);
        }
        let size = (photo.width() as u64, photo.height() as u64);
        upright(photo, orientation).map_err(|bytes| self.out_of_memory(size, bytes))
    }
}

fn exif_orientation(exif: Option<&[u8]>) -> Orientation {
    // Broken metadata do not make the picture unusable.
    exif.and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms)
}

fn limits(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}
