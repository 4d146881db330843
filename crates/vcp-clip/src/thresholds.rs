//! What the model's values are compared with, and what follows.

use serde::{Deserialize, Serialize};
use vcp_checkpoint::Calibration;

/// What is said of a photo; the more serious, the larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Its score reaches no threshold.
    Ok,
    /// Its score reaches the review threshold, but not the score threshold: a person should look at it.
    Review,
    /// Its score reaches the score threshold.
    Defect,
}

impl Decision {
    /// The word that records have.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Review => "review",
            Self::Defect => "defect",
        }
    }
}

/// What the values of maps and scores are compared with, all on the model's own scale, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecisionThresholds {
    /// A photo with at least this score has a defect.
    pub score: f32,
    /// A photo with at least this score, and less than `score`, is to be reviewed. None if there are two outcomes
    /// only.
    pub review: Option<f32>,
    /// A pixel with at least this value belongs to a defect.
    pub pixel: f32,
    /// Values at the two ends of the colour scale.
    pub range: (f32, f32),
}

/// Thresholds that a user gives; what is `None` comes from the model's calibration, if it has one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ThresholdOptions {
    /// A photo with at least this score has a defect. Without `review`, the calibration's review threshold is
    /// not used then: it was found for another score threshold.
    pub score: Option<f32>,
    /// A photo with at least this score, and less than that of a defect, is to be reviewed.
    pub review: Option<f32>,
    /// A pixel with at least this value belongs to a defect.
    pub pixel: Option<f32>,
    /// Values at the two ends of the colour scale.
    pub range: Option<(f32, f32)>,
}

impl ThresholdOptions {
    /// Refuses what nothing can be compared with.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let values = [self.score, self.review, self.pixel];
        if values.iter().flatten().any(|value| value.is_nan()) {
            return Err("A threshold is not a number; give one from 0 to 1.");
        }
        // Not a number is in no order.
        if self.range.is_none_or(|(low, high)| low < high) {
            return Ok(());
        }
        Err("The range of colours is empty; give two numbers, the first below the second.")
    }
}

impl DecisionThresholds {
    /// One half, and all of 0 to 1: what stands in for thresholds of a model without a calibration.
    pub const UNCALIBRATED: Self = Self {
        score: 0.5,
        review: None,
        pixel: 0.5,
        range: (0.0, 1.0),
    };

    /// What was asked for, else what the model was calibrated to, else
    /// [`DecisionThresholds::UNCALIBRATED`].
    #[must_use]
    pub fn settle(options: &ThresholdOptions, calibration: Option<&Calibration>) -> Self {
        let usual = calibration.map_or(Self::UNCALIBRATED, |calibration| Self {
            score: calibration.score_threshold,
            review: calibration.review_threshold,
            pixel: calibration.pixel_threshold,
            range: calibration.range,
        });
        let review = usual.review.filter(|_| options.score.is_none());
        Self {
            score: options.score.unwrap_or(usual.score),
            review: options.review.or(review),
            pixel: options.pixel.unwrap_or(usual.pixel),
            range: options.range.unwrap_or(usual.range),
        }
    }

    /// Refuses a review threshold that leaves nothing to be reviewed.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.review.is_none_or(|review| review <= self.score) {
            return Ok(());
        }
        Err(
            "The review threshold is above the score threshold, from which a photo has a defect; give one that is not.",
        )
    }

    /// What is said of a photo with this score.
    #[must_use]
    pub fn decide(&self, score: f32) -> Decision {
        if score >= self.score {
            Decision::Defect
        } else if self.review.is_some_and(|review| score >= review) {
            Decision::Review
        } else {
            Decision::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_at_a_threshold_reach_it() {
        let two = DecisionThresholds::UNCALIBRATED;
        let three = DecisionThresholds {
            review: Some(0.25),
            ..two
        };
        for (score, with_review, without) in [
            (0.5, Decision::Defect, Decision::Defect),
            (0.5_f32.next_down(), Decision::Review, Decision::Ok),
            (0.25, Decision::Review, Decision::Ok),
            (0.25_f32.next_down(), Decision::Ok, Decision::Ok),
        ] {
            assert_eq!(
                (three.decide(score), two.decide(score)),
                (with_review, without)
            );
            let word = serde_json::to_string(&with_review).unwrap();
            assert_eq!(word, format!("{:?}", with_review.word()));
        }
        assert!(three.check().is_ok() && two.check().is_ok());
        let above = DecisionThresholds {
            review: Some(0.51),
            ..two
        };
        assert!(above.check().is_err());
    }
}
