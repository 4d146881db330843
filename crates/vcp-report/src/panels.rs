//! A case's photo, map and truth at one size, and the pictures made of them.

use vcp_image::{Photo, Picture, ScaledMap, heatmap};

use crate::{Case, Error};

/// Longer side of the pictures on the page, in pixels.
pub(crate) const LONGEST: usize = 320;
/// What reaches the threshold, over a grey photo: far from grey, and neither red nor green alone.
const FILL: [u8; 3] = [255, 140, 0];
/// The truth's line, green as in the official strips.
pub(crate) const LINE: [u8; 3] = [0, 255, 0];
/// What sets the line off from a bright photo.
const EDGE: [u8; 3] = [0, 0, 0];

impl Case {
    /// The case with photo, map and truth reduced to what the page shows: at most 320 pixels a
    /// side, well under a megabyte in all. A report of many categories keeps its cases like this; draw a
    /// [`strip`](crate::strip) before.
    ///
    /// # Errors
    /// If the map is not `side * side` long, or the truth is not of the photo's size.
    pub fn shrunk(&self) -> Result<Case, Error> {
        let (width, height) = fit(self.photo.width(), self.photo.height(), LONGEST);
        let panels = Panels::new(self, width, height)?;
        let side = self.side.min(LONGEST);
        let truth = panels.truth.map(|truth| {
            let pixels = truth.iter().map(|&inside| u8::from(inside) * 255).collect();
            Photo::from_grey(width, height, pixels)
        });
        Ok(Case {
            title: self.title.clone(),
            path: self.path.clone(),
            score: self.score,
            photo: panels.photo,
            map: scaled(&self.map, self.side, side, side),
            side,
            truth: truth.transpose()?,
        })
    }

    /// Refuses what does not fit together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.side == 0 || self.side.checked_mul(self.side) != Some(self.map.len()) {
            return Err(Error::MapSize {
                case: self.title.clone(),
                found: self.map.len(),
                side: self.side,
            });
        }
        let photo = (self.photo.width(), self.photo.height());
        match &self.truth {
            Some(truth) if (truth.width(), truth.height()) != photo => Err(Error::TruthSize {
                case: self.title.clone(),
                truth: (truth.width(), truth.height()),
                photo,
            }),
            _ => Ok(()),
        }
    }
}

/// Photo, map and truth of one case, all at the same size.
pub(crate) struct Panels {
    /// RGB.
    pub(crate) photo: Photo,
    pub(crate) values: Vec<f32>,
    pub(crate) truth: Option<Vec<bool>>,
}

impl Panels {
    pub(crate) fn new(case: &Case, width: usize, height: usize) -> Result<Self, Error> {
        case.check()?;
        let photo = if (case.photo.width(), case.photo.height()) == (width, height) {
            case.photo.to_rgb()
        } else {
            case.photo.resize_bicubic(width, height).to_rgb()
        };
        Ok(Self {
            photo,
            values: scaled(&case.map, case.side, width, height),
            truth: case
                .truth
                .as_ref()
                .map(|truth| pooled(truth, width, height)),
        })
    }

    /// The photo in grey, what reaches the threshold filled, and a line around the truth.
    pub(crate) fn thresholded(&self, threshold: f64) -> Result<Picture, Error> {
        let mut picture = Canvas::new(&self.photo);
        for (pixel, &value) in picture.pixels().iter_mut().zip(&self.values) {
            let [red, green, blue] = pixel.map(u32::from);
            let grey = ((red * 299 + green * 587 + blue * 114) / 1000) as u8;
            *pixel = [grey; 3];
            if f64::from(value) >= threshold {
                *pixel = half(*pixel, FILL);
            }
        }
        if let Some(truth) = &self.truth {
            picture.outline(truth, 3, EDGE);
            picture.outline(truth, 2, LINE);
        }
        picture.finish()
    }

    /// White where the truth says defect.
    pub(crate) fn truth(&self) -> Result<Option<Picture>, Error> {
        let Some(truth) = &self.truth else {
            return Ok(None);
        };
        let pixels = truth.iter().map(|&inside| u8::from(inside) * 255).collect();
        let photo = Photo::from_grey(self.photo.width(), self.photo.height(), pixels)?;
        Ok(Some(photo.into()))
    }
}

