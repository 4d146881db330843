//! Which calibration an evaluation goes by.

use vcp_checkpoint::{Settings, Weights};
use vcp_evaluate::Protocol;
use vcp_predict::pixels_for_score;

use super::options::Options;
use crate::calibration_file::{self, other_bits, other_windows};
use crate::console;
use crate::exit::usage;

/// Gives the protocol the calibration in --calibration, else the model's own. With constants other
/// than those that `calibrate` works with, values lie elsewhere: the file is refused then, and the
/// model's own is set aside. `set_aside` says with what that was found if it has been already.
pub(super) fn settle(
    options: &mut Options,
    weights: &mut Weights,
    set_aside: Option<&'static str>,
) -> anyhow::Result<()> {
    if let Some(file) = &options.calibration {
        calibration_file::apply(file, weights)?;
    }
    let Some(calibration) = weights.calibration() else {
        if let Some(other) = set_aside
            && !options.quiet
        {
            console::note(&format!(
                "The model's calibration was found {other} and is set aside."
            ));
        }
        return Ok(());
    };
    let protocol = &options.protocol;
    let other = other_windows(calibration, protocol.tiling.as_ref())
        .or_else(|| other_bits(calibration, protocol.bits))
        .or_else(|| {
            let other = other_constants(protocol, weights.settings());
            other.map(|option| format!("without {option}"))
        });
    if let Some(other) = other {
        if let Some(file) = &options.calibration {
            return Err(usage(format!(
                "The calibration {} was found {other}, so its thresholds mean nothing here; \
                 evaluate in the same way, or leave out --calibration.",
                file.display()
            )));
        }
        if !options.quiet {
            console::note(&format!(
                "The model's calibration was found {other} and is set aside."
            ));
        }
        return Ok(());
    }
    options.protocol.calibration = Some(calibration.clone());
    Ok(())
}

/// An option that makes other values of the same image than `calibrate` has seen, if there is one.
fn other_constants(protocol: &Protocol, settings: &Settings) -> Option<&'static str> {
    let usual = Protocol::default();
    let is_usual_count =
        |count: std::num::NonZeroUsize| count.get() == pixels_for_score(settings.image_size);
    if protocol.blend.map(f32::to_bits) != settings.blend.map(f32::to_bits) {
        Some("--blend")
    } else if protocol.smoothing.to_bits() != usual.smoothing.to_bits() {
        Some("--smoothing")
    } else if !protocol.score_pixels.is_none_or(is_usual_count) {
        Some("--score-pixels")
    } else {
        None
    }
}
