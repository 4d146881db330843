//! Which part of photos counts, from pictures.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use vcp_files::Sha256;
use vcp_image::{
    DecodeOptions, Error as ImageError, Kind, MapRows, PageChoice, Photo, decode_mask_levels,
    mask_from_photo,
};
use vcp_predict::tiling::resampled;
use vcp_predict::{RegionOfInterest, RegionRows};

/// The part of every photo that counts. What does not has no influence on scores, regions, pictures and
/// thresholds; the model still sees it where something that counts is processed with it.
///
/// A mask is brought to each photo's size, corner to corner, and to the model's image size for the score. A pixel
/// there counts if any part of it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectionMask {
    region: Arc<RegionOfInterest>,
    sha256: String,
}

/// A mask by which photos cannot be inspected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaskError {
    /// It cannot be read.
    #[error(transparent)]
    Picture(#[from] ImageError),
    /// Two masks that do not lie over each other.
    #[error(
        "The mask of what is inspected has {} × {} pixels, but that of what is ignored {} × {}; bring both to the \
         same size.", inspect.0, inspect.1, ignore.0, ignore.1
    )]
    Sizes {
        /// Width and height of the one.
        inspect: (usize, usize),
        /// Width and height of the other.
        ignore: (usize, usize),
    },
    /// All of photos would be ignored.
    #[error(
        "The masks leave nothing to inspect: pixels count that are not black in the mask of what is inspected, if \
         there is one, and black in that of what is ignored."
    )]
    NothingCounts,
    /// A photo that is no larger or smaller copy of what the mask was made for.
    #[error(
        "The photo has {} × {} pixels, but the mask {} × {}, whose sides are not in the same proportion (within \
         2 %); make the mask on a photo of this shape.", photo.0, photo.1, mask.0, mask.1
    )]
    Shape {
        /// Width and height of the photo.
        photo: (usize, usize),
        /// Width and height of the mask.
        mask: (usize, usize),
    },
}

impl InspectionMask {
    /// From files: what is not black in `inspect` counts (everything, if there is none), without what is not
    /// black in `ignore`. Of JPEG files, whose black is not exact, what is brighter than half; transparent pixels
    /// are black. None without a file.
    ///
    /// `decode` is how photos are decoded: masks are turned as photos are, and may have as many pixels.
    ///
    /// # Errors
    /// When a file cannot be read, the two have different sizes, or nothing counts.
    pub fn open(
        inspect: Option<&Path>,
        ignore: Option<&Path>,
        decode: &DecodeOptions,
    ) -> Result<Option<Self>, MaskError> {
        let options = DecodeOptions {
            page: PageChoice::Photo,
            ..decode.clone()
        };
        let read = |path: &Path| -> Result<Photo, ImageError> {
            let levels = decode_mask_levels(path, &options)?;
            let is_lossy = Kind::of_file(path).ok().flatten() == Some(Kind::Jpeg);
            if !is_lossy {
                return Ok(levels);
            }
            let (width, height) = (levels.width(), levels.height());
            let halves = levels.into_pixels().into_iter().map(|value| value / 128);
            Photo::from_grey(width, height, halves.collect())
        };
        let [inspect, ignore] = [inspect.map(read), ignore.map(read)];
        Self::of(inspect.transpose()?.as_ref(), ignore.transpose()?.as_ref())
    }

    /// As [`InspectionMask::open`], from pictures in memory: what is above 0 in any channel is not black.
    ///
    /// # Errors
    /// When the two have different sizes, or nothing counts.
    pub fn of(inspect: Option<&Photo>, ignore: Option<&Photo>) -> Result<Option<Self>, MaskError> {
        let size = |photo: &Photo| (photo.width(), photo.height());
        if let (Some(inspect), Some(ignore)) = (inspect, ignore)
            && size(inspect) != size(ignore)
        {
            return Err(MaskError::Sizes {
                inspect: size(inspect),
                ignore: size(ignore),
            });
        }
        let Some((width, height)) = inspect.or(ignore).map(size) else {
            return Ok(None);
        };
        let mut counts = vec![true; width * height];
        for (mask, white) in [(inspect, true), (ignore, false)] {
            let Some(mask) = mask else { continue };
            let mask = mask_from_photo(mask);
            for (counts, value) in counts.iter_mut().zip(mask.pixels()) {
                *counts &= (*value > 0) == white;
            }
        }
        let mut digest = Sha256::new();
        digest.update(format!("{width} {height}\n"));
        for row in counts.chunks(width) {
            let bytes: Vec<u8> = row.iter().map(|&counts| u8::from(counts) * 255).collect();
            digest.update(bytes);
        }
        let region = RegionOfInterest::new(width, height, counts);
        Ok(Some(Self {
            region: Arc::new(region.map_err(|_| MaskError::NothingCounts)?),
            sha256: digest.hexadecimal(),
        }))
    }

