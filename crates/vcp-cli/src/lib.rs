//! The command line of VCP-CLIP: everything behind the binary `vcp-clip`.
//!
//! Arguments as typed (`args`) are completed from the environment and a file (`config`); each
//! command turns them into validated options and does its work. What is public here is what the
//! binary calls and what tests reach without it.
#![forbid(unsafe_code)]

mod args;
mod bench;
mod calibrate;
mod completions;
mod config;
mod console;
mod data;
mod eval;
mod exit;
mod history;
mod inputs;
mod interrupt;
mod kept_history;
mod model;
mod place;
mod progress;
mod references;
mod segment;
mod serve;
#[cfg(feature = "train")]
mod train;
mod watch;
mod watched;

use std::ffi::OsString;

use clap::FromArgMatches as _;

pub use exit::Exit;

use args::{Arguments, Command, HistoryCommand, ModelCommand};
use config::{ParseError, Parsed};

/// Runs `vcp-clip` with these arguments, the first of which is the program's name, and these
/// environment variables.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Exit {
    vcp_panics::hush_caught();
    let environment: Vec<_> = environment.into_iter().collect();
    let parsed = match config::parse(arguments.into_iter().collect(), &environment) {
        Ok(parsed) => parsed,
        Err(ParseError::Clap(error)) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            console::usage_error(error);
            return exit;
        }
        Err(ParseError::Usage(error)) => {
            console::error(&error.into());
            return Exit::Usage;
        }
    };
    run_command(parsed).unwrap_or_else(|error| {
        if console::is_broken_pipe(&error) {
            return Exit::Done;
        }
        console::error(&error);
        exit::status_of(&error)
    })
}

/// The commands and all their options, as `--help` shows them.
#[must_use]
pub fn command() -> clap::Command {
    args::command()
}

/// Whether a command line is understood, the first of whose arguments is the program's name; by itself,
/// without environment and configuration file.
///
/// # Errors
/// What is said of the first mistake.
pub fn check_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<(), clap::Error> {
    let matches = args::command().try_get_matches_from(arguments)?;
    Arguments::from_arg_matches(&matches).map(drop)
}

fn run_command(parsed: Parsed) -> anyhow::Result<Exit> {
    let Parsed {
        arguments: Arguments { command },
        unknown_variables,
    } = parsed;
    for name in unknown_variables {
        console::note(&format!(
            "{name} is set, but vcp-clip has no option of that name."
        ));
    }
    interrupt::hear_signals()?;
    match command {
        Command::Segment(segment) => segment::run(*segment),
        Command::Serve(serve) => serve::run(*serve),
        Command::Watch(watch) => watch::run(*watch),
        Command::History(history) => match history.command {
            HistoryCommand::Export(export) => history::export(&export),
        },
        Command::Calibrate(calibrate) => calibrate::run(calibrate),
        Command::Eval(eval) => eval::run(eval),
        Command::Data(data) => data::run(data),
        Command::Model(model) => match model.command {
            ModelCommand::Inspect(inspect) => model::inspect::run(&inspect),
            ModelCommand::Pack(pack) => model::pack::run(pack),
            ModelCommand::List(list) => model::list::run(&list),
            ModelCommand::Pull(pull) => model::pull::run(&pull),
        },
        #[cfg(feature = "train")]
        Command::Train(train) => train::official::run(*train),
        #[cfg(feature = "train")]
        Command::Pretrain(pretrain) => train::pretrain::run(&pretrain),
        Command::Bench(bench) => bench::run(bench),
        Command::Completions(completions) => completions::run(&completions),
    }
}

/// The example in the repository's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
