//! Options of the history, for the commands that add to it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::numbers::within;

/// Where what was inspected is kept, and how much of it.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// Keep what was inspected in this folder, or `none` to keep nothing [default: the platform's folder
    /// for data: ~/.local/share/vcp-clip/history on Linux].
    #[arg(long, value_name = "DIR", help_heading = "History")]
    pub(crate) history: Option<PathBuf>,

    /// Which files the history keeps besides thumbnails, separated by commas [default:
    /// photo,overlay,map].
    #[arg(
        long,
        value_name = "KIND,…",
        value_delimiter = ',',
        value_enum,
        help_heading = "History"
    )]
    pub(crate) history_keep: Vec<HistoryKeep>,

    /// Remove results that are older than this many days, from 1 to 36500 [default: keep them].
    #[arg(
        long,
        value_name = "DAYS",
        value_parser = within(1_u64..=36500),
        help_heading = "History"
    )]
    pub(crate) history_days: Option<u64>,

    /// Remove the oldest results, those without a verdict first, while all of them take more than this
    /// many gigabytes; from 0.001 to 1000000.
    #[arg(
        long,
        value_name = "GB",
        default_value_t = 20.0,
        value_parser = within(0.001_f64..=1_000_000.0),
        help_heading = "History"
    )]
    pub(crate) history_size: f64,
}

/// A kind of file that a history keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryKeep {
    /// The photo's file.
    Photo,
    /// The photo with the map over it.
    Overlay,
    /// The map.
    Map,
    /// None of them.
    Nothing,
}
