//! What a page's directory says, checked, or why the page cannot be read.

use std::io::{Read, Seek};

use image::metadata::Orientation;

use super::directory::{Directory, Order, Source};
use super::{Fault, tag};

/// Most samples of a pixel. More have pictures of other things than light.
const MAX_SAMPLES: u64 = 16;

/// Bytes of rows that are read at once where the file leaves the choice.
const READ_AT_ONCE: u64 = 1 << 20;

/// What the samples of a pixel mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Grey {
        is_inverted: bool,
    },
    Rgb,
    /// The colour of each sample.
    Palette(Vec<[u8; 3]>),
    Cmyk,
    YCbCr,
}

/// One page. Strips and tiles are both called chunks: a strip is a tile as wide as the page.
#[expect(clippy::struct_excessive_bools, reason = "each is what a tag says")]
pub(super) struct Page {
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) orientation: Orientation,
    pub(super) colour: Colour,
    pub(super) order: Order,
    /// Bits of a sample.
    pub(super) bits: u64,
    pub(super) is_float: bool,
    /// Samples of a pixel, those that are not shown included.
    pub(super) samples: u64,
    /// Whether each sample of a pixel has chunks of its own.
    pub(super) is_planar: bool,
    pub(super) compression: u64,
    pub(super) predictor: u64,
    /// Whether the bits of each byte go from the lowest to the highest.
    pub(super) is_reversed: bool,
    /// Pixels of a colour sample across and down.
    pub(super) subsampling: (u64, u64),
    pub(super) jpeg_tables: Option<Vec<u8>>,
    /// Width and height of a chunk.
    pub(super) chunk: (u64, u64),
    pub(super) is_tiled: bool,
    offsets: Vec<u64>,
    lengths: Vec<u64>,
}

pub(super) const UNCOMPRESSED: u64 = 1;
pub(super) const FAX4: u64 = 4;
pub(super) const JPEG: u64 = 7;

impl Page {
    /// Reads what a directory says, whose size has been checked.
    pub(super) fn read<R: Read + Seek>(
        source: &mut Source<R>,
        directory: &Directory,
    ) -> Result<Self, Fault> {
        let (width, height) = source.size(directory)?;
        let mut number = |tag, otherwise| source.number(directory, tag, otherwise);
        let samples = number(tag::SAMPLES_PER_PIXEL, 1)?;
        let compression = number(tag::COMPRESSION, UNCOMPRESSED)?;
        let photometric = number(tag::PHOTOMETRIC, 1)?;
        let predictor = number(tag::PREDICTOR, 1)?;
        let is_reversed = number(tag::FILL_ORDER, 1)? == 2;
        let is_planar = number(tag::PLANAR_CONFIGURATION, 1)? == 2 && samples > 1;
        let orientation = u8::try_from(number(tag::ORIENTATION, 1)?).unwrap_or(1);
        let bits = source.numbers(directory, tag::BITS_PER_SAMPLE)?;
        let formats = source.numbers(directory, tag::SAMPLE_FORMAT)?;
        if samples == 0 || samples > MAX_SAMPLES {
            return Err(Fault::unsupported(format!(
                "it has {samples} samples a pixel"
            )));
        }
        check_compression(compression)?;
        let (bits, is_float) = kind(&bits, &formats)?;
        if predictor == 2 && !matches!(bits, 8 | 16 | 32) || predictor == 3 && !is_float {
            return Err(Fault::unsupported(format!(
                "differences between samples of {bits} bits are stored in it"
            )));
        }
        if !(1..=3).contains(&predictor) {
            return Err(Fault::unsupported(format!(
                "its predictor {predictor} is not known"
            )));
        }
        let colour = match photometric {
            0 | 1 | 4 => Colour::Grey {
                is_inverted: photometric == 0,
            },
            2 => Colour::Rgb,
            3 => Colour::Palette(palette(source, directory, bits)?),
            5 => Colour::Cmyk,
            6 => Colour::YCbCr,
            other => return Err(Fault::unsupported(other_colours(other))),
        };
        let subsampling = subsampling(source, directory, &colour)?;
        let mut page = Self {
            width,
            height,
            orientation: Orientation::from_exif(orientation).unwrap_or(Orientation::NoTransforms),
            colour,
            order: source.order,
            bits,
            is_float,
            samples,
            is_planar,
            compression,
            predictor,
            is_reversed,
            subsampling,
            jpeg_tables: source.bytes(directory, tag::JPEG_TABLES)?,
            chunk: (width, height),
            is_tiled: false,
            offsets: Vec::new(),
            lengths: Vec::new(),
        };
        page.check_kind()?;
        page.find_chunks(source, directory)?;
        Ok(page)
    }

