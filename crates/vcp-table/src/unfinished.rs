//! A table while photos are inspected: its rows so far, from which an interrupted run resumes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};
use vcp_clip::Decision;
use vcp_clip::record::Line;
use vcp_files::{Durability, Lock};

use crate::column::TextColumn;
use crate::done::Done;
use crate::error::file_error;
use crate::{Error, TableFormat, TableWriter};

/// What the file with the rows so far is called: the table's name and this.
const UNFINISHED: &str = ".unfinished";

/// The settings of a run, as a table in Parquet has them.
const SETTINGS: &str = "vcp-clip.settings";

/// The longest row that is read again, in bytes.
const MOST_ROW: u64 = 256 << 20;

/// Rows after which those so far are brought to the disk, in case the computer loses its power.
const SYNC_ROWS: u64 = 1000;

/// What becomes of a table that is there already, and of what an interrupted run has left of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// An error.
    Refuse,
    /// The rows are kept, and the rest is added; a finished table stays as it is.
    Resume,
    /// It is removed.
    Remove,
}

/// What a table depends on beside the photos, each with its name: a run is resumed only with the same.
pub type Settings = BTreeMap<String, String>;

/// How the photos of a table came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows.
    pub rows: u64,
    /// Those of photos that failed.
    pub failed: u64,
    /// The most serious decision.
    pub worst: Option<Decision>,
}

impl Totals {
    /// Counts a row.
    pub fn count(&mut self, line: &Line) {
        self.add(match line {
            Line::Done(record) => Some(record.decision),
            Line::Failed(_) => None,
        });
    }

    fn add(&mut self, decision: Option<Decision>) {
        self.rows += 1;
        match decision {
            Some(_) => self.worst = self.worst.max(decision),
            None => self.failed += 1,
        }
    }
}

/// A place for a table.
#[derive(Debug)]
pub enum Place {
    /// A run resumes, and the table is finished already.
    Finished(FinishedTable),
    /// There is no table there yet.
    Unfinished(Box<UnfinishedTable>),
}

/// A table that an earlier run has finished.
#[derive(Debug)]
pub struct FinishedTable {
    table: PathBuf,
    format: TableFormat,
    rows: PathBuf,
}

/// A table whose rows are still being made.
///
/// They are written to a file beside the table, `TABLE.unfinished`, a line of JSON each and all at once: what a
/// process that is killed leaves is the rows up to then. [`UnfinishedTable::finish`] makes the table of them, which
/// appears whole or not at all. No other process writes to the place meanwhile.
#[derive(Debug)]
pub struct UnfinishedTable {
    table: PathBuf,
    format: TableFormat,
    rows: PathBuf,
    /// None as long as there is nothing in it.
    file: Option<File>,
    /// Whether what is there gives way to the first row.
    replaces: bool,
    /// What an earlier run has said of itself.
    begun: Option<Settings>,
    bits: Option<u32>,
    done: Done,
    totals: Totals,
    _lock: Lock,
}

