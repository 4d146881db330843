//! One photo through the model, whole or in windows: the one place that decides.

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use vcp_image::{MapRows, PhotoRows, ScaledMap};

use crate::error::Error;
use crate::logits::Logits;
use crate::map_kind::MapKind;
use crate::predictor::{Prediction, Predictor, Prepared};
use crate::references::{Comparison, MemoryBuilder, Window};
use crate::region_of_interest::RegionOfInterest;
use crate::tiling::{Judged, Squeezed, TiledPrediction, Tiling, resampled, stopping};

/// A photo for which it is settled how it goes through the model: whole, resized and normalised already,
/// or in windows that are cut when the model needs them.
#[derive(Clone, Debug)]
pub struct PreparedPhoto<P> {
    photo: P,
    input: Input,
    /// All of the photo counts if `None`.
    region: Option<Arc<RegionOfInterest>>,
    /// The good photos that it is compared with.
    comparison: Option<Comparison>,
}

impl<P> PreparedPhoto<P> {
    /// The same photo, of which only this part counts: score and largest value are those of its pixels. The model
    /// still processes what surrounds them, but for windows in which nothing counts.
    #[must_use]
    pub fn within(mut self, region: Option<Arc<RegionOfInterest>>) -> Self {
        self.region = region;
        self
    }

    /// The same, to be compared with good photos.
    #[must_use]
    pub fn compared_with(mut self, comparison: Option<Comparison>) -> Self {
        self.comparison = comparison;
        self
    }
}

#[derive(Clone, Debug)]
enum Input {
    Whole(Prepared),
    Windows(Tiling),
}

/// What the model says of one photo.
#[derive(Clone, Debug, PartialEq)]
pub enum PhotoPrediction {
    /// Of a photo that was processed whole.
    Whole {
        /// On the patch grid: all that has to be kept to make the maps again.
        logits: Logits,
        /// Maps and score.
        prediction: Prediction,
    },
    /// Of a photo that was processed in windows.
    Tiled(Box<TiledPrediction>),
}

impl Predictor {
    /// Settles how a photo goes through the model: in windows if `tiling` cuts it
    /// ([`Tiling::cuts`]), else whole, which is to the bit the same for a photo of one window. Of a photo
    /// that goes whole this takes the most time outside the model, and may run on another thread.
    ///
    /// # Errors
    /// When the photo cannot be read.
    pub fn prepare_photo<P: PhotoRows>(
        &self,
        mut photo: P,
        tiling: Option<&Tiling>,
    ) -> Result<PreparedPhoto<P>, Error> {
        let (width, height) = (photo.width(), photo.height());
        let input = match tiling {
            Some(tiling) if tiling.cuts(width, height) => Input::Windows(*tiling),
            // Whoever wants windows has photos that need not be in memory whole.
            Some(tiling) => Input::Whole(self.prepare_bands(&mut photo, tiling.tile())?),
            None => Input::Whole(self.prepare(&*photo.rows(0..height)?)),
        };
        Ok(PreparedPhoto {
            photo,
            input,
            region: None,
            comparison: None,
        })
    }

    /// As [`Predictor::prepare`], of so many rows at a time.
    fn prepare_bands(&self, photo: &mut impl PhotoRows, rows: usize) -> Result<Prepared, Error> {
        let (width, height) = (photo.width(), photo.height());
        if height <= rows {
            return Ok(self.prepare(&*photo.rows(0..height)?));
        }
        let mut squeezed = Squeezed::new((width, height), self.image_size());
        for top in (0..height).step_by(rows) {
            squeezed.add(&*photo.rows(top..height.min(top + rows))?, top);
        }
        // There was at least one row.
        squeezed.prepare(self).ok_or(Error::NoRows)
    }

    /// What the model says of a photo that is processed whole, and the logits of which its maps can be
    /// made again.
    ///
    /// # Errors
    /// When the photo was prepared for another image size, or the model's device fails or gives something
    /// that is no number.
    pub fn predict_whole(&self, prepared: &Prepared) -> Result<(Logits, Prediction), Error> {
        let logits = self.logits_of_one(prepared, None)?;
        let prediction = self.finish(&logits)?;
        Ok((logits, prediction))
    }

