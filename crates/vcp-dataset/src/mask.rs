//! From a [`MaskSource`] to pixels.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek};
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::{DynamicImage, ImageDecoder, Limits};
use vcp_image::{
    DecodeOptions, Error as ImageError, Photo, decode_file, decode_mask_levels, is_turned,
    resize_mask,
};

use crate::finding::MaskFinding;
use crate::labelme::Annotation;
use crate::{Error, MaskRule, MaskSource, Mismatch, files};

const WHITE: [u8; 3] = [255; 3];

/// Values above this are defect in masks with soft edges; below it, an edge fades out.
const HALF: u8 = 127;

/// A mask as it was read: grey, 255 where there is a defect, 0 elsewhere.
#[derive(Clone, Debug)]
pub struct LoadedMask {
    photo: Photo,
    image_size: (usize, usize),
    findings: Vec<MaskFinding>,
}

impl LoadedMask {
    /// The mask of an image of this size without defects.
    pub(crate) fn empty(width: usize, height: usize) -> Result<Self, Error> {
        let pixels = vec![0; width.saturating_mul(height)];
        Ok(Self {
            photo: Photo::from_grey(width, height, pixels)?,
            image_size: (width, height),
            findings: Vec::new(),
        })
    }

    /// The mask at its own size. That is the image's, or in proportion to it within 2 %: who brings
    /// image and mask to another size anyway, as the official code does, needs no step in between.
    #[must_use]
    pub fn photo(&self) -> &Photo {
        &self.photo
    }

    /// The mask at the image's size.
    #[must_use]
    pub fn fitted(self) -> Photo {
        let (width, height) = self.image_size;
        if (self.photo.width(), self.photo.height()) == (width, height) {
            self.photo
        } else {
            resize_mask(&self.photo, width, height)
        }
    }

    /// What there is to say about it.
    #[must_use]
    pub fn findings(&self) -> &[MaskFinding] {
        &self.findings
    }
}

/// Whether two sizes have the same proportion of width to height, within 2 %.
fn in_proportion(one: (usize, usize), other: (usize, usize)) -> bool {
    let (first, second) = (
        one.0 as u128 * other.1 as u128,
        one.1 as u128 * other.0 as u128,
    );
    first.abs_diff(second) * 50 <= first.max(second)
}

/// The mask of an anomalous image.
pub(crate) fn load(
    source: &MaskSource,
    image: &Path,
    image_size: (usize, usize),
    options: &DecodeOptions,
) -> Result<LoadedMask, Error> {
    let (width, height) = image_size;
    let mut findings = Vec::new();
    let mut check_size = |mask: &Path, mask_size| {
        if mask_size == image_size {
            return Ok(());
        }
        if in_proportion(mask_size, image_size) {
            findings.push(MaskFinding::Resized {
                mask: mask.to_owned(),
                mask_size,
                image_size,
            });
            return Ok(());
        }
        Err(Error::MaskSize {
            image: image.to_owned(),
            image_size,
            mask: mask.to_owned(),
            mask_size,
            mismatch: mismatch(image, image_size, mask_size, options),
        })
    };
    let photo = match source {
        MaskSource::None => return LoadedMask::empty(width, height),
        MaskSource::Unknown => {
            return Err(Error::NoMask {
                image: image.to_owned(),
            });
        }
        MaskSource::File { path, rule } => {
            let (mask, softness) = read(path, *rule, options)?;
            check_size(path, (mask.width(), mask.height()))?;
            findings.extend(softness);
            mask
        }
        MaskSource::Files { paths, rule } => {
            let mut united: Option<Photo> = None;
            let mut soft = Vec::new();
            for path in paths {
                let (mask, softness) = read(path, *rule, options)?;
                check_size(path, (mask.width(), mask.height()))?;
                soft.extend(softness);
                united = Some(match united {
                    Some(known) => union(known, mask, image_size)?,
                    None => mask,
                });
            }
            findings.append(&mut soft);
            match united {
                Some(mask) => mask,
                None => return LoadedMask::empty(width, height),
            }
        }
        MaskSource::Labelme { path } => {
            let annotation = Annotation::read(path)?;
            let mut size = image_size;
            if let Some(own) = annotation.size() {
                check_size(path, own)?;
                size = own;
            }
            let pixels = size.0.saturating_mul(size.1);
            if pixels as u64 > options.max_pixels {
                return Err(Error::Image(ImageError::TooManyPixels {
                    file: path.display().to_string(),
                    width: size.0 as u64,
                    height: size.1 as u64,
                    max_pixels: options.max_pixels,
                }));
            }
            let mut pixels = vec![0; pixels];
            annotation.fill(path, &mut pixels, size.0)?;
            Photo::from_grey(size.0, size.1, pixels)?
        }
        MaskSource::Ellipse { ellipse, .. } => {
            let mut pixels = vec![0; width.saturating_mul(height)];
            ellipse.fill(&mut pixels, width);
            Photo::from_grey(width, height, pixels)?
        }
    };
    Ok(LoadedMask {
        photo,
        image_size,
        findings,
    })
}

