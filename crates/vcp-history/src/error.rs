//! What can go wrong with a history.

use std::io;
use std::path::PathBuf;

/// Anything that a history cannot do. Its text is a full sentence, except that some go on with their cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder cannot be created.
    #[error("The folder {} of the history cannot be created", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no history in a folder that is said to have one.
    #[error("There is no history in {}: it has no file history.sqlite.", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The database cannot be read or written.
    #[error("The history in {} cannot be used", folder.display())]
    Database {
        /// The folder.
        folder: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A later version of this program has changed the database.
    #[error(
        "The history in {} has version {found} of its format; this program knows versions up to {known}. Use the \
         program that wrote it, or name another folder.", folder.display()
    )]
    Newer {
        /// The folder.
        folder: PathBuf,
        /// Its version.
        found: i64,
        /// The last version that is known.
        known: i64,
    },
    /// The database is another program's.
    #[error(
        "{} is a database of another program; name another folder for the history.", file.display()
    )]
    Foreign {
        /// The database.
        file: PathBuf,
    },
    /// A database there cannot have a write-ahead log.
    #[error(
        "The history in {} cannot have a write-ahead log, as on network folders; name a folder on a local disk.",
        folder.display()
    )]
    NoLog {
        /// The folder.
        folder: PathBuf,
    },
    /// A file beside the database cannot be written or removed.
    #[error("{} cannot be written", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is to be added is no record of an inspection.
    #[error("What was to be added to the history is no record")]
    Record(#[source] serde_json::Error),
    /// A map has another number of values than its side says.
    #[error("A map of side {side} has {values} values instead of the square of its side.")]
    Map {
        /// The side in pixels.
        side: usize,
        /// The number of values.
        values: usize,
    },
    /// A photo that its source said is new has a result already.
    #[error("The source {source_name} has a result for this photo already.")]
    Known {
        /// The source.
        source_name: String,
    },
    /// A list of results cannot be written to its place.
    #[error("The results cannot be written")]
    Export(#[source] io::Error),
}

impl Error {
    /// Whether another holds the database, so that a later try may go well.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::Database { source, .. }
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
        )
    }
}
