//! PNG, row by row: what is stored in 16 bits with alpha is never in memory whole, which would take
//! eight bytes for each pixel.

use std::io::{BufRead, ErrorKind, Read as _, Seek, SeekFrom};

use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Limits, Transformations};

use super::bits::{Narrowing, SampleDepth, depth_warning};
use super::{Bits, WORKING_MEMORY};
use crate::{Photo, Warning};

/// What there is in a file.
pub(super) struct Picture {
    pub(super) photo: Photo,
    pub(super) exif: Option<Vec<u8>>,
    /// The largest sample that is kept, if they have 16 bits.
    pub(super) largest: Option<u16>,
}

/// Why there is none.
pub(super) enum Failure {
    /// In words that follow "it is not a valid PNG: ".
    Invalid(&'static str),
    /// There is no memory for so many bytes.
    OutOfMemory(u64),
    Read(std::io::Error),
}

impl From<DecodingError> for Failure {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Invalid("it ends too early")
            }
            DecodingError::IoError(error) => Self::Read(error),
            DecodingError::LimitsExceeded => {
                Self::Invalid("decoding it would take more memory than its size can explain")
            }
            // What the decoder says has its own types in it.
            _ => Self::Invalid("its data are damaged"),
        }
    }
}

/// Which check sums are compared.
#[derive(Clone, Copy)]
struct Checks {
    /// Whether the check sum of each chunk is compared.
    chunks: bool,
    /// Whether the check sum of the pixels before they were compressed is compared.
    pixels: bool,
}

/// Width and height as they stand at a fixed place of the header, which must be the first chunk; zeros if
/// it is not.
pub(super) fn size(start: &[u8]) -> (u64, u64) {
    let number = |at: usize| {
        let bytes = start.get(at..)?.first_chunk()?;
        Some(u64::from(u32::from_be_bytes(*bytes)))
    };
    match (start.get(12..16), number(16), number(20)) {
        (Some(b"IHDR"), Some(width), Some(height)) => (width, height),
        _ => (0, 0),
    }
}

/// Reads a picture whose size was checked.
pub(super) fn read<R: BufRead + Seek>(
    mut reader: R,
    bits: Option<Bits>,
) -> Result<Picture, Failure> {
    let narrowing = match bits {
        None => Narrowing::AnyBit,
        Some(Bits::Fixed(depth) | Bits::Settled(depth)) => Narrowing::Depth(depth),
        Some(Bits::Auto) => Narrowing::Depth(SampleDepth::Sixteen),
    };
    let mut checks = Checks {
        chunks: true,
        pixels: true,
    };
    let mut picture = rows(&mut reader, checks, narrowing);
    if matches!(picture, Err(Failure::Invalid(_))) {
        // Where only one of the two kinds does not fit, what it is about is whole: it was written wrong,
        // or it is itself what was damaged.
        let others: &[_] = if headers_fit(&mut reader).map_err(Failure::Read)? {
            &[(false, true), (true, false)]
        } else {
            // Only the pixels have a second check sum.
            &[(true, false)]
        };
        for &other in others {
            (checks.chunks, checks.pixels) = other;
            let found = rows(&mut reader, checks, narrowing);
            if found.is_ok() {
                picture = found;
                break;
            }
        }
    }
    let mut picture = picture?;
    let (Some(bits), Some(largest)) = (bits, picture.largest) else {
        return Ok(picture);
    };
    let depth = match bits {
        Bits::Fixed(depth) | Bits::Settled(depth) => depth,
        Bits::Auto => SampleDepth::guess(largest),
    };
    if bits == Bits::Auto && depth != SampleDepth::Sixteen {
        picture = rows(&mut reader, checks, Narrowing::Depth(depth))?;
    }
    let warning = depth_warning(bits, depth, largest);
    picture.photo = picture.photo.with_warnings(warning);
    Ok(picture)
}

/// Whether the check sums fit of all chunks that say what the pixels mean: size, palette, transparency.
fn headers_fit<R: BufRead + Seek>(reader: &mut R) -> std::io::Result<bool> {
    // A palette of 256 colours; longer ones are none.
    const LONGEST: u32 = 768;
    reader.seek(SeekFrom::Start(8))?;
    let mut head = [0; 8];
    loop {
        match reader.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(true),
            Err(error) => return Err(error),
        }
        let [a, b, c, d, kind @ ..] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        if !matches!(&kind, b"IHDR" | b"PLTE" | b"tRNS") {
            reader.seek_relative(i64::from(length) + 4)?;
            continue;
        }
        if length > LONGEST {
            return Ok(false);
        }
        let mut chunk = kind.to_vec();
        let data = u64::from(length) + 4;
        reader.by_ref().take(data).read_to_end(&mut chunk)?;
        let Some((checked, sum)) = chunk.split_last_chunk::<4>() else {
            return Ok(false);
        };
        if crc32fast::hash(checked) != u32::from_be_bytes(*sum) {
            return Ok(false);
        }
    }
}

