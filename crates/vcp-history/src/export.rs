//! Results as files for other programs.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Deserialize;

use crate::entry::WordError;
use crate::filter::Conditions;
use crate::{Entry, Error, Filter, History};

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// A table with a heading, as RFC 4180 says.
    Csv,
    /// One array of entries.
    Json,
    /// An entry on each line.
    JsonLines,
}

impl std::str::FromStr for ExportFormat {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        match text {
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            "jsonl" => Ok(Self::JsonLines),
            _ => Err(WordError {
                found: text.to_owned(),
                expected: "csv, json, jsonl",
            }),
        }
    }
}

/// The columns of the table.
const COLUMNS: [&str; 22] = [
    "id",
    "time",
    "source",
    "name",
    "sha256",
    "model",
    "model_digest",
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
    "page",
    "milliseconds",
    "verdict",
    "verdict_who",
    "verdict_time",
];

/// Entries that are in memory at a time.
const AT_ONCE: usize = 200;

impl History {
    /// Writes the results that are asked for to `out`, the oldest first, and gives their number. Results that are added
    /// meanwhile may be among them.
    ///
    /// # Errors
    /// When the history cannot be read, or `out` does not take them.
    pub fn export(
        &self,
        filter: &Filter,
        format: ExportFormat,
        out: &mut dyn Write,
    ) -> Result<u64, Error> {
        let mut exporter = Exporter::begin(format, out).map_err(Error::Export)?;
        let mut is_first = true;
        let count = self.for_each(filter, |entry| {
            exporter.write(entry, is_first).map_err(Error::Export)?;
            is_first = false;
            Ok::<(), Error>(())
        })?;
        exporter.end().map_err(Error::Export)?;
        Ok(count)
    }

    /// Hands the results that are asked for to `work`, the oldest first, and gives their number. Few of them are in
    /// memory at a time. Results that are added meanwhile may be among them.
    ///
    /// # Errors
    /// When the history cannot be read, and those of `work`.
    pub fn for_each<E: From<Error>>(
        &self,
        filter: &Filter,
        mut work: impl FnMut(&Entry) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut last = None;
        let mut count = 0;
        loop {
            let mut conditions = Conditions::of(filter);
            if let Some(last) = last {
                conditions.add("results.id > ?", last);
            }
            let entries = self.entries(&conditions, "ASC", AT_ONCE)?;
            for entry in &entries {
                work(entry)?;
                count += 1;
            }
            match entries.last().filter(|_| entries.len() == AT_ONCE) {
                Some(entry) => last = Some(entry.id.as_str().to_owned()),
                None => return Ok(count),
            }
        }
    }
}

enum Exporter<'a> {
    Csv(Box<csv::Writer<&'a mut dyn Write>>),
    Json(&'a mut dyn Write),
    JsonLines(&'a mut dyn Write),
}

impl<'a> Exporter<'a> {
    fn begin(format: ExportFormat, out: &'a mut dyn Write) -> io::Result<Self> {
        Ok(match format {
            ExportFormat::Csv => {
                let mut writer = csv::WriterBuilder::new()
                    .terminator(csv::Terminator::CRLF)
                    .from_writer(out);
                writer.write_record(COLUMNS)?;
                Self::Csv(Box::new(writer))
            }
            ExportFormat::Json => {
                out.write_all(b"[")?;
                Self::Json(out)
            }
            ExportFormat::JsonLines => Self::JsonLines(out),
        })
    }

    fn write(&mut self, entry: &Entry, is_first: bool) -> io::Result<()> {
        match self {
            Self::Csv(writer) => {
                let cells = cells(entry)?;
                writer.write_record(cells.iter().map(|cell| cell_text(cell).into_owned()))?;
            }
            Self::Json(out) => {
                out.write_all(if is_first { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *out, entry)?;
            }
            Self::JsonLines(out) => {
                serde_json::to_writer(&mut *out, entry)?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn end(self) -> io::Result<()> {
        match self {
            Self::Csv(mut writer) => writer.flush(),
            Self::Json(out) => {
                out.write_all(b"\n]\n")?;
                out.flush()
            }
            Self::JsonLines(out) => out.flush(),
        }
    }
}

/// What the table takes from a record.
#[derive(Deserialize)]
struct Columns {
    score: f64,
    score_threshold: f64,
    review_threshold: Option<f64>,
    max: Option<f64>,
    pixel_threshold: f64,
    decision: String,
    regions: Vec<Region>,
    width: Option<u64>,
    height: Option<u64>,
    page: Option<u64>,
    milliseconds: f64,
}

#[derive(Deserialize)]
struct Region {
    area: u64,
}

fn cells(entry: &Entry) -> io::Result<[String; COLUMNS.len()]> {
    fn or_empty(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let record = Columns::deserialize(&entry.record)?;
    let verdict = entry.verdict.as_ref();
    Ok([
        entry.id.to_string(),
        entry.time.to_string(),
        entry.source.clone(),
        entry.name.clone(),
        entry.sha256.clone(),
        entry.model.name.clone(),
        entry.model.digest.clone(),
        record.decision,
        record.score.to_string(),
        record.score_threshold.to_string(),
        or_empty(record.review_threshold),
        or_empty(record.max),
        record.pixel_threshold.to_string(),
        record.regions.len().to_string(),
        or_empty(record.regions.iter().map(|region| region.area).max()),
        or_empty(record.width),
        or_empty(record.height),
        or_empty(record.page),
        record.milliseconds.to_string(),
        or_empty(verdict.map(|it| it.verdict)),
        or_empty(verdict.map(|it| &it.who)),
        or_empty(verdict.map(|it| it.time)),
    ])
}

/// A text for a cell. Spreadsheets take one that begins in certain ways for a formula and compute it; an apostrophe in
/// front, which they do not show, makes it text. Numbers stay numbers. Where a comma stands before decimals, cells end
/// at semicolons too, so what follows one is treated likewise.
///
/// See <https://owasp.org/www-community/attacks/CSV_Injection>.
#[must_use]
pub fn cell_text(text: &str) -> Cow<'_, str> {
    const BEGINNINGS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    let is_formula = |part: &str| {
        // Quotes around it do not help.
        let part = part.trim_start_matches(['"', ' ']);
        part.starts_with(BEGINNINGS) && part.parse::<f64>().is_err()
    };
    if !text.split(';').any(is_formula) {
        return Cow::Borrowed(text);
    }
    let parts = text.split(';').map(|part| {
        let mark = if is_formula(part) { "'" } else { "" };
        format!("{mark}{part}")
    });
    Cow::Owned(parts.collect::<Vec<_>>().join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+2", "@SUM(A1)", "-1+1", "\t=1", "＝1"] {
            assert_eq!(cell_text(text), format!("'{text}"));
        }
        for (text, expected) in [
            ("a;=1+2.png", "a;'=1+2.png"),
            ("a;b;+1+1;c", "a;b;'+1+1;c"),
            ("=1;@x", "'=1;'@x"),
            ("a;\"=1\"", "a;'\"=1\""),
            (" =1", "' =1"),
        ] {
            assert_eq!(cell_text(text), expected);
        }
        for text in ["", "bolt", "-0.5", "1e-7", "a=1", "a;b", "a;-1.5", "\"a\""] {
            assert_eq!(cell_text(text), text);
        }
    }
}
