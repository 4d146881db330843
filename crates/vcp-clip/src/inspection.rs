//! What is found in one photo.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use vcp_image::{
    Error, MapRows, Photo, PhotoFile, PhotoRows as _, Picture, Region, SmallRegions, Warning,
};
use vcp_predict::tiling::MapKind;
use vcp_predict::{PhotoPrediction, Predictor};

use crate::inspection_mask::InspectionMask;
use crate::record::{Files, Record, RegionRecord};
use crate::thresholds::{Decision, DecisionThresholds};

/// A photo, what the model says of it, and what that means at the thresholds.
///
/// Regions and pictures are at the photo's own resolution, and made when they are asked for: row by row,
/// so that neither a large photo nor its map has to be in memory whole.
pub struct Inspection {
    photo: PhotoFile,
    prediction: PhotoPrediction,
    predictor: Arc<Predictor>,
    thresholds: DecisionThresholds,
    is_tiling: bool,
    part: Part,
    regions: OnceLock<(Vec<Region>, SmallRegions)>,
}

/// Where to look, and what to compare with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    /// What of photos counts; everything if `None`.
    pub(crate) mask: Option<InspectionMask>,
    /// Pixels of the smallest region that is reported.
    pub(crate) min_area: u64,
    /// The memory of reference photos that photos are compared with, by its digest.
    pub(crate) references: Option<std::sync::Arc<str>>,
}

impl std::fmt::Debug for Inspection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Inspection")
            .field("width", &self.width())
            .field("height", &self.height())
            .field("score", &self.score())
            .field("thresholds", &self.thresholds)
            .finish_non_exhaustive()
    }
}

impl Inspection {
    pub(crate) fn new(
        photo: PhotoFile,
        prediction: PhotoPrediction,
        predictor: Arc<Predictor>,
        thresholds: DecisionThresholds,
        is_tiling: bool,
        part: Part,
    ) -> Self {
        Self {
            photo,
            prediction,
            predictor,
            thresholds,
            is_tiling,
            part,
            regions: OnceLock::new(),
        }
    }

    /// Width of the photo in pixels.
    #[must_use]
    pub fn width(&self) -> usize {
        self.photo.width()
    }

    /// Height of the photo in pixels.
    #[must_use]
    pub fn height(&self) -> usize {
        self.photo.height()
    }

    /// The image score, 0 to 1: how likely the part of the photo that counts shows a defect.
    #[must_use]
    pub fn score(&self) -> f32 {
        self.prediction.score()
    }

    /// The largest value that counts of the map at the model's image size, 0 to 1.
    #[must_use]
    pub fn max(&self) -> f32 {
        self.prediction.max()
    }

    /// What values are compared with.
    #[must_use]
    pub fn thresholds(&self) -> DecisionThresholds {
        self.thresholds
    }

    /// The same photo with other thresholds; the model is not asked again.
    #[must_use]
    pub fn with_thresholds(mut self, thresholds: DecisionThresholds) -> Self {
        self.thresholds = thresholds;
        self.regions = OnceLock::new();
        self
    }

    /// The same photo, of which regions of fewer pixels than this are neither reported nor drawn; all are with 0 or 1.
    /// The model is not asked again.
    #[must_use]
    pub fn with_min_area(mut self, min_area: u64) -> Self {
        self.part.min_area = min_area;
        self.regions = OnceLock::new();
        self
    }

    /// Whether the score reaches its threshold: whether the decision is [`Decision::Defect`].
    #[must_use]
    pub fn is_anomalous(&self) -> bool {
        self.decision() == Decision::Defect
    }

