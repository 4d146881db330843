//! The constants of an evaluation.

use std::num::NonZero;

use serde::{Serialize, Serializer};
use serde_json::json;
use vcp_checkpoint::{Calibration, Settings};
use vcp_image::{Bits, DecodeOptions, PageChoice};
use vcp_metrics::PixelOptions;
use vcp_predict::PredictorOptions;
use vcp_predict::references::Copies;
use vcp_predict::tiling::Tiling;

/// Everything about an evaluation but the model and the data. The defaults are the official code's,
/// and for AUPIMO its authors'.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Protocol {
    /// Shares of branch 1 and branch 2 in the map.
    #[serde(serialize_with = "shortest_pair")]
    pub blend: [f32; 2],
    /// Standard deviation of the smoothing in pixels of the map; 0 for none.
    #[serde(serialize_with = "shortest")]
    pub smoothing: f32,
    /// How many of a branch's largest pixels make the image score. `None`: 2000 at 518 pixels a side
    /// as in the official code, at other sizes in proportion to the area.
    pub score_pixels: Option<NonZero<usize>>,
    /// Both AUPRO figures end at this false-positive rate.
    pub aupro_limit: f64,
    /// Evenly spaced thresholds of the official AUPRO.
    pub aupro_steps: usize,
    /// AUPIMO's bounds of the false-positive rate.
    pub aupimo_bounds: [f64; 2],
    /// Whether images are turned as their metadata say. The official code does not.
    pub apply_orientation: bool,
    /// Most pixels an image may have.
    pub max_pixels: u64,
    /// How many bits of 16-bit samples hold the brightness.
    #[serde(serialize_with = "number_of_bits", skip_serializing_if = "is_open")]
    pub bits: Bits,
    /// Whether pixels are counted in fixed memory, every figure to within 1e-4, instead of sorted.
    pub streaming: bool,
    /// Whether each type of defect is also judged alone, against all normal images.
    pub by_defect: bool,
    /// How images are cut into windows, if they are. Their maps are then brought from the photo's
    /// resolution to the model's image size.
    #[serde(
        serialize_with = "plain_tiling",
        skip_serializing_if = "Option::is_none"
    )]
    pub tiling: Option<Tiling>,
    /// The split that is evaluated, in words.
    pub split: String,
    /// Most images of a category, spread evenly over its list; all if `None`.
    pub limit: Option<NonZero<usize>>,
    /// The good photos of each category that its images are compared with, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<FewShot>,
    /// The memory of reference photos stored with the model, by its digest, if images are compared with those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Thresholds that were found for the model beforehand. They change none of the official
    /// figures; what they make of the images stands beside those.
    #[serde(
        serialize_with = "shortest_calibration",
        skip_serializing_if = "Option::is_none"
    )]
    pub calibration: Option<Calibration>,
}

/// How the good photos are chosen that images are compared with, as the field's few-shot protocol has it: at random among
/// the normal images of the category's train split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FewShot {
    /// How many of each category.
    pub count: NonZero<usize>,
    /// They are a function of this seed.
    pub seed: u64,
    /// What is remembered of each beside itself.
    #[serde(serialize_with = "word", skip_serializing_if = "is_nothing")]
    pub copies: Copies,
}

// By reference, because that is how serde calls them.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn word<S: Serializer>(copies: &Copies, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(copies.word())
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_nothing(copies: &Copies) -> bool {
    *copies == Copies::None
}

impl Default for Protocol {
    fn default() -> Self {
        let predictor = PredictorOptions::default();
        let pixels = PixelOptions::default();
        Self {
            blend: Settings::default().blend,
            smoothing: predictor.smoothing,
            score_pixels: None,
            aupro_limit: pixels.fpr_limit,
            aupro_steps: pixels.aupro_steps,
            aupimo_bounds: pixels.aupimo_bounds,
            apply_orientation: false,
            max_pixels: DecodeOptions::default().max_pixels,
            bits: Bits::Auto,
            streaming: false,
            by_defect: false,
            tiling: None,
            split: "test".to_owned(),
            limit: None,
            references: None,
            memory: None,
            calibration: None,
        }
    }
}

impl Protocol {
    /// What the predictor has to be made with.
    #[must_use]
    pub fn predictor_options(&self, threads: Option<NonZero<usize>>) -> PredictorOptions {
        PredictorOptions {
            threads,
            blend: Some(self.blend),
            smoothing: self.smoothing,
            score_pixels: self.score_pixels,
            instruction_set: None,
        }
    }

    /// How images and masks are decoded.
    #[must_use]
    pub fn decode_options(&self) -> DecodeOptions {
        DecodeOptions {
            apply_orientation: self.apply_orientation,
            max_pixels: self.max_pixels,
            bits: self.bits,
            page: PageChoice::Photo,
        }
    }

    /// The constants of the pixel metrics.
    #[must_use]
    pub fn pixel_options(&self) -> PixelOptions {
        PixelOptions {
            fpr_limit: self.aupro_limit,
            aupro_steps: self.aupro_steps,
            aupimo_bounds: self.aupimo_bounds,
            ..PixelOptions::default()
        }
    }

    /// Refuses constants with which no figures can be computed, before any work is done.
    ///
    /// # Errors
    /// [`Error::Metrics`](crate::Error::Metrics) that names the constant and its range.
    pub fn check(&self) -> Result<(), crate::Error> {
        vcp_metrics::Collector::new(self.pixel_options())?;
        Ok(())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_open(bits: &Bits) -> bool {
    *bits == Bits::Auto
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn number_of_bits<S: Serializer>(bits: &Bits, serializer: S) -> Result<S::Ok, S::Error> {
    let depth = match bits {
        Bits::Auto => None,
        Bits::Settled(depth) | Bits::Fixed(depth) => Some(depth.bits()),
    };
    depth.serialize(serializer)
}

/// The number that a reader would write: 0.2, not what is left of it in single precision.
fn readable(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn shortest<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    readable(*value).serialize(serializer)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn shortest_pair<S: Serializer>(values: &[f32; 2], serializer: S) -> Result<S::Ok, S::Error> {
    values.map(readable).serialize(serializer)
}

#[expect(clippy::ref_option, reason = "serde's form")]
fn shortest_calibration<S: Serializer>(
    calibration: &Option<Calibration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let value = calibration.as_ref().map(|it| {
        let range = [it.range.0, it.range.1];
        let mut value = json!({
            "score_threshold": readable(it.score_threshold),
            "pixel_threshold": readable(it.pixel_threshold),
            "range": range.map(readable),
            "data": it.data,
            "date": it.date,
            "images": it.images,
            "apply_orientation": it.apply_orientation,
        });
        if let Some(bits) = it.bits {
            value["bits"] = json!(bits);
        }
        if let Some(windows) = it.windows {
            value["windows"] = json!({
                "tile": windows.tile,
                "overlap": windows.overlap,
                "global_weight": readable(windows.global_weight),
            });
        }
        value
    });
    value.serialize(serializer)
}

#[expect(clippy::ref_option, reason = "serde's form")]
fn plain_tiling<S: Serializer>(tiling: &Option<Tiling>, serializer: S) -> Result<S::Ok, S::Error> {
    let value = tiling.map(|it| {
        json!({
            "tile": it.tile(),
            "overlap": it.overlap(),
            "global_weight": readable(it.global_weight()),
        })
    });
    value.serialize(serializer)
}
