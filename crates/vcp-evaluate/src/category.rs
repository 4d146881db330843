//! What is said about a category.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use vcp_dataset::{Label, Sample};
use vcp_predict::{Logits, Predictor};

use crate::calibrated::Calibrated;
use crate::error::Error;
use crate::figures::{Figures, Undefined};
use crate::image::Seen;
use crate::scaling::Scaling;

/// How many of the worst false alarms, and how many of the worst misses, are kept of a category.
pub const CASES: usize = 4;

/// The figures of some images, as they stand in `results.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The category, or the type of defect.
    pub name: String,
    /// Images that were processed.
    pub images: usize,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
    /// Anomalous images.
    #[serde(default)]
    pub anomalous_images: usize,
    /// Why figures are missing.
    #[serde(default)]
    pub undefined: Undefined,
    /// How far figures may be off, by name; empty where every value was counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub error_bounds: BTreeMap<String, f64>,
    /// What the thresholds of the model's calibration make of the images, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibrated: Option<Calibrated>,
}

/// A category, as it stands in `results.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CategoryResult {
    /// The category's figures.
    #[serde(flatten)]
    pub row: Row,
    /// Each type of defect against all normal images, if that was asked for.
    #[serde(default)]
    pub defects: Vec<Row>,
    /// The data set it belongs to.
    #[serde(default)]
    pub dataset: String,
    /// Anomalous images that count for image figures only, because nobody knows where their defects
    /// are.
    #[serde(default)]
    pub images_without_mask: usize,
    /// Smallest and largest value of the category's maps, which are scaled to 0 and 1.
    #[serde(default)]
    pub map_range: Option<[f32; 2]>,
    /// Smallest and largest image score, which are scaled to 0 and 1.
    #[serde(default)]
    pub score_range: Option<[f32; 2]>,
    /// [`Figures::threshold`] on the model's own scale, as `segment --pixel-threshold` takes it.
    #[serde(default)]
    pub threshold_unscaled: Option<f64>,
    /// [`Figures::image_threshold`] on the model's own scale, as `segment --score-threshold` takes
    /// it.
    #[serde(default)]
    pub image_threshold_unscaled: Option<f64>,
    /// What a reader of the figures should know, as full sentences.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Images that could not be used.
    #[serde(default)]
    pub failures: Vec<Failure>,
}

impl CategoryResult {
    /// A map of one of its images as the figures see it: scaled to 0..1 over the category.
    #[must_use]
    pub fn scaled(&self, mut map: Vec<f32>) -> Vec<f32> {
        if let Some(range) = self.map_range {
            let scaling = Scaling::of_range(range);
            for value in &mut map {
                *value = scaling.apply(*value);
            }
        }
        map
    }

    /// The ends of a colour scale on the model's own scale, as they lie on the category's; none where
    /// that has no extent.
    #[must_use]
    pub fn scaled_range(&self, (low, high): (f32, f32)) -> Option<(f32, f32)> {
        let scaling = Scaling::of_range(self.map_range?);
        let range = (scaling.apply(low), scaling.apply(high));
        (range.0.is_finite() && range.1.is_finite() && range.0 < range.1).then_some(range)
    }

    /// A score of one of its images, scaled to 0..1 over the category.
    #[must_use]
    pub fn scaled_score(&self, score: f32) -> f32 {
        let range = self.score_range.map(Scaling::of_range);
        range.map_or(score, |scaling| scaling.apply(score))
    }
}

/// An image that could not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The image's path.
    pub path: String,
    /// A full sentence.
    pub error: String,
}

/// Everything that is known about a category, also what only the report shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryReport {
    /// For `results.json`.
    pub result: CategoryResult,
    /// Every image, in the data set's order.
    pub images: Vec<ImageRecord>,
    /// Curves of all pixels, from the largest threshold to the smallest.
    pub pixel_curve: Vec<CurvePoint>,
    /// Curves of the image scores.
    pub image_curve: Vec<CurvePoint>,
    /// Normal images with the largest scores, the worst first.
    pub false_alarms: Vec<Case>,
    /// Anomalous images with the smallest scores, the worst first.
    pub misses: Vec<Case>,
}

