//! Lists of files: tables with a header, and what lies beside the files they name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::{Error, Problem, Problems, files};

/// A table of comma-separated values whose first line names the columns.
#[derive(Debug)]
pub(crate) struct Table {
    header: StringRecord,
    /// With their line numbers.
    rows: Vec<(u64, StringRecord)>,
}

impl Table {
    /// # Errors
    /// [`Error::Read`], [`Error::TooLong`], [`Error::Invalid`].
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = files::read_text(path)?;
        let mut reader = ReaderBuilder::new()
            .trim(Trim::All)
            // Trailing cells that are empty are often left out.
            .flexible(true)
            .from_reader(text.as_bytes());
        let invalid = |error: csv::Error| Error::Invalid {
            path: path.to_owned(),
            line: error.position().map(csv::Position::line),
            reason: error.to_string(),
        };
        let header = reader.headers().map_err(invalid)?.clone();
        if header.is_empty() {
            return Err(Error::Invalid {
                path: path.to_owned(),
                line: None,
                reason: "it is empty, where a line with the names of the columns was expected"
                    .to_owned(),
            });
        }
        let mut rows = Vec::new();
        let (mut line, mut counted) = (1, 0);
        for row in reader.records() {
            let row = row.map_err(invalid)?;
            // The reader's own line numbers lag behind where lines end in CR LF, and at empty lines.
            let begin = row
                .position()
                .map_or(0, |position| position.byte() as usize);
            let bytes = text.as_bytes().get(begin..).unwrap_or_default();
            let empty = bytes
                .iter()
                .take_while(|byte| b"\r\n".contains(byte))
                .count();
            let begin = begin + empty;
            let passed = text.as_bytes().get(counted..begin).unwrap_or_default();
            line += passed
                .iter()
                .map(|&byte| u64::from(byte == b'\n'))
                .sum::<u64>();
            counted = begin;
            rows.push((line, row));
        }
        Ok(Self { header, rows })
    }

    /// The column with this name, in any case.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.header
            .iter()
            .position(|column| column.eq_ignore_ascii_case(name))
    }

    /// The names of the columns, for people.
    pub(crate) fn columns(&self) -> String {
        self.header.iter().collect::<Vec<_>>().join(", ")
    }

    /// The rows with their line numbers.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Option<u64>, &StringRecord)> {
        self.rows.iter().map(|(line, row)| (Some(*line), row))
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
