//! What can go wrong with tables.

use std::io;
use std::path::PathBuf;

use arrow_schema::ArrowError;

/// Anything that cannot be done with a table. Its text is a full sentence, except that some go on with their cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A row does not fit into a batch, whose columns hold up to 1 GiB together.
    #[error(
        "The row of {path} takes {bytes} bytes, and a batch of rows holds up to {most}; it has {held} already."
    )]
    BatchFull {
        /// The photo.
        path: String,
        /// The size of its row.
        bytes: usize,
        /// The size of the batch so far.
        held: usize,
        /// The largest size of a batch.
        most: usize,
    },
    /// A map's number of values is not its width times its height.
    #[error("The map of {path} has {values} values, which are not {width} x {height}.")]
    MapShape {
        /// The photo.
        path: String,
        /// The number of values.
        values: usize,
        /// Columns of the map.
        width: usize,
        /// Rows of the map.
        height: usize,
    },
    /// Columns that do not fit together.
    #[error("The table's columns do not fit together")]
    Arrow(#[from] ArrowError),
    /// Rows cannot be written as Parquet.
    #[cfg(feature = "parquet")]
    #[error("The table cannot be written")]
    Parquet(#[source] parquet::errors::ParquetError),
    /// Rows cannot be written as CSV.
    #[cfg(feature = "files")]
    #[error("The table cannot be written")]
    Csv(#[source] csv::Error),
    /// A history cannot be read.
    #[cfg(feature = "parquet")]
    #[error(transparent)]
    History(#[from] vcp_history::Error),
    /// The program knows nothing of Parquet.
    #[error(
        "This program was built without Parquet; use CSV, or build it with the feature `parquet`."
    )]
    NoParquet,
    /// A file cannot be opened, read or written.
    #[error("{} cannot be used: {source}.", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A table is damaged, or of a kind that is not read.
    #[error("The table {} cannot be read: {reason}.", table.display())]
    Unreadable {
        /// The table.
        table: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A table has no column of that name.
    #[error(
        "The table {} has no column {column}; it has: {found}. --column names the one with the paths.",
        table.display()
    )]
    NoColumn {
        /// The table.
        table: PathBuf,
        /// The name.
        column: String,
        /// The names of some of the columns that there are.
        found: String,
    },
    /// A column holds no texts.
    #[error(
        "The column {column} of the table {} holds {found}; one with paths as texts is needed.", table.display()
    )]
    WrongColumn {
        /// The table.
        table: PathBuf,
        /// The column.
        column: String,
        /// What it holds.
        found: String,
    },
    /// There is a table already.
    #[error(
        "{} exists already; --resume keeps it as it is, and --force removes it and begins anew.", table.display()
    )]
    Exists {
        /// The table.
        table: PathBuf,
    },
    /// An earlier run has left what it had done.
    #[error(
        "{} holds what an earlier run has done; --resume goes on from there, and --force removes it and begins \
         anew.", rows.display()
    )]
    Begun {
        /// The file with the rows so far.
        rows: PathBuf,
    },
    /// A run is to resume, and what is there is no table of this program's, or not all of one.
    #[error(
        "{} is no whole table that vcp-clip has written, so no run can resume there; move it away or name another file. \
         --force replaces it, and with it the rows that an unfinished run has left.", table.display()
    )]
    Foreign {
        /// The file.
        table: PathBuf,
    },
    /// The rows so far were made with other settings.
    #[error(
        "{} was begun with {name} = {before}, and now it is {now}; give the options of then, or begin anew with \
         --force.", rows.display()
    )]
    OtherSettings {
        /// The file with the rows so far, or the table.
        rows: PathBuf,
        /// The setting.
        name: String,
        /// What it was.
        before: String,
        /// What it is.
        now: String,
    },
    /// What an earlier run has left cannot be understood.
    #[error(
        "Line {line} of {} is none that vcp-clip has written, so it cannot be resumed from; --force removes it and \
         begins anew.", rows.display()
    )]
    Damaged {
        /// The file with the rows so far.
        rows: PathBuf,
        /// The line, counted from 1.
        line: u64,
    },
    /// Another run writes to the same place.
    #[cfg(feature = "files")]
    #[error(transparent)]
    Locked(#[from] vcp_files::LockError),
}

/// Says of which file an error is.
#[cfg(feature = "files")]
pub(crate) fn file_error(path: &std::path::Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}