    /// What the model says of a photo, and the photo. This is the one way of a photo through the model.
    ///
    /// Of a photo in windows, `watch` learns after every few of them how many of how many are done, and
    /// may end the work.
    ///
    /// # Errors
    /// When the photo cannot be read or makes too many windows, the model's device fails or gives something that
    /// is no number, or `watch` breaks off ([`Error::Stopped`]).
    pub fn predict_photo<P: PhotoRows>(
        &self,
        photo: PreparedPhoto<P>,
        watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<(P, PhotoPrediction), Error> {
        let PreparedPhoto {
            mut photo,
            input,
            region,
            comparison,
        } = photo;
        let comparison = comparison.as_ref();
        let prediction = match input {
            Input::Whole(prepared) => {
                let size = (photo.width(), photo.height());
                let counts = region.map(|region| region.squeezed(size, self.image_size()));
                let logits = self.logits_of_one(&prepared, comparison)?;
                let prediction = self.finish_counting(&logits, counts.as_deref())?;
                PhotoPrediction::Whole { logits, prediction }
            }
            Input::Windows(tiling) => {
                let judged = Judged {
                    region: region.as_deref(),
                    comparison,
                };
                let prediction = self.predict_judged(&mut photo, &tiling, judged, watch)?;
                PhotoPrediction::Tiled(Box::new(prediction))
            }
        };
        Ok((photo, prediction))
    }

    /// Takes a photo into a memory of good ones, in the windows in which it would be processed, under the name by which
    /// the memory is to know it: the SHA-256 of its file, and the page behind a space where each page is a photo of its
    /// own. Of the first photo, turned copies are looked at too. `watch` may end the work after each window.
    ///
    /// # Errors
    /// As [`Predictor::predict_photo`].
    pub fn remember<P: PhotoRows>(
        &self,
        photo: PreparedPhoto<P>,
        name: String,
        builder: &mut MemoryBuilder,
        watch: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let PreparedPhoto {
            mut photo,
            input,
            region,
            ..
        } = photo;
        let (width, height) = (photo.width(), photo.height());
        let side = self.image_size();
        let counts_in = |columns: &Range<usize>, rows: &Range<usize>| {
            let region = region.as_ref()?;
            let counts = region.of_window((width, height), columns, rows, side);
            Some(counting_patches(&counts, side, self.grid()))
        };
        let (cut, windows) = match &input {
            Input::Whole(_) => (None, 1),
            Input::Windows(tiling) => {
                let cut = tiling.windows(width, height)?;
                let windows = cut.count();
                (Some(cut), windows)
            }
        };
        let is_first = builder.photos() == 0;
        builder.begin(name);
        let mut take = |prepared: Prepared, counts: Option<Vec<bool>>| {
            if counts
                .as_ref()
                .is_some_and(|counts| !counts.contains(&true))
            {
                return Ok(());
            }
            if is_first {
                for (copy, turned) in prepared.turned().iter().enumerate() {
                    let turned = Window {
                        patches: self.patches(turned)?,
                        counts: None,
                    };
                    builder.add_turned(self.cpu(), copy, &turned, windows);
                }
            }
            let patches = self.patches(&prepared)?;
            builder.add(self.cpu(), &Window { patches, counts }, windows);
            for copy in prepared.copies(builder.copies()) {
                let patches = self.patches(&copy)?;
                builder.add_copy(self.cpu(), &patches);
            }
            stopping(watch())
        };
        let whole = match (input, cut) {
            (Input::Windows(tiling), Some(cut)) => {
                self.for_windows(&mut photo, &tiling, &cut, &mut |prepare, columns, rows| {
                    let mut columns = columns.iter();
                    columns.try_for_each(|columns| take(prepare(columns), counts_in(columns, rows)))
                })?
            }
            (Input::Whole(prepared), _) => Some(prepared),
            (Input::Windows(_), None) => None,
        };
        whole.map_or(Ok(()), |whole| {
            take(whole, counts_in(&(0..width), &(0..height)))
        })
    }
}

/// Which patches of a square of pixels [side, side] have a pixel that counts, [grid, grid].
fn counting_patches(counts: &[bool], side: usize, grid: usize) -> Vec<bool> {
    let range = |index: usize| index * side / grid..((index + 1) * side).div_ceil(grid);
    let patch = |index: usize| {
        let (x, y) = (range(index % grid), range(index / grid));
        let mut rows = y.map(|y| &counts[y * side..][x.clone()]);
        rows.any(|row| row.contains(&true))
    };
    (0..grid * grid).map(patch).collect()
}

impl PhotoPrediction {
    /// The image score, 0 to 1.
    #[must_use]
    pub fn score(&self) -> f32 {
        match self {
            Self::Whole { prediction, .. } => prediction.score,
            Self::Tiled(prediction) => prediction.score,
        }
    }

    /// The largest value of the blended map.
    #[must_use]
    pub fn max(&self) -> f32 {
        match self {
            Self::Whole { prediction, .. } => prediction.max,
            Self::Tiled(prediction) => prediction.max,
        }
    }

    /// A map at the photo's resolution (`size` is its width and height), made row by row. `predictor` is the
    /// one that made the prediction.
    #[must_use]
    pub fn map<'a>(
        &'a self,
        predictor: &'a Predictor,
        kind: MapKind,
        size: (usize, usize),
    ) -> Box<dyn MapRows + 'a> {
        match self {
            Self::Whole { prediction, .. } => Box::new(ScaledMap::new(
                prediction.map(kind),
                prediction.side,
                size.0,
                size.1,
            )),
            Self::Tiled(prediction) => Box::new(prediction.map(predictor, kind)),
        }
    }

    /// The blended map at the model's image size, [side, side]: of a photo in windows, resized from the
    /// photo's resolution, antialiased. `predictor` is the one that made the prediction.
    #[must_use]
    pub fn model_map(&self, predictor: &Predictor) -> Cow<'_, [f32]> {
        match self {
            Self::Whole { prediction, .. } => Cow::Borrowed(&prediction.blended),
            Self::Tiled(prediction) => {
                let map = prediction.map(predictor, MapKind::Blended);
                Cow::Owned(resampled(&map, predictor.image_size()))
            }
        }
    }
}
