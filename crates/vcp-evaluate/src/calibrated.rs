//! What thresholds that were found beforehand make of images.

use serde::{Deserialize, Serialize};
use vcp_checkpoint::Calibration;
use vcp_dataset::Label;

use crate::figures::Column;
use crate::truth::Truth;

/// Figures at the thresholds of a calibration, which are on the model's own scale and know nothing of
/// the images that are evaluated. Rates are fractions of 1, `None` where nothing of their kind is
/// there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibrated {
    /// Images with at least this score are anomalous.
    pub score_threshold: f32,
    /// Pixels with at least this value belong to a defect.
    pub pixel_threshold: f32,
    /// Normal images.
    pub normal_images: usize,
    /// Normal images that reach the score threshold.
    pub false_alarms: usize,
    /// Anomalous images.
    pub anomalous_images: usize,
    /// Anomalous images that reach the score threshold.
    pub detected: usize,
    /// False alarms among the normal images.
    pub false_alarm_rate: Option<f64>,
    /// Detected images among the anomalous ones.
    pub detected_rate: Option<f64>,
    /// Fraction of the defects' pixels that reach the pixel threshold.
    pub pixel_recall: Option<f64>,
    /// Fraction of all other pixels that reach it.
    pub pixel_false_positive_rate: Option<f64>,
    /// Intersection over union of the defects and what reaches the pixel threshold.
    pub pixel_iou: Option<f64>,
}

/// What is needed of one image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided {
    pub(crate) label: Label,
    pub(crate) score: f32,
    pub(crate) marked: Option<Marked>,
}

/// Pixels of an image, by the truth and by whether they reach the pixel threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// Pixels of defects.
    pub defect: u64,
    /// Pixels of defects that reach the threshold.
    pub defect_marked: u64,
    /// Pixels of no defect.
    pub normal: u64,
    /// Pixels of no defect that reach the threshold.
    pub normal_marked: u64,
}

impl Marked {
    /// Counts over a map on the model's own scale; `None` if nobody knows where the defects are.
    pub(crate) fn of(map: &[f32], truth: &Truth, threshold: f32) -> Option<Self> {
        if !truth.is_known() {
            return None;
        }
        let mask = truth.mask();
        let mut counts = Self::default();
        for (at, value) in map.iter().enumerate() {
            let reaches = u64::from(*value >= threshold);
            if mask.as_ref().is_some_and(|mask| mask[at] != 0) {
                counts.defect += 1;
                counts.defect_marked += reaches;
            } else {
                counts.normal += 1;
                counts.normal_marked += reaches;
            }
        }
        Some(counts)
    }
}