/// A line of the file with the rows so far.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Entry<'a> {
    /// The first one.
    Settings(Cow<'a, Settings>),
    /// How many bits of 16-bit samples hold the brightness, found in a photo.
    Bits(u32),
    /// A row.
    Row(Cow<'a, Line>),
}

impl UnfinishedTable {
    /// Takes the place of a table, which nobody else then writes to.
    ///
    /// # Errors
    /// When another has it, when there is a table or a part of one and `existing` refuses that, and when files cannot
    /// be read or written.
    pub fn open(table: &Path, format: TableFormat, existing: Existing) -> Result<Place, Error> {
        let lock = Lock::of_place(table)?;
        let mut rows = table.as_os_str().to_owned();
        rows.push(UNFINISHED);
        let rows = PathBuf::from(rows);
        let is_there = |path: &Path| path.try_exists().map_err(file_error(path));
        match existing {
            Existing::Refuse if is_there(table)? => {
                let table = table.to_owned();
                return Err(Error::Exists { table });
            }
            // One that was killed before its first row has left nothing.
            Existing::Refuse if fs::metadata(&rows).is_ok_and(|found| found.len() > 0) => {
                return Err(Error::Begun { rows });
            }
            Existing::Resume if is_there(table)? => {
                return Ok(Place::Finished(FinishedTable {
                    table: table.to_owned(),
                    format,
                    rows,
                }));
            }
            Existing::Refuse | Existing::Resume | Existing::Remove => {}
        }
        let mut unfinished = Self {
            table: table.to_owned(),
            format,
            rows,
            file: None,
            replaces: existing == Existing::Remove,
            begun: None,
            bits: None,
            done: Done::default(),
            totals: Totals::default(),
            _lock: lock,
        };
        if !unfinished.replaces && is_there(&unfinished.rows)? {
            unfinished.read_again()?;
        }
        Ok(Place::Unfinished(Box::new(unfinished)))
    }

    /// The file with the rows. What it replaces is removed only now, when the run has found nothing wrong.
    fn file(&mut self) -> Result<&mut File, Error> {
        if self.file.is_none() {
            if std::mem::take(&mut self.replaces) {
                // In this order: rows without their table would be resumed from.
                remove(&self.rows)?;
                remove(&self.table)?;
            }
            let mut options = OpenOptions::new();
            options.read(true).append(true).create(true);
            let file = options.open(&self.rows).map_err(file_error(&self.rows))?;
            return Ok(self.file.insert(file));
        }
        self.file.as_mut().ok_or_else(|| {
            let problem = io::Error::other("it is not open");
            file_error(&self.rows)(problem)
        })
    }

    /// Reads what an earlier run has left. The last line may be cut.
    fn read_again(&mut self) -> Result<(), Error> {
        let rows = self.rows.clone();
        self.file()?;
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut whole = 0;
        let mut done = Vec::new();
        let mut entries = Entries::of(file, &rows)?;
        while let Some(length) = entries.next(|entry| {
            match entry {
                Entry::Settings(settings) => self.begun = Some(settings.into_owned()),
                Entry::Bits(bits) => self.bits = Some(bits),
                Entry::Row(line) => {
                    self.totals.count(&line);
                    done.push(Done::key_of(&line));
                }
            }
            Ok(())
        })? {
            whole += length;
        }
        self.done = Done::of(done);
        // By a handle of its own: on Windows, one that appends cannot cut.
        let cut = || -> io::Result<()> {
            if whole < file.metadata()?.len() {
                OpenOptions::new().write(true).open(&rows)?.set_len(whole)?;
            }
            Ok(())
        };
        cut().map_err(file_error(&rows))
    }

    /// Whether an earlier run has left rows.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.begun.is_some()
    }

    /// How many bits of 16-bit samples hold the brightness, if the photos of an earlier run have settled that: those
    /// that follow are to be read likewise.
    #[must_use]
    pub fn bits(&self) -> Option<u32> {
        self.bits
    }

    /// How the photos so far came out.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Takes the photos that have a row already, once; [`Done::skips`] tells them.
    pub fn take_done(&mut self) -> Done {
        std::mem::take(&mut self.done)
    }

    /// Says what the rows depend on.
    ///
    /// # Errors
    /// When those of an earlier run were made with other settings, and when they cannot be written.
    pub fn begin(&mut self, settings: &Settings) -> Result<(), Error> {
        if let Some(before) = &self.begun {
            return compare(&self.rows, before, settings);
        }
        self.begun = Some(settings.clone());
        self.write(&Entry::Settings(Cow::Borrowed(settings)))
    }

    /// Says how many bits of 16-bit samples hold the brightness, if that is known.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn settle_bits(&mut self, bits: Option<u32>) -> Result<(), Error> {
        match bits {
            Some(bits) if self.bits.is_none() => {
                self.bits = Some(bits);
                self.write(&Entry::Bits(bits))
            }
            _ => Ok(()),
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, line: &Line) -> Result<(), Error> {
        self.write(&Entry::Row(Cow::Borrowed(line)))?;
        self.totals.count(line);
        if self.totals.rows.is_multiple_of(SYNC_ROWS) {
            let synced = self.file()?.sync_data();
            synced.map_err(file_error(&self.rows))?;
        }
        Ok(())
    }

    fn write(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        let mut line =
            serde_json::to_vec(entry).map_err(|error| file_error(&self.rows)(error.into()))?;
        line.push(b'\n');
        if line.len() as u64 > MOST_ROW {
            let bytes = line.len();
            let problem = io::Error::other(format!(
                "a row of {bytes} bytes is longer than the {MOST_ROW} that are read again"
            ));
            return Err(file_error(&self.rows)(problem));
        }
        let written = self.file()?.write_all(&line);
        written.map_err(file_error(&self.rows))
    }

    /// Makes the table of the rows, and removes the file with them. The rows pass through memory a group at a time.
    ///
    /// # Errors
    /// When it cannot be written; the rows stay.
    pub fn finish(mut self) -> Result<Totals, Error> {
        let begun = self.begun.take().unwrap_or_default();
        let settings = serde_json::to_string(&begun);
        let settings = settings.map_err(|error| file_error(&self.rows)(error.into()))?;
        let (table, rows, format) = (self.table.clone(), self.rows.clone(), self.format);
        let mut entries = Entries::of(self.file()?, &rows)?;
        let wrapped = |out: &mut vcp_files::Writer<'_>| -> Result<(), Wrapped> {
            let notes = [(SETTINGS, settings.as_str())];
            let mut writer = TableWriter::new(out, format, &notes)?;
            while entries
                .next(|entry| match entry {
                    Entry::Row(line) => writer.append(&line),
                    Entry::Settings(_) | Entry::Bits(_) => Ok(()),
                })?
                .is_some()
            {}
            Ok(writer.finish()?)
        };
        match vcp_files::write(&table, Durability::Synced, wrapped) {
            Ok(()) => {}
            Err(Wrapped::Table(error)) => return Err(error),
            Err(Wrapped::File(error)) => return Err(file_error(&table)(error)),
        }
        remove(&rows)?;
        Ok(self.totals)
    }
}