impl CategoryReport {
    /// Whether this can be a report on these images by this model: records on a disk may have been
    /// damaged, or changed by hand. Makes the maps of the images worth showing.
    #[must_use]
    pub fn fits<'a>(
        &self,
        samples: impl IntoIterator<Item = &'a Sample>,
        predictor: &Predictor,
    ) -> bool {
        let failures = self.result.failures.iter();
        let failed: HashSet<&str> = failures.map(|failure| failure.path.as_str()).collect();
        let is_used = |sample: &&Sample| !failed.contains(&*sample.image.display().to_string());
        let used: Vec<&Sample> = samples.into_iter().filter(is_used).collect();
        let same_images = used.len() == self.images.len()
            && self.result.row.images == self.images.len()
            && used.iter().zip(&self.images).all(|(sample, image)| {
                sample.id == image.id
                    && ImageRecord::label(sample.label) == image.anomalous
                    && image.score.is_finite()
                    && image.max.is_finite()
            });
        let is_range =
            |range: &[f32; 2]| range[0] <= range[1] && range.iter().all(|value| value.is_finite());
        let ranges = [self.result.map_range, self.result.score_range];
        same_images
            && ranges.iter().all(|range| match range {
                Some(range) => is_range(range),
                None => self.images.is_empty(),
            })
            && self.are_worth_showing(&self.false_alarms, false, predictor)
            && self.are_worth_showing(&self.misses, true, predictor)
    }

    fn are_worth_showing(&self, cases: &[Case], anomalous: bool, predictor: &Predictor) -> bool {
        let pixels = predictor.image_size().pow(2);
        let kind = self.images.iter();
        let kind = kind.filter(|image| image.anomalous == anomalous).count();
        cases.len() == kind.min(CASES)
            && cases.iter().all(|case| {
                let image = self.images.get(case.image);
                let map = case.map(predictor);
                image.is_some_and(|image| image.anomalous == anomalous)
                    && map.is_ok_and(|map| {
                        map.len() == pixels && map.iter().all(|value| value.is_finite())
                    })
            })
    }
}

/// One image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// [`Sample::id`](vcp_dataset::Sample::id).
    pub id: String,
    /// Whether it shows a defect.
    pub anomalous: bool,
    /// The type of defect.
    pub defect: String,
    /// The image score, on the model's own scale.
    pub score: f32,
    /// The largest value of the image's map, on the model's own scale.
    pub max: f32,
    /// The image's AUPIMO; `None` for normal images, and where it is undefined or not computed.
    pub aupimo: Option<f64>,
}

impl ImageRecord {
    pub(crate) fn label(label: Label) -> bool {
        label == Label::Anomalous
    }
}

/// A point of the curves: what reaches the threshold counts as anomalous.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The threshold; `None` for the first point, where nothing counts as anomalous.
    pub threshold: Option<f32>,
    /// Fraction of the anomalous pixels or images that reach the threshold (recall).
    pub true_positive_rate: f64,
    /// Fraction of the normal pixels or images that reach the threshold.
    pub false_positive_rate: f64,
    /// Fraction of what reaches the threshold that is anomalous.
    pub precision: f64,
    /// Mean over the regions of the fraction that reaches the threshold.
    pub region_overlap: f64,
}

impl From<&vcp_metrics::CurvePoint> for CurvePoint {
    fn from(point: &vcp_metrics::CurvePoint) -> Self {
        Self {
            threshold: point.threshold.is_finite().then_some(point.threshold),
            true_positive_rate: point.true_positive_rate,
            false_positive_rate: point.false_positive_rate,
            precision: point.precision,
            region_overlap: point.region_overlap,
        }
    }
}

/// An image worth showing, with what its map is made again from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The image's place in [`CategoryReport::images`].
    pub image: usize,
    /// Taps of branch 1 and of branch 2; zeros if there is a map.
    taps: [usize; 2],
    /// Whether the last grid of the values is the comparison with reference photos.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_references: bool,
    /// Logits of an image that was processed whole; the map itself of one that was processed in windows.
    values: Vec<f32>,
}

impl Case {
    pub(crate) fn new(image: usize, seen: &Seen) -> Self {
        let (taps, has_references, values) = match seen {
            Seen::Logits(logits) => (
                logits.taps(),
                logits.references().is_some(),
                logits.values(),
            ),
            Seen::Map(map) => ([0, 0], false, &map[..]),
        };
        Self {
            image,
            taps,
            has_references,
            values: values.to_vec(),
        }
    }

    /// The blended map before scaling, [side, side].
    ///
    /// # Errors
    /// When what was kept of it does not fit the model, or is not all numbers.
    pub fn map(&self, predictor: &Predictor) -> Result<Cow<'_, [f32]>, Error> {
        if self.taps == [0, 0] {
            return Ok(Cow::Borrowed(&self.values));
        }
        let grids = self.taps[0].saturating_add(self.taps[1]);
        let patches = self.values.len() / grids.saturating_add(1).max(1);
        let logits = if self.has_references {
            let (own, references) = self.values.split_at(self.values.len() - patches);
            Logits::new(self.taps, own.to_vec())?.with_references(references)
        } else {
            Logits::new(self.taps, self.values.clone())?
        };
        Ok(Cow::Owned(predictor.blended_map(&logits)?))
    }
}
