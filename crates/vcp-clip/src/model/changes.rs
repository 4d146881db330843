//! Settings that a user wants otherwise than the bundle, or the defaults, have them.

use vcp_checkpoint::{Activation, Precision, Settings};

use crate::calibration::Mismatch;

/// What to set otherwise than the bundle, or the defaults for its geometry, say. Nothing, by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SettingChanges {
    /// Vision blocks whose output is used, counted from 1; unchanged if empty.
    pub taps: Vec<usize>,
    /// Side in pixels to which photos are resized.
    pub image_size: Option<usize>,
    /// Texts about good products; unchanged if empty.
    pub normal_templates: Vec<String>,
    /// Texts about defective products; unchanged if empty.
    pub anomalous_templates: Vec<String>,
    /// Activation function of both towers.
    pub activation: Option<Activation>,
    /// Whether the context vectors depend on the photo.
    pub global_context: Option<bool>,
    /// Fractions of the largest pixels that make the score; unchanged if empty.
    pub score_fractions: Vec<f32>,
    /// The numbers that the products of the vision tower are computed with.
    pub precision: Option<Precision>,
}

impl SettingChanges {
    /// Settings with these changes.
    #[must_use]
    pub fn apply(&self, mut settings: Settings) -> Settings {
        if !self.taps.is_empty() {
            settings.taps.clone_from(&self.taps);
        }
        if let Some(image_size) = self.image_size {
            settings.image_size = image_size;
        }
        if !self.normal_templates.is_empty() {
            settings.normal_templates.clone_from(&self.normal_templates);
        }
        if !self.anomalous_templates.is_empty() {
            settings
                .anomalous_templates
                .clone_from(&self.anomalous_templates);
        }
        if let Some(activation) = self.activation {
            settings.activation = activation;
        }
        if let Some(global_context) = self.global_context {
            settings.global_context = global_context;
        }
        if !self.score_fractions.is_empty() {
            settings.score_fractions.clone_from(&self.score_fractions);
        }
        if let Some(precision) = self.precision {
            settings.precision = precision;
        }
        settings
    }
}

/// In which way a model's settings differ from those that its calibration was found with, if they do. Narrower numbers give
/// nearly the same maps, so thresholds hold for them too.
pub(super) fn difference(found_with: &Settings, now: &Settings) -> Option<Mismatch> {
    let with_its_precision = Settings {
        precision: found_with.precision,
        ..now.clone()
    };
    if *found_with == with_its_precision {
        None
    } else if found_with.image_size != now.image_size {
        Some(Mismatch::ImageSize)
    } else if found_with.taps != now.taps {
        Some(Mismatch::Taps)
    } else if found_with.activation != now.activation {
        Some(Mismatch::Activation)
    } else if found_with.global_context != now.global_context {
        Some(Mismatch::Context)
    } else if found_with.normal_templates != now.normal_templates
        || found_with.anomalous_templates != now.anomalous_templates
    {
        Some(Mismatch::Templates)
    } else if found_with.score_fractions != now.score_fractions {
        Some(Mismatch::ScoreFractions)
    } else {
        Some(Mismatch::Blend)
    }
}
