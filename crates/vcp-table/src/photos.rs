//! The photos that a table names.

use std::path::{Path, PathBuf};

use vcp_clip::photos::{Found, ListedIn};

use crate::Error;
use crate::column::TextColumn;

/// No system has longer paths.
const MOST_PATH: usize = 1 << 16;

/// The photos whose paths stand in a column of a table, Parquet or CSV, one row after the other: an iterator, which
/// holds few rows at a time.
///
/// Relative paths are relative to the folder that the table lies in. A row without a path, and a place in the table
/// from which on it cannot be read, are [`Found::Unreadable`].
pub struct TablePhotos {
    table: PathBuf,
    column: TextColumn,
    listed: ListedIn,
    row: u64,
}

impl std::fmt::Debug for TablePhotos {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TablePhotos")
            .field("table", &self.table)
            .field("row", &self.row)
            .finish_non_exhaustive()
    }
}

impl TablePhotos {
    /// Opens a table. A column of Parquet that lies in structures is named as `image.path`.
    ///
    /// # Errors
    /// When the table cannot be read, or has no such column of texts.
    pub fn open(table: &Path, column: &str) -> Result<Self, Error> {
        let folder = table.parent().unwrap_or(Path::new(""));
        Ok(Self {
            table: table.to_owned(),
            column: TextColumn::open(table, column)?,
            listed: ListedIn::folder(folder),
            row: 0,
        })
    }
}

impl Iterator for TablePhotos {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let text = self.column.next()?;
        self.row += 1;
        let (row, table) = (self.row, self.table.display());
        let is_cut = text.is_err();
        let error = match text {
            Ok(Some(path)) if path.len() <= MOST_PATH => {
                return Some(Found::Photo(self.listed.photo(Path::new(&path))));
            }
            Ok(Some(path)) => {
                let length = path.len();
                format!(
                    "Row {row} of {table} has a path of {length} bytes; no system has such ones."
                )
            }
            Ok(None) => format!("Row {row} of {table} has no path."),
            Err(error) => error.to_string(),
        };
        Some(Found::Unreadable {
            path: self.table.clone(),
            error,
            is_cut,
        })
    }
}
