//! The directories of a TIFF or `BigTIFF` file: what it says of its pages.

use std::collections::{BTreeMap, HashSet};
use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::{Fault, is_tiff, tag};
use crate::decode::WORKING_MEMORY;

/// Most pages that are looked for.
const MAX_PAGES: usize = 1 << 16;
/// Most entries of all directories together.
const MAX_ENTRIES: u64 = 1 << 20;
/// Most numbers of one tag.
const MAX_NUMBERS: u64 = WORKING_MEMORY / 8;

/// Order of the bytes of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    pub(super) fn u16_bytes(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    pub(super) fn u32_bytes(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    /// The number in up to eight bytes.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, add),
            Self::Big => bytes.iter().fold(0, add),
        }
    }
}

/// A file with what its header says.
pub(super) struct Source<R> {
    reader: R,
    length: u64,
    pub(super) order: Order,
    /// `BigTIFF`: offsets and counts have 8 bytes.
    is_big: bool,
    first: u64,
    /// Entries of directories that may still be read.
    entries_left: u64,
}

/// One page's tags.
pub(super) struct Directory {
    entries: BTreeMap<u16, Entry>,
    next: u64,
}

struct Entry {
    kind: u16,
    count: u64,
    /// The value, or where it is.
    field: Vec<u8>,
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn open(mut reader: R) -> Result<Self, Fault> {
        let length = reader.seek(SeekFrom::End(0))?;
        let mut source = Self {
            reader,
            length,
            order: Order::Little,
            is_big: false,
            first: 0,
            entries_left: MAX_ENTRIES,
        };
        let start = source.read(0, 8)?;
        if !is_tiff(&start) {
            return Err(Fault::invalid("it does not begin like one"));
        }
        source.order = match &start[..2] {
            b"II" => Order::Little,
            _ => Order::Big,
        };
        source.is_big = source.order.number(&start[2..4]) == 43;
        source.first = if source.is_big {
            let rest = source.read(8, 8)?;
            source.order.number(&rest)
        } else {
            source.order.number(&start[4..8])
        };
        Ok(source)
    }