    /// What follows from score and thresholds.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.thresholds.decide(self.score())
    }

    /// What should be known of how the photo was read, such as that its file is damaged.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        self.photo.warnings()
    }

    /// The map at the photo's resolution, row by row: for each pixel, how likely it belongs to a defect, 0 to
    /// 1, and NaN where the photo does not count. Quick when rows are asked for from the top down.
    #[must_use]
    pub fn map(&self) -> Box<dyn MapRows + '_> {
        self.map_of(MapKind::Blended)
    }

    /// As [`Inspection::map`], of one branch of the model, or both blended.
    #[must_use]
    pub fn map_of(&self, kind: MapKind) -> Box<dyn MapRows + '_> {
        let size = (self.width(), self.height());
        let map = self.prediction.map(&self.predictor, kind, size);
        match &self.part.mask {
            Some(mask) => mask.over(map),
            None => map,
        }
    }

    /// Side of the square that photos are resized to for the model, in pixels.
    #[must_use]
    pub fn image_size(&self) -> usize {
        self.predictor.image_size()
    }

    /// The map at the model's image size, [side, side] in row-major order
    /// ([`Inspection::image_size`] is the side). NaN where the photo does not count.
    #[must_use]
    pub fn model_map(&self) -> Cow<'_, [f32]> {
        if let (PhotoPrediction::Tiled(prediction), Some(mask)) =
            (&self.prediction, &self.part.mask)
        {
            let map = prediction.map(&self.predictor, MapKind::Blended);
            return Cow::Owned(mask.resampled(&map, self.image_size()));
        }
        self.counting(self.prediction.model_map(&self.predictor))
    }

    /// A map at the model's image size, of a photo that is not processed in windows.
    pub(crate) fn whole_map(&self, kind: MapKind) -> Option<Cow<'_, [f32]>> {
        match &self.prediction {
            PhotoPrediction::Whole { prediction, .. } if !self.is_tiling => {
                Some(self.counting(Cow::Borrowed(prediction.map(kind))))
            }
            _ => None,
        }
    }

    /// Which pixels of [`Inspection::model_map`] count; all if `None`.
    pub(crate) fn model_counts(&self) -> Option<Vec<bool>> {
        let mask = self.part.mask.as_ref()?;
        Some(mask.squeezed((self.width(), self.height()), self.image_size()))
    }

    /// A map at the model's image size without what does not count.
    fn counting<'a>(&self, map: Cow<'a, [f32]>) -> Cow<'a, [f32]> {
        let Some(counts) = self.model_counts() else {
            return map;
        };
        let both = map.iter().zip(counts);
        both.map(|(&value, counts)| if counts { value } else { f32::NAN })
            .collect()
    }

    /// Whether photos were to be processed in windows, also if this one was too small to be cut: arrays are at
    /// the photo's resolution then.
    #[must_use]
    pub fn is_tiling(&self) -> bool {
        self.is_tiling
    }

    /// What the model says, as it was said.
    #[must_use]
    pub fn prediction(&self) -> &PhotoPrediction {
        &self.prediction
    }

    /// The connected regions of pixels that reach the pixel threshold, the largest first; none of fewer pixels
    /// than are asked for.
    pub fn regions(&self) -> &[Region] {
        &self.found().0
    }

    fn found(&self) -> &(Vec<Region>, SmallRegions) {
        let (threshold, min_area) = (self.thresholds.pixel, self.part.min_area);
        let find = || vcp_image::regions_of_area(&*self.map(), threshold, min_area);
        self.regions.get_or_init(find)
    }

    /// The regions that are not shown; none where all are.
    fn small_regions(&self) -> Option<&SmallRegions> {
        (self.part.min_area > 1).then(|| &self.found().1)
    }

    /// The photo, decoded now if it is not in memory.
    ///
    /// # Errors
    /// When it cannot be read again.
    pub fn photo(&self) -> Result<Cow<'_, Photo>, Error> {
        self.photo.whole()
    }

    /// The photo with the map over it and the contours of the regions.
    ///
    /// # Errors
    /// As [`Inspection::photo`].
    pub fn overlay(&self) -> Result<Picture, Error> {
        let (photo, map) = (self.photo()?, self.map());
        let (range, threshold) = (self.thresholds.range, self.thresholds.pixel);
        Ok(match self.small_regions() {
            None => vcp_image::overlay(&photo, &*map, range, threshold),
            Some(small) => {
                let marked = small.cleared(&*map);
                vcp_image::overlay_around(&photo, &*map, range, &marked, threshold)
            }
        })
    }

    /// The map in colours.
    #[must_use]
    pub fn heatmap(&self) -> Picture {
        vcp_image::heatmap(&*self.map(), self.thresholds.range)
    }

    /// White in the regions, black elsewhere.
    #[must_use]
    pub fn mask(&self) -> Picture {
        let (map, threshold) = (self.map(), self.thresholds.pixel);
        match self.small_regions() {
            None => vcp_image::mask_picture(&*map, threshold),
            Some(small) => vcp_image::mask_picture(&small.cleared(&*map), threshold),
        }
    }

    /// What is said of the photo: see [`Record`]. `path` is what it is called there; the files and the time
    /// that it took are left empty.
    #[must_use]
    pub fn record(&self, path: impl Into<String>) -> Record {
        Record {
            path: path.into(),
            score: self.score(),
            score_threshold: self.thresholds.score,
            anomalous: self.is_anomalous(),
            max: self.max(),
            pixel_threshold: self.thresholds.pixel,
            regions: self.regions().iter().map(RegionRecord::from).collect(),
            width: self.width(),
            height: self.height(),
            files: Files::default(),
            milliseconds: 0.0,
            warnings: self.warnings().iter().map(ToString::to_string).collect(),
            page: None,
            decision: self.decision(),
            review_threshold: self.thresholds.review,
            min_area: Some(self.part.min_area).filter(|&area| area > 1),
            mask_sha256: self.part.mask.as_ref().map(|mask| mask.sha256().to_owned()),
            references_sha256: self.part.references.as_deref().map(str::to_owned),
        }
    }
}
