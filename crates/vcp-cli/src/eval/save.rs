//! Files written for each image: strips and arrays.

use std::path::Path;

use anyhow::Context;
use vcp_evaluate::{CategoryReport, Observed, Seen};
use vcp_predict::Predictor;

use super::cases;
use super::options::Options;
use crate::args::EvalSave;
use crate::files::{with_suffix, write_npy, write_picture};

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
        for kind in &options.save {
            match kind {
                EvalSave::Npy => {
                    // The options allow it only for images that are looked at whole.
                    let Seen::Logits(logits) = &image.look.seen else {
                        continue;
                    };
                    let prediction = predictor.finish(logits)?;
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
                    strip(options, predictor, image, report, &path)
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
    predictor: &Predictor,
    image: &Observed,
    report: &CategoryReport,
    path: &Path,
) -> anyhow::Result<()> {
    let result = &report.result;
    let case = cases::case(
        &image.sample,
        result,
        image.look.seen.map(predictor)?.into_owned(),
        predictor.image_size(),
        image.look.score,
        &options.protocol.decode_options(),
    )?;
    // Without anomalous pixels there is no best threshold, and nothing is shown as a defect.
    let threshold = result.row.figures.threshold.unwrap_or(f64::INFINITY);
    let range = cases::color_range(result, &options.protocol);
    let picture = vcp_report::strip(&case, threshold, range)?;
    write_picture(path, &picture)
}
