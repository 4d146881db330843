//! From measurements to thresholds, and what they mean in words.

use serde::{Deserialize, Serialize};
use vcp_metrics::{ImageReport, Outcome, Undefined};

use super::measure::Measurements;
use super::options::Aim;
use super::statistics::{
    CalibrationError, FEWEST_IMAGES, FalseAlarmTarget, NormalThreshold, PixelSummary, colour_range,
    images_between, threshold_for_recall,
};

/// The thresholds and the colours between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// Of the score, by which a photo is anomalous.
    pub score: Threshold,
    /// Of the score too and below that, by which a photo is to be reviewed. None if that is not wanted, or the good
    /// photos allow none below `score`.
    pub review: Option<Threshold>,
    /// Of the map, by which a pixel belongs to a defect.
    pub pixel: Threshold,
    /// Values at the two ends of the colour scale.
    pub range: (f32, f32),
}

/// A threshold and why it is that one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The threshold.
    pub value: f32,
    /// Why it is that one.
    pub reason: Reason,
}

/// Why a threshold was chosen, and what is known about it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Reason {
    /// Few normal photos reach it.
    FalseAlarms {
        /// The fraction of normal photos that was allowed to.
        target_rate: f64,
        /// How sure the bound is.
        confidence: f64,
        /// With that confidence at most this fraction of new normal photos reaches it.
        guaranteed_rate: f64,
        /// The fraction that does on average.
        expected_rate: f64,
        /// Normal photos it was found on.
        photos: usize,
        /// Normal photos that are needed to keep to `target_rate`.
        photos_needed: usize,
    },
    /// No other has a better F1 on the photos, or pixels, it was chosen on.
    F1 {
        /// The F1.
        f1: f64,
    },
    /// It is the largest that enough of the anomalous photos, or pixels, reach.
    Recall {
        /// The fraction that is to reach it.
        target_recall: f64,
    },
}

