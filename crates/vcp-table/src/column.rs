//! A column of texts of a table, whichever format it has.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::error::file_error;
#[cfg(feature = "parquet")]
use crate::parquet_column::{MAGIC, ParquetColumn};

/// How a Parquet file begins, for builds that cannot read it.
#[cfg(not(feature = "parquet"))]
const MAGIC: [u8; 4] = *b"PAR1";

/// The longest row of CSV that is read, in bytes.
const MOST_ROW: usize = 16 << 20;

/// The texts of a column, row by row.
pub(crate) struct TextColumn {
    table: PathBuf,
    kind: Kind,
}

enum Kind {
    Csv {
        reader: Box<csv::Reader<Rows>>,
        row: csv::ByteRecord,
        column: usize,
    },
    #[cfg(feature = "parquet")]
    Parquet(Box<ParquetColumn>),
    /// Nothing further can be read.
    Broken,
}

impl TextColumn {
    /// Opens a table, which is Parquet if it begins so and CSV with a heading otherwise.
    pub(crate) fn open(table: &Path, column: &str) -> Result<Self, Error> {
        // Asked before: a pipe would be waited for.
        let found = std::fs::metadata(table).map_err(file_error(table))?;
        if !found.is_file() {
            let problem = io::Error::other("it is no regular file");
            return Err(file_error(table)(problem));
        }
        let mut file = File::open(table).map_err(file_error(table))?;
        let mut start = Vec::new();
        let read = (&mut file).take(MAGIC.len() as u64).read_to_end(&mut start);
        read.and_then(|_| file.rewind())
            .map_err(file_error(table))?;
        let kind = if start == MAGIC {
            #[cfg(feature = "parquet")]
            {
                Kind::Parquet(Box::new(ParquetColumn::open(file, table, column)?))
            }
            #[cfg(not(feature = "parquet"))]
            return Err(Error::NoParquet);
        } else {
            csv_column(file, table, column)?
        };
        Ok(Self {
            table: table.to_owned(),
            kind,
        })
    }
}

fn csv_column(file: File, table: &Path, column: &str) -> Result<Kind, Error> {
    let rows = Rows {
        file: BufReader::new(file),
        left: MOST_ROW,
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(rows);
    let heading = reader.byte_headers();
    let heading = heading.map_err(|error| Error::Unreadable {
        table: table.to_owned(),
        reason: error.to_string(),
    })?;
    let Some(place) = heading.iter().position(|it| it == column.as_bytes()) else {
        let names = heading
            .iter()
            .map(|it| String::from_utf8_lossy(it).into_owned());
        return Err(Error::NoColumn {
            table: table.to_owned(),
            column: column.to_owned(),
            found: columns_in_words(names),
        });
    };
    Ok(Kind::Csv {
        reader: Box::new(reader),
        row: csv::ByteRecord::new(),
        column: place,
    })
}

/// Some of a table's columns, for a message.
pub(crate) fn columns_in_words(mut names: impl Iterator<Item = String>) -> String {
    const SOME: usize = 12;
    const LONG: usize = 60;
    let mut words: Vec<String> = names
        .by_ref()
        .take(SOME)
        .map(|name| match name.char_indices().nth(LONG) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name,
        })
        .collect();
    if names.next().is_some() {
        words.push("…".to_owned());
    }
    words.join(", ")
}

impl Iterator for TextColumn {
    /// What a row has in the column: nothing where it is null, missing or empty. After an error there are no rows.
    type Item = Result<Option<String>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = match &mut self.kind {
            Kind::Csv {
                reader,
                row,
                column,
            } => {
                reader.get_mut().left = MOST_ROW;
                match reader.read_byte_record(row) {
                    Ok(false) => return None,
                    Ok(true) => {
                        let text = row.get(*column).map(String::from_utf8_lossy);
                        Ok(text.map(std::borrow::Cow::into_owned))
                    }
                    Err(error) => Err(error.to_string()),
                }
            }
            #[cfg(feature = "parquet")]
            Kind::Parquet(column) => column.next()?,
            Kind::Broken => return None,
        };
        Some(match text {
            Ok(text) => Ok(text.filter(|text| !text.is_empty())),
            Err(reason) => {
                self.kind = Kind::Broken;
                Err(Error::Unreadable {
                    table: self.table.clone(),
                    reason,
                })
            }
        })
    }
}

/// A file of which only so much is read for each row, whatever its quotes say.
struct Rows {
    file: BufReader<File>,
    left: usize,
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let problem = format!("a row is longer than {MOST_ROW} bytes");
            return Err(io::Error::other(problem));
        }
        let most = buffer.len().min(self.left);
        let read = self.file.read(&mut buffer[..most])?;
        self.left -= read;
        Ok(read)
    }
}
