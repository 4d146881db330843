//! What thresholds are fitted for.

use super::statistics::FalseAlarmTarget;

/// What thresholds are chosen for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    /// Few false alarms; good photos are enough.
    FalseAlarms,
    /// The best F1.
    F1,
    /// Few misses: the fraction of the anomalous photos, and of the pixels in their masks, that is to be
    /// found.
    Recall(f64),
}

/// How thresholds are fitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitOptions {
    /// What they are chosen for.
    pub aim: Aim,
    /// What is allowed of good photos, where good photos decide.
    pub false_alarms: FalseAlarmTarget,
    /// Fraction of a good photo's pixels that may be marked.
    pub allowed_pixels: f64,
    /// The largest fraction of good photos that people are willing to review, those reported among them, with the
    /// confidence of `false_alarms`; `None` for two outcomes only.
    pub review: Option<f64>,
}

impl Default for FitOptions {
    /// Few false alarms: with 95 % confidence, at most 5 % of good photos, a thousandth of their pixels; and 20 % of
    /// good photos to be reviewed or reported.
    fn default() -> Self {
        Self {
            aim: Aim::FalseAlarms,
            false_alarms: FalseAlarmTarget {
                rate: 0.05,
                confidence: 0.95,
            },
            allowed_pixels: 0.001,
            review: Some(0.2),
        }
    }
}
