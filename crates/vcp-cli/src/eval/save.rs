//! Files written for each image: strips and arrays.

use std::path::Path;

use anyhow::Context;
use vcp_evaluate::{CategoryReport, Observed};
use vcp_predict::{Prediction, Predictor};

use super::cases;
use super::options::Options;
use crate::args::EvalSave;
use crate::files::{with_suffix, write_npy};

/// Writes what was asked for. `places` says where, for each of `observed`.
pub(super) fn save(
    options: &Options,
    predictor: &Predictor,
    observed: &[Observed],
    places: &[&Path],
    report: &CategoryReport,
) -> anyhow::Result<()> {
    if options.save.is_empty() {
        return Ok(());
    }
    for (image, place) in observed.iter().zip(places) {
        let prediction = predictor.finish(&image.look.logits)?;
        for kind in &options.save {
            match kind {
                EvalSave::Npy => {
                    let base = options.out.join("maps").join(place);
                    for (suffix, values) in [
                        (".map.npy", &prediction.blended),
                        (".branch1.npy", &prediction.branch1),
                        (".branch2.npy", &prediction.branch2),
                    ] {
                        let path = with_suffix(&base, suffix);
                        write_npy(&path, values, prediction.side)
                            .with_context(|| format!("{} cannot be written", path.display()))?;
                    }
                }
                EvalSave::Strips => {
                    let path = with_suffix(&options.out.join("strips").join(place), ".png");
                    strip(options, image, report, &prediction, &path)
                        .with_context(|| format!("{} cannot be drawn", path.display()))?;
                }
            }
        }
    }
    Ok(())
}

/// The official four panels.
fn strip(
    options: &Options,
    image: &Observed,
    report: &CategoryReport,
    prediction: &Prediction,
    path: &Path,
) -> anyhow::Result<()> {
    let result = &report.result;
    let case = cases::case(
        &image.sample,
        result,
        prediction.blended.clone(),
        prediction.side,
        prediction.score,
        &options.protocol.decode_options(),
    )?;
    // Without anomalous pixels there is no best threshold, and nothing is shown as a defect.
    let threshold = result.row.figures.threshold.unwrap_or(f64::INFINITY);
    let range = cases::color_range(result, &options.protocol);
    let picture = vcp_report::strip(&case, threshold, range)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    picture.write_png(path)?;
    Ok(())
}
