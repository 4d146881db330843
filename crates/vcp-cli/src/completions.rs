//! `vcp-clip completions SHELL`.

use crate::args::{self, CompletionsArgs};
use crate::console;
use crate::exit::Exit;

pub(crate) fn run(arguments: &CompletionsArgs) -> anyhow::Result<Exit> {
    // Into memory first: the generators panic when their output breaks off.
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut args::command(),
        "vcp-clip",
        &mut script,
    );
    console::print_bytes(&script)?;
    Ok(Exit::Done)
}