    /// What counts, as a SHA-256 in hexadecimal: of the line `WIDTH HEIGHT` and then a byte for each pixel, 255
    /// where it counts and 0 elsewhere. So it does not depend on the file format, nor on whether the mask says
    /// what is inspected or what is ignored.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The region that counts, for a photo of this width and height.
    ///
    /// # Errors
    /// [`MaskError::Shape`] when it cannot be laid over the photo.
    pub(crate) fn fitted(&self, photo: (usize, usize)) -> Result<Arc<RegionOfInterest>, MaskError> {
        let mask = (self.region.width(), self.region.height());
        let (one, other) = (
            photo.0 as u128 * mask.1 as u128,
            photo.1 as u128 * mask.0 as u128,
        );
        if one.abs_diff(other) * 50 > one.max(other) {
            return Err(MaskError::Shape { photo, mask });
        }
        Ok(Arc::clone(&self.region))
    }

    /// A map at a photo's resolution, without values where nothing counts.
    pub(crate) fn over<'a>(&'a self, map: Box<dyn MapRows + 'a>) -> Box<dyn MapRows + 'a> {
        let region = self.region.over((map.width(), map.height()));
        Box::new(CountingMap {
            map,
            region,
            otherwise: f32::NAN,
        })
    }

    /// A map at a photo's resolution at the model's image size, [side, side]: resized as maps without a mask are,
    /// from the pixels alone that count. NaN where nothing does.
    pub(crate) fn resampled(&self, map: &dyn MapRows, side: usize) -> Vec<f32> {
        let size = (map.width(), map.height());
        let counting = |map: &dyn MapRows| {
            let (region, otherwise) = (self.region.over(size), 0.0);
            let map = CountingMap {
                map,
                region,
                otherwise,
            };
            resampled(&map, side)
        };
        // Their sum, and the sum of their weights.
        let values = counting(map);
        let weights = counting(&ConstantMap { size, value: 1.0 });
        let all = values.into_iter().zip(weights);
        let means = all.map(|(value, weight)| value / weight);
        let counts = self.squeezed(size, side);
        let both = means.zip(counts);
        both.map(|(mean, counts)| if counts { mean } else { f32::NAN })
            .collect()
    }

    /// Which pixels count of a photo of this width and height at the model's image size, [side, side].
    pub(crate) fn squeezed(&self, photo: (usize, usize), side: usize) -> Vec<bool> {
        self.region.squeezed(photo, side)
    }
}

/// A map with another value where nothing counts: NaN reaches no threshold, whatever the threshold is.
struct CountingMap<'a, Map> {
    map: Map,
    region: RegionRows<'a>,
    otherwise: f32,
}

impl<Map: Deref<Target: MapRows>> MapRows for CountingMap<'_, Map> {
    fn width(&self) -> usize {
        self.map.width()
    }

    fn height(&self) -> usize {
        self.map.height()
    }

    fn row(&self, y: usize, out: &mut [f32]) {
        self.map.row(y, out);
        let mut counts = vec![false; out.len()];
        self.region.row(y, &mut counts);
        for (value, counts) in out.iter_mut().zip(counts) {
            if !counts {
                *value = self.otherwise;
            }
        }
    }
}

/// A map that has one value everywhere.
struct ConstantMap {
    size: (usize, usize),
    value: f32,
}

impl MapRows for ConstantMap {
    fn width(&self) -> usize {
        self.size.0
    }

    fn height(&self) -> usize {
        self.size.1
    }

