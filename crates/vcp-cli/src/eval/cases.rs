//! An image with its map and truth, to be drawn.

use vcp_dataset::{Label, MaskSource, Sample};
use vcp_evaluate::{CategoryResult, Protocol};
use vcp_image::DecodeOptions;
use vcp_report::Case;

/// Values on a category's scale at the two ends of the colours: those of the calibration, so that
/// pictures compare between categories, else the ends of the category's own scale, so that they
/// compare between its images.
pub(super) fn color_range(result: &CategoryResult, protocol: &Protocol) -> (f32, f32) {
    let calibration = protocol.calibration.as_ref();
    let range = calibration.and_then(|it| result.scaled_range(it.range));
    range.unwrap_or((0.0, 1.0))
}

/// Reads image and mask once more. `map` and `score` are on the model's own scale; the case has them
/// scaled over the category, as the figures do.
pub(super) fn case(
    sample: &Sample,
    result: &CategoryResult,
    map: Vec<f32>,
    side: usize,
    score: f32,
    options: &DecodeOptions,
) -> anyhow::Result<Case> {
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
