//! Which calibration an evaluation goes by.

use vcp_clip::Model;
use vcp_clip::calibration::{Mismatch, Viewing};

use super::options::Options;
use crate::console;
use crate::exit::OrUsage;

/// Gives the protocol the calibration in --calibration, else the model's own. With constants other
/// than those that `calibrate` works with, values lie elsewhere: the file is refused then, and the
/// model's own is set aside. The orientation is not compared: the official evaluation leaves photos as
/// they are stored.
pub(super) fn settle(options: &mut Options, model: &Model) -> anyhow::Result<()> {
    let protocol = &options.protocol;
    let viewing = Viewing {
        tiling: protocol.tiling,
        apply_orientation: None,
        bits: protocol.bits,
        mask_sha256: None,
        constants: protocol.predictor_options(None),
        // Those of each category are known later; no calibration was found with them.
        references: match protocol.references {
            Some(_) => Some(String::new()),
            None => protocol.memory.clone(),
        },
    };
    if let Some(stored) = model
        .weights()
        .references()
        .filter(|_| protocol.memory.is_some())
        && let Some(mismatch) = Mismatch::of_references(stored.description(), &viewing)
    {
        return Err(vcp_clip::Error::OtherReferences { mismatch }).or_usage();
    }
    let file = options.calibration.as_ref();
    let applicable = model.applicable(file, &viewing).or_usage()?;
    if let (false, Some(other)) = (options.quiet, applicable.set_aside) {
        console::note(&format!(
            "The model's calibration was found {other} and is set aside."
        ));
    }
    options.protocol.calibration = applicable.calibration;
    Ok(())
}