fn rows<R: BufRead + Seek>(
    reader: &mut R,
    checks: Checks,
    narrowing: Narrowing,
) -> Result<Picture, Failure> {
    reader.seek(SeekFrom::Start(0)).map_err(Failure::Read)?;
    let mut options = DecodeOptions::default();
    options.set_ignore_crc(!checks.chunks);
    options.set_ignore_adler32(!checks.pixels);
    // Texts and colour profiles are not used, and a broken one is no reason to refuse a picture.
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(reader, options);
    decoder.set_limits(Limits {
        bytes: WORKING_MEMORY as usize,
    });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let (width, height) = reader.info().size();
    let (width, height) = (width as usize, height as usize);
    let (kind, depth) = reader.output_color_type();
    let (samples, channels) = match kind {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (2, 1),
        ColorType::Rgba => (4, 3),
        // Palettes were expanded.
        ColorType::Rgb | ColorType::Indexed => (3, 3),
    };
    let is_wide = depth == BitDepth::Sixteen;
    let count = width * height;
    let mut pixels = zeros(count * channels)?;
    // Masks look at it; the colour under it is what counts in photos.
    let has_alpha = narrowing == Narrowing::AnyBit && samples > channels;
    let mut alpha = zeros(if has_alpha { count } else { 0 })?;
    let bytes = if is_wide { 2 } else { 1 };
    let mut largest = 0;
    let mut line = vec![0; width * samples * bytes];
    for pass in passes(reader.info().interlaced) {
        let (columns, lines) = (pass.count(width, 0), pass.count(height, 1));
        if columns == 0 {
            continue;
        }
        for number in 0..lines {
            reader.read_row(&mut line)?;
            let first = (pass.first[1] + number * pass.step[1]) * width + pass.first[0];
            let places = (0..columns).map(|column| first + column * pass.step[0]);
            for (place, from) in places.zip(line.chunks_exact(samples * bytes)) {
                let mut sample = |channel: usize| {
                    if !is_wide {
                        return from[channel];
                    }
                    let sample = u16::from_be_bytes([from[2 * channel], from[2 * channel + 1]]);
                    if channel < channels {
                        largest = sample.max(largest);
                    }
                    narrowing.apply(sample)
                };
                for channel in 0..channels {
                    pixels[place * channels + channel] = sample(channel);
                }
                if has_alpha {
                    alpha[place] = sample(channels);
                }
            }
        }
    }
    if alpha.iter().any(|value| value != &alpha[0]) {
        for (pixel, &most) in pixels.chunks_exact_mut(channels).zip(&alpha) {
            for value in pixel {
                *value = most.min(*value);
            }
        }
    }
    let mut warnings = Vec::new();
    if reader.info().is_animated() {
        warnings.push(Warning::Animation { format: "PNG" });
    }
    if !checks.chunks || !checks.pixels {
        warnings.push(Warning::CheckSum { format: "PNG" });
    }
    // What follows the pixels: their check sum, metadata, the last chunk.
    match reader.finish().map_err(Failure::from) {
        Ok(()) => {}
        Err(Failure::Invalid("it ends too early")) => {
            warnings.push(Warning::NoEnd { format: "PNG" });
        }
        Err(failure) => return Err(failure),
    }
    Ok(Picture {
        photo: Photo::from_parts(width, height, channels, pixels).with_warnings(warnings),
        exif: reader
            .info()
            .exif_metadata
            .as_ref()
            .map(|exif| exif.to_vec()),
        largest: is_wide.then_some(largest),
    })
}

/// Zeros, if there is memory for them: a short file that claims to be large costs little before its
/// decoder finds out, since they are not touched until they are written.
fn zeros(count: usize) -> Result<Vec<u8>, Failure> {
    // Asked for and given back at once: the allocation below would end the process instead.
    if Vec::<u8>::new().try_reserve_exact(count).is_err() {
        return Err(Failure::OutOfMemory(count as u64));
    }
    Ok(vec![0; count])
}

/// Which pixels a pass over a picture brings.
#[derive(Clone, Copy)]
struct Pass {
    /// Column and row of the first.
    first: [usize; 2],
    /// From one to the next.
    step: [usize; 2],
}

impl Pass {
    /// How many of `size` columns (axis 0) or rows (1) are in it.
    fn count(self, size: usize, axis: usize) -> usize {
        size.saturating_sub(self.first[axis])
            .div_ceil(self.step[axis])
    }
}

/// All at once, or in Adam7's order.
fn passes(is_interlaced: bool) -> impl Iterator<Item = Pass> {
    const WHOLE: &[([usize; 2], [usize; 2])] = &[([0, 0], [1, 1])];
    const ADAM7: &[([usize; 2], [usize; 2])] = &[
        ([0, 0], [8, 8]),
        ([4, 0], [8, 8]),
        ([0, 4], [4, 8]),
        ([2, 0], [4, 4]),
        ([0, 2], [2, 4]),
        ([1, 0], [2, 2]),
        ([0, 1], [1, 2]),
    ];
    let passes = if is_interlaced { ADAM7 } else { WHOLE };
    passes.iter().map(|&(first, step)| Pass { first, step })
}
