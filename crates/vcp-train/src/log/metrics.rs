//! `metrics.jsonl`: one record a line, only ever appended to, except that a resumed run cuts off what
//! it is about to train again.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::{Error, Record};

/// The longest line read, in bytes. Records are some hundred bytes long; a file without line ends
/// must not fill the memory.
const LONGEST_LINE: u64 = 1 << 16;
/// The most records read at once.
const MOST_RECORDS: usize = 10_000_000;

/// A `metrics.jsonl` being written.
///
/// Every record is one write of one whole line, so a process killed at any moment leaves whole lines
/// and at most one half line at the end, which [`read_metrics`] and [`MetricsLog::resume`] leave out.
#[derive(Debug)]
pub struct MetricsLog {
    file: File,
    path: PathBuf,
    /// Length in bytes of the whole lines.
    length: u64,
    last: Option<Record>,
}

impl MetricsLog {
    /// Begins an empty log.
    ///
    /// # Errors
    /// [`Error::Io`] if the file exists (a log is never overwritten) or cannot be created.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)
            .map_err(Error::io(path, "created"))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length: 0,
            last: None,
        })
    }

    /// Opens the log of a run that goes on after `step`, and cuts it there: records of later steps
    /// and a half-written last line go, everything before stays byte for byte. A log that is not
    /// there is begun anew.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Line`] or [`Error::Order`] where a line among those to keep is
    /// damaged; the file is then unchanged.
    pub fn resume(path: &Path, step: u64) -> Result<Self, Error> {
        let mut kept = Kept::default();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(Error::io(path, "opened"))?;
        scan(path, &file, |record, end| {
            if record.step > step {
                return false;
            }
            kept = Kept {
                length: end,
                last: Some(record),
            };
            true
        })?;
        file.set_len(kept.length)
            .map_err(Error::io(path, "cut back"))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            length: kept.length,
            last: kept.last,
        })
    }

    /// The step of the last record, if there is one.
    #[must_use]
    pub fn last_step(&self) -> Option<u64> {
        self.last().map(|record| record.step)
    }

    /// The last record, if there is one.
    #[must_use]
    pub fn last(&self) -> Option<&Record> {
        self.last.as_ref()
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`Error::NotFinite`], [`Error::Order`] where the step is below the last one, [`Error::Io`].
    /// After an error the log is as it was before.
    pub fn append(&mut self, record: &Record) -> Result<(), Error> {
        record.check_finite()?;
        check_order(&self.path, self.last_step(), record.step)?;
        let mut line = serde_json::to_vec(record)
            .map_err(|error| Error::io(&self.path, "written")(error.into()))?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            // Best effort: a full disk may leave a part of the line, which readers leave out too.
            let _ = self.file.set_len(self.length);
            return Err(Error::io(&self.path, "written")(error));
        }
        self.length += line.len() as u64;
        self.last = Some(record.clone());
        Ok(())
    }

    /// Waits until everything is on the disk. To be called before a checkpoint is written, so that
    /// no checkpoint is ahead of its log.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&self) -> Result<(), Error> {
        self.file
            .sync_data()
            .map_err(Error::io(&self.path, "written to the disk"))
    }
}

#[derive(Default)]
struct Kept {
    length: u64,
    last: Option<Record>,
}

/// All records of a `metrics.jsonl`, also of a run that is going on: a last line that is only half
/// written is left out.
///
/// # Errors
/// [`Error::Io`], [`Error::Line`], [`Error::Order`].
pub fn read_metrics(path: &Path) -> Result<Vec<Record>, Error> {
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    let mut records = Vec::new();
    let mut too_many = false;
    scan(path, &file, |record, _| {
        too_many = records.len() == MOST_RECORDS;
        if !too_many {
            records.push(record);
        }
        !too_many
    })?;
    if too_many {
        return Err(Error::Line {
            file: path.to_owned(),
            line: MOST_RECORDS as u64 + 1,
            reason: format!("no more than {MOST_RECORDS} records are read"),
        });
    }
    Ok(records)
}

/// Hands over the records with the offset of their lines' ends, until `visit` says `false`.
fn scan(path: &Path, file: &File, mut visit: impl FnMut(Record, u64) -> bool) -> Result<(), Error> {
    let mut reader = BufReader::new(file);
    let mut bytes = Vec::new();
    let mut last_step = None;
    let (mut line, mut end) = (0, 0);
    loop {
        bytes.clear();
        let read = reader
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut bytes)
            .map_err(Error::io(path, "read"))?;
        line += 1;
        end += read as u64;
        let damaged = |reason: String| Error::Line {
            file: path.to_owned(),
            line,
            reason,
        };
        let Some(text) = bytes.strip_suffix(b"\n") else {
            if read as u64 == LONGEST_LINE {
                return Err(damaged(format!("it is longer than {LONGEST_LINE} bytes")));
            }
            // The end, after a whole line or in the middle of one.
            return Ok(());
        };
        let record: Record =
            serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        check_order(path, last_step, record.step)?;
        last_step = Some(record.step);
        if !visit(record, end) {
            return Ok(());
        }
    }
}

fn check_order(path: &Path, last: Option<u64>, found: u64) -> Result<(), Error> {
    match last {
        Some(last) if found < last => Err(Error::Order {
            file: path.to_owned(),
            found,
            last,
        }),
        _ => Ok(()),
    }
}
