//! How a folder is watched.

use std::path::PathBuf;
use std::time::Duration;

use vcp_history::History;

use crate::moves::MoveFolders;
use crate::mqtt::MqttOptions;

/// How a folder is watched, and where results go besides to the listener.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The folder.
    pub folder: PathBuf,
    /// What it is called in records, messages and the status, and in the history as the source `watch:NAME`, where not
    /// everybody who reads them is to learn its path. By that, if none.
    pub name: Option<String>,
    /// Whether folders in it are watched too.
    pub recursive: bool,
    /// A photo is whole when nothing about its file has changed for so long; on Linux also as soon as whoever wrote it
    /// has closed it.
    pub settle: Duration,
    /// Look through the folder this often, instead of asking the system to tell of changes: for network folders.
    pub poll: Option<Duration>,
    /// Where it is remembered which photos have been done with.
    pub memory: MemoryOptions,
    /// A table in CSV to which a row is added for each photo.
    pub table: Option<PathBuf>,
    /// Where photos are moved to.
    pub moves: MoveFolders,
    /// A broker that is told.
    pub mqtt: Option<MqttOptions>,
}

/// Where it is remembered which photos have been done with.
#[derive(Debug, Clone)]
pub enum MemoryOptions {
    /// In a history, to which results are added.
    History(History),
    /// In a file with a line for each photo.
    Journal(PathBuf),
}