impl Calibrated {
    /// The rates, in the order of the result files.
    pub const COLUMNS: &'static [Column] = &[
        Column {
            key: "false_alarm_rate",
            title: "false alarms",
            help: "Fraction of the normal images whose score reaches the calibrated threshold.",
            is_percent: true,
        },
        Column {
            key: "detected_rate",
            title: "detected",
            help: "Fraction of the anomalous images whose score reaches the calibrated threshold.",
            is_percent: true,
        },
        Column {
            key: "pixel_recall",
            title: "pixel recall",
            help: "Fraction of the defects' pixels that reach the calibrated threshold.",
            is_percent: true,
        },
        Column {
            key: "pixel_false_positive_rate",
            title: "pixel false positives",
            help: "Fraction of all other pixels that reach the calibrated threshold.",
            is_percent: true,
        },
        Column {
            key: "pixel_iou",
            title: "IoU, calibrated",
            help: "Intersection over union of defects and what reaches the calibrated threshold.",
            is_percent: true,
        },
    ];

    /// How many of [`COLUMNS`](Self::COLUMNS), from the first, are about whole images.
    pub const IMAGE_COLUMNS: usize = 2;

    /// The rate with this name; `None` also for names that no rate has.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<f64> {
        match key {
            "false_alarm_rate" => self.false_alarm_rate,
            "detected_rate" => self.detected_rate,
            "pixel_recall" => self.pixel_recall,
            "pixel_false_positive_rate" => self.pixel_false_positive_rate,
            "pixel_iou" => self.pixel_iou,
            _ => None,
        }
    }

    /// Over these images. `score ≥ threshold` is compared as everywhere, in single precision.
    pub(crate) fn of(images: impl IntoIterator<Item = Decided>, calibration: &Calibration) -> Self {
        let mut found = Self {
            score_threshold: calibration.score_threshold,
            pixel_threshold: calibration.pixel_threshold,
            ..Self::default()
        };
        let mut pixels = Marked::default();
        for image in images {
            let reaches = usize::from(image.score >= calibration.score_threshold);
            if image.label == Label::Anomalous {
                found.anomalous_images += 1;
                found.detected += reaches;
            } else {
                found.normal_images += 1;
                found.false_alarms += reaches;
            }
            if let Some(marked) = image.marked {
                pixels.defect += marked.defect;
                pixels.defect_marked += marked.defect_marked;
                pixels.normal += marked.normal;
                pixels.normal_marked += marked.normal_marked;
            }
        }
        let images = |part: usize, whole: usize| share(part as u64, whole as u64);
        found.false_alarm_rate = images(found.false_alarms, found.normal_images);
        found.detected_rate = images(found.detected, found.anomalous_images);
        found.pixel_recall = share(pixels.defect_marked, pixels.defect);
        found.pixel_false_positive_rate = share(pixels.normal_marked, pixels.normal);
        found.pixel_iou = share(pixels.defect_marked, pixels.defect + pixels.normal_marked);
        found
    }

    /// The mean over categories: numbers are added up, rates averaged over the categories that define
    /// them. `None` unless every category has been measured at these thresholds.
    pub(crate) fn mean(categories: &[Option<&Self>]) -> Option<Self> {
        let categories: Vec<&Self> = categories.iter().copied().collect::<Option<_>>()?;
        let first = categories.first()?;
        let sum = |count: fn(&Self) -> usize| categories.iter().map(|it| count(it)).sum();
        let mean = |key: &str| {
            let rates: Vec<f64> = categories.iter().filter_map(|it| it.get(key)).collect();
            (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
        };
        Some(Self {
            score_threshold: first.score_threshold,
            pixel_threshold: first.pixel_threshold,
            normal_images: sum(|it| it.normal_images),
            false_alarms: sum(|it| it.false_alarms),
            anomalous_images: sum(|it| it.anomalous_images),
            detected: sum(|it| it.detected),
            false_alarm_rate: mean("false_alarm_rate"),
            detected_rate: mean("detected_rate"),
            pixel_recall: mean("pixel_recall"),
            pixel_false_positive_rate: mean("pixel_false_positive_rate"),
            pixel_iou: mean("pixel_iou"),
        })
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::truth::Bits;

    fn calibration() -> Calibration {
        Calibration {
            version: Calibration::VERSION,
            pixel_threshold: 0.5,
            score_threshold: 0.25,
            range: (0.0, 1.0),
            data: String::new(),
            date: String::new(),
            images: 10,
            apply_orientation: true,
            review_threshold: None,
            mask_sha256: None,
            bits: None,
            references: None,
            windows: None,
        }
    }

    #[test]
    fn what_reaches_the_threshold_counts() {
        let truth = Truth::Mask(Bits::new(&[1, 1, 1, 0, 0]));
        let map = [0.5, 0.49, 0.9, 0.5, 0.1];
        let marked = Marked::of(&map, &truth, 0.5);
        assert_eq!(Marked::of(&map, &Truth::Unknown, 0.5), None);
        let image = |label, score, marked| Decided {
            label,
            score,
            marked,
        };
        let images = [
            image(Label::Anomalous, 0.25, marked),
            image(Label::Anomalous, 0.24, None),
            image(Label::Normal, 0.3, Marked::of(&map, &Truth::Normal, 0.5)),
        ];
        let found = Calibrated::of(images, &calibration());
        assert_eq!((found.anomalous_images, found.detected), (2, 1));
        assert_eq!((found.normal_images, found.false_alarms), (1, 1));
        for (key, rate) in [
            ("false_alarm_rate", 1.0),
            ("detected_rate", 0.5),
            ("pixel_recall", 2.0 / 3.0),
            ("pixel_false_positive_rate", 4.0 / 7.0),
            ("pixel_iou", 2.0 / 7.0),
        ] {
            assert_eq!(found.get(key), Some(rate), "{key}");
        }
        for column in Calibrated::COLUMNS {
            assert!(found.get(column.key).is_some(), "{}", column.key);
        }
        let nothing = Calibrated::of([], &calibration());
        for column in Calibrated::COLUMNS {
            assert_eq!(nothing.get(column.key), None, "{}", column.key);
        }
        let mean = Calibrated::mean(&[Some(&found), Some(&nothing)]).unwrap();
        assert_eq!((mean.detected, mean.detected_rate), (1, Some(0.5)));
        assert_eq!(Calibrated::mean(&[Some(&found), None]), None);
    }
}
