//! TIFF and `BigTIFF` files, chunk by chunk (strip or row of tiles).
//!
//! The containers are read here, because the kinds that cameras and microscopes write (packed 12
//! bits, palettes, several pages, thumbnails first, bits in reverse) are none of what the crate
//! `tiff` makes pixels of; unpacking a strip is left to it.

mod chunk;
mod directory;
mod page;
mod pages;
mod pixels;
mod tag;

use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::Path;

use image::metadata::Orientation;

use self::directory::Source;
use self::page::{Colour, Page};
pub use self::pages::PageChoice;
use self::pages::Pages;
use self::pixels::Scale;
use super::bits::{Bits, Narrowing, SampleDepth, depth_warning};
use crate::{Error, Photo, Warning};

/// Why a page cannot be read; the file's name is added above.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file is broken.
    Invalid(String),
    /// The file is of a kind that is not read.
    Unsupported(String),
    /// The file could not be read, or ends too early.
    Read(std::io::Error),
    /// The file asks for more memory than there can be.
    Memory,
    /// This machine has no memory for the pixels.
    NoMemory { width: u64, height: u64, bytes: u64 },
    /// Anything that has its sentence already.
    Refused(Error),
}

impl Fault {
    fn invalid(reason: impl Into<String>) -> Self {
        Self::Invalid(reason.into())
    }

    /// The decoder panicked.
    pub(crate) fn gave_up() -> Self {
        Self::invalid("the decoder gave up on it")
    }

    fn unsupported(reason: impl Into<String>) -> Self {
        Self::Unsupported(reason.into())
    }

    /// As an error about a file.
    pub(crate) fn about(self, file: &str) -> Error {
        let invalid = |reason: &str| Error::Invalid {
            file: file.to_owned(),
            format: "TIFF",
            reason: reason.trim_end_matches('.').to_owned(),
        };
        match self {
            Self::Invalid(reason) => invalid(&reason),
            Self::Unsupported(reason) => Error::Unsupported {
                file: file.to_owned(),
                format: "TIFF",
                reason,
            },
            Self::Read(error) if error.kind() == ErrorKind::UnexpectedEof => {
                invalid("it ends too early")
            }
            Self::Read(source) => Error::Read {
                file: file.to_owned(),
                source,
            },
            Self::Memory => invalid("decoding it would take more memory than its size can explain"),
            Self::NoMemory {
                width,
                height,
                bytes,
            } => Error::OutOfMemory {
                file: file.to_owned(),
                width,
                height,
                bytes,
            },
            Self::Refused(error) => error,
        }
    }
}

/// Whether a file begins like a TIFF or `BigTIFF` file.
pub(crate) fn is_tiff(start: &[u8]) -> bool {
    let magic: [&[u8]; 4] = [b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b"];
    magic.iter().any(|magic| start.starts_with(magic))
}

/// How a TIFF file's photo is to be turned, if it is such a file and says so.
pub(crate) fn tiff_orientation(path: &Path) -> Option<Orientation> {
    let mut reader = BufReader::new(super::regular_file(path, "").ok()?);
    let mut start = [0; 4];
    reader.read_exact(&mut start).ok()?;
    if !is_tiff(&start) {
        return None;
    }
    let mut source = Source::open(reader).ok()?;
    let (directory, _) = Pages::choose(&mut source, PageChoice::Photo).ok()?;
    let value = source.number(&directory, tag::ORIENTATION, 1).ok()?;
    Orientation::from_exif(u8::try_from(value).ok()?)
}

/// The numbers of the pages of a TIFF file that are photos (thumbnails and masks are not), for
/// [`PageChoice::Number`]; nothing if it is no such file or has one page only.
#[must_use]
pub fn photo_pages(path: &Path) -> Option<Vec<u32>> {
    let mut reader = BufReader::new(super::regular_file(path, "").ok()?);
    let mut start = [0; 4];
    reader.read_exact(&mut start).ok()?;
    if !is_tiff(&start) {
        return None;
    }
    let choose = || {
        let mut source = Source::open(reader).ok()?;
        let (_, pages) = Pages::choose(&mut source, PageChoice::Photo).ok()?;
        Some(pages.photos)
    };
    choose().filter(|photos| photos.len() > 1)
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}

/// What is wanted of a file.
pub(crate) struct Wanted<'a> {
    pub(crate) page: PageChoice,
    /// None for masks, whose samples are not brightness.
    pub(crate) bits: Option<Bits>,
    /// Most bytes that the samples of chunks side by side may have.
    pub(crate) max_bytes: u64,
    /// Whether a page of this width and height may be read.
    pub(crate) check_size: &'a dyn Fn(u64, u64) -> Result<(), Error>,
}

/// A page of a TIFF file, of which nothing but its directory has been read.
pub(crate) struct TiffPage<R> {
    source: Source<R>,
    page: Page,
    scale: Scale,
    bits: Option<Bits>,
    pages: Pages,
    /// The largest 16-bit sample of the rows that were read, where some could be above white.
    largest: u16,
}

