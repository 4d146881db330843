//! Which calibration an evaluation goes by.

use vcp_checkpoint::Weights;

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
    let say_set_aside = |other: &str, quiet: bool| {
        if !quiet {
            console::note(&format!(
                "The model's calibration was found {other} and is set aside."
            ));
        }
    };
    let Some(calibration) = weights.calibration() else {
        if let Some(other) = set_aside {
            say_set_aside(other, options.quiet);
        }
        return Ok(());
    };
    let protocol = &options.protocol;
    let other = other_windows(calibration, protocol.tiling.as_ref())
        .or_else(|| other_bits(calibration, protocol.bits))
        .or_else(|| {
            let other = protocol.differs_from_calibration(weights.settings());
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
        say_set_aside(&other, options.quiet);
        return Ok(());
    }
    options.protocol.calibration = Some(calibration.clone());
    Ok(())
}
