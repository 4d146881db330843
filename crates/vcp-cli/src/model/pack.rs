//! `vcp-clip model pack`.

use vcp_checkpoint::Precision;

use super::Choice;
use crate::args::{PackArgs, PrecisionName};
use crate::console;
use crate::exit::Exit;
use crate::place::check_place;

pub(crate) fn run(arguments: PackArgs) -> anyhow::Result<Exit> {
    let bundle = arguments.bundle;
    check_place(&bundle, arguments.force)?;
    let weights = Choice::new(arguments.choice)?.open(false)?.into_weights();
    let precision = match arguments.precision {
        PrecisionName::F16 => Precision::F16,
        PrecisionName::F32 => Precision::F32,
        PrecisionName::AsStored => Precision::AsStored,
    };
    weights.write_bundle(&bundle, precision)?;
    console::print_line(&bundle.display().to_string())?;
    Ok(Exit::Done)
}
