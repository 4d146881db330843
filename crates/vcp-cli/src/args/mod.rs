//! The arguments exactly as typed. Nothing is checked here that needs more than one of them:
//! each command turns its arguments into validated options before it starts.
#![allow(clippy::doc_markdown, reason = "these comments are what --help prints")]

mod bench;
mod calibrate;
mod data;
mod device;
mod eval;
mod history;
mod judging;
mod kept_history;
mod model;
mod numbers;
mod out_table;
mod photos;
#[cfg(feature = "train")]
mod pretrain;
mod segment;
mod serve;
mod shared;
mod tiling;
#[cfg(feature = "train")]
mod train;
mod watch;
mod watched;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use bench::{BenchArgs, GeometryName, InstructionSetName};
pub(crate) use calibrate::{CalibrateArgs, ReferenceCount};
pub(crate) use data::{
    CheckArgs, ConvertArgs, DataArgs, DataCommand, DatasetArgs, Form, LayoutsArgs, SynthArgs,
};
#[cfg(feature = "train")]
pub(crate) use device::TrainDeviceArgs;
pub(crate) use device::{ComputingName, PrecisionArgs, RunArgs};
pub(crate) use eval::{EvalArgs, EvalSave};
pub(crate) use history::{ExportArgs, ExportName, HistoryCommand, HistoryCommandArgs};
pub(crate) use judging::JudgingArgs;
pub(crate) use kept_history::{HistoryArgs, HistoryKeep};
pub(crate) use model::{
    InspectArgs, ListArgs, ModelArgs, ModelCommand, PackArgs, PrecisionName, PullArgs,
};
pub(crate) use out_table::OutTableArgs;
pub(crate) use photos::{BitsName, PhotoArgs};
#[cfg(feature = "train")]
pub(crate) use pretrain::PretrainArgs;
pub(crate) use segment::{Format, Save, SegmentArgs, SegmentFormat};
pub(crate) use serve::ServeArgs;
pub(crate) use shared::{ActivationName, CacheArgs, ChoiceArgs, ConfigArgs, CopiesName, OnOrOff};
pub(crate) use tiling::TilingArgs;
#[cfg(feature = "train")]
pub(crate) use train::{AugmentName, AugmentationArgs, RecipeArgs, ScheduleName, TrainArgs};
pub(crate) use watch::WatchArgs;
pub(crate) use watched::WatchedArgs;

const AFTER_HELP: &str = "\
Every option can also be set in the environment, as VCP_CLIP_ and its name in capitals with
underscores (VCP_CLIP_PIXEL_THRESHOLD=0.4; a repeatable option takes one value per line), and in
a TOML file given with --config, under its name, for all commands or in a table for one:

    threads = 4
    [segment]
    model = \"visa\"
    save = [\"overlay\", \"mask\"]

The command line wins over the environment, the environment over the file, the file over the
default. Exit status: 0 all done; 1 some inputs failed; 2 wrong usage or no model; 3 with
--fail-on-anomaly, when an image is anomalous; 130 after Ctrl-C.";

/// Find defects in photos of products never seen in training.
///
/// vcp-clip runs VCP-CLIP: from one photo, without a description, it gives each pixel a probability of
/// being part of a defect. Results go to standard output, everything else to standard error.
#[derive(Debug, Parser)]
#[command(name = "vcp-clip", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

// One variant per subcommand: a further command is a variant here, a module of its arguments
// beside `segment`, and a line in `crate::run_command`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Segment(Box<SegmentArgs>),
    Serve(Box<ServeArgs>),
    Watch(Box<WatchArgs>),
    History(HistoryCommandArgs),
    Calibrate(CalibrateArgs),
    Eval(EvalArgs),
    Data(DataArgs),
    Model(ModelArgs),
    #[cfg(feature = "train")]
    Train(Box<TrainArgs>),
    #[cfg(feature = "train")]
    Pretrain(PretrainArgs),
    Bench(BenchArgs),
    Completions(CompletionsArgs),
}

/// Print a script that completes vcp-clip's commands and options in a shell.
///
/// For example: vcp-clip completions bash > ~/.local/share/bash-completion/completions/vcp-clip
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to write for.
    pub(crate) shell: Shell,
}

/// The command that parses [`Arguments`].
///
/// On/off options take an optional value here, so that the command line can also undo what the
/// environment or a file says: `--quiet` and `--quiet=true` turn it on, `--quiet=false` off.
pub(crate) fn command() -> clap::Command {
    // clap would otherwise take the name in its messages from the caller.
    with_switch_values(Arguments::command().bin_name("vcp-clip"))
}

fn with_switch_values(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| {
            if !matches!(argument.get_action(), ArgAction::SetTrue) {
                return argument;
            }
            argument
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .value_name("BOOL")
                .value_parser(BoolishValueParser::new())
                .default_value("false")
                .default_missing_value("true")
                .hide_default_value(true)
                .hide_possible_values(true)
        })
        .mut_subcommands(with_switch_values)
}
