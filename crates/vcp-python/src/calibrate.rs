//! Thresholds from photos.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use vcp_clip::calibration::statistics::FalseAlarmTarget;
use vcp_clip::calibration::{Aim, CalibrationDocument, FitOptions, Label, Measurements, Viewing};
use vcp_clip::pipeline::{Pipeline, guarded};
use vcp_clip::{Error, Inspector, Stop};

use crate::engine::{Engine, Loaded, decoding};
use crate::errors::{Failure, Kind};
use crate::source::Source;
use crate::work::{on_own_threads, work};

/// What thresholds are to be, as the package's Python gives it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Wanted {
    /// From good photos alone, even where there are bad ones.
    few_alarms: bool,
    false_alarms_per_image: f64,
    false_alarms_per_pixel: f64,
    confidence: f64,
    review: Option<f64>,
    target_recall: Option<f64>,
    data: String,
}

/// A photo with what is known of it.
struct Sample {
    photo: Source,
    is_bad: bool,
    /// Of bad ones, where the defects are, if that is known.
    mask: Option<Source>,
}

/// Thresholds that suit photos: the calibration as JSON, what it means, and what is wrong with single photos.
/// `bad` are pairs of a photo and its mask or None.
#[pyfunction]
pub(crate) fn calibrate(
    py: Python<'_>,
    engine: &Bound<'_, Engine>,
    good: Vec<Bound<'_, PyTuple>>,
    bad: Vec<(Bound<'_, PyTuple>, Option<Bound<'_, PyTuple>>)>,
    wanted: Wanted,
) -> PyResult<Calibrated> {
    let engine = engine.get();
    engine.check()?;
    let mut samples = Vec::with_capacity(good.len() + bad.len());
    for photo in &good {
        samples.push(Sample {
            photo: Source::of(photo)?,
            is_bad: false,
            mask: None,
        });
    }
    for (photo, mask) in &bad {
        samples.push(Sample {
            photo: Source::of(photo)?,
            is_bad: true,
            mask: mask.as_ref().map(Source::of).transpose()?,
        });
    }
    let loaded = Arc::clone(&engine.loaded);
    work(py, move |stop| found(&loaded, samples, &wanted, stop))
}

/// A document, what it means, and problems.
type Calibrated = (String, Vec<String>, Vec<String>);

fn found(
    loaded: &Arc<Loaded>,
    samples: Vec<Sample>,
    wanted: &Wanted,
    stop: &Stop,
) -> Result<Calibrated, Failure> {
    if loaded.has_given_references {
        return Err(Failure::new(
            Kind::Input,
            "Thresholds go with reference photos that are stored with them: `vcp-clip calibrate --references all \
             --out NAME.safetensors` makes such a bundle.",
        ));
    }
    let has_bad = samples.iter().any(|sample| sample.is_bad);
    let has_masks = samples.iter().any(|sample| sample.mask.is_some());
    let aim = match wanted.target_recall {
        Some(recall) => Aim::Recall(recall),
        None if has_bad && !wanted.few_alarms => Aim::F1,
        None => Aim::FalseAlarms,
    };
    let fit = FitOptions {
        aim,
        false_alarms: FalseAlarmTarget {
            rate: wanted.false_alarms_per_image,
            confidence: wanted.confidence,
        },
        allowed_pixels: wanted.false_alarms_per_pixel,
        review: wanted.review,
    };
    let mut found = Measurements::new(fit, has_masks).map_err(Error::from)?;
    let model = loaded.model.open().map_err(Error::from)?;
    let inspector = inspector(loaded);
    let (labels, photos): (Vec<_>, Vec<_>) = samples
        .into_iter()
        .map(|sample| ((sample.is_bad, sample.mask), sample.photo))
        .unzip();
    let decoding = decoding(loaded, &photos);
    let (decoder, among) = (inspector.clone(), decoding.clone());
    let decode = move |photo: Source| {
        let name = photo.label();
        let decoded = guarded(|| {
            let identity = photo.identity()?;
            Ok::<_, Error>((identity, photo.decode_among(&decoder, &among)?))
        });
        (name, decoded)
    };
    let (model_of, stopped) = (inspector.clone(), stop.clone());
    let compute = move |(name, decoded): (String, Result<_, Error>)| {
        let inspected = decoded.and_then(|(identity, photo)| {
            let mut watch = |_, _| stopped.flow();
            Ok((identity, model_of.inspect_decoded(photo, &mut watch)?))
        });
        (name, inspected)
    };
    let mut problems = Vec::new();
    let mut pipeline = Pipeline::start(photos.into_iter(), decode, compute, stop)?;
    for ((name, inspected), (is_bad, mask)) in pipeline.by_ref().zip(labels) {
        let add = || -> Result<(), Error> {
            let (identity, inspection) = inspected?;
            let mask = mask.map(|mask| mask.mask(inspector.decode_options()));
            let label = match mask.transpose()? {
                mask if is_bad => Label::Anomalous { mask },
                _ => Label::Normal,
            };
            Ok(found.add(&identity, &inspection, &label)?)
        };
        match add() {
            // It is good, but says nothing about others.
            Ok(()) | Err(Error::OnlyReference) => {}
            Err(error) => {
                found.count_failure();
                problems.push(format!("{name}: {}", error.sentence()));
            }
        }
    }
    pipeline.finish()?;
    let thresholds = on_own_threads(loaded.threads, || Ok(found.fit().map_err(Error::from)?))?;
    let viewing = Viewing {
        references: inspector.references_digest().map(str::to_owned),
        ..loaded.options.viewing()
    };
    let (bits, today) = (decoding.bits(), vcp_files::today());
    let calibration = found.calibration(&thresholds, &wanted.data, &viewing, bits, today);
    let document = CalibrationDocument::new(calibration, &thresholds, &found, model.weights());
    let json = serde_json::to_string_pretty(&document).map_err(|_| Failure::internal())?;
    Ok((json, thresholds.sentences(&found), problems))
}

/// That by which photos are measured: each of the reference photos without itself.
fn inspector(loaded: &Loaded) -> Inspector {
    let inspector = loaded.inspector.clone();
    match inspector.references() {
        Some(_) => inspector.leaving_out_own(),
        None => inspector,
    }
}
