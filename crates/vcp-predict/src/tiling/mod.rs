//! Large photos, processed window by window.
//!
//! The model sees a photo as a square of its own size (518 pixels, say), in which small defects of
//! a large photo disappear. [`Predictor::predict_tiled`] cuts the photo into overlapping windows,
//! processes each as if it were a photo, and blends the windows' maps.
//!
//! What is kept of a window is its [`Logits`](crate::Logits), a few dozen kilobytes, those of all windows in one block of
//! memory: hundreds of small vectors that stay, made in turn with large ones that go, would keep the
//! memory of the large ones from being used again (three times as much was seen to be taken). Maps at the photo's
//! resolution are made from them row by row ([`TiledMap`]), so that memory grows with the photo's
//! width, not with its area.

mod line;
mod map;
mod prediction;
mod resample;

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};

use vcp_checkpoint::bounds;
use vcp_image::{BandResizer, Photo, PhotoRows};

use crate::error::Error;
use crate::logits::LogitsShape;
pub use crate::map_kind::MapKind;
use crate::predictor::{Predictor, Prepared};
use crate::references::Comparison;
use crate::region_of_interest::RegionOfInterest;
use line::Line;
pub use map::TiledMap;
pub use prediction::TiledPrediction;
use prediction::{Windows, mix};
pub use resample::resampled;

/// Most windows of a photo; more would take gigabytes of logits, and days on a processor.
const MOST_WINDOWS: usize = 10_000;

/// How photos are cut into windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiling {
    tile: usize,
    overlap: f64,
    global_weight: f32,
}

impl Tiling {
    /// Windows of `tile` × `tile` pixels of the photo (less where the photo has less), neighbours
    /// sharing at least `overlap` of a side as far as whole pixels allow; and the fraction,
    /// `global_weight`, that the whole photo, processed as one more window, has in the result.
    ///
    /// # Errors
    /// [`Error::TileEmpty`], [`Error::Overlap`] and [`Error::GlobalWeight`], when a value is out of
    /// range.
    pub fn new(tile: usize, overlap: f64, global_weight: f32) -> Result<Self, Error> {
        if tile == 0 {
            return Err(Error::TileEmpty);
        }
        if !bounds::OVERLAP.contains(&overlap) {
            return Err(Error::Overlap {
                found: overlap,
                limit: *bounds::OVERLAP.end(),
            });
        }
        if !bounds::GLOBAL_WEIGHT.contains(&global_weight) {
            return Err(Error::GlobalWeight {
                found: global_weight,
            });
        }
        Ok(Self {
            tile,
            overlap,
            global_weight,
        })
    }

    /// Side of a window in pixels of the photo.
    #[must_use]
    pub fn tile(&self) -> usize {
        self.tile
    }

    /// The least share of a side that neighbouring windows have in common.
    #[must_use]
    pub fn overlap(&self) -> f64 {
        self.overlap
    }

    /// The fraction that the whole photo, processed as one more window, has in the result.
    #[must_use]
    pub fn global_weight(&self) -> f32 {
        self.global_weight
    }

    /// Whether a photo of this size is cut at all: if not, it is processed whole.
    #[must_use]
    pub fn cuts(&self, width: usize, height: usize) -> bool {
        self.global_weight < 1.0 && width.max(height) > self.tile
    }

    /// Whether the whole photo counts beside these windows.
    fn has_global(&self, windows: &Windows) -> bool {
        self.global_weight > 0.0 && windows.count() > 1
    }

    /// The windows of a photo.
    pub(crate) fn windows(&self, width: usize, height: usize) -> Result<Windows, Error> {
        if self.global_weight >= 1.0 {
            // Nothing but the whole photo counts.
            return Ok(Windows::whole(width, height));
        }
        let count = |size| Line::count(size, self.tile, self.overlap);
        let windows = count(width).saturating_mul(count(height));
        if windows > MOST_WINDOWS {
            return Err(Error::TooManyWindows {
                width,
                height,
                windows,
                limit: MOST_WINDOWS,
            });
        }
        Ok(Windows {
            columns: Line::new(width, self.tile, self.overlap),
            rows: Line::new(height, self.tile, self.overlap),
        })
    }
}

