//! Lists of files: tables with a header, and what lies beside the files they name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

use crate::{Error, Problem, Problems, files, text};

/// What stands between cells: commas, the semicolons of spreadsheets where a comma is the decimal
/// point, and tabs.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// A table whose first line names the columns. Its rows are read one by one: many short ones would
/// take many times their size.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    path: &'a Path,
    /// From the header on.
    text: &'a str,
    /// The header's line, counted from 1.
    first_line: u64,
    delimiter: u8,
    header: StringRecord,
}

impl<'a> Table<'a> {
    /// The table in the text of a list. Cells are separated by whatever gives the most columns of
    /// these names.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(crate) fn new(path: &'a Path, text: &'a str, names: &[&str]) -> Result<Self, Error> {
        let invalid = |line, reason| Error::Invalid {
            path: path.to_owned(),
            line,
            reason,
        };
        for (line, row) in (1..).zip(text.split('\n')) {
            for row in row.split('\r') {
                text::check_line(row).map_err(|reason| invalid(Some(line), reason))?;
            }
        }
        // What Excel takes to be a hint, and writes none of.
        let (hint, after) = text.split_once('\n').unwrap_or((text, ""));
        let hint = hint.trim_end().strip_prefix("sep=");
        let mut table = Self {
            path,
            text: if hint.is_some() { after } else { text },
            first_line: if hint.is_some() { 2 } else { 1 },
            delimiter: b',',
            header: StringRecord::new(),
        };
        let mut most = None;
        for delimiter in DELIMITERS {
            let header = table.reader(delimiter).headers().cloned();
            let header =
                header.map_err(|error| invalid(Some(table.first_line), error.to_string()))?;
            let is_known =
                |column: &&str| names.iter().any(|name| name.eq_ignore_ascii_case(column));
            let known = header.iter().filter(is_known).count();
            if most.is_none_or(|most| known > most) {
                most = Some(known);
                (table.delimiter, table.header) = (delimiter, header);
            }
        }
        if table.header.is_empty() {
            return Err(invalid(
                None,
                "it is empty, where a line with the names of the columns was expected".to_owned(),
            ));
        }
        Ok(table)
    }

    fn reader(&self, delimiter: u8) -> Reader<&'a [u8]> {
        ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(Trim::All)
            // Trailing cells that are empty are often left out.
            .flexible(true)
            .from_reader(self.text.as_bytes())
    }

    /// The column with this name, in any case.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header
            .iter()
            .position(|column| column.eq_ignore_ascii_case(name))
    }

    /// As [`Table::column`], for a column that there has to be.
    pub(crate) fn require(&self, name: &str) -> Result<usize, Error> {
        self.column(name).ok_or_else(|| {
            let columns = self.header.iter().take(20).map(text::shortened);
            let columns: Vec<String> = columns.collect();
            Error::Invalid {
                path: self.path.to_owned(),
                line: Some(self.first_line),
                reason: format!(
                    "it has no column '{name}', only {}; the columns are named in the first line, \
                     with commas, semicolons or tabs between them",
                    columns.join(", ")
                ),
            }
        })
    }

    /// Hands over the rows with their line numbers, one after the other.
    ///
    /// # Errors
    /// [`Error::Invalid`], and what `each` returns, which ends the reading.
    pub(crate) fn rows(
        &self,
        mut each: impl FnMut(Option<u64>, &StringRecord) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut reader = self.reader(self.delimiter);
        let invalid = |error: csv::Error| Error::Invalid {
            path: self.path.to_owned(),
            line: error.position().map(csv::Position::line),
            reason: error.to_string(),
        };
        reader.headers().map_err(invalid)?;
        let mut row = StringRecord::new();
        let (mut line, mut counted) = (self.first_line, 0);
        while reader.read_record(&mut row).map_err(invalid)? {
            // The reader's own line numbers lag behind where lines end in CR LF, and at empty lines.
            let begin = row
                .position()
                .map_or(0, |position| position.byte() as usize);
            let bytes = self.text.as_bytes().get(begin..).unwrap_or_default();
            let empty = bytes
                .iter()
                .take_while(|byte| b"\r\n".contains(byte))
                .count();
            let begin = begin + empty;
            let passed = self.text.as_bytes().get(counted..begin).unwrap_or_default();
            line += passed
                .iter()
                .map(|&byte| u64::from(byte == b'\n'))
                .sum::<u64>();
            counted = begin;
            each(Some(line), &row)?;
        }
        Ok(())
    }
}

/// What a list names, to find what it does not name.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    images: BTreeSet<PathBuf>,
    masks: BTreeSet<PathBuf>,
}

impl Listed {
    /// Whether the image is named for the first time.
    pub(crate) fn image(&mut self, path: &Path) -> bool {
        self.images.insert(path.to_owned())
    }

    pub(crate) fn mask(&mut self, path: &Path) {
        self.masks.insert(path.to_owned());
    }

    pub(crate) fn names_mask(&self, path: &Path) -> bool {
        self.masks.contains(path)
    }

    /// Reports the images and masks that lie in the same folders as the named ones, but are not named.
    ///
    /// # Errors
    /// [`Error::Read`] if a folder cannot be searched.
    pub(crate) fn report_others(&self, list: &Path, problems: &mut Problems) -> Result<(), Error> {
        let list = list.to_owned();
        for (named, are_masks) in [(&self.images, false), (&self.masks, true)] {
            let folders: BTreeSet<&Path> = named.iter().filter_map(|path| path.parent()).collect();
            for folder in folders {
                // Links that lead nowhere are reported where the list names them.
                for path in files::images(folder, &mut Problems::default())? {
                    if self.images.contains(&path) || self.masks.contains(&path) {
                        continue;
                    }
                    let list = list.clone();
                    problems.push(if are_masks {
                        Problem::UnlistedMask { mask: path, list }
                    } else {
                        Problem::UnlistedImage { image: path, list }
                    });
                }
            }
        }
        Ok(())
    }
}
