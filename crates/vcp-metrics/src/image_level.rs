//! Figures of image scores.

use crate::curve::CurvePoint;
use crate::error::Error;
use crate::key;
use crate::outcome::{Figure, Outcome, Undefined};
use crate::scan::{Group, Scan};
use crate::totals::Totals;

/// The image figures of one category.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageReport {
    /// Images in all.
    pub images: usize,
    /// Anomalous images.
    pub anomalous_images: usize,
    /// Area under the receiver operating characteristic.
    pub auroc: Outcome,
    /// Average precision: the step-wise sum of precision times gain in recall.
    pub average_precision: Outcome,
    /// The largest F1 of all thresholds.
    pub f1_max: Outcome,
    /// The threshold of [`f1_max`](Self::f1_max), in the units of the scores: what reaches it counts as anomalous.
    pub threshold: Outcome,
    /// Every point of the curves, from the largest threshold to the smallest.
    pub curve: Vec<CurvePoint>,
}

impl ImageReport {
    /// The figures of scores, more being more anomalous, beside what the images are.
    ///
    /// # Errors
    /// If a score is not finite, or there is not one label for each score.
    pub fn new(scores: &[f32], anomalous: &[bool]) -> Result<Self, Error> {
        if scores.len() != anomalous.len() {
            return Err(Error::Unpaired {
                scores: scores.len(),
                labels: anomalous.len(),
            });
        }
        if let Some(image) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::ScoreNotFinite {
                image,
                value: scores[image],
            });
        }
        let mut ordered: Vec<(u32, bool)> = scores
            .iter()
            .zip(anomalous)
            .map(|(&score, &anomalous)| (key::from_value(score), anomalous))
            .collect();
        ordered.sort_unstable_by(|a, b| b.cmp(a));
        let anomalous_images = anomalous.iter().filter(|&&anomalous| anomalous).count();
        let totals = Totals {
            positives: anomalous_images as u64,
            negatives: (scores.len() - anomalous_images) as u64,
            regions: 0,
        };
        // Regions have no meaning here, so any limit does; a step below one image keeps all points.
        let mut scan = Scan::new(totals, 1.0, scores.len() + 1);
        for equal in ordered.chunk_by(|a, b| a.0 == b.0) {
            let positives = equal.iter().filter(|&&(_, anomalous)| anomalous).count();
            scan.push(&Group {
                threshold: key::to_value(equal[0].0),
                positives: positives as u64,
                negatives: (equal.len() - positives) as u64,
                region_weight: 0.0,
                mixed: false,
            });
        }
        let ranking = scan.finish();
        let of_images = |reason| match reason {
            Undefined::NoAnomalousPixels => Undefined::NoAnomalousImages,
            Undefined::NoNormalPixels => Undefined::NoNormalImages,
            other => other,
        };
        // Without normal images every ranking is perfect, which says nothing.
        let some_normal = if anomalous_images > 0 && totals.negatives == 0 {
            Err(Undefined::NoNormalImages)
        } else {
            Ok(())
        };
        let f1 = some_normal.and(ranking.f1.map_err(of_images));
        let average_precision = some_normal.and(ranking.average_precision.map_err(of_images));
        Ok(Self {
            images: scores.len(),
            anomalous_images,
            auroc: ranking.auroc.map_err(of_images),
            average_precision,
            f1_max: f1.map(|best| Figure::exact(best.f1)),
            threshold: f1.map(|best| Figure::exact(f64::from(best.threshold))),
            curve: ranking.curve,
        })
    }

    /// Every figure with the name it has in result files.
    pub fn figures(&self) -> [(&'static str, Outcome); 4] {
        [
            ("image_auroc", self.auroc),
            ("image_ap", self.average_precision),
            ("image_f1_max", self.f1_max),
            ("image_threshold", self.threshold),
        ]
    }
}