    fn check_kind(&self) -> Result<(), Fault> {
        let refuse = |reason: String| Err(Fault::unsupported(reason));
        let (least, name) = match &self.colour {
            Colour::Grey { .. } | Colour::Palette(_) => (1, "grey"),
            Colour::Rgb => (3, "RGB"),
            Colour::Cmyk => (4, "CMYK"),
            Colour::YCbCr => (3, "YCbCr"),
        };
        if self.samples < least {
            return Err(Fault::invalid(format!(
                "its pixels have {} samples and are said to be {name}",
                self.samples
            )));
        }
        if matches!(self.colour, Colour::Grey { .. }) && self.samples > 2 {
            return refuse(format!(
                "it has {} grey channels a pixel and does not say which are the photo",
                self.samples
            ));
        }
        let has_bytes_alone = matches!(self.colour, Colour::YCbCr) || self.compression == JPEG;
        if has_bytes_alone && (self.bits != 8 || self.predictor != 1) {
            return refuse(format!("its {name} samples have {} bits", self.bits));
        }
        if self.compression == JPEG && !matches!(self.samples_together(), 1 | 3 | 4) {
            return refuse(format!("JPEG of {} samples a pixel", self.samples));
        }
        if self.is_float && !matches!(self.colour, Colour::Grey { .. } | Colour::Rgb) {
            return refuse(format!("its {name} samples are floating-point numbers"));
        }
        if self.compression == FAX4 && (self.bits != 1 || self.samples != 1) {
            return refuse("fax compression of other than black and white".to_owned());
        }
        if self.subsampling != (1, 1)
            && self.compression != JPEG
            && (self.is_planar || self.samples != 3)
        {
            return refuse("its colours have a lower resolution and are stored apart".to_owned());
        }
        Ok(())
    }

    fn find_chunks<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        directory: &Directory,
    ) -> Result<(), Fault> {
        self.offsets = source.numbers(directory, tag::TILE_OFFSETS)?;
        self.is_tiled = !self.offsets.is_empty();
        if self.is_tiled {
            self.lengths = source.numbers(directory, tag::TILE_BYTE_COUNTS)?;
            self.chunk = (
                source.number(directory, tag::TILE_WIDTH, 0)?,
                source.number(directory, tag::TILE_LENGTH, 0)?,
            );
        } else {
            self.offsets = source.numbers(directory, tag::STRIP_OFFSETS)?;
            self.lengths = source.numbers(directory, tag::STRIP_BYTE_COUNTS)?;
            let rows = source.number(directory, tag::ROWS_PER_STRIP, self.height)?;
            self.chunk = (self.width, rows.min(self.height));
        }
        let (width, height) = self.chunk;
        if width == 0 || height == 0 {
            return Err(Fault::invalid("its strips or tiles have no pixels"));
        }
        // Before anything of a tile's size is allocated.
        let area = self.width.saturating_mul(self.height);
        if width.saturating_mul(height) > area.saturating_mul(4).saturating_add(READ_AT_ONCE) {
            return Err(Fault::invalid(
                "its tiles are much larger than it is itself",
            ));
        }
        let planes = if self.is_planar { self.samples } else { 1 };
        let needed = self.chunks_across() * self.chunks_down() * planes;
        if (self.offsets.len() as u64) < needed {
            return Err(Fault::invalid(
                "it does not say where all of its pixels are",
            ));
        }
        // Rows of a known length can be read some at a time.
        let row = self.row_bytes();
        if self.compression == UNCOMPRESSED && !self.is_tiled && self.subsampling == (1, 1) {
            let at_once = (READ_AT_ONCE / row.max(1)).max(1);
            if !self.is_planar && at_once < height {
                let rows = |strip: u64| height.min(self.height - strip * height);
                let strips = self.offsets.iter().take(needed as usize).zip(0..);
                let parts = strips.flat_map(|(offset, strip)| {
                    let parts = 0..rows(strip).div_ceil(at_once);
                    parts.map(move |part| offset.saturating_add(part * at_once * row))
                });
                // Strips that parts do not divide would leave gaps between rows.
                if height % at_once == 0 || needed == 1 {
                    self.offsets = parts.collect();
                    self.chunk.1 = at_once;
                }
            }
        }
        Ok(())
    }

    pub(super) fn chunks_across(&self) -> u64 {
        self.width.div_ceil(self.chunk.0)
    }

    pub(super) fn chunks_down(&self) -> u64 {
        self.height.div_ceil(self.chunk.1)
    }

    /// Samples of a pixel that lie together.
    pub(super) fn samples_together(&self) -> u64 {
        if self.is_planar { 1 } else { self.samples }
    }

    /// Bytes of a row of a chunk, unpacked.
    pub(super) fn row_bytes(&self) -> u64 {
        let samples = self.chunk.0.saturating_mul(self.samples_together());
        samples.saturating_mul(self.bits).div_ceil(8)
    }

    /// Bytes of the samples in a row of chunks, unpacked.
    pub(super) fn bytes_side_by_side(&self) -> u64 {
        let planes = if self.is_planar { self.samples } else { 1 };
        let bytes = self.row_bytes().saturating_mul(self.chunk.1);
        bytes.saturating_mul(self.chunks_across() * planes)
    }

    /// Rows stored in the chunks of this row of chunks.
    pub(super) fn stored_rows(&self, row: u64) -> u64 {
        if self.is_tiled {
            self.chunk.1
        } else {
            self.chunk.1.min(self.height - row * self.chunk.1)
        }
    }

    /// Where a chunk is and how long; its length is a guess where the file does not say.
    pub(super) fn place(&self, index: u64, unpacked: u64) -> Option<(u64, Option<u64>)> {
        let offset = *self.offsets.get(index as usize)?;
        if self.compression == UNCOMPRESSED {
            // What a file says of this is often wrong, and not needed.
            return Some((offset, Some(unpacked)));
        }
        let length = self.lengths.get(index as usize).copied();
        Some((offset, length.filter(|length| *length > 0)))
    }
}

