//! Tables in files.

use std::io::Write;

use vcp_clip::record::Line;

use crate::csv_file::CsvWriter;
#[cfg(feature = "parquet")]
use crate::parquet_file::ParquetWriter;
use crate::{Error, TableFormat};

/// Writes records as a table, and holds no more of them than a row group.
#[derive(Debug)]
pub struct TableWriter<W: Write + Send>(Kind<W>);

#[derive(Debug)]
enum Kind<W: Write + Send> {
    Csv(Box<CsvWriter<W>>),
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetWriter<W>>),
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a table. `notes` are kept with it, where the format has a place for that: names and texts, which
    /// `note` reads again.
    ///
    /// # Errors
    /// When `out` takes nothing, or this program knows nothing of Parquet.
    pub fn new(out: W, format: TableFormat, notes: &[(&str, &str)]) -> Result<Self, Error> {
        Ok(Self(match format {
            TableFormat::Csv => Kind::Csv(Box::new(CsvWriter::new(out)?)),
            #[cfg(feature = "parquet")]
            TableFormat::Parquet => Kind::Parquet(Box::new(ParquetWriter::new(out, notes)?)),
            #[cfg(not(feature = "parquet"))]
            TableFormat::Parquet => {
                let _ = notes;
                return Err(Error::NoParquet);
            }
        }))
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, line: &Line) -> Result<(), Error> {
        match &mut self.0 {
            Kind::Csv(writer) => writer.append(line),
            #[cfg(feature = "parquet")]
            Kind::Parquet(writer) => writer.append(line),
        }
    }

    /// Writes what is still held, and the end of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<(), Error> {
        match self.0 {
            Kind::Csv(writer) => writer.finish(),
            #[cfg(feature = "parquet")]
            Kind::Parquet(writer) => writer.finish(),
        }
    }
}
