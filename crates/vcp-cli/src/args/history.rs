//! Arguments of `vcp-clip history`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use vcp_history::{ExportFormat, Filter, Outcome, Time, VerdictFilter};

use super::ConfigArgs;

/// Work with what was inspected by `serve` and `watch`.
#[derive(Debug, Args)]
pub(crate) struct HistoryCommandArgs {
    #[command(subcommand)]
    pub(crate) command: HistoryCommand,
}

/// What can be done with a history.
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    Export(ExportArgs),
}

/// Write results as a table or as JSON, the oldest first.
#[derive(Debug, Args)]
#[command(after_help = super::AFTER_HELP)]
pub(crate) struct ExportArgs {
    /// The folder of the history [default: the platform's folder for data:
    /// ~/.local/share/vcp-clip/history on Linux].
    #[arg(long, value_name = "DIR")]
    pub(crate) history: Option<PathBuf>,

    /// csv; json, one array; jsonl, a line per result; or parquet, which needs --out.
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub(crate) format: ExportName,

    /// Write into this file instead of to standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Replace the file if there is one.
    #[arg(long)]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) filter: FilterArgs,

    /// Print no notes.
    #[arg(long, short)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExportName {
    /// As text.
    Text(ExportFormat),
    /// Apache Parquet.
    Parquet,
}

impl FromStr for ExportName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "parquet" {
            return Ok(Self::Parquet);
        }
        let format = text.parse().map(Self::Text);
        format.map_err(|_| format!("{text:?} is not one of csv, json, jsonl, parquet."))
    }
}

/// Which results are meant.
#[derive(Debug, Args)]
pub(crate) struct FilterArgs {
    /// Only results from this day or moment on, in UTC: 2026-11-27 or 2026-11-27T16:05:00Z.
    #[arg(long, value_name = "TIME", help_heading = "Results")]
    after: Option<Time>,

    /// Only results before this day or moment, in UTC.
    #[arg(long, value_name = "TIME", help_heading = "Results")]
    before: Option<Time>,

    /// Only results with this decision: ok, review or defect.
    #[arg(long, value_name = "DECISION", help_heading = "Results")]
    decision: Option<Outcome>,

    /// Only results with this verdict: good, defect, unsure, or none.
    #[arg(long, value_name = "VERDICT", help_heading = "Results")]
    verdict: Option<VerdictFilter>,

    /// Only results of the model of this name.
    #[arg(long, value_name = "NAME", help_heading = "Results")]
    of_model: Option<String>,

    /// Only results from this source: http, page, or watch: and a folder.
    #[arg(long, value_name = "SOURCE", help_heading = "Results")]
    source: Option<String>,
}

impl FilterArgs {
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            after: self.after,
            before: self.before,
            outcome: self.decision,
            verdict: self.verdict,
            model: self.of_model.clone(),
            source: self.source.clone(),
        }
    }
}
