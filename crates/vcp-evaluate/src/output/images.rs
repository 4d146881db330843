//! Files written for each image: strips and arrays.

use std::path::Path;

use vcp_dataset::{Label, MaskSource, Sample};
use vcp_files::with_suffix;
use vcp_image::{DecodeOptions, Picture, PlainMap, encode_npy};
use vcp_report::Case;

use super::put;
use crate::category::{CategoryReport, CategoryResult};
use crate::error::Error;
use crate::evaluation::Evaluation;
use crate::image::Seen;
use crate::judge::Observed;
use crate::protocol::Protocol;

/// A kind of file that is written for each image of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageFile {
    /// `strips/DATASET/IMAGE.png`: photo, truth, map and thresholded map side by side
    /// ([`vcp_report::strip`]).
    Strips,
    /// `maps/DATASET/IMAGE.map.npy`, `.branch1.npy` and `.branch2.npy`: the maps before scaling, of images
    /// that were processed whole; for others none are written.
    Npy,
}

impl ImageFile {
    /// The name under which records of finished categories remember it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strips => "Strips",
            Self::Npy => "Npy",
        }
    }
}

/// Writes what was asked for, for the images of a category. `places` says where, for each of `observed`.
pub(crate) fn save(
    run: &Evaluation,
    observed: &[Observed],
    places: &[&Path],
    report: &CategoryReport,
) -> Result<(), Error> {
    for (image, place) in observed.iter().zip(places) {
        for kind in &run.image_files {
            match kind {
                ImageFile::Npy => {
                    let Seen::Logits(logits) = &image.look.seen else {
                        continue;
                    };
                    let prediction = run.predictor.finish(logits)?;
                    let base = run.folder.join("maps").join(place);
                    for (suffix, values) in [
                        (".map.npy", &prediction.blended),
                        (".branch1.npy", &prediction.branch1),
                        (".branch2.npy", &prediction.branch2),
                    ] {
                        let map = PlainMap::new(values, prediction.side);
                        put(&with_suffix(&base, suffix), |file| encode_npy(&map, file))?;
                    }
                }
                ImageFile::Strips => {
                    let path = with_suffix(&run.folder.join("strips").join(place), ".png");
                    let drawn = strip(run, image, report);
                    let picture = drawn.map_err(|source| Error::Draw {
                        path: path.clone(),
                        source: Box::new(source),
                    })?;
                    put(&path, |file| picture.encode_png(file))?;
                }
            }
        }
    }
    Ok(())
}

/// The official four panels.
fn strip(run: &Evaluation, image: &Observed, report: &CategoryReport) -> Result<Picture, Error> {
    let (result, predictor) = (&report.result, &run.predictor);
    let case = case(
        &image.sample,
        result,
        image.look.seen.map(predictor)?.into_owned(),
        predictor.image_size(),
        image.look.score,
        &run.protocol.decode_options(),
    )?;
    // Without anomalous pixels there is no best threshold, and nothing is shown as a defect.
    let threshold = result.row.figures.threshold.unwrap_or(f64::INFINITY);
    let range = color_range(result, &run.protocol);
    Ok(vcp_report::strip(&case, threshold, range)?)
}

/// Values on a category's scale at the two ends of the colours: those of the calibration, so that
/// pictures compare between categories, else the ends of the category's own scale, so that they
/// compare between its images.
pub(super) fn color_range(result: &CategoryResult, protocol: &Protocol) -> (f32, f32) {
    let calibration = protocol.calibration.as_ref();
    let range = calibration.and_then(|it| result.scaled_range(it.range));
    range.unwrap_or((0.0, 1.0))
}

/// An image with its map and truth, to be drawn. Reads image and mask once more. `map` and `score` are on
/// the model's own scale; the case has them scaled over the category, as the figures do.
pub(super) fn case(
    sample: &Sample,
    result: &CategoryResult,
    map: Vec<f32>,
    side: usize,
    score: f32,
    options: &DecodeOptions,
) -> Result<Case, Error> {
    let photo = sample.load_image(options)?;
    let has_mask = sample.label == Label::Anomalous && sample.mask != MaskSource::Unknown;
    let truth = if has_mask {
        Some(sample.load_mask(photo.width(), photo.height(), options)?)
    } else {
        None
    };
    Ok(Case {
        title: sample.id.clone(),
        path: sample.image.display().to_string(),
        score: f64::from(result.scaled_score(score)),
        photo,
        map: result.scaled(map),
        side,
        truth,
    })
}