/// The map in colour at the photo's proportions.
pub(crate) fn map_picture(case: &Case, range: (f32, f32), width: usize, height: usize) -> Picture {
    heatmap(&ScaledMap::new(&case.map, case.side, width, height), range)
}

/// The mean of two colours.
pub(crate) fn half(one: [u8; 3], other: [u8; 3]) -> [u8; 3] {
    std::array::from_fn(|part| one[part].midpoint(other[part]))
}

/// The largest size of these proportions whose sides are at most `longest`; never larger than it
/// was, and never nothing.
pub(crate) fn fit(width: usize, height: usize, longest: usize) -> (usize, usize) {
    let side = width.max(height);
    if side <= longest {
        return (width, height);
    }
    let scaled = |part: usize| {
        let pixels = part as f64 * longest as f64 / side as f64;
        (pixels.round() as usize).max(1)
    };
    (scaled(width), scaled(height))
}

/// The map's values at another size.
fn scaled(map: &[f32], side: usize, width: usize, height: usize) -> Vec<f32> {
    let scaled = ScaledMap::new(map, side, width, height);
    let mut values = vec![0.0; width * height];
    for (y, row) in values.chunks_exact_mut(width).enumerate() {
        scaled.row(y, row);
    }
    values
}

/// The mask at another size: defect wherever any pixel that is covered is, so that a scratch one
/// pixel wide does not vanish.
fn pooled(mask: &Photo, width: usize, height: usize) -> Vec<bool> {
    let covered = |at: usize, from: usize, to: usize| {
        let start = at * from / to;
        start..((at + 1) * from).div_ceil(to).max(start + 1)
    };
    let channels = mask.channels();
    let mut pooled = Vec::with_capacity(width * height);
    for y in 0..height {
        let rows = covered(y, mask.height(), height);
        for x in 0..width {
            let columns = covered(x, mask.width(), width);
            let bytes = columns.start * channels..columns.end * channels;
            let mut rows = rows.clone();
            pooled.push(rows.any(|row| mask.row(row)[bytes.clone()].iter().any(|&v| v > 0)));
        }
    }
    pooled
}

/// A picture being drawn.
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Canvas {
    pub(crate) fn new(photo: &Photo) -> Self {
        let pixels = photo.pixels().chunks_exact(photo.channels());
        Self {
            width: photo.width(),
            height: photo.height(),
            pixels: pixels
                .map(|pixel| match *pixel {
                    [red, green, blue] => [red, green, blue],
                    _ => [pixel[0]; 3],
                })
                .collect(),
        }
    }

    pub(crate) fn pixels(&mut self) -> &mut [[u8; 3]] {
        &mut self.pixels
    }

    /// Colours all that lies outside the mask but no more than `thickness` pixels from it.
    pub(crate) fn outline(&mut self, mask: &[bool], thickness: usize, color: [u8; 3]) {
        for ((pixel, &inside), grown) in self
            .pixels
            .iter_mut()
            .zip(mask)
            .zip(grown(mask, self.width, thickness))
        {
            if grown && !inside {
                *pixel = color;
            }
        }
    }

    pub(crate) fn finish(self) -> Result<Picture, Error> {
        let pixels = self.pixels.into_flattened();
        Ok(Photo::from_rgb(self.width, self.height, pixels)?.into())
    }
}

