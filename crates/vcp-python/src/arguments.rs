//! What an inspector is made with, as the package's Python gives it: every key is there, its type and bounds have
//! been checked.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use pyo3::prelude::*;
use vcp_checkpoint::{Activation, Precision};
use vcp_clip::calibration::{CalibrationDocument, CalibrationSource};
use vcp_clip::model::SettingChanges;
use vcp_clip::references::Copies;
use vcp_clip::{
    Bits, DecodeOptions, DeviceName, InspectionMask, InspectorOptions, ModelName, ModelOptions,
    PageChoice, Photo, PredictorOptions, SampleDepth, ThresholdOptions, Tiling,
};

use crate::errors::{Failure, Kind};

/// A mask, from a file or as width, height and pixels.
#[derive(FromPyObject)]
pub(crate) enum Mask {
    Pixels(usize, usize, Vec<u8>),
    File(PathBuf),
}

#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the options of a command"
)]
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Arguments {
    model: PathBuf,
    clip: Option<PathBuf>,
    checkpoint: Option<PathBuf>,
    cache: Option<PathBuf>,
    device: String,
    threads: Option<NonZeroUsize>,
    taps: Vec<usize>,
    image_size: Option<usize>,
    normal_templates: Vec<String>,
    anomalous_templates: Vec<String>,
    activation: Option<String>,
    global_context: Option<bool>,
    score_fractions: Vec<f32>,
    precision: Option<String>,
    ignore_unknown_tensors: bool,
    no_cost_limit: bool,
    calibration: Option<PathBuf>,
    calibration_document: Option<String>,
    pub(crate) references: Option<Vec<PathBuf>>,
    pub(crate) no_references: bool,
    reference_copies: String,
    tile: Option<usize>,
    overlap: f64,
    global_weight: f32,
    inspect_mask: Option<Mask>,
    ignore_mask: Option<Mask>,
    min_area: u64,
    score_threshold: Option<f32>,
    review_threshold: Option<f32>,
    pixel_threshold: Option<f32>,
    range: Option<(f32, f32)>,
    apply_orientation: bool,
    max_pixels: u64,
    bits: Option<u32>,
    page: Option<u32>,
}

impl Arguments {
    /// Which model, and what to change about it.
    pub(crate) fn model(&self) -> Result<ModelOptions, Failure> {
        let name = match (&self.clip, &self.checkpoint) {
            (Some(clip), Some(checkpoint)) => ModelName::Parts {
                clip: clip.clone(),
                checkpoint: checkpoint.clone(),
            },
            _ => ModelName::parse(&self.model, self.cache.as_deref())
                .map_err(vcp_clip::Error::from)?,
        };
        let activation = match self.activation.as_deref() {
            None => None,
            Some("quickgelu") => Some(Activation::QuickGelu),
            Some(_) => Some(Activation::Gelu),
        };
        Ok(ModelOptions {
            name,
            changes: SettingChanges {
                taps: self.taps.clone(),
                image_size: self.image_size,
                normal_templates: self.normal_templates.clone(),
                anomalous_templates: self.anomalous_templates.clone(),
                activation,
                global_context: self.global_context,
                score_fractions: self.score_fractions.clone(),
                precision: self.precision.as_deref().map(|name| match name {
                    "bf16" => Precision::Bf16,
                    "int8" => Precision::Int8,
                    _ => Precision::F32,
                }),
            },
            ignore_unknown_tensors: self.ignore_unknown_tensors,
        })
    }

    pub(crate) fn device(&self) -> Result<DeviceName, Failure> {
        self.device.parse().map_err(|error| {
            Failure::new(
                Kind::Input,
                format!("There is no device {}: {error}.", self.device),
            )
        })
    }

    pub(crate) fn threads(&self) -> Option<NonZeroUsize> {
        self.threads
    }

    /// How photos are inspected; of reference photos only how many copies are remembered.
    pub(crate) fn inspector(&self) -> Result<InspectorOptions, Failure> {
        let decode = self.decode();
        let tiling = self
            .tile
            .map(|tile| Tiling::new(tile, self.overlap, self.global_weight));
        let calibration = match (&self.calibration, &self.calibration_document) {
            (Some(path), _) => Some(CalibrationSource::File(path.clone())),
            (None, Some(text)) => Some(CalibrationSource::Document(Box::new(document(text)?))),
            (None, None) => None,
        };
        Ok(InspectorOptions {
            predictor: PredictorOptions {
                threads: self.threads,
                ..PredictorOptions::default()
            },
            tiling: tiling.transpose().map_err(vcp_clip::Error::from)?,
            mask: self.mask(&decode)?,
            decode,
            min_area: self.min_area,
            thresholds: ThresholdOptions {
                score: self.score_threshold,
                review: self.review_threshold,
                pixel: self.pixel_threshold,
                range: self.range,
            },
            calibration,
            reference_copies: match self.reference_copies.as_str() {
                "mirrored" => Copies::Mirrored,
                "turned" => Copies::Turned,
                _ => Copies::None,
            },
            no_cost_limit: self.no_cost_limit,
            ..InspectorOptions::default()
        })
    }

    fn decode(&self) -> DecodeOptions {
        DecodeOptions {
            apply_orientation: self.apply_orientation,
            max_pixels: self.max_pixels,
            bits: match self.bits.and_then(SampleDepth::of) {
                Some(depth) => Bits::Fixed(depth),
                None => Bits::Auto,
            },
            page: self.page.map_or(PageChoice::Photo, PageChoice::Number),
        }
    }

    fn mask(&self, decode: &DecodeOptions) -> Result<Option<InspectionMask>, Failure> {
        let of_file = |mask: &'_ Option<Mask>| match mask {
            Some(Mask::File(path)) => Some(path.clone()),
            _ => None,
        };
        let of_pixels = |mask: &Option<Mask>| match mask {
            Some(Mask::Pixels(width, height, pixels)) => {
                Some(Photo::from_grey(*width, *height, pixels.clone()))
            }
            _ => None,
        };
        let both = [&self.inspect_mask, &self.ignore_mask];
        let files = both.map(of_file);
        let photos = both.map(of_pixels);
        if files.iter().any(Option::is_some) && photos.iter().any(Option::is_some) {
            return Err(Failure::new(
                Kind::Input,
                "One mask is a file and the other an array; give both in the same way.",
            ));
        }
        let [inspect, ignore] = photos;
        let (inspect, ignore) = (inspect.transpose()?, ignore.transpose()?);
        let mask = if inspect.is_some() || ignore.is_some() {
            InspectionMask::of(inspect.as_ref(), ignore.as_ref())
        } else {
            InspectionMask::open(files[0].as_deref(), files[1].as_deref(), decode)
        };
        Ok(mask.map_err(vcp_clip::Error::from)?)
    }
}

fn document(text: &str) -> Result<CalibrationDocument, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::new(
            Kind::Model,
            format!("What is given as a calibration is none: {error}. `calibrate` makes one."),
        )
    })
}
