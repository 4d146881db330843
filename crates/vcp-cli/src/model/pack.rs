//! `vcp-clip model pack`.

mod narrow;

use vcp_checkpoint::{Precision, Storing};

use super::Choice;
use crate::args::{PackArgs, PrecisionName};
use crate::console;
use crate::exit::{Exit, usage};
use crate::interrupt::Stop;
use crate::place::check_place;
use narrow::Trial;

pub(crate) fn run(arguments: PackArgs) -> anyhow::Result<Exit> {
    let bundle = arguments.bundle;
    check_place(&bundle, arguments.force)?;
    let storing = match arguments.precision {
        PrecisionName::F16 => Storing::F16,
        PrecisionName::F32 => Storing::F32,
        PrecisionName::Bf16 => Storing::Bf16,
        PrecisionName::Int8 => Storing::Int8,
        PrecisionName::AsStored => Storing::AsStored,
    };
    let is_narrow = matches!(storing, Storing::Bf16 | Storing::Int8);
    if !arguments.photos.is_empty() && !is_narrow {
        return Err(usage(
            "--photos are for --precision int8 and bf16; leave them out, or choose one of these.",
        ));
    }
    // Photos are inspected in f32 first; without them, codes that are there already stay as they are.
    let precision = (!arguments.photos.is_empty()).then_some(Precision::F32);
    let choice = Choice::new(arguments.choice)?.computed_in(precision);
    let model = choice.open(false)?;
    let mut has_forgotten = model.has_forgotten();
    let mut weights = model.into_weights();
    let is_changed = match storing {
        Storing::AsStored => false,
        Storing::F16 | Storing::F32 => weights.settings().precision != Precision::F32,
        Storing::Bf16 | Storing::Int8 => true,
    };
    if is_changed && weights.references().is_some() {
        weights.set_references(None)?;
        has_forgotten = true;
    }
    if has_forgotten {
        console::note(
            "The model's reference photos are left out, since their features are of other numbers: add them to the bundle anew.",
        );
    }
    if arguments.photos.is_empty() {
        if storing == Storing::Int8 && weights.geometry().backbone.is_none() {
            console::note(
                "Without --photos the weights are not prepared for the ranges of activations, and a transformer may lose much \
                 in int8: give some photos like those to be inspected.",
            );
        }
        weights.write_bundle(&bundle, storing)?;
    } else {
        let stop = Stop::on_signals();
        let Some(trial) = Trial::begin(&weights, &arguments.photos, &stop)? else {
            return Ok(Exit::Interrupted);
        };
        if storing == Storing::Int8 {
            trial.prepare(&mut weights)?;
        }
        weights.write_bundle(&bundle, storing)?;
        drop(weights);
        if !trial.compare(&bundle, &stop)? {
            return Ok(Exit::Interrupted);
        }
    }
    console::print_line(&bundle.display().to_string())?;
    Ok(Exit::Done)
}
