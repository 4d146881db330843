//! A table of results that grows.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use vcp_clip::record::Line;
use vcp_history::{ResultId, Time, cell_text};

use crate::Error;
use crate::moves::Outcome;

const COLUMNS: [&str; 14] = [
    "time",
    "path",
    "outcome",
    "score",
    "score_threshold",
    "review_threshold",
    "max",
    "pixel_threshold",
    "regions",
    "milliseconds",
    "photo",
    "overlay",
    "id",
    "error",
];

/// No row has more line breaks in its names.
const MOST_LINES: usize = 8;

/// A result, as the table has it.
pub(crate) struct Row<'a> {
    pub(crate) time: Time,
    pub(crate) line: &'a Line,
    pub(crate) outcome: Outcome,
    /// Where the photo lies now.
    pub(crate) photo: &'a Path,
    pub(crate) overlay: Option<&'a Path>,
    pub(crate) id: Option<&'a ResultId>,
}

/// A CSV file to which rows are added, each in one write, and each on the disk before its photo counts as done with.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    file: File,
}

impl Table {
    /// Continues the table that is there, or begins one.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut table = Self {
            path: path.to_owned(),
            file: options.open(path).map_err(cannot_write(path))?,
        };
        let heading = csv_line(COLUMNS).map_err(cannot_write(path))?;
        let mut start = vec![0; heading.len()];
        let length = table.length()?;
        if length == 0 {
            table.write(&heading)?;
            return Ok(table);
        }
        table.file.rewind().map_err(cannot_write(path))?;
        if table.file.read_exact(&mut start).is_err() || start != heading {
            let file = path.to_owned();
            return Err(Error::ForeignTable { file });
        }
        table.mend(length).map_err(cannot_write(path))?;
        Ok(table)
    }

    /// Completes a last row that only lacks its end, and removes half a one, in which a process was killed: its photo
    /// does not count as done with, so the row is added again.
    fn mend(&mut self, length: u64) -> io::Result<()> {
        let (mut end, rest) = self.unfinished()?;
        let mut rest = &rest[..];
        let is_end = |byte: &u8| *byte == b'\n';
        if rest.iter().filter(|byte| is_end(byte)).count() > MOST_LINES
            && let Some(last) = rest.iter().rposition(is_end)
        {
            // Somebody who edited the table has left a quote alone.
            end += last as u64 + 1;
            rest = &rest[last + 1..];
        }
        if end == length {
            return Ok(());
        }
        let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(rest);
        let row = reader.records().next().and_then(Result::ok);
        // The last cell is the error, empty unless the photo failed.
        let is_whole = row.is_some_and(|row| {
            row.len() == COLUMNS.len() && &row[2] != "failed" && Outcome::of(&row[2]).is_some()
        });
        let kept = if is_whole {
            end + rest.len() as u64
        } else {
            end
        };
        // By a handle of its own: on Windows, one that appends cannot cut.
        let cut = OpenOptions::new().write(true).open(&self.path)?;
        cut.set_len(kept)?;
        if is_whole {
            self.file.write_all(b"\r\n")?;
        }
        self.file.sync_all()
    }

    /// Where the last row that has its end ends, and what follows it. Line breaks within quotes are no ends.
    fn unfinished(&mut self) -> io::Result<(u64, Vec<u8>)> {
        self.file.rewind()?;
        let mut reader = BufReader::new(&mut self.file);
        let (mut end, mut rest) = (0, Vec::new());
        let mut is_quoted = false;
        loop {
            let begin = rest.len();
            if reader.read_until(b'\n', &mut rest)? == 0 {
                break;
            }
            for byte in &rest[begin..] {
                is_quoted ^= *byte == b'"';
            }
            if !is_quoted && rest.ends_with(b"\n") {
                end += rest.len() as u64;
                rest.clear();
            }
        }
        Ok((end, rest))
    }

    fn length(&self) -> Result<u64, Error> {
        let metadata = self.file.metadata().map_err(cannot_write(&self.path))?;
        Ok(metadata.len())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.file.write_all(bytes);
        written.map_err(cannot_write(&self.path))
    }

    /// Adds a row.
    pub(crate) fn add(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let line = csv_line(cells(row)).map_err(cannot_write(&self.path))?;
        self.write(&line)?;
        self.file.sync_data().map_err(cannot_write(&self.path))
    }

    /// Whether there is a row of this result already, which the process that was killed may have added.
    pub(crate) fn contains(&mut self, id: &ResultId) -> Result<bool, Error> {
        let fail = cannot_write(&self.path);
        let search = |file: &mut File| {
            file.rewind()?;
            let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
            for row in reader.byte_records() {
                if row?.get(12) == Some(id.as_str().as_bytes()) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        search(&mut self.file).map_err(fail)
    }
}

fn cannot_write(file: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let file = file.to_owned();
    move |source| Error::Table { file, source }
}

fn csv_line<T: AsRef<[u8]>>(cells: impl IntoIterator<Item = T>) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    writer.write_record(cells)?;
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn cells(row: &Row<'_>) -> [String; COLUMNS.len()] {
    fn or_empty(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let (record, path, error) = match row.line {
        Line::Done(record) => (Some(record), &record.path, None),
        Line::Failed(failure) => (None, &failure.path, Some(&failure.error)),
    };
    [
        row.time.to_string(),
        cell_text(path).into_owned(),
        row.outcome.word().to_owned(),
        or_empty(record.map(|it| it.score)),
        or_empty(record.map(|it| it.score_threshold)),
        or_empty(record.and_then(|it| it.review_threshold)),
        or_empty(record.map(|it| it.max)),
        or_empty(record.map(|it| it.pixel_threshold)),
        or_empty(record.map(|it| it.regions.len())),
        or_empty(record.map(|it| it.milliseconds)),
        link(row.photo),
        or_empty(row.overlay.map(link)),
        or_empty(row.id),
        or_empty(error.map(|error| cell_text(error))),
    ]
}

/// A path as an address that programs open.
pub(crate) fn link(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match url::Url::from_file_path(&absolute) {
        Ok(url) => url.into(),
        Err(()) => absolute.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use vcp_clip::record::FailureRecord;

    use super::*;

    #[test]
    fn rows_are_added_to_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        let id: ResultId = "0123456789abcdef0123456789ab".parse().unwrap();
        let line = Line::Failed(FailureRecord {
            path: "=a\n\"b\".png".to_owned(),
            error: "It is cut.".to_owned(),
            page: None,
        });
        let photo = folder.path().join("a b.png");
        let row = Row {
            time: Time::from_milliseconds(0),
            line: &line,
            outcome: Outcome::Failed,
            photo: &photo,
            overlay: None,
            id: Some(&id),
        };
        for _ in 0..2 {
            let mut table = Table::open(&path).unwrap();
            table.add(&row).unwrap();
            assert!(table.contains(&id).unwrap());
        }
        // Half a row, however much of it, goes; one that lacks only its end stays.
        let text = std::fs::read_to_string(&path).unwrap();
        let begin = text.find("1970").unwrap();
        let end = begin + text[begin..].find('\n').unwrap();
        for length in begin..end {
            std::fs::write(&path, &text[..length]).unwrap();
            Table::open(&path).unwrap();
            let kept = std::fs::read_to_string(&path).unwrap();
            assert_eq!(kept, text[..begin], "of {:?}", &text[begin..length]);
        }
        let whole = text.replace(",failed,", ",ok,").replace("It is cut.", "");
        let end = whole.len() - 2;
        for length in [end, end + 1, end + 2] {
            std::fs::write(&path, &whole[..length]).unwrap();
            Table::open(&path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        }
        std::fs::write(&path, &text[..text.len() - 5]).unwrap();
        let mut table = Table::open(&path).unwrap();
        assert!(table.contains(&id).unwrap());
        table.add(&row).unwrap();
        let mut reader = csv::Reader::from_path(&path).unwrap();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 2);
        for row in &rows {
            assert_eq!(&row[1], "'=a\n\"b\".png");
            assert!(row[10].starts_with("file://") && row[10].ends_with("/a%20b.png"));
            assert_eq!(&row[13], "It is cut.");
        }
        std::fs::write(&path, "my own table\n1\n").unwrap();
        assert!(matches!(
            Table::open(&path),
            Err(Error::ForeignTable { .. })
        ));
        assert_eq!(std::fs::read(&path).unwrap(), b"my own table\n1\n");
    }
}
