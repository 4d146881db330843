//! From measurements to thresholds, and what they mean in words.

use anyhow::Context;
use serde::Serialize;
use vcp_metrics::ImageReport;
use vcp_predict::calibration::{NormalThreshold, PixelSummary, colour_range, threshold_for_recall};

use super::measure::Measurements;
use super::options::{Aim, Options};

/// Both thresholds and the colours between them.
#[derive(Debug)]
pub(crate) struct Thresholds {
    pub(crate) score: Threshold,
    pub(crate) pixel: Threshold,
    pub(crate) range: (f32, f32),
}

/// A threshold and why it is that one.
#[derive(Debug, Serialize)]
pub(crate) struct Threshold {
    #[serde(skip)]
    pub(crate) value: f32,
    #[serde(flatten)]
    pub(crate) reason: Reason,
}

/// Why a threshold was chosen, and what is known about it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub(crate) enum Reason {
    /// Few normal photos reach it.
    FalseAlarms {
        target_rate: f64,
        confidence: f64,
        guaranteed_rate: f64,
        expected_rate: f64,
        photos: usize,
        photos_needed: usize,
    },
    /// No other has a better F1 on the photos, or pixels, it was chosen on.
    F1 { f1: f64 },
    /// It is the largest that enough of the anomalous photos, or pixels, reach.
    Recall { target_recall: f64 },
}

impl Threshold {
    fn of_normal(values: &[f32], options: &Options) -> anyhow::Result<Self> {
        let found = NormalThreshold::new(values, options.false_alarms)?;
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

    fn of_f1(threshold: vcp_metrics::Outcome, f1: vcp_metrics::Outcome) -> anyhow::Result<Self> {
        let context = "There is no best F1";
        Ok(Self {
            // It comes from an f32.
            value: threshold.context(context)?.value as f32,
            reason: Reason::F1 {
                f1: f1.context(context)?.value,
            },
        })
    }

    fn of_recall(values: &[f32], target_recall: f64) -> anyhow::Result<Self> {
        Ok(Self {
            value: threshold_for_recall(values, target_recall)?,
            reason: Reason::Recall { target_recall },
        })
    }
}

impl Thresholds {
    pub(crate) fn new(found: &Measurements, options: &Options) -> anyhow::Result<Self> {
        let score = match options.aim {
            Aim::FalseAlarms => Threshold::of_normal(&found.normal, options),
            Aim::F1 => best_f1(found),
            Aim::Recall(recall) => Threshold::of_recall(&found.anomalous, recall),
        };
        let score = score.context("The score threshold cannot be found")?;
        let peaks: Vec<f32> = found.pixels.iter().map(|pixels| pixels.peak).collect();
        let pixel = match options.aim {
            Aim::F1 if found.masked > 0 => match &found.collector {
                Some(collector) => {
                    let report = collector.report();
                    Threshold::of_f1(report.threshold, report.f1_max)
                }
                None => Threshold::of_normal(&peaks, options),
            },
            Aim::Recall(recall) if found.masked > 0 => Threshold::of_recall(&found.marked, recall),
            _ => Threshold::of_normal(&peaks, options),
        };
        let pixel = pixel.context("The pixel threshold cannot be found")?;
        let range = colour_range(typical(&found.pixels), pixel.value);
        Ok(Self {
            score,
            pixel,
            range,
        })
    }

    /// What the thresholds mean, a sentence or more for each.
    pub(crate) fn words(&self, found: &Measurements, options: &Options) -> Vec<String> {
        let share = percent(options.allowed_pixels);
        let have = match options.allowed_pixels {
            0.0 => "have a pixel that reaches it".to_owned(),
            _ => format!("have more than {share} of their pixels at or above it"),
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
        let pixel_by_normal = matches!(self.pixel.reason, Reason::FalseAlarms { .. });
        if options.aim != Aim::FalseAlarms && pixel_by_normal {
            words.push(missing_masks.to_owned());
        }
        let reach = |scores: &[f32]| reach(scores, self.score.value);
        words.push(if found.anomalous.is_empty() {
            format!(
                "{} of these {} good photos reach the score threshold.",
                reach(&found.normal),
                found.normal.len()
            )
        } else {
            format!(
                "{} of these {} good photos and {} of these {} bad ones reach the score threshold. \
                 It was chosen on them, so expect somewhat worse of others.",
                reach(&found.normal),
                found.normal.len(),
                reach(&found.anomalous),
                found.anomalous.len()
            )
        });
        words
    }
}

/// How many scores are at or above a threshold.
pub(crate) fn reach(scores: &[f32], threshold: f32) -> usize {
    scores.iter().filter(|&&score| score >= threshold).count()
}

fn best_f1(found: &Measurements) -> anyhow::Result<Threshold> {
    let scores = [&found.normal[..], &found.anomalous].concat();
    let mut labels = vec![false; found.normal.len()];
    labels.resize(scores.len(), true);
    let report = ImageReport::new(&scores, &labels)?;
    Threshold::of_f1(report.threshold, report.f1_max)
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

/// A share in percent, to two digits at least.
fn percent(share: f64) -> String {
    let value = share * 100.0;
    let digits = if value >= 0.1 || value <= 0.0 {
        1
    } else {
        (1.0 - value.log10().floor()) as usize
    };
    let text = format!("{value:.digits$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    // Nothing short of certainty is called certain.
    if text == "100" && share < 1.0 {
        return format!("{value} %");
    }
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_read_well() {
        for (share, text) in [
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
            assert_eq!(percent(share), text, "{share}");
        }
    }
}
