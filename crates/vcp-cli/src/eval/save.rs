//! Files written for each image: strips and arrays.

use std::path::Path;

use anyhow::Context;
use vcp_evaluate::{CategoryReport, Observed};
use vcp_predict::Predictor;

use super::options::Options;
use crate::args::EvalSave;
use crate::files::{with_suffix, write_npy};

/// Writes what was asked for. `places` says where, for each of `observed`.
pub(super) fn save(
    options: &Options,
    predictor: &Predictor,
    observed: &[Observed],
    places: &[&Path],
    _report: &CategoryReport,
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
                EvalSave::Strips => {}
            }
        }
    }
    Ok(())
}
