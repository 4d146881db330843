//! `vcp-clip completions SHELL`.

use clap::CommandFactory;

use crate::args::{Arguments, CompletionsArgs};
use crate::console;
use crate::exit::Exit;

pub(crate) fn run(arguments: &CompletionsArgs) -> anyhow::Result<Exit> {
    // Not `args::command`, whose on/off options take a value behind `=`: scripts would offer it
    // behind a space, where it is taken for an input.
    let mut command = Arguments::command();
    // Into memory first: the generators panic when their output breaks off.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "vcp-clip", &mut script);
    console::print_raw(&script)?;
    Ok(Exit::Done)
}