/// Measurements that give no thresholds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// Not that of the score.
    #[error("The score threshold cannot be found")]
    Score(#[source] ThresholdError),
    /// Not that of photos to be reviewed.
    #[error("The review threshold cannot be found")]
    Review(#[source] ThresholdError),
    /// Not that of the pixels.
    #[error("The pixel threshold cannot be found")]
    Pixel(#[source] ThresholdError),
}

/// Why there is no threshold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// The values do not allow it.
    #[error(transparent)]
    Values(#[from] CalibrationError),
    /// No threshold has a best F1.
    #[error("There is no best F1")]
    NoBestF1(#[source] Undefined),
    /// Scores and labels cannot be compared.
    #[error(transparent)]
    Metrics(#[from] vcp_metrics::Error),
}

impl Threshold {
    fn of_normal(values: &[f32], target: FalseAlarmTarget) -> Result<Self, ThresholdError> {
        let found = NormalThreshold::new(values, target)?;
        Ok(Self {
            value: found.threshold,
            reason: Reason::FalseAlarms {
                target_rate: found.target.rate,
                confidence: found.target.confidence,
                guaranteed_rate: found.guaranteed_rate,
                expected_rate: found.expected_rate,
                photos: found.images,
                photos_needed: found.images_needed,
            },
        })
    }

    fn of_f1(threshold: Outcome, f1: Outcome) -> Result<Self, ThresholdError> {
        Ok(Self {
            // It comes from an f32.
            value: threshold.map_err(ThresholdError::NoBestF1)?.value as f32,
            reason: Reason::F1 {
                f1: f1.map_err(ThresholdError::NoBestF1)?.value,
            },
        })
    }

    fn of_recall(values: &[f32], target_recall: f64) -> Result<Self, ThresholdError> {
        Ok(Self {
            value: threshold_for_recall(values, target_recall)?,
            reason: Reason::Recall { target_recall },
        })
    }
}

impl Measurements {
    /// The thresholds that suit these photos.
    ///
    /// # Errors
    /// When there are too few photos of the kind that decides, or their values cannot be ordered.
    pub fn fit(&self) -> Result<Thresholds, FitError> {
        let options = &self.options;
        let of_normal = |values: &[f32]| Threshold::of_normal(values, options.false_alarms);
        let score = match options.aim {
            Aim::FalseAlarms => of_normal(&self.normal),
            Aim::F1 => self.best_f1(),
            Aim::Recall(recall) => Threshold::of_recall(&self.anomalous, recall),
        };
        let score = score.map_err(FitError::Score)?;
        let review = self.review(score.value).map_err(FitError::Review)?;
        let peaks: Vec<f32> = self.pixels.iter().map(|pixels| pixels.peak).collect();
        let pixel = match options.aim {
            Aim::F1 if self.masked > 0 => match &self.collector {
                Some(collector) => {
                    let report = collector.report();
                    Threshold::of_f1(report.threshold, report.f1_max)
                }
                None => of_normal(&peaks),
            },
            Aim::Recall(recall) if self.masked > 0 => Threshold::of_recall(&self.marked, recall),
            _ => of_normal(&peaks),
        };
        let pixel = pixel.map_err(FitError::Pixel)?;
        let range = colour_range(typical(&self.pixels), pixel.value);
        Ok(Thresholds {
            score,
            review,
            pixel,
            range,
        })
    }

    /// What is to be reviewed, given from where on photos are reported. The good photos decide, whatever the aim is:
    /// the threshold lies as low as the work allows that people are willing to do, since each step down finds
    /// defects that would be missed, and how many is not known from few anomalous photos.
    fn review(&self, score: f32) -> Result<Option<Threshold>, ThresholdError> {
        let Some(target) = self.review_target() else {
            return Ok(None);
        };
        if self.normal.len() < FEWEST_IMAGES {
            return Ok(None);
        }
        let found = Threshold::of_normal(&self.normal, target)?;
        Ok((found.value < score).then_some(found))
    }

    fn review_target(&self) -> Option<FalseAlarmTarget> {
        let rate = self.options.review?;
        Some(FalseAlarmTarget {
            rate,
            ..self.options.false_alarms
        })
    }

    fn best_f1(&self) -> Result<Threshold, ThresholdError> {
        let scores = [&self.normal[..], &self.anomalous].concat();
        let mut labels = vec![false; self.normal.len()];
        labels.resize(scores.len(), true);
        let report = ImageReport::new(&scores, &labels)?;
        Threshold::of_f1(report.threshold, report.f1_max)
    }
}

impl Thresholds {
    /// What the thresholds mean for the photos that they were found on and for others, a sentence or more
    /// for each.
    #[must_use]
    pub fn sentences(&self, found: &Measurements) -> Vec<String> {
        let options = &found.options;
        let allowed = percent(options.allowed_pixels);
        let have = match options.allowed_pixels {
            0.0 => "have a pixel that reaches it".to_owned(),
            _ => format!("have more than {allowed} of their pixels at or above it"),
        };
        let missing_masks =
            "There are no masks, so the pixel threshold comes from the good photos.";
        let mut words = vec![
            format!(
                "Score threshold {}: {}",
                self.score.value,
                meaning(&self.score.reason, "reach it", "anomalous photos")
            ),
            format!(
                "Pixel threshold {}: {}",
                self.pixel.value,
                meaning(&self.pixel.reason, &have, "pixels in the masks")
            ),
        ];
        words.splice(1..1, self.about_review(found));
        let pixel_by_normal = matches!(self.pixel.reason, Reason::FalseAlarms { .. });
        if options.aim != Aim::FalseAlarms && pixel_by_normal {
            words.push(missing_masks.to_owned());
        }
        let (normal, anomalous) = found.reached(self.score.value);
        words.push(if found.anomalous.is_empty() {
            format!(
                "{normal} of these {} good photos reach the score threshold.",
                found.normal.len()
            )
        } else {
            format!(
                "{normal} of these {} good photos and {anomalous} of these {} bad ones reach the score \
                 threshold. It was chosen on them, so expect somewhat worse of others.",
                found.normal.len(),
                found.anomalous.len()
            )
        });
        words
    }
}

impl Thresholds {
    /// What the review threshold means, or why there is none though one is wanted.
    fn about_review(&self, found: &Measurements) -> Vec<String> {
        let Some(target) = found.review_target() else {
            return Vec::new();
        };
        if let Some(review) = &self.review {
            let (normal, anomalous) = found.reached(review.value);
            let (reported, detected) = found.reached(self.score.value);
            let of_normal = format!(
                "{} of these {} good photos lie between it and the score threshold, to be reviewed",
                normal - reported,
                found.normal.len()
            );
            let of_anomalous = match found.anomalous.len() {
                0 => String::new(),
                all => format!(
                    "; of these {all} bad ones {} do, and {} lie below it",
                    anomalous - detected,
                    all - anomalous
                ),
            };
            let meaning = meaning(&review.reason, "reach it", "anomalous photos");
            return vec![
                format!("Review threshold {}: {meaning}", review.value),
                format!("{of_normal}{of_anomalous}."),
            ];
        }
        let (photos, rate) = (found.normal.len(), percent(target.rate));
        let why = if photos < FEWEST_IMAGES {
            format!("it takes {FEWEST_IMAGES} good photos to say which would be reviewed.")
        } else {
            format!(
                "one that is to be reached by at most {rate} of new good photos does not lie below the score threshold."
            )
        };
        let needed = match self.score.reason {
            Reason::FalseAlarms { .. } => images_between(found.options.false_alarms, target),
            _ => None,
        };
        let advice = needed.filter(|&needed| needed > photos);
        let advice = advice.map(|needed| format!(" With {needed} good photos there is one."));
        vec![format!(
            "There is no review threshold: {why}{}",
            advice.unwrap_or_default()
        )]
    }
}

/// The median over the photos of their medians; the lower end of the colours does not depend on
/// single photos.
fn typical(pixels: &[PixelSummary]) -> f32 {
    let mut values: Vec<f32> = pixels.iter().map(|pixels| pixels.typical).collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// `does` is what a good photo has to do to be a false alarm, `found` what is to be found.
fn meaning(reason: &Reason, does: &str, found: &str) -> String {
    match *reason {
        Reason::FalseAlarms {
            target_rate,
            confidence,
            guaranteed_rate,
            expected_rate,
            photos,
            photos_needed,
        } => {
            let (confidence, target) = (percent(confidence), percent(target_rate));
            let (bound, expected) = (percent(guaranteed_rate), percent(expected_rate));
            if photos >= photos_needed {
                format!(
                    "with {confidence} confidence at most {bound} of new good photos {does} \
                     ({target} were allowed; {expected} is the average)."
                )
            } else {
                format!(
                    "with {photos} good photos the best that can be said with {confidence} \
                     confidence is that at most {bound} of new good photos {does} ({expected} is \
                     the average). To say so of {target}, {photos_needed} good photos are needed."
                )
            }
        }
        Reason::F1 { f1 } => format!("the best F1, {f1:.3}, at finding these {found}."),
        Reason::Recall { target_recall } => format!(
            "the largest that at least {} of these {found} reach.",
            percent(target_recall)
        ),
    }
}

/// A fraction in percent, to two digits at least.
fn percent(fraction: f64) -> String {
    let value = fraction * 100.0;
    let digits = if value >= 0.1 || value <= 0.0 {
        1
    } else {
        (1.0 - value.log10().floor()) as usize
    };
    let text = format!("{value:.digits$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    // Nothing short of certainty is called certain.
    if text == "100" && fraction < 1.0 {
        return format!("{value} %");
    }
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_read_well() {
        for (fraction, text) in [
            (0.05, "5 %"),
            (0.139_1, "13.9 %"),
            (0.001, "0.1 %"),
            (0.000_123, "0.012 %"),
            (0.0, "0 %"),
            (0.95, "95 %"),
            (0.9995, "99.95 %"),
            (1.0, "100 %"),
            (0.1, "10 %"),
        ] {
            assert_eq!(percent(fraction), text, "{fraction}");
        }
    }
}