    /// `count` bytes from `offset` on.
    pub(super) fn read(&mut self, offset: u64, count: u64) -> Result<Vec<u8>, Fault> {
        // Before anything of that size is allocated.
        if offset
            .checked_add(count)
            .is_none_or(|end| end > self.length)
        {
            return Err(Fault::Read(ErrorKind::UnexpectedEof.into()));
        }
        let length = usize::try_from(count).map_err(|_| Fault::Memory)?;
        self.reader.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Bytes from `offset` to the end of the file.
    pub(super) fn bytes_after(&self, offset: u64) -> u64 {
        self.length.saturating_sub(offset)
    }

    /// The directories in the order in which each names the next. One that is broken, or that was
    /// there before, ends them; the first must be sound.
    pub(super) fn directories(&mut self) -> Result<Vec<Directory>, Fault> {
        let mut offset = self.first;
        let mut seen = HashSet::new();
        let mut directories = Vec::new();
        while offset != 0 && directories.len() < MAX_PAGES && seen.insert(offset) {
            match self.directory(offset) {
                Ok(directory) => {
                    offset = directory.next;
                    directories.push(directory);
                }
                Err(fault) if directories.is_empty() => return Err(fault),
                Err(_) => break,
            }
        }
        if directories.is_empty() {
            return Err(Fault::invalid("it has no page"));
        }
        Ok(directories)
    }

    pub(super) fn directory(&mut self, offset: u64) -> Result<Directory, Fault> {
        let (count_bytes, entry_bytes, field_bytes): (u64, u64, usize) =
            if self.is_big { (8, 20, 8) } else { (2, 12, 4) };
        let start = self.read(offset, count_bytes)?;
        let count = self.order.number(&start);
        if count > u64::from(u16::MAX) {
            return Err(Fault::invalid(
                "one of its directories has too many entries",
            ));
        }
        // Directories may overlap, so that the length of the file bounds them badly.
        self.entries_left = self
            .entries_left
            .checked_sub(count)
            .ok_or_else(|| Fault::invalid("its directories have too many entries"))?;
        let table = self.read(
            offset + count_bytes,
            count * entry_bytes + field_bytes as u64,
        )?;
        let (entries, next) = table.split_at(table.len() - field_bytes);
        let entries = entries.chunks_exact(entry_bytes as usize).map(|entry| {
            let (head, field) = entry.split_at(entry.len() - field_bytes);
            let number = |bytes: &[u8]| self.order.number(bytes);
            let tag = number(&head[..2]) as u16;
            let entry = Entry {
                kind: number(&head[2..4]) as u16,
                count: number(&head[4..]),
                field: field.to_owned(),
            };
            (tag, entry)
        });
        Ok(Directory {
            entries: entries.collect(),
            next: self.order.number(next),
        })
    }

    /// The bytes of a tag's value, of its first `most` elements, and how many make an element.
    fn value(
        &mut self,
        directory: &Directory,
        tag: u16,
        most: u64,
    ) -> Result<Option<(Vec<u8>, usize)>, Fault> {
        let Some(entry) = directory.entries.get(&tag) else {
            return Ok(None);
        };
        let size = match entry.kind {
            1 | 7 => 1,
            3 => 2,
            4 | 13 => 4,
            16 | 18 => 8,
            _ => {
                return Err(Fault::invalid(format!(
                    "its tag {tag} has values of the wrong type"
                )));
            }
        };
        let bytes = entry.count.saturating_mul(size);
        if bytes > WORKING_MEMORY {
            return Err(Fault::invalid(format!("its tag {tag} has too many values")));
        }
        let wanted = bytes.min(most.saturating_mul(size));
        let value = match entry.field.get(..bytes as usize) {
            Some(inline) => inline[..wanted as usize].to_owned(),
            None => self.read(self.order.number(&entry.field), wanted)?,
        };
        Ok(Some((value, size as usize)))
    }

    /// The unsigned numbers of a tag; none if there is no such tag.
    pub(super) fn numbers(&mut self, directory: &Directory, tag: u16) -> Result<Vec<u64>, Fault> {
        // One more than there may be, so that too many are not taken for all.
        let numbers = self.first_numbers(directory, tag, MAX_NUMBERS + 1)?;
        if numbers.len() as u64 > MAX_NUMBERS {
            return Err(Fault::invalid(format!("its tag {tag} has too many values")));
        }
        Ok(numbers)
    }

    fn first_numbers(
        &mut self,
        directory: &Directory,
        tag: u16,
        most: u64,
    ) -> Result<Vec<u64>, Fault> {
        let order = self.order;
        let value = self.value(directory, tag, most)?;
        Ok(value.map_or_else(Vec::new, |(bytes, size)| {
            let elements = bytes.chunks_exact(size);
            elements.map(|bytes| order.number(bytes)).collect()
        }))
    }

    /// The first number of a tag, or `otherwise`.
    pub(super) fn number(
        &mut self,
        directory: &Directory,
        tag: u16,
        otherwise: u64,
    ) -> Result<u64, Fault> {
        let numbers = self.first_numbers(directory, tag, 1)?;
        Ok(numbers.first().copied().unwrap_or(otherwise))
    }

    /// The bytes of a tag.
    pub(super) fn bytes(
        &mut self,
        directory: &Directory,
        tag: u16,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let value = self.value(directory, tag, WORKING_MEMORY)?;
        Ok(value.map(|(bytes, _)| bytes))
    }

    /// Width and height.
    pub(super) fn size(&mut self, directory: &Directory) -> Result<(u64, u64), Fault> {
        let width = self.number(directory, tag::IMAGE_WIDTH, 0)?;
        Ok((width, self.number(directory, tag::IMAGE_LENGTH, 0)?))
    }
}