impl<R: Read + Seek> TiffPage<R> {
    pub(crate) fn open(reader: R, wanted: &Wanted<'_>) -> Result<Self, Fault> {
        let mut source = Source::open(reader)?;
        let (directory, pages) = Pages::choose(&mut source, wanted.page)?;
        let (width, height) = source.size(&directory)?;
        (wanted.check_size)(width, height).map_err(Fault::Refused)?;
        let page = Page::read(&mut source, &directory)?;
        if page.bytes_side_by_side() > wanted.max_bytes {
            return Err(Fault::Memory);
        }
        let depth = match wanted.bits {
            Some(Bits::Fixed(depth) | Bits::Settled(depth)) => Narrowing::Depth(depth),
            Some(Bits::Auto) => Narrowing::Depth(SampleDepth::Sixteen),
            None => Narrowing::AnyBit,
        };
        let mut opened = Self {
            source,
            page,
            scale: Scale {
                narrowing: depth,
                white: 1.0,
            },
            bits: wanted.bits,
            pages,
            largest: 0,
        };
        if wanted.bits.is_some() && opened.page.is_float {
            opened.scale.white = opened.white()?;
        } else if wanted.bits == Some(Bits::Auto) && opened.page.bits == 16 {
            let largest = opened.largest_sample(u16::MAX)?;
            opened.scale.narrowing = Narrowing::Depth(SampleDepth::guess(largest));
        }
        Ok(opened)
    }

    pub(crate) fn width(&self) -> u64 {
        self.page.width
    }

    pub(crate) fn height(&self) -> u64 {
        self.page.height
    }

    pub(crate) fn orientation(&self) -> Orientation {
        self.page.orientation
    }

    /// 1 or 3.
    pub(crate) fn channels(&self) -> usize {
        match self.page.colour {
            Colour::Grey { .. } => 1,
            _ => 3,
        }
    }

    /// Rows of pixels in a row of chunks; the last may have fewer.
    pub(crate) fn chunk_rows(&self) -> u64 {
        self.page.chunk.1
    }

    /// Whether samples have 16 bits, of which fewer may be meant.
    pub(crate) fn has_16_bits(&self) -> bool {
        self.page.bits == 16
    }

