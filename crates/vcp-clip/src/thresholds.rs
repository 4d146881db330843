//! What the model's values are compared with.

use vcp_checkpoint::Calibration;

/// What the values of maps and scores are compared with, all on the model's own scale, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecisionThresholds {
    /// A photo with at least this score is anomalous.
    pub score: f32,
    /// A pixel with at least this value belongs to a defect.
    pub pixel: f32,
    /// Values at the two ends of the colour scale.
    pub range: (f32, f32),
}

/// Thresholds that a user gives; what is `None` comes from the model's calibration, if it has one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ThresholdOptions {
    /// A photo with at least this score is anomalous.
    pub score: Option<f32>,
    /// A pixel with at least this value belongs to a defect.
    pub pixel: Option<f32>,
    /// Values at the two ends of the colour scale.
    pub range: Option<(f32, f32)>,
}

impl ThresholdOptions {
    /// Refuses what nothing can be compared with.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let values = [self.score, self.pixel];
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
        pixel: 0.5,
        range: (0.0, 1.0),
    };

    /// What was asked for, else what the model was calibrated to, else
    /// [`DecisionThresholds::UNCALIBRATED`].
    #[must_use]
    pub fn settle(options: &ThresholdOptions, calibration: Option<&Calibration>) -> Self {
        let usual = calibration.map_or(Self::UNCALIBRATED, |calibration| Self {
            score: calibration.score_threshold,
            pixel: calibration.pixel_threshold,
            range: calibration.range,
        });
        Self {
            score: options.score.unwrap_or(usual.score),
            pixel: options.pixel.unwrap_or(usual.pixel),
            range: options.range.unwrap_or(usual.range),
        }
    }
}