/// Bits of a sample, and whether it is a floating-point number.
fn kind(bits: &[u64], formats: &[u64]) -> Result<(u64, bool), Fault> {
    let count = bits.first().copied().unwrap_or(1);
    if bits.iter().any(|other| *other != count) {
        let list: Vec<String> = bits.iter().map(u64::to_string).collect();
        let list = list.join(", ");
        return Err(Fault::unsupported(format!(
            "the samples of a pixel have different numbers of bits ({list})"
        )));
    }
    let format = formats.first().copied().unwrap_or(1);
    if formats.iter().any(|other| *other != format) {
        return Err(Fault::unsupported(
            "the samples of a pixel are of different kinds",
        ));
    }
    match (format, count) {
        (1 | 4, 1..=16) => Ok((count, false)),
        (3, 32 | 64) => Ok((count, true)),
        (1 | 4, _) => Err(Fault::unsupported(format!(
            "its samples are whole numbers of {count} bits, and it does not say which of them is white"
        ))),
        (2, _) => Err(Fault::unsupported(format!(
            "its samples are signed numbers of {count} bits, and it does not say which of them is white"
        ))),
        (3, _) => Err(Fault::unsupported(format!(
            "its samples are floating-point numbers of {count} bits"
        ))),
        _ => Err(Fault::unsupported("its samples are complex numbers")),
    }
}

fn check_compression(compression: u64) -> Result<(), Fault> {
    let name = match compression {
        1 | 4 | 5 | 7 | 8 | 32_773 | 32_946 => return Ok(()),
        2 | 3 | 32_771 => "an older fax code",
        6 => "the old kind of JPEG in TIFF",
        34_712 | 33_003 | 33_005 => "JPEG 2000",
        34_887 => "LERC",
        34_925 => "LZMA",
        50_000 => "Zstandard",
        50_001 | 34_927 => "WebP",
        50_002 | 52_546 => "JPEG XL",
        other => {
            return Err(Fault::unsupported(format!(
                "its compression {other} is not known"
            )));
        }
    };
    Err(Fault::unsupported(format!(
        "it is compressed with {name} (no compression, LZW, Deflate, PackBits and JPEG are read)"
    )))
}

/// Why pixels of these colours are not read.
fn other_colours(photometric: u64) -> String {
    match photometric {
        8..=10 => "its colours are CIE L*a*b*".to_owned(),
        32_803 | 34_892 => {
            "it holds a camera's raw data, which a raw converter has to develop".to_owned()
        }
        32_844 | 32_845 => "its colours are logarithms of light".to_owned(),
        51_177 => "it is a map of depths".to_owned(),
        other => format!("what its samples mean (photometric interpretation {other}) is not known"),
    }
}

fn palette<R: Read + Seek>(
    source: &mut Source<R>,
    directory: &Directory,
    bits: u64,
) -> Result<Vec<[u8; 3]>, Fault> {
    if bits > 8 {
        return Err(Fault::unsupported(format!(
            "its palette has 2^{bits} colours"
        )));
    }
    let values = source.numbers(directory, tag::COLOUR_MAP)?;
    let count = 1 << bits;
    if values.len() < 3 * count {
        return Err(Fault::invalid("its palette is too short"));
    }
    // Old files have palettes of 8 bits, which libtiff knows by the same sign.
    let shift = if values.iter().any(|value| *value > 255) {
        8
    } else {
        0
    };
    let colour =
        |index: usize| [0, 1, 2].map(|plane| (values[plane * count + index] >> shift) as u8);
    Ok((0..count).map(colour).collect())
}

fn subsampling<R: Read + Seek>(
    source: &mut Source<R>,
    directory: &Directory,
    colour: &Colour,
) -> Result<(u64, u64), Fault> {
    if *colour != Colour::YCbCr {
        return Ok((1, 1));
    }
    match source.numbers(directory, tag::SUBSAMPLING)?[..] {
        [] => Ok((2, 2)),
        [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] => Ok((across, down)),
        _ => Err(Fault::invalid(
            "the resolution of its colours makes no sense",
        )),
    }
}