    /// What should be known of what has been read so far.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let depth = match (self.bits, self.scale.narrowing) {
            (Some(bits), Narrowing::Depth(depth)) if self.page.bits == 16 => {
                depth_warning(bits, depth, self.largest)
            }
            (Some(_), _) if self.page.is_float => Some(Warning::FloatingPoint {
                white: self.scale.white as u16,
            }),
            _ => None,
        };
        self.pages.warning().into_iter().chain(depth).collect()
    }

    /// The whole page.
    pub(crate) fn whole(&mut self) -> Result<Photo, Fault> {
        let (width, height) = (self.page.width as usize, self.page.height as usize);
        let bytes = width * height * self.channels();
        let mut pixels = Vec::new();
        let mut alpha = Vec::new();
        // Asked for as a question: to allocate what there is not ends the process.
        let no_memory = |_| Fault::NoMemory {
            width: self.page.width,
            height: self.page.height,
            bytes: bytes as u64,
        };
        pixels.try_reserve_exact(bytes).map_err(no_memory)?;
        for number in 0..self.page.chunks_down() {
            let (rows, rows_alpha) = self.read_with_alpha(number)?;
            pixels.extend(rows);
            alpha.extend(rows_alpha);
        }
        pixels::cut_to_alpha(&mut pixels, self.channels(), &alpha);
        let photo = Photo::from_parts(width, height, self.channels(), pixels);
        Ok(photo.with_warnings(self.warnings()))
    }

    /// The pixels of a row of chunks, `[rows, width, channels]`.
    pub(crate) fn read(&mut self, number: u64) -> Result<Vec<u8>, Fault> {
        self.read_with_alpha(number).map(|(pixels, _)| pixels)
    }

    /// The same, and of a mask that has it the alpha of each pixel.
    fn read_with_alpha(&mut self, number: u64) -> Result<(Vec<u8>, Vec<u8>), Fault> {
        let channels = self.channels();
        let stride = self.page.width as usize * channels;
        let rows = self
            .page
            .chunk
            .1
            .min(self.page.height - number * self.page.chunk.1);
        let mut pixels = vec![0; rows as usize * stride];
        let shown = shown_samples(&self.page);
        let has_alpha = self.bits.is_none()
            && self.page.samples as usize > shown
            && self.page.colour != (Colour::Grey { is_inverted: true });
        let width = self.page.width as usize;
        let mut alpha = vec![0; if has_alpha { rows as usize * width } else { 0 }];
        let mut narrowed = Vec::new();
        let scale = self.scale;
        let mut largest = self.largest;
        let may_be_above = self.page.bits == 16
            && matches!(scale.narrowing, Narrowing::Depth(depth) if depth != SampleDepth::Sixteen);
        self.for_each_row(number, |page, row| {
            let start = row.y * stride + row.left * channels;
            let to = &mut pixels[start..start + row.width * channels];
            let together = page.samples_together() as usize;
            if may_be_above {
                largest = largest_of(page, &row, largest);
            }
            let is_plain = matches!(
                page.colour,
                Colour::Grey { is_inverted: false } | Colour::Rgb
            );
            if is_plain && page.bits == 8 && together == channels {
                to.copy_from_slice(&row.planes[0][..to.len()]);
                return;
            }
            narrowed.resize_with(row.planes.len(), Vec::new);
            for (plane, narrowed) in row.planes.iter().zip(&mut narrowed) {
                pixels::narrow(page, plane, row.width * together, scale, narrowed);
            }
            pixels::colours(page, &narrowed, to);
            if has_alpha {
                let to = &mut alpha[row.y * width + row.left..][..row.width];
                let values = match narrowed.get(shown) {
                    Some(plane) if page.is_planar => plane.chunks(1),
                    _ => narrowed[0][shown..].chunks(together),
                };
                for (to, value) in to.iter_mut().zip(values) {
                    *to = value[0];
                }
            }
        })?;
        self.largest = largest;
        Ok((pixels, alpha))
    }

    /// The largest colour sample of 16 bits. The search ends once one above `enough` is found.
    pub(crate) fn largest_sample(&mut self, enough: u16) -> Result<u16, Fault> {
        let mut largest = 0;
        for number in 0..self.page.chunks_down() {
            self.for_each_row(number, |page, row| {
                largest = largest_of(page, &row, largest);
            })?;
            if largest > enough {
                break;
            }
        }
        Ok(largest)
    }

    /// The floating-point number that is white: 1, 255 or 65535, by the largest there is. A little
    /// above 1 is a highlight; photos of 255 levels have none as low as 2.
    fn white(&mut self) -> Result<f64, Fault> {
        let mut largest = 0.0_f64;
        for number in 0..self.page.chunks_down() {
            self.for_each_row(number, |page, row| {
                let size = (page.bits / 8) as usize;
                let count = row.width * page.samples_together() as usize;
                for plane in row.planes {
                    let numbers = plane.chunks_exact(size).take(count);
                    let numbers = numbers.map(|bytes| pixels::float(page, bytes));
                    largest = numbers
                        .filter(|number| number.is_finite())
                        .fold(largest, f64::max);
                }
            })?;
        }
        Ok(match largest {
            ..=2.0 => 1.0,
            ..=511.0 => 255.0,
            _ => 65535.0,
        })
    }

    /// Calls `look` with the samples of each row that is inside the page.
    fn for_each_row(
        &mut self,
        number: u64,
        mut look: impl FnMut(&Page, Row<'_>),
    ) -> Result<(), Fault> {
        let page = &self.page;
        let (across, down) = (page.chunks_across(), page.chunks_down());
        let rows = page.chunk.1.min(page.height - number * page.chunk.1) as usize;
        let stored = page.stored_rows(number);
        // Of a mask the plane after those that are shown too: alpha.
        let further = usize::from(self.bits.is_none());
        let planes = if page.is_planar {
            page.samples.min((shown_samples(page) + further) as u64)
        } else {
            1
        };
        let row_bytes = page.row_bytes() as usize;
        for column in 0..across {
            let left = column * page.chunk.0;
            let chunks: Result<Vec<_>, Fault> = (0..planes)
                .map(|plane| {
                    let index = (plane * down + number) * across + column;
                    chunk::unpacked(&mut self.source, page, index, stored)
                })
                .collect();
            let chunks = chunks?;
            let mut planes: Vec<&[u8]> = Vec::with_capacity(chunks.len());
            for y in 0..rows {
                planes.clear();
                planes.extend(
                    chunks
                        .iter()
                        .map(|chunk| &chunk[y * row_bytes..(y + 1) * row_bytes]),
                );
                look(
                    page,
                    Row {
                        y,
                        left: left as usize,
                        width: page.chunk.0.min(page.width - left) as usize,
                        planes: &planes,
                    },
                );
            }
        }
        Ok(())
    }
}

/// A row of a chunk, as far as it is inside the page.
struct Row<'a> {
    /// Row below the top of the row of chunks.
    y: usize,
    left: usize,
    width: usize,
    /// The samples, for each plane.
    planes: &'a [&'a [u8]],
}

/// The largest 16-bit sample that is shown of a row, or the `largest` so far.
fn largest_of(page: &Page, row: &Row<'_>, mut largest: u16) -> u16 {
    let together = page.samples_together() as usize;
    let shown = shown_samples(page).min(together);
    for plane in row.planes {
        let (samples, _) = plane.as_chunks::<2>();
        for pixel in samples[..row.width * together].chunks_exact(together) {
            let samples = pixel[..shown].iter().map(|bytes| page.order.u16(*bytes));
            largest = samples.fold(largest, u16::max);
        }
    }
    largest
}

/// Samples of a pixel that are shown; those after them are dropped.
fn shown_samples(page: &Page) -> usize {
    match page.colour {
        Colour::Grey { .. } | Colour::Palette(_) => 1,
        Colour::Rgb | Colour::YCbCr => 3,
        Colour::Cmyk => 4,
    }
}
