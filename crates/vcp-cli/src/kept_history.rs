//! The history that arguments name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use vcp_clip::model::data_folder;
use vcp_history::{History, HistoryOptions};

use crate::args::{HistoryArgs, HistoryKeep};
use crate::exit::{OrUsage, usage};

/// Says that nothing is to be kept.
const NONE: &str = "none";

/// Opens the history, and creates it if need be; none if nothing is to be kept.
///
/// # Errors
/// As wrong usage.
pub(crate) fn open(arguments: &HistoryArgs) -> anyhow::Result<Option<History>> {
    let options = options(arguments)?;
    let folder = match arguments.history.as_deref() {
        Some(folder) if folder == Path::new(NONE) => return Ok(None),
        Some(folder) => folder.to_owned(),
        None => default_folder()?,
    };
    History::open(&folder, options).or_usage().map(Some)
}

/// Where a history is that no option names.
///
/// # Errors
/// As wrong usage, when the platform knows no folder for data.
pub(crate) fn default_folder() -> anyhow::Result<PathBuf> {
    Ok(data_folder().or_usage()?.join("history"))
}

fn options(arguments: &HistoryArgs) -> anyhow::Result<HistoryOptions> {
    const DAY: Duration = Duration::from_hours(24);
    let keep = &arguments.history_keep;
    let keeps = |kind| keep.is_empty() || keep.contains(&kind);
    if keep.contains(&HistoryKeep::Nothing) && keep.len() > 1 {
        return Err(usage(
            "--history-keep names kinds of files, or `nothing` alone.",
        ));
    }
    let days = arguments.history_days.map(u32::try_from);
    Ok(HistoryOptions {
        photos: keeps(HistoryKeep::Photo),
        overlays: keeps(HistoryKeep::Overlay),
        maps: keeps(HistoryKeep::Map),
        max_age: days.map(|days| DAY * days.unwrap_or(u32::MAX)),
        max_bytes: Some((arguments.history_size * 1e9) as u64),
    })
}
