//! The directory of a PyTorch zip archive: names to byte ranges of the file.
//!
//! Nothing is inflated: an entry that is needed must be stored, and is then a slice of the file.
//! Checksums of entries are not verified. PyTorch lets them be left out
//! (`set_crc32_options(False)`), and verifying them would read every byte of a file that is
//! otherwise read lazily; digests of whole files serve that purpose.

use std::collections::HashMap;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use crate::error::{ErrorKind, shorten};

/// More entries than any model's archive has (a ViT-L/14 TorchScript archive has about 1,500).
const MAX_ENTRIES: usize = 65_536;
/// Bytes the directory may take, including the search for it; that of a ViT-L/14 takes 200 KB.
/// This bounds the memory the zip crate takes, which grows with the number of entries it reads.
const DIRECTORY_BUDGET: usize = 8 << 20;
const LOCAL_HEADER_LENGTH: usize = 30;
const LOCAL_HEADER_SIGNATURE: [u8; 4] = *b"PK\x03\x04";

/// The entries under the archive's one top folder, by their names within it.
#[derive(Debug)]
pub(crate) struct Archive {
    entries: HashMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    data: Range<usize>,
    /// Why its bytes cannot be used as they lie, if so.
    obstacle: Option<&'static str>,
}

impl Archive {
    /// Reads and checks the directory of the zip file `bytes`.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ErrorKind> {
        let mut all = directory(bytes)?;

        let mut roots = all.keys().filter_map(|name| {
            let root = name.strip_suffix("/data.pkl")?;
            (!root.is_empty() && !root.contains('/')).then(|| root.to_owned())
        });
        let root = roots.next().ok_or_else(|| {
            let hint = crate::foreign::describe_zip(&all.keys().map(String::as_str));
            problem(match hint {
                Some(hint) => format!("it holds no FOLDER/data.pkl; {hint}"),
                None => "it holds no FOLDER/data.pkl, so PyTorch did not write it".to_owned(),
            })
        })?;
        if roots.next().is_some() {
            return Err(problem(
                "it holds data.pkl in more than one folder".to_owned(),
            ));
        }
        drop(roots);
        let prefix = format!("{root}/");
        let entries = all
            .drain()
            .filter_map(|(name, entry)| Some((name.strip_prefix(&prefix)?.to_owned(), entry)))
            .collect();
        Ok(Self { entries })
    }

    /// Whether there is an entry of this name.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Whether any entry's name starts so.
    pub(crate) fn contains_folder(&self, prefix: &str) -> bool {
        self.entries.keys().any(|name| name.starts_with(prefix))
    }

    /// The bytes of a stored entry, as a range of the file.
    pub(crate) fn range(&self, name: &str) -> Result<Range<usize>, ErrorKind> {
        let entry = self
            .entries
            .get(name)
            .ok_or_else(|| problem(format!("it lacks the entry {}", shorten(name))))?;
        match entry.obstacle {
            None => Ok(entry.data.clone()),
            Some(obstacle) => Err(problem(format!(
                "its entry {} {obstacle}, but PyTorch stores weights as they are",
                shorten(name)
            ))),
        }
    }
}

/// All entries, with their bytes known to lie inside the file and not to overlap.
fn directory(bytes: &[u8]) -> Result<HashMap<String, Entry>, ErrorKind> {
    let damaged = |error: zip::result::ZipError| {
        problem(format!(
            "its directory is damaged ({error}), as in a file of which the end is missing; get it again"
        ))
    };
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let reader = Budgeted {
        inner: Cursor::new(bytes),
        budget: DIRECTORY_BUDGET,
    };
    let archive = ZipArchive::with_config(config, reader).map_err(damaged)?;
    if archive.len() > MAX_ENTRIES {
        return Err(problem(format!(
            "it holds {} entries, more than the {MAX_ENTRIES} supported",
            archive.len()
        )));
    }
    if archive.has_duplicate_names() {
        return Err(problem("it holds two entries of the same name".to_owned()));
    }

    let mut entries = HashMap::new();
    let mut occupied = Vec::new();
    let mut directory_start = bytes.len();
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(damaged)?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        let within = |offset: u64| {
            usize::try_from(offset)
                .ok()
                .filter(|offset| *offset <= bytes.len())
        };
        let outside = || {
            problem(format!(
                "its entry {} reaches beyond the end of the file",
                shorten(&name)
            ))
        };

        directory_start =
            directory_start.min(within(entry.central_header_start()).ok_or_else(outside)?);
        let header_start = within(entry.header_start()).ok_or_else(outside)?;
        let header = bytes
            .get(header_start..)
            .and_then(|rest| rest.first_chunk::<LOCAL_HEADER_LENGTH>())
            .ok_or_else(outside)?;
        if !header.starts_with(&LOCAL_HEADER_SIGNATURE) {
            return Err(problem(format!(
                "its entry {} has no header where the directory says",
                shorten(&name)
            )));
        }
        let length_at = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let data_start = header_start + LOCAL_HEADER_LENGTH + length_at(26) + length_at(28);
        let data_end = usize::try_from(entry.compressed_size())
            .ok()
            .and_then(|length| data_start.checked_add(length))
            .filter(|end| *end <= bytes.len())
            .ok_or_else(outside)?;

        let obstacle = if entry.encrypted() {
            Some("is encrypted")
        } else if entry.compression() != CompressionMethod::Stored {
            Some("is compressed")
        } else if entry.size() != entry.compressed_size() {
            Some("claims a length other than that of its bytes")
        } else {
            None
        };
        occupied.push((header_start, data_end));
        let data = data_start..data_end;
        // Names that are not UTF-8 may become equal by the replacement of their bytes.
        if entries
            .insert(name.clone(), Entry { data, obstacle })
            .is_some()
        {
            return Err(problem(format!(
                "it holds two entries named {}",
                shorten(&name)
            )));
        }
    }

    occupied.sort_unstable();
    let overlapping = occupied.windows(2).any(|pair| pair[0].1 > pair[1].0);
    if overlapping || occupied.last().is_some_and(|last| last.1 > directory_start) {
        return Err(problem("its entries overlap".to_owned()));
    }
    Ok(entries)
}

/// A reader that fails once more than a fixed number of bytes has been read.
struct Budgeted<'a> {
    inner: Cursor<&'a [u8]>,
    budget: usize,
}

impl Read for Budgeted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.budget = self
            .budget
            .checked_sub(count)
            .ok_or_else(|| std::io::Error::other("the directory is absurdly long"))?;
        Ok(count)
    }
}

impl Seek for Budgeted<'_> {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(position)
    }
}

fn problem(problem: String) -> ErrorKind {
    ErrorKind::Archive { problem }
}