/// Every pixel at most `by` columns and `by` rows from one of the mask.
fn grown(mask: &[bool], width: usize, by: usize) -> Vec<bool> {
    let mut wide = vec![false; mask.len()];
    for (wide, row) in wide.chunks_exact_mut(width).zip(mask.chunks_exact(width)) {
        for x in (0..width).filter(|&x| row[x]) {
            wide[x.saturating_sub(by)..(x + by + 1).min(width)].fill(true);
        }
    }
    let height = mask.len() / width;
    let mut grown = vec![false; mask.len()];
    for (y, row) in grown.chunks_exact_mut(width).enumerate() {
        for near in y.saturating_sub(by)..(y + by + 1).min(height) {
            let near = &wide[near * width..(near + 1) * width];
            for (grown, &near) in row.iter_mut().zip(near) {
                *grown |= near;
            }
        }
    }
    grown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(width: usize, height: usize, truth: Option<Photo>) -> Case {
        Case {
            title: "bent / 007".to_owned(),
            path: "bent/007.png".to_owned(),
            score: 0.5,
            photo: Photo::from_rgb(width, height, vec![200; width * height * 3]).unwrap(),
            map: vec![0.0, 1.0, 0.0, 1.0],
            side: 2,
            truth,
        }
    }

    #[test]
    fn sizes_fit_and_never_grow() {
        let cases = [
            ((640, 480), (320, 240)),
            ((480, 640), (240, 320)),
            ((100, 50), (100, 50)),
            ((320, 320), (320, 320)),
            ((100_000, 1), (320, 1)),
        ];
        for ((width, height), expected) in cases {
            assert_eq!(fit(width, height, 320), expected);
        }
    }

    #[test]
    fn a_thin_scratch_survives_shrinking() {
        let mut pixels = vec![0; 1000 * 700];
        pixels[333 * 1000..334 * 1000].fill(1);
        let truth = Photo::from_grey(1000, 700, pixels).unwrap();
        let shrunk = case(1000, 700, Some(truth)).shrunk().unwrap();
        let truth = shrunk.truth.unwrap();
        assert_eq!((truth.width(), truth.height()), (320, 224));
        let rows = (0..224).filter(|&y| truth.row(y).iter().all(|&v| v == 255));
        assert_eq!(rows.collect::<Vec<_>>(), [106]);
        assert_eq!(truth.pixels().iter().filter(|&&v| v > 0).count(), 320);
    }

    #[test]
    fn masks_pool_as_a_plain_statement_says() {
        for (from, to) in [(7, 3), (3, 7), (5, 5), (640, 320), (1, 4), (9, 1)] {
            for on in 0..from {
                let mut pixels = vec![0; from];
                pixels[on] = 9;
                let mask = Photo::from_grey(from, 1, pixels).unwrap();
                let expected: Vec<bool> = (0..to)
                    // Do the stretches [at, at + 1) · from / to and [on, on + 1) overlap?
                    .map(|at| at * from < (on + 1) * to && on * to < (at + 1) * from)
                    .collect();
                assert_eq!(pooled(&mask, to, 1), expected, "{from} to {to}, {on}");
            }
        }
    }

    #[test]
    fn growing_reaches_as_far_as_said() {
        for (width, height, by) in [(9, 7, 1), (9, 7, 3), (3, 3, 5), (1, 8, 2)] {
            let at = (width / 2, height / 3);
            let mut mask = vec![false; width * height];
            mask[at.1 * width + at.0] = true;
            let grown = grown(&mask, width, by);
            for y in 0..height {
                for x in 0..width {
                    let near = x.abs_diff(at.0) <= by && y.abs_diff(at.1) <= by;
                    assert_eq!(grown[y * width + x], near, "({x}, {y}) by {by}");
                }
            }
        }
    }

    #[test]
    fn the_thresholded_picture_fills_what_reaches_and_outlines_the_truth() {
        let mut pixels = vec![0; 16 * 16];
        pixels[8 * 16 + 2] = 255;
        let truth = Photo::from_grey(16, 16, pixels).unwrap();
        let panels = Panels::new(&case(16, 16, Some(truth)), 16, 16).unwrap();
        let picture = panels.thresholded(1.0).unwrap();
        let pixel = |x: usize, y: usize| &picture.as_photo().row(y)[x * 3..x * 3 + 3];
        assert_eq!(pixel(15, 0), half([200; 3], FILL));
        assert_eq!(pixel(8, 0), [200; 3], "between the map's values");
        assert_eq!(pixel(2, 8), [200; 3], "inside the truth nothing is drawn");
        assert_eq!(pixel(4, 8), LINE);
        assert_eq!(pixel(5, 8), EDGE);
        assert_eq!(pixel(6, 8), [200; 3]);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let mut wrong = case(4, 4, None);
        wrong.side = 3;
        let error = wrong.shrunk().unwrap_err().to_string();
        assert!(
            error.contains("bent / 007") && error.contains("4 values"),
            "{error}"
        );
        wrong.side = 0;
        wrong.map.clear();
        assert!(matches!(wrong.check(), Err(Error::MapSize { .. })));
        wrong.side = usize::MAX;
        assert!(matches!(wrong.check(), Err(Error::MapSize { .. })));

        let truth = Photo::from_grey(4, 5, vec![0; 20]).unwrap();
        let error = case(4, 4, Some(truth)).shrunk().unwrap_err().to_string();
        assert!(error.contains("4 × 5"), "{error}");
    }
}