    fn row(&self, _: usize, out: &mut [f32]) {
        out.fill(self.value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, pixels: &[u8]) -> Photo {
        Photo::from_grey(width, pixels.len() / width, pixels.to_vec()).unwrap()
    }

    fn counts(mask: &InspectionMask) -> Vec<bool> {
        let (width, height) = (mask.region.width(), mask.region.height());
        let rows = mask.region.over((width, height));
        let mut counts = vec![false; width * height];
        for (y, row) in counts.chunks_exact_mut(width).enumerate() {
            rows.row(y, row);
        }
        counts
    }

    #[test]
    fn what_is_inspected_counts_without_what_is_ignored() {
        assert!(InspectionMask::of(None, None).unwrap().is_none());
        let (inspect, ignore) = (grey(2, &[0, 1, 255, 7]), grey(2, &[0, 0, 9, 0]));
        for (masks, expected) in [
            ((Some(&inspect), None), [false, true, true, true]),
            ((None, Some(&ignore)), [true, true, false, true]),
            ((Some(&inspect), Some(&ignore)), [false, true, false, true]),
        ] {
            let mask = InspectionMask::of(masks.0, masks.1).unwrap().unwrap();
            assert_eq!(counts(&mask), expected);
        }
        // The same said the other way round is the same; so is a mask that was saved in colour.
        let inverse = grey(2, &[255, 0, 0, 0]);
        let sha256 = |inspect: Option<&Photo>, ignore: Option<&Photo>| {
            let mask = InspectionMask::of(inspect, ignore).unwrap().unwrap();
            mask.sha256().to_owned()
        };
        let expected = vcp_files::sha256(b"2 2\n\x00\xff\xff\xff");
        assert_eq!(sha256(Some(&inspect), None), expected);
        assert_eq!(sha256(None, Some(&inverse)), expected);
        assert_eq!(sha256(Some(&inspect.to_rgb()), None), expected);
        assert_ne!(sha256(None, Some(&ignore)), expected);
        let line = grey(4, &[0, 1, 1, 1]);
        assert_ne!(sha256(Some(&line), None), expected);
    }

    #[test]
    fn masks_that_cannot_be_used_are_refused() {
        let (black, white) = (grey(2, &[0; 4]), grey(2, &[255; 4]));
        for (inspect, ignore) in [
            (Some(&black), None),
            (None, Some(&white)),
            (Some(&white), Some(&white)),
        ] {
            let error = InspectionMask::of(inspect, ignore).unwrap_err();
            assert!(matches!(error, MaskError::NothingCounts), "{error}");
        }
        let error = InspectionMask::of(Some(&white), Some(&grey(4, &[0; 4]))).unwrap_err();
        assert!(matches!(error, MaskError::Sizes { .. }), "{error}");
        let mask = InspectionMask::of(Some(&white), None).unwrap().unwrap();
        assert!(mask.fitted((400, 400)).is_ok() && mask.fitted((400, 393)).is_ok());
        assert!(mask.fitted((400, 300)).is_err() && mask.fitted((393, 405)).is_err());
    }

    #[test]
    fn maps_are_resized_from_what_counts_alone() {
        let mask = InspectionMask::of(Some(&grey(4, &[0, 255, 255, 0])), None);
        let mask = mask.unwrap().unwrap();
        let values = [9.0, 0.25, 0.5, 9.0, 9.0, 0.5, 0.75, 9.0];
        let map = vcp_image::PlainMap::new(&values, 4);
        // Half of the photo counts, and none of its large values.
        let found = mask.resampled(&map, 1);
        assert!((found[0] - 0.5).abs() < 1e-6, "{found:?}");
        let found = mask.resampled(&map, 4);
        for (at, value) in found.iter().enumerate() {
            assert_eq!(value.is_nan(), !(1..3).contains(&(at % 4)), "{found:?}");
            assert!(value.is_nan() || (0.25..0.76).contains(value), "{found:?}");
        }
        // With a mask of everything, to the bit as without.
        let all = InspectionMask::of(Some(&grey(1, &[1])), None)
            .unwrap()
            .unwrap();
        let values: Vec<f32> = (0..77).map(|at| ((at * 37) % 101) as f32 / 101.0).collect();
        let map = vcp_image::PlainMap::new(&values, 11);
        for side in [1, 3, 7, 20] {
            assert_eq!(all.resampled(&map, side), resampled(&map, side), "{side}");
        }
    }

    #[test]
    fn no_threshold_is_reached_where_nothing_counts() {
        let mask = InspectionMask::of(Some(&grey(2, &[0, 255])), None);
        let mask = mask.unwrap().unwrap();
        let values = [0.25, 0.5, 0.75, 1.0];
        let map = mask.over(Box::new(vcp_image::PlainMap::new(&values, 4)));
        let mut row = [0.0; 4];
        map.row(0, &mut row);
        assert!(row[..2].iter().all(|value| value.is_nan()) && row[2..] == values[2..]);
        let found = vcp_image::regions(&*map, -1.0);
        assert_eq!((found.len(), found[0].area), (1, 2));
    }
}
