//! From a [`MaskSource`] to pixels.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::{DynamicImage, ImageDecoder, Limits};
use vcp_image::{DecodeOptions, Error as ImageError, Photo, decode_file, decode_mask_file};

use crate::labelme::Annotation;
use crate::{Error, MaskRule, MaskSource, files};

const WHITE: [u8; 3] = [255; 3];

/// The mask of an anomalous image, at the image's size.
pub(crate) fn load(
    source: &MaskSource,
    image: &Path,
    (width, height): (usize, usize),
    options: &DecodeOptions,
) -> Result<Photo, Error> {
    let check_size = |mask: &Path, mask_size| {
        if mask_size == (width, height) {
            Ok(())
        } else {
            Err(Error::MaskSize {
                image: image.to_owned(),
                image_size: (width, height),
                mask: mask.to_owned(),
                mask_size,
            })
        }
    };
    let empty = || Photo::from_grey(width, height, vec![0; width.saturating_mul(height)]);
    match source {
        MaskSource::None => Ok(empty()?),
        MaskSource::Unknown => Err(Error::NoMask {
            image: image.to_owned(),
        }),
        MaskSource::File { path, rule } => {
            let mask = decode(path, *rule, options)?;
            check_size(path, (mask.width(), mask.height()))?;
            Ok(mask)
        }
        MaskSource::Labelme { path } => {
            let annotation = Annotation::read(path)?;
            if let Some(size) = annotation.size() {
                check_size(path, size)?;
            }
            let mut pixels = empty()?.into_pixels();
            annotation.fill(&mut pixels, width);
            Ok(Photo::from_grey(width, height, pixels)?)
        }
        MaskSource::Ellipse { ellipse, .. } => {
            let mut pixels = empty()?.into_pixels();
            ellipse.fill(&mut pixels, width);
            Ok(Photo::from_grey(width, height, pixels)?)
        }
    }
}

/// The mask in a picture, at the picture's size.
pub(crate) fn decode(path: &Path, rule: MaskRule, options: &DecodeOptions) -> Result<Photo, Error> {
    if !files::is_file(path) {
        // Decoders would wait for a pipe to be written to.
        let source = std::fs::metadata(path).map_or_else(
            |source| source,
            |_| std::io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"),
        );
        return Err(Error::Read {
            path: path.to_owned(),
            source,
        });
    }
    match rule {
        MaskRule::AboveZero => Ok(decode_mask_file(path, options)?),
        MaskRule::AboveHalf => {
            let photo = decode_file(path, options)?;
            select(&photo, |pixel| pixel.iter().any(|&value| value > 127))
        }
        MaskRule::Alpha { background } => {
            if let Some(mask) = decode_alpha(path, background, options)? {
                return Ok(mask);
            }
            let photo = decode_file(path, options)?;
            let background = background.unwrap_or(WHITE);
            select(&photo, |pixel| {
                // Grey pictures have one channel.
                let mut values = pixel.iter().zip(background);
                values.any(|(&value, background)| value != background)
            })
        }
    }
}

fn flag(is_defect: bool) -> u8 {
    if is_defect { 255 } else { 0 }
}

fn select(photo: &Photo, is_defect: impl Fn(&[u8]) -> bool) -> Result<Photo, Error> {
    let pixels = photo.pixels().chunks_exact(photo.channels());
    let pixels = pixels.map(|pixel| flag(is_defect(pixel))).collect();
    Ok(Photo::from_grey(photo.width(), photo.height(), pixels)?)
}

/// The mask in a PNG that has an alpha channel or a palette with transparent entries; nothing for
/// every other picture. Ordinary decoding drops alpha.
fn decode_alpha(
    path: &Path,
    background: Option<[u8; 3]>,
    options: &DecodeOptions,
) -> Result<Option<Photo>, Error> {
    let label = || path.display().to_string();
    let read_error = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::new(File::open(path).map_err(read_error)?);
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(24)
        .read_to_end(&mut start)
        .map_err(read_error)?;
    // The header's size stands at a fixed place; the decoder would reserve memory for a row of
    // whatever width it claims.
    let (Some(b"\x89PNG\r\n\x1a\n"), Some(b"IHDR"), Some(width), Some(height)) = (
        start.get(..8),
        start.get(12..16),
        number(&start, 16),
        number(&start, 20),
    ) else {
        return Ok(None);
    };
    if width.saturating_mul(height) > options.max_pixels {
        return Err(Error::Image(ImageError::TooManyPixels {
            file: label(),
            width,
            height,
            max_pixels: options.max_pixels,
        }));
    }
    reader.rewind().map_err(read_error)?;
    let mut limits = Limits::no_limits();
    // At most 8 bytes per pixel as stored, as many again when they are brought to 8 bits.
    limits.max_alloc = Some((width * height).saturating_mul(16).saturating_add(64 << 20));
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        let decoder = PngDecoder::with_limits(reader, limits)?;
        if !decoder.color_type().has_alpha() {
            return Ok(None);
        }
        DynamicImage::from_decoder(decoder).map(|picture| Some(picture.into_rgba8()))
    }));
    let invalid = |reason: String| {
        Error::Image(ImageError::Invalid {
            file: label(),
            format: "PNG",
            reason: reason.trim_end_matches('.').to_owned(),
        })
    };
    // As everywhere, a decoder that panics is one bad picture, not the end of a run.
    let picture = match decoded {
        Ok(Ok(Some(picture))) => picture,
        Ok(Ok(None)) => return Ok(None),
        Ok(Err(error)) => return Err(invalid(error.to_string())),
        Err(_) => return Err(invalid("the decoder gave up on it".to_owned())),
    };
    let (width, height) = picture.dimensions();
    let pixels = picture.pixels().map(|pixel| {
        let [red, green, blue, alpha] = pixel.0;
        flag(alpha > 127 && background != Some([red, green, blue]))
    });
    let mask = Photo::from_grey(width as usize, height as usize, pixels.collect())?;
    Ok(Some(mask))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u64::from(u32::from_be_bytes(bytes)))
}
