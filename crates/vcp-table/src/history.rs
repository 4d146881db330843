//! A history as Parquet.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{StringBuilder, TimestampMillisecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::Deserialize as _;
use vcp_clip::record::{FailureRecord, Line, Record};
use vcp_history::{Entry, Filter, History};

use crate::{BatchWriter, Columns, Error, RecordBatchBuilder, schema};

/// Rows that are collected before they are written.
const BATCH_ROWS: usize = 500;
const BATCH_BYTES: usize = 8 << 20;

/// The columns before those of the record that hold texts, and whether all rows have them.
const TEXTS: [(&str, bool); 8] = [
    ("id", true),
    ("source", true),
    ("name", true),
    ("sha256", true),
    ("model", true),
    ("model_digest", true),
    ("verdict", false),
    ("verdict_who", false),
];

/// The columns behind them that hold times, likewise.
const TIMES: [(&str, bool); 2] = [("time", true), ("verdict_time", false)];

/// Writes the results of a history that are asked for to `out` as Parquet, the oldest first, and gives their number.
///
/// The columns are `id`, `source`, `name`, `sha256`, `model`, `model_digest`, `verdict`, `verdict_who`, `time` and
/// `verdict_time` (milliseconds, in UTC), and those of [`schema()`]. Where a record is none that `segment` would print,
/// `error` says so.
///
/// # Errors
/// When the history cannot be read, or `out` does not take the rows.
pub fn export_history<W: Write + Send>(
    history: &History,
    filter: &Filter,
    out: W,
) -> Result<u64, Error> {
    let mut rows = Rows::new();
    let mut writer = BatchWriter::new(out, SchemaRef::clone(&rows.schema), &[])?;
    let count = history.for_each(filter, |entry| {
        rows.append(entry)?;
        if rows.records.rows() >= BATCH_ROWS || rows.records.bytes() >= BATCH_BYTES {
            writer.write(&rows.finish()?)?;
        }
        Ok::<(), Error>(())
    })?;
    writer.write(&rows.finish()?)?;
    writer.finish()?;
    Ok(count)
}

struct Rows {
    schema: SchemaRef,
    texts: [StringBuilder; TEXTS.len()],
    times: [TimestampMillisecondBuilder; TIMES.len()],
    records: RecordBatchBuilder,
}

impl Rows {
    fn new() -> Self {
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let texts = TEXTS.map(|(name, is_in_all)| Field::new(name, DataType::Utf8, !is_in_all));
        let times = TIMES.map(|(name, is_in_all)| Field::new(name, time.clone(), !is_in_all));
        let own = texts.into_iter().chain(times).map(Arc::new);
        let records = schema(Columns::default());
        let fields: Vec<_> = own.chain(records.fields().iter().cloned()).collect();
        Self {
            schema: Arc::new(Schema::new(fields)),
            texts: std::array::from_fn(|_| StringBuilder::new()),
            times: std::array::from_fn(|_| TimestampMillisecondBuilder::new().with_timezone("UTC")),
            records: RecordBatchBuilder::new(Columns::default()),
        }
    }

    fn append(&mut self, entry: &Entry) -> Result<(), Error> {
        let record = Record::deserialize(&entry.record);
        self.records.append(&match record {
            Ok(record) => Line::Done(Box::new(record)),
            Err(error) => Line::Failed(FailureRecord {
                path: entry.name.clone(),
                error: format!("The history has no whole record of the photo: {error}."),
                page: None,
            }),
        })?;
        let verdict = entry.verdict.as_ref();
        let texts = [
            Some(entry.id.as_str()),
            Some(&*entry.source),
            Some(&*entry.name),
            Some(&*entry.sha256),
            Some(&*entry.model.name),
            Some(&*entry.model.digest),
            verdict.map(|it| it.verdict.word()),
            verdict.map(|it| &*it.who),
        ];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_option(text);
        }
        let times = [Some(entry.time), verdict.map(|it| it.time)];
        for (column, time) in self.times.iter_mut().zip(times) {
            column.append_option(time.map(vcp_history::Time::milliseconds));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<RecordBatch, Error> {
        let texts = self.texts.iter_mut();
        let mut columns: Vec<ArrayRef> = texts
            .map(|column| Arc::new(column.finish()) as ArrayRef)
            .collect();
        let times = self.times.iter_mut();
        columns.extend(times.map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend(self.records.finish()?.columns().iter().cloned());
        Ok(RecordBatch::try_new(
            SchemaRef::clone(&self.schema),
            columns,
        )?)
    }
}