impl Predictor {
    /// What the model says of a photo, processed in windows. A photo that is no larger than a
    /// window gives, to the bit, what [`Predictor::predict`] gives, and maps that are
    /// [`ScaledMap`](vcp_image::ScaledMap)s of that.
    ///
    /// `photo` is read from the top down, a row of windows at a time. After every few windows `watch`
    /// learns how many of how many are done, and may end the work.
    ///
    /// # Errors
    /// When the photo cannot be read or makes too many windows, the model gives something that is no
    /// number, or `watch` breaks off ([`Error::Stopped`]).
    pub fn predict_tiled(
        &self,
        photo: &mut dyn PhotoRows,
        tiling: &Tiling,
        watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<TiledPrediction, Error> {
        self.predict_judged(photo, tiling, Judged::default(), watch)
    }

    /// As [`Predictor::predict_tiled`], with score and largest value of what counts alone, compared with good photos if
    /// that is wanted. A window in which nothing counts does not go through the model, and has logits of 0.
    pub(crate) fn predict_judged(
        &self,
        photo: &mut dyn PhotoRows,
        tiling: &Tiling,
        judged: Judged<'_>,
        watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<TiledPrediction, Error> {
        let Judged { region, comparison } = judged;
        let (width, height) = (photo.width(), photo.height());
        let windows = tiling.windows(width, height)?;
        let total = windows.count() + usize::from(tiling.has_global(&windows));
        let counts_in = |columns: &Range<usize>, rows: &Range<usize>| {
            region.map(|it| it.of_window((width, height), columns, rows, self.image_size()))
        };
        let mut shape = LogitsShape::default();
        let (mut logits, mut done) = (Vec::new(), 0);
        let (mut score, mut max) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
        let whole = self.for_windows(photo, tiling, &windows, &mut |prepare, columns, rows| {
            let counts: Vec<_> = columns
                .iter()
                .map(|columns| counts_in(columns, rows))
                .collect();
            let prepared: Vec<_> = columns
                .iter()
                .zip(&counts)
                .filter(|(_, counts)| does_any_count(counts.as_deref()))
                .map(|(columns, _)| prepare(columns))
                .collect();
            let mut found = self.compared_logits(&prepared, comparison)?.into_iter();
            for counts in counts {
                if does_any_count(counts.as_deref())
                    && let Some(found) = found.next()
                {
                    let prediction = self.finish_counting(&found, counts.as_deref())?;
                    score = score.max(prediction.score);
                    max = max.max(prediction.max);
                    if shape == LogitsShape::default() {
                        shape = found.shape();
                        logits.reserve_exact(windows.count() * shape.len());
                        logits.resize(done * shape.len(), 0.0);
                    }
                    logits.extend_from_slice(found.values());
                } else {
                    logits.resize(logits.len() + shape.len(), 0.0);
                }
                done += 1;
            }
            stopping(watch(done, total))
        })?;
        let mut global = None;
        if let Some(prepared) = whole {
            let weight = tiling.global_weight;
            let found = self.logits_of_one(&prepared, comparison)?;
            let counts = counts_in(&(0..width), &(0..height));
            let prediction = self.finish_counting(&found, counts.as_deref())?;
            score = mix(weight, prediction.score, score);
            max = mix(weight, prediction.max, max);
            global = Some((weight, found));
            stopping(watch(total, total))?;
        }
        Ok(TiledPrediction {
            score,
            max,
            windows,
            shape,
            logits,
            global,
        })
    }

    /// Goes through the windows of a photo from the top down, a few at a time in order. `visit` is given the columns of
    /// each, the rows of all of them, and a function that prepares the window of such columns. What is returned at the end
    /// is the whole photo, if it counts too.
    pub(crate) fn for_windows(
        &self,
        photo: &mut dyn PhotoRows,
        tiling: &Tiling,
        windows: &Windows,
        visit: Visit<'_>,
    ) -> Result<Option<Prepared>, Error> {
        let size = (photo.width(), photo.height());
        let mut whole = tiling
            .has_global(windows)
            .then(|| Squeezed::new(size, self.image_size()));
        for (_, rows) in windows.rows.windows() {
            let band = photo.rows(rows.clone())?;
            if let Some(whole) = &mut whole {
                whole.add(&band, rows.start);
            }
            let prepare = |columns: &Range<usize>| self.prepare(&cut(&band, columns.clone()));
            let columns: Vec<_> = windows.columns.windows().map(|(_, range)| range).collect();
            for columns in columns.chunks(self.batch()) {
                visit(&prepare, columns, &rows)?;
            }
        }
        Ok(whole.and_then(|whole| whole.prepare(self)))
    }
}

/// Is given a function that prepares the window of some columns, the columns of some windows, and their rows.
type Visit<'a> = &'a mut dyn FnMut(
    &dyn Fn(&Range<usize>) -> Prepared,
    &[Range<usize>],
    &Range<usize>,
) -> Result<(), Error>;

/// How a photo is judged.
#[derive(Clone, Copy, Default)]
pub(crate) struct Judged<'a> {
    /// What of it counts; all if `None`.
    pub(crate) region: Option<&'a RegionOfInterest>,
    /// The good photos that it is compared with, if it is.
    pub(crate) comparison: Option<&'a Comparison>,
}

/// Ends the work if whoever watches wants so.
pub(crate) fn stopping(flow: ControlFlow<()>) -> Result<(), Error> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Stopped),
    }
}

/// Whether a window has a pixel that counts; all count if `None`.
fn does_any_count(counts: Option<&[bool]>) -> bool {
    counts.is_none_or(|counts| counts.contains(&true))
}

/// Some columns of a band of rows.
fn cut(band: &Photo, columns: Range<usize>) -> Cow<'_, Photo> {
    if columns == (0..band.width()) {
        Cow::Borrowed(band)
    } else {
        Cow::Owned(band.crop(columns, 0..band.height()))
    }
}

/// The whole photo on its way to the model's size, from bands that overlap: each row is resized as
/// it comes. That is what happens to a photo in memory too, to the byte.
pub(crate) struct Squeezed {
    size: (usize, usize),
    side: usize,
    /// Rows that have been there.
    known: usize,
    resizer: Option<BandResizer>,
}

impl Squeezed {
    /// From a photo of this width and height to a square.
    pub(crate) fn new(size: (usize, usize), side: usize) -> Self {
        Self {
            size,
            side,
            known: 0,
            resizer: None,
        }
    }

    /// Takes from `band`, whose first row is row `top` of the photo, what has not been there.
    pub(crate) fn add(&mut self, band: &Photo, top: usize) {
        let known = self.known - top;
        if known >= band.height() {
            return;
        }
        let fresh = if known == 0 {
            Cow::Borrowed(band)
        } else {
            Cow::Owned(band.crop(0..band.width(), known..band.height()))
        };
        let resizer = self.resizer.get_or_insert_with(|| {
            BandResizer::new(self.size, band.channels(), (self.side, self.side))
        });
        resizer.push(&fresh);
        self.known += fresh.height();
    }

    /// None if no row has been there.
    pub(crate) fn prepare(self, predictor: &Predictor) -> Option<Prepared> {
        let photo = self.resizer?.into_photo();
        Some(predictor.prepare(&photo))
    }
}
