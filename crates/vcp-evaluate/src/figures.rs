//! The figures of a category, by the names they have in result files.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vcp_metrics::Outcome;

/// Why figures are missing, by the figure's name.
pub type Undefined = BTreeMap<String, String>;

/// What a figure is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The figure's name in result files.
    pub key: &'static str,
    /// The figure's heading in tables.
    pub title: &'static str,
    /// What the figure says, in one sentence.
    pub help: &'static str,
    /// Whether the figure is a fraction of 1 that tables show as percent; thresholds are not.
    pub is_percent: bool,
}

macro_rules! figures {
    ($($name:ident, $title:literal, $is_percent:literal, $help:literal;)*) => {
        /// Fractions of 1 (thresholds: in the unit of the scaled maps and scores); `None` where the
        /// data define none.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct Figures {
            $(#[doc = $help] #[serde(default)] pub $name: Option<f64>,)*
        }

        impl Figures {
            /// Every figure, in the order of the result files.
            pub const COLUMNS: &'static [Column] = &[$(Column {
                key: stringify!($name),
                title: $title,
                help: $help,
                is_percent: $is_percent,
            },)*];

            /// The figure with this name; `None` also for names that no figure has.
            #[must_use]
            pub fn get(&self, key: &str) -> Option<f64> {
                match key {
                    $(stringify!($name) => self.$name,)*
                    _ => None,
                }
            }

            /// Figures from a rule that gives each by its name.
            pub fn from_fn(mut figure: impl FnMut(&'static str) -> Option<f64>) -> Self {
                Self { $($name: figure(stringify!($name)),)* }
            }
        }
    };
}

figures! {
    pixel_auroc, "pixel AUROC", true,
        "Area under the receiver operating characteristic of all pixels.";
    pixel_ap, "AP", true,
        "Average precision of all pixels.";
    pixel_f1_max, "F1-max", true,
        "The largest F1 that any threshold gives for all pixels.";
    pixel_iou, "IoU", true,
        "Intersection over union of the pixels above the threshold of the largest F1.";
    threshold, "threshold", false,
        "The threshold of the largest pixel F1, on maps scaled over the category.";
    aupro_200, "AUPRO (200)", true,
        "Area under the per-region overlap as the official code computes it: 200 evenly spaced \
         thresholds unless stated otherwise, false-positive rates below the limit, stretched to 0..1.";
    aupro_exact, "AUPRO (exact)", true,
        "Area under the per-region overlap as MVTec defines it: every threshold, the integral up to \
         the limit over the limit. Another number than AUPRO (200).";
    aupimo, "AUPIMO", true,
        "Area under the per-image overlap, validated on normal images; the mean over the anomalous \
         images.";
    image_auroc, "image AUROC", true,
        "Area under the receiver operating characteristic of the image scores.";
    image_ap, "image AP", true,
        "Average precision of the image scores.";
    image_f1_max, "image F1-max", true,
        "The largest F1 that any threshold gives for the image scores.";
    image_threshold, "image threshold", false,
        "The threshold of the largest image F1, on scores scaled over the category.";
}

impl Figures {
    /// Figures from the outcomes of metrics, the reasons for those that are missing, and how far
    /// those may be off that were counted in fixed memory.
    pub(crate) fn of_outcomes(
        outcomes: &BTreeMap<&'static str, Outcome>,
    ) -> (Self, Undefined, BTreeMap<String, f64>) {
        let mut undefined = Undefined::new();
        let mut bounds = BTreeMap::new();
        let figures = Self::from_fn(|key| match outcomes.get(key) {
            Some(Ok(figure)) => {
                if figure.error_bound > 0.0 {
                    bounds.insert(key.to_owned(), figure.error_bound);
                }
                Some(figure.value)
            }
            Some(Err(reason)) => {
                let reason = reason.to_string();
                let reason = reason.trim_start_matches("undefined: ");
                undefined.insert(key.to_owned(), reason.to_owned());
                None
            }
            None => None,
        });
        (figures, undefined, bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_figures() {
        let figures = Figures::from_fn(|key| Some(key.len() as f64));
        for column in Figures::COLUMNS {
            assert_eq!(
                figures.get(column.key),
                Some(column.key.len() as f64),
                "{}",
                column.key
            );
        }
        assert_eq!(figures.get("pixel"), None);
    }
}
