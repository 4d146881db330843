//! What is found in one photo.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use vcp_image::{Error, MapRows, Photo, PhotoFile, PhotoRows as _, Picture, Region, Warning};
use vcp_predict::tiling::MapKind;
use vcp_predict::{PhotoPrediction, Predictor};

use crate::record::{Files, Record, RegionRecord};
use crate::thresholds::DecisionThresholds;

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
    regions: OnceLock<Vec<Region>>,
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
    ) -> Self {
        Self {
            photo,
            prediction,
            predictor,
            thresholds,
            is_tiling,
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

    /// The image score, 0 to 1: how likely the photo shows a defect.
    #[must_use]
    pub fn score(&self) -> f32 {
        self.prediction.score()
    }

    /// The largest value of the map, 0 to 1.
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

    /// Whether the score reaches its threshold.
    #[must_use]
    pub fn is_anomalous(&self) -> bool {
        self.score() >= self.thresholds.score
    }

    /// What should be known of how the photo was read, such as that its file is damaged.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        self.photo.warnings()
    }

    /// The map at the photo's resolution, row by row: for each pixel, how likely it belongs to a defect, 0 to
    /// 1. Quick when rows are asked for from the top down.
    #[must_use]
    pub fn map(&self) -> Box<dyn MapRows + '_> {
        self.map_of(MapKind::Blended)
    }

    /// As [`Inspection::map`], of one branch of the model, or both blended.
    #[must_use]
    pub fn map_of(&self, kind: MapKind) -> Box<dyn MapRows + '_> {
        let size = (self.width(), self.height());
        self.prediction.map(&self.predictor, kind, size)
    }

    /// Side of the square that photos are resized to for the model, in pixels.
    #[must_use]
    pub fn image_size(&self) -> usize {
        self.predictor.image_size()
    }

    /// The map at the model's image size, [side, side] in row-major order
    /// ([`Inspection::image_size`] is the side).
    #[must_use]
    pub fn model_map(&self) -> Cow<'_, [f32]> {
        self.prediction.model_map(&self.predictor)
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

    /// The connected regions of pixels that reach the pixel threshold, the largest first.
    pub fn regions(&self) -> &[Region] {
        let find = || vcp_image::regions(&*self.map(), self.thresholds.pixel);
        self.regions.get_or_init(find)
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
        let photo = self.photo()?;
        let thresholds = &self.thresholds;
        Ok(vcp_image::overlay(
            &photo,
            &*self.map(),
            thresholds.range,
            thresholds.pixel,
        ))
    }

    /// The map in colours.
    #[must_use]
    pub fn heatmap(&self) -> Picture {
        vcp_image::heatmap(&*self.map(), self.thresholds.range)
    }

    /// White where the map reaches the pixel threshold, black elsewhere.
    #[must_use]
    pub fn mask(&self) -> Picture {
        vcp_image::mask_picture(&*self.map(), self.thresholds.pixel)
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
        }
    }
}
