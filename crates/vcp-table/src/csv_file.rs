//! CSV.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::Path;

use vcp_clip::record::{Line, Record};
use vcp_history::cell_text;

use crate::Error;
use crate::error::file_error;
use crate::schema::FILES;

/// The columns; the files of a photo stand behind them, and `error` last.
const COLUMNS: [&str; 18] = [
    "path",
    "page",
    "decision",
    "score",
    "score_threshold",
    "review_threshold",
    "max",
    "pixel_threshold",
    "regions",
    "largest_area",
    "width",
    "height",
    "milliseconds",
    "min_area",
    "mask_sha256",
    "references_sha256",
    "warnings",
    "region_list",
];

/// The names of all columns.
fn heading() -> Vec<String> {
    let columns = COLUMNS.iter().map(|name| (*name).to_owned());
    let files = FILES.iter().map(|name| format!("file_{name}"));
    columns.chain(files).chain(["error".to_owned()]).collect()
}

/// Whether a file is a table as [`CsvWriter`] writes it, with its heading and the end of its last row.
pub(crate) fn is_own(table: &Path) -> Result<bool, Error> {
    let fail = file_error(table);
    let read = || -> io::Result<bool> {
        let expected = heading().join(",") + "\r\n";
        let mut file = File::open(table)?;
        let mut start = Vec::new();
        (&mut file)
            .take(expected.len() as u64)
            .read_to_end(&mut start)?;
        if start != expected.as_bytes() {
            return Ok(false);
        }
        let mut end = [0; 2];
        file.seek(SeekFrom::End(-2))?;
        file.read_exact(&mut end)?;
        Ok(end == *b"\r\n")
    };
    read().map_err(fail)
}

/// Records as CSV.
#[derive(Debug)]
pub(crate) struct CsvWriter<W: Write>(csv::Writer<W>);

impl<W: Write> CsvWriter<W> {
    pub(crate) fn new(out: W) -> Result<Self, Error> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::CRLF)
            .from_writer(out);
        writer.write_record(heading()).map_err(Error::Csv)?;
        Ok(Self(writer))
    }

    pub(crate) fn append(&mut self, line: &Line) -> Result<(), Error> {
        let cells = match line {
            Line::Done(record) => done(record)?,
            Line::Failed(failure) => {
                let mut cells = vec![String::new(); COLUMNS.len() + FILES.len() + 1];
                cells[0].clone_from(&failure.path);
                cells[1] = or_empty(failure.page);
                if let Some(last) = cells.last_mut() {
                    last.clone_from(&failure.error);
                }
                cells
            }
        };
        let cells = cells.iter().map(|cell| cell_text(cell));
        self.0
            .write_record(cells.map(Cow::into_owned))
            .map_err(Error::Csv)
    }

    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.0.flush().map_err(|error| Error::Csv(error.into()))
    }
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// The cells of a photo that was inspected, the empty one of its error included.
fn done(record: &Record) -> Result<Vec<String>, Error> {
    let regions = serde_json::to_string(&record.regions);
    let regions = regions.map_err(|error| Error::Csv(std::io::Error::from(error).into()))?;
    let files = &record.files;
    let files = [
        &files.overlay,
        &files.heatmap,
        &files.mask,
        &files.map,
        &files.branch1,
        &files.branch2,
        &files.json,
    ];
    let mut cells = vec![
        record.path.clone(),
        or_empty(record.page),
        record.decision.word().to_owned(),
        record.score.to_string(),
        record.score_threshold.to_string(),
        or_empty(record.review_threshold),
        record.max.to_string(),
        record.pixel_threshold.to_string(),
        record.regions.len().to_string(),
        or_empty(record.regions.iter().map(|region| region.area).max()),
        record.width.to_string(),
        record.height.to_string(),
        record.milliseconds.to_string(),
        or_empty(record.min_area),
        or_empty(record.mask_sha256.as_ref()),
        or_empty(record.references_sha256.as_ref()),
        record.warnings.join(" "),
        regions,
    ];
    cells.extend(files.map(|file| or_empty(file.as_ref())));
    cells.push(String::new());
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use vcp_clip::record::FailureRecord;

    use super::*;

    #[test]
    fn no_cell_of_a_photo_is_a_formula() {
        let mut writer = CsvWriter::new(Vec::new()).unwrap();
        for path in ["=1+2.png", "@a \"b\",\n.png"] {
            let failure = FailureRecord {
                path: path.to_owned(),
                error: "-It is cut.".to_owned(),
                page: Some(2),
            };
            writer.append(&Line::Failed(failure)).unwrap();
        }
        let bytes = writer.0.into_inner().unwrap();
        let mut reader = csv::Reader::from_reader(&*bytes);
        assert_eq!(reader.headers().unwrap().len(), 26);
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(&rows[0][0], "'=1+2.png");
        assert_eq!(&rows[1][0], "'@a \"b\",\n.png");
        assert_eq!((&rows[1][1], &rows[1][25]), ("2", "'-It is cut."));
    }
}
