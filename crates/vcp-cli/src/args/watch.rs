//! Arguments of `vcp-clip watch`.

use std::path::PathBuf;

use clap::Args;

use super::{
    ChoiceArgs, ConfigArgs, HistoryArgs, JudgingArgs, PhotoArgs, RunArgs, TilingArgs, WatchedArgs,
};

/// Inspect the photos that come into a folder, each once, when it is whole.
///
/// Prints one JSON line per photo, as segment does, and goes on until Ctrl-C or SIGTERM. Results go to
/// the history, and to a table, other folders and an MQTT broker where these are named.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct WatchArgs {
    /// The folder.
    #[arg(id = "watch", value_name = "FOLDER")]
    pub(crate) folder: PathBuf,

    #[command(flatten)]
    pub(crate) choice: ChoiceArgs,

    #[command(flatten)]
    pub(crate) watched: WatchedArgs,

    #[command(flatten)]
    pub(crate) judging: JudgingArgs,

    #[command(flatten)]
    pub(crate) history: HistoryArgs,

    #[command(flatten)]
    pub(crate) photos: PhotoArgs,

    #[command(flatten)]
    pub(crate) tiling: TilingArgs,

    #[command(flatten)]
    pub(crate) run: RunArgs,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}