impl FinishedTable {
    /// Reads how its photos came out. Rows that a process which was killed right after finishing it has left are removed.
    ///
    /// # Errors
    /// When no run of this program wrote it, when it was made with other settings, as far as it says so (in CSV it does
    /// not), and when it cannot be read.
    pub fn totals(&self, settings: &Settings) -> Result<Totals, Error> {
        match self.format {
            TableFormat::Parquet => self.compare_note(settings)?,
            TableFormat::Csv if crate::csv_file::is_own(&self.table)? => {}
            TableFormat::Csv => return Err(self.foreign()),
        }
        let mut totals = Totals::default();
        for decision in TextColumn::open(&self.table, "decision")? {
            totals.add(decision?.and_then(|word| decision_of(&word)));
        }
        remove(&self.rows)?;
        Ok(totals)
    }

    #[cfg(feature = "parquet")]
    fn compare_note(&self, settings: &Settings) -> Result<(), Error> {
        let note = crate::parquet_file::note(&self.table, SETTINGS)?;
        let before = note.and_then(|note| serde_json::from_str(&note).ok());
        let before = before.ok_or_else(|| self.foreign())?;
        compare(&self.table, &before, settings)
    }

    #[cfg(not(feature = "parquet"))]
    fn compare_note(&self, _settings: &Settings) -> Result<(), Error> {
        Err(Error::NoParquet)
    }

    fn foreign(&self) -> Error {
        Error::Foreign {
            table: self.table.clone(),
        }
    }
}

/// The decision that records have this word for.
fn decision_of(word: &str) -> Option<Decision> {
    let word = StrDeserializer::<serde::de::value::Error>::new(word);
    Decision::deserialize(word).ok()
}

/// Refuses settings that differ.
fn compare(rows: &Path, before: &Settings, now: &Settings) -> Result<(), Error> {
    let names = before.keys().chain(now.keys());
    let Some(name) = names
        .into_iter()
        .find(|&name| before.get(name) != now.get(name))
    else {
        return Ok(());
    };
    let value = |settings: &Settings| settings.get(name).cloned().unwrap_or_default();
    Err(Error::OtherSettings {
        rows: rows.to_owned(),
        name: name.clone(),
        before: value(before),
        now: value(now),
    })
}

/// Removes a file, if there is one.
fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(path)(error)),
        _ => Ok(()),
    }
}

/// The lines of the file with the rows so far.
struct Entries<'a> {
    reader: BufReader<&'a File>,
    path: PathBuf,
    line: Vec<u8>,
    number: u64,
}

impl<'a> Entries<'a> {
    fn of(mut file: &'a File, path: &Path) -> Result<Self, Error> {
        file.seek(SeekFrom::Start(0)).map_err(file_error(path))?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, file),
            path: path.to_owned(),
            line: Vec::new(),
            number: 0,
        })
    }

    /// Hands the next whole line to `take`, and gives its length; nothing when there are no more.
    fn next(
        &mut self,
        take: impl FnOnce(Entry<'_>) -> Result<(), Error>,
    ) -> Result<Option<u64>, Error> {
        self.line.clear();
        self.number += 1;
        let mut reader = (&mut self.reader).take(MOST_ROW);
        let read = reader.read_until(b'\n', &mut self.line);
        let length = read.map_err(file_error(&self.path))?;
        let damaged = || Error::Damaged {
            rows: self.path.clone(),
            line: self.number,
        };
        let Some(line) = self.line.strip_suffix(b"\n") else {
            if length as u64 == MOST_ROW {
                return Err(damaged());
            }
            // Cut when the process was killed.
            return Ok(None);
        };
        let entry: Entry<'_> = serde_json::from_slice(line).map_err(|_| damaged())?;
        if matches!(entry, Entry::Settings(_)) != (self.number == 1) {
            return Err(damaged());
        }
        take(entry)?;
        Ok(Some(length as u64))
    }
}

/// An error of a table that is written to a file.
enum Wrapped {
    Table(Error),
    File(io::Error),
}

impl From<Error> for Wrapped {
    fn from(error: Error) -> Self {
        Self::Table(error)
    }
}

impl From<io::Error> for Wrapped {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}
