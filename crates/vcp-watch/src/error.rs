//! What can end the watching of a folder.

use std::io;
use std::path::PathBuf;

/// Anything that keeps a folder from being watched. Its text is a full sentence, except that some go on with their
/// cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder is none, or cannot be read.
    #[error("The folder {} cannot be watched", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process watches the same folder with the same memory.
    #[error(transparent)]
    Busy(#[from] vcp_files::LockError),
    /// A folder that photos are to be moved to cannot be created, or is the watched one.
    #[error("Photos cannot be moved to {}", folder.display())]
    MoveFolder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The journal cannot be read or written.
    #[error("The journal {} cannot be used", file.display())]
    Journal {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The history cannot be read or written.
    #[error(transparent)]
    History(#[from] vcp_history::Error),
    /// The table cannot be written.
    #[error("The table {} cannot be written", file.display())]
    Table {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A table is there that has other columns.
    #[error(
        "{} is there and is no table that this version of vcp-clip watch writes; name another file with --csv.",
        file.display()
    )]
    ForeignTable {
        /// The file.
        file: PathBuf,
    },
    /// What was said of MQTT cannot be used.
    #[error(transparent)]
    Mqtt(#[from] crate::mqtt::MqttError),
    /// Photos cannot be inspected at all.
    #[error(transparent)]
    Inspecting(#[from] vcp_clip::Error),
    /// Whoever listens to results can take no more.
    #[error("Results cannot be passed on")]
    Listener(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A thread cannot be had, or ended before its time.
    #[error("Watching ended early by an error in vcp-clip itself.")]
    Internal,
}
