//! A column of texts of a Parquet file.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatchReader as _};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::Error;
use crate::column::columns_in_words;
use crate::error::file_error;
use crate::pages::check_pages;

/// How a Parquet file begins and ends.
pub(crate) const MAGIC: [u8; 4] = *b"PAR1";

/// The largest description of a file, in bytes: it is in memory whole. One of 10,000 row groups of 100 columns takes
/// some 100 MiB.
const MOST_METADATA: u64 = 256 << 20;

/// Rows that are in memory at a time, and fewer where they may be long: each text can be as long as a page, since many rows
/// can name one text of a dictionary.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 64 << 20;

/// The texts of a column, row by row.
pub(crate) struct ParquetColumn {
    reader: ParquetRecordBatchReader,
    texts: Option<ArrayRef>,
    next: usize,
}

/// The description of a file: as columns are read with, and as it stands there.
pub(crate) fn metadata(
    file: &File,
    table: &Path,
) -> Result<(ArrowReaderMetadata, Arc<ParquetMetaData>), Error> {
    check_length(file, table)?;
    // What Arrow adds would make some texts dictionaries.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let loaded = caught(|| ArrowReaderMetadata::load(file, options));
    let loaded = loaded.map_err(|source| unreadable(table, &source))?;
    let metadata = Arc::clone(loaded.metadata());
    Ok((loaded, metadata))
}

/// Refuses a file whose end says that it is described by more than fits into memory.
fn check_length(mut file: &File, table: &Path) -> Result<(), Error> {
    let mut end = [0; 8];
    let all = file.metadata().map_err(file_error(table))?.len();
    if all < 12 {
        let reason = format!("{all} bytes are no Parquet file");
        return Err(unreadable(table, &ParquetError::General(reason)));
    }
    let read = file
        .seek(SeekFrom::End(-8))
        .and_then(|_| file.read_exact(&mut end));
    read.map_err(file_error(table))?;
    let [a, b, c, d, ..] = end;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if end[4..] == MAGIC && length > MOST_METADATA {
        let reason =
            format!("its description takes {length} bytes, and at most {MOST_METADATA} are read");
        return Err(unreadable(table, &ParquetError::General(reason)));
    }
    Ok(())
}

/// What `work` gives; a panic within is an error too.
fn caught<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    vcp_panics::caught(work)
        .unwrap_or_else(|_| Err(ParquetError::General("its content is invalid".to_owned())))
}

fn unreadable(table: &Path, source: &ParquetError) -> Error {
    Error::Unreadable {
        table: table.to_owned(),
        reason: source.to_string(),
    }
}

impl ParquetColumn {
    pub(crate) fn open(file: File, table: &Path, column: &str) -> Result<Self, Error> {
        let (loaded, metadata) = metadata(&file, table)?;
        let description = metadata.file_metadata().schema_descr();
        let leaves = description.columns();
        let Some(leaf) = leaves.iter().position(|it| it.path().string() == column) else {
            return Err(Error::NoColumn {
                table: table.to_owned(),
                column: column.to_owned(),
                found: columns_in_words(leaves.iter().map(|it| it.path().string())),
            });
        };
        let wrong = |found: String| Error::WrongColumn {
            table: table.to_owned(),
            column: column.to_owned(),
            found,
        };
        if leaves[leaf].max_rep_level() > 0 {
            return Err(wrong("lists".to_owned()));
        }
        if leaves[leaf].physical_type() != Type::BYTE_ARRAY {
            return Err(wrong(leaves[leaf].physical_type().to_string()));
        }
        let page = check_pages(&file, &metadata, leaf).map_err(|reason| Error::Unreadable {
            table: table.to_owned(),
            reason,
        })?;
        let page = usize::try_from(page).unwrap_or(0).max(1);
        let rows = (BATCH_BYTES / page).clamp(1, BATCH_ROWS);
        let projection = ProjectionMask::leaves(description, [leaf]);
        let reader = caught(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, loaded)
                .with_projection(projection)
                .with_batch_size(rows)
                .build()
        });
        let reader = reader.map_err(|source| unreadable(table, &source))?;
        let mut kind = reader
            .schema()
            .fields()
            .first()
            .map(|it| it.data_type().clone());
        while let Some(DataType::Struct(fields)) = kind {
            kind = fields.first().map(|it| it.data_type().clone());
        }
        match kind {
            Some(DataType::Utf8 | DataType::Binary) => {}
            Some(other) => return Err(wrong(other.to_string())),
            None => return Err(wrong("nothing".to_owned())),
        }
        Ok(Self {
            reader,
            texts: None,
            next: 0,
        })
    }

    /// The text of the next row; `Some(Err)` says why there are no further ones.
    pub(crate) fn next(&mut self) -> Option<Result<Option<String>, String>> {
        loop {
            if let Some(texts) = &self.texts
                && self.next < texts.len()
            {
                let row = self.next;
                self.next += 1;
                return Some(Ok(text(texts, row)));
            }
            let batch = vcp_panics::caught(|| self.reader.next());
            let batch = match batch {
                Ok(None) => return None,
                Ok(Some(Ok(batch))) => batch,
                Ok(Some(Err(error))) => return Some(Err(error.to_string())),
                Err(_) => return Some(Err("its content is invalid".to_owned())),
            };
            let mut column = batch.columns().first().cloned();
            while let Some(inner) = column.as_ref().and_then(|it| it.as_struct_opt()) {
                column = inner.columns().first().cloned();
            }
            self.texts = column;
            self.next = 0;
        }
    }
}

fn text(texts: &ArrayRef, row: usize) -> Option<String> {
    if texts.is_null(row) {
        return None;
    }
    if let Some(texts) = texts.as_string_opt::<i32>() {
        return Some(texts.value(row).to_owned());
    }
    let bytes = texts.as_binary_opt::<i32>()?.value(row);
    Some(String::from_utf8_lossy(bytes).into_owned())
}