/// Why a mask may have another size than its image.
fn mismatch(
    image: &Path,
    image_size: (usize, usize),
    mask_size: (usize, usize),
    options: &DecodeOptions,
) -> Mismatch {
    if !in_proportion((mask_size.1, mask_size.0), image_size) {
        Mismatch::Proportion
    } else if !is_turned(image) {
        Mismatch::Sides
    } else if options.apply_orientation {
        Mismatch::ImageTurned
    } else {
        Mismatch::ImageNotTurned
    }
}

/// What is in either of the masks. At their size if they agree on it, else at the image's.
fn union(one: Photo, other: Photo, (width, height): (usize, usize)) -> Result<Photo, Error> {
    let size = |mask: &Photo| (mask.width(), mask.height());
    let (one, other) = if size(&one) == size(&other) {
        (one, other)
    } else {
        let fitted = |mask: &Photo| resize_mask(mask, width, height);
        (fitted(&one), fitted(&other))
    };
    let (width, height) = size(&one);
    let mut pixels = one.into_pixels();
    for (pixel, &further) in pixels.iter_mut().zip(other.pixels()) {
        *pixel |= further;
    }
    Ok(Photo::from_grey(width, height, pixels)?)
}

/// The mask in a picture, at the picture's size.
pub(crate) fn decode(path: &Path, rule: MaskRule, options: &DecodeOptions) -> Result<Photo, Error> {
    Ok(read(path, rule, options)?.0)
}

/// As [`decode`], and whether its edges are soft.
fn read(
    path: &Path,
    rule: MaskRule,
    options: &DecodeOptions,
) -> Result<(Photo, Option<MaskFinding>), Error> {
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
    if let Some(limit) = rule.limit() {
        let levels = decode_mask_levels(path, options)?;
        let softness = softness(path, &levels, limit);
        let mask = select(&levels, |pixel| pixel.iter().any(|&value| value > limit))?;
        return Ok((mask, softness));
    }
    let background = match rule {
        MaskRule::Alpha { background } => background,
        _ => None,
    };
    if let Some(mask) = decode_alpha(path, background, options)? {
        return Ok((mask, None));
    }
    let photo = decode_file(path, options)?;
    let background = background.unwrap_or(WHITE);
    let mask = select(&photo, |pixel| {
        // Grey pictures have one channel.
        let mut values = pixel.iter().zip(background);
        values.any(|(&value, background)| value != background)
    })?;
    Ok((mask, None))
}

/// Whether a mask has more than two values, of which faint ones count as defect beside strong ones, as
/// soft edges and the compression of JPEG make them. Masks that number their defects have faint values
/// only.
fn softness(path: &Path, levels: &Photo, limit: u8) -> Option<MaskFinding> {
    let mut counts = [0_usize; 256];
    for &value in levels.pixels() {
        counts[usize::from(value)] += 1;
    }
    let above = |limit: u8| counts[usize::from(limit) + 1..].iter().sum::<usize>();
    if limit >= HALF {
        return None;
    }
    let (defect, strong) = (above(limit), above(HALF));
    let values = counts.iter().filter(|&&count| count > 0).count();
    (values > 2 && strong > 0 && defect > strong).then(|| MaskFinding::Soft {
        mask: path.to_owned(),
        limit,
        defect,
        strong,
    })
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
    let decoded = vcp_panics::caught(|| {
        let decoder = PngDecoder::with_limits(reader, limits)?;
        if !decoder.color_type().has_alpha() {
            return Ok(None);
        }
        DynamicImage::from_decoder(decoder).map(|picture| Some(picture.into_rgba8()))
    });
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
