//! The pages of a column of a Parquet file, before they are read.
//!
//! Each page says in its header how large it will be unpacked, and the reader makes room for that much; here the
//! headers of a column are read by themselves, so that a small file cannot ask for gigabytes.

use std::fs::File;

use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader as _;

/// The largest page that is unpacked, in bytes. Writers make pages of about 1 MiB.
const MOST_PAGE: i64 = 64 << 20;

/// Bytes that are read for a header of a page; more only where these are too few, as with long texts for statistics.
const HEADER: [u64; 2] = [1 << 12, 16 << 20];

/// How deep structures in a header may lie in one another.
const MOST_DEPTH: usize = 16;

/// The largest page of this leaf column, in bytes when it is unpacked. Refuses a file in which one claims to be larger than
/// is unpacked; the reason is for a message.
pub(crate) fn check_pages(
    file: &File,
    metadata: &ParquetMetaData,
    leaf: usize,
) -> Result<i64, String> {
    let mut largest = 0;
    for group in metadata.row_groups() {
        let Some(chunk) = group.columns().get(leaf) else {
            return Err("a row group lacks the column".to_owned());
        };
        if chunk.num_values() == 0 {
            // Some writers name no place for its pages.
            continue;
        }
        largest = largest.max(if chunk.compression() == Compression::UNCOMPRESSED {
            // What is not packed is not larger than the file.
            chunk.compressed_size().min(MOST_PAGE)
        } else {
            check_chunk(file, chunk)?
        });
    }
    Ok(largest)
}

fn check_chunk(file: &File, chunk: &ColumnChunkMetaData) -> Result<i64, String> {
    let mut largest = 0;
    let start = chunk.dictionary_page_offset();
    let start = start.map_or(chunk.data_page_offset(), |it| {
        it.min(chunk.data_page_offset())
    });
    let invalid = || "the place of a column is invalid".to_owned();
    let mut start = u64::try_from(start).map_err(|_| invalid())?;
    let length = u64::try_from(chunk.compressed_size()).map_err(|_| invalid())?;
    let end = start.checked_add(length).ok_or_else(invalid)?;
    let all = file.metadata().map_err(|error| error.to_string())?.len();
    if end > all {
        return Err("a column reaches beyond the end of the file".to_owned());
    }
    while start < end {
        let mut sizes = None;
        for most in HEADER {
            let most = (end - start).min(most) as usize;
            let bytes = file
                .get_bytes(start, most)
                .map_err(|error| error.to_string())?;
            sizes = Header::of(&bytes).page_sizes();
            if sizes.is_some() {
                break;
            }
        }
        let sizes = sizes.ok_or("the header of a page is invalid")?;
        if sizes.unpacked > MOST_PAGE {
            return Err(format!(
                "a page would take {} bytes unpacked, and at most {MOST_PAGE} are",
                sizes.unpacked
            ));
        }
        largest = largest.max(sizes.unpacked);
        let step = u64::try_from(sizes.packed).map_err(|_| "a page has a negative size")?;
        start = start.saturating_add(sizes.header).saturating_add(step);
    }
    Ok(largest)
}

/// What the header of a page says of its size.
struct Sizes {
    unpacked: i64,
    packed: i64,
    /// Bytes of the header itself.
    header: u64,
}

/// What comes next in a structure.
enum Field {
    End,
    Value { kind: u8, number: i64 },
}

/// Thrift's compact protocol, as far as headers of pages need it.
struct Header<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl<'a> Header<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, place: 0 }
    }

    /// Reads a header to its end.
    fn page_sizes(&mut self) -> Option<Sizes> {
        let mut sizes = Sizes {
            unpacked: 0,
            packed: 0,
            header: 0,
        };
        let mut field = 0;
        loop {
            let Field::Value { kind, number } = self.field(field)? else {
                sizes.header = self.place as u64;
                return Some(sizes);
            };
            field = number;
            match (number, kind) {
                (2, 5) => sizes.unpacked = self.number()?,
                (3, 5) => sizes.packed = self.number()?,
                _ => self.pass(kind, 0)?,
            }
        }
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.place)?;
        self.place += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn number(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// The next field, the last one having had the number `before`.
    fn field(&mut self, before: i64) -> Option<Field> {
        let byte = self.byte()?;
        let (kind, step) = (byte & 0x0f, byte >> 4);
        if kind == 0 {
            return Some(Field::End);
        }
        let number = match step {
            0 => self.number()?,
            step => before.checked_add(step.into())?,
        };
        Some(Field::Value { kind, number })
    }

    /// Passes over a value.
    fn pass(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MOST_DEPTH {
            return None;
        }
        match kind {
            // Truth values stand in the field's kind.
            1 | 2 => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            7 => self.skip(8)?,
            8 => {
                let length = self.varint()?;
                self.skip(length)?;
            }
            9 | 10 => {
                let byte = self.byte()?;
                let (kind, count) = (byte & 0x0f, byte >> 4);
                let count = match count {
                    15 => self.varint()?,
                    count => count.into(),
                };
                for _ in 0..count {
                    match kind {
                        1 | 2 => drop(self.byte()?),
                        kind => self.pass(kind, depth + 1)?,
                    }
                }
            }
            12 => {
                let mut field = 0;
                while let Field::Value { kind, number } = self.field(field)? {
                    field = number;
                    self.pass(kind, depth + 1)?;
                }
            }
            // Headers of pages have no maps.
            _ => return None,
        }
        Some(())
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        let end = self.place.checked_add(usize::try_from(count).ok()?)?;
        (end <= self.bytes.len()).then(|| self.place = end)
    }
}
