//! Parquet.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use vcp_clip::record::Line;

use crate::error::file_error;
use crate::{Columns, Error, RecordBatchBuilder};

/// Rows of a row group, at most: enough for the columns to pack well, and few enough to be in memory.
const GROUP_ROWS: usize = 10_000;

/// Bytes of a row group, at most, roughly.
const GROUP_BYTES: usize = 64 << 20;

/// Rows, and bytes, that are collected before they are handed to the columns.
const BATCH_ROWS: usize = 500;
const BATCH_BYTES: usize = 8 << 20;

/// Writes record batches of any columns as Parquet: compressed with Snappy, in row groups of at most 10,000 rows.
#[derive(Debug)]
pub struct BatchWriter<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> BatchWriter<W> {
    /// Begins a file with these columns. `notes` are kept as its key-value metadata.
    ///
    /// # Errors
    /// When `out` takes nothing.
    pub fn new(out: W, schema: SchemaRef, notes: &[(&str, &str)]) -> Result<Self, Error> {
        let notes = notes
            .iter()
            .map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .set_created_by(concat!("vcp-clip ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(notes.collect()))
            .build();
        let writer = ArrowWriter::try_new(out, schema, Some(properties));
        writer.map(Self).map_err(Error::Parquet)
    }

    /// Adds the rows of a batch.
    ///
    /// # Errors
    /// When they cannot be written, or have other columns.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.0.write(batch).map_err(Error::Parquet)
    }

    /// Writes what is still held, and the end of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<(), Error> {
        self.0.close().map(drop).map_err(Error::Parquet)
    }
}

/// Records as Parquet.
#[derive(Debug)]
pub(crate) struct ParquetWriter<W: Write + Send> {
    builder: RecordBatchBuilder,
    writer: BatchWriter<W>,
}

impl<W: Write + Send> ParquetWriter<W> {
    pub(crate) fn new(out: W, notes: &[(&str, &str)]) -> Result<Self, Error> {
        let builder = RecordBatchBuilder::new(Columns::default());
        let schema = SchemaRef::clone(builder.schema());
        Ok(Self {
            builder,
            writer: BatchWriter::new(out, schema, notes)?,
        })
    }

    pub(crate) fn append(&mut self, line: &Line) -> Result<(), Error> {
        self.builder.append(line)?;
        if self.builder.rows() >= BATCH_ROWS || self.builder.bytes() >= BATCH_BYTES {
            self.writer.write(&self.builder.finish()?)?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.writer.write(&self.builder.finish()?)?;
        self.writer.finish()
    }
}

/// What a Parquet file has as key-value metadata under this name.
///
/// # Errors
/// When it is no Parquet file, or cannot be read.
pub fn note(table: &Path, name: &str) -> Result<Option<String>, Error> {
    let file = File::open(table).map_err(file_error(table))?;
    let (_, metadata) = crate::parquet_column::metadata(&file, table)?;
    let notes = metadata.file_metadata().key_value_metadata();
    let found = notes.and_then(|notes| notes.iter().find(|note| note.key == name));
    Ok(found.and_then(|note| note.value.clone()))
}
