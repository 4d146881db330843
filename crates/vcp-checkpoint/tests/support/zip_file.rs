//! Makes zip files field by field, so that any field can be wrong.

/// One entry as its headers describe it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    /// Length once inflated; that of the data if stored.
    pub(crate) size: u32,
    /// Length in the file as the directory claims it.
    pub(crate) compressed_size: u32,
    /// Where the directory says that the local header is, if not where it is.
    pub(crate) header_at: Option<u32>,
    /// Leaves out the local header and the data.
    pub(crate) only_listed: bool,
}

impl Entry {
    pub(crate) fn stored(name: &str, data: &[u8]) -> Self {
        Self {
            name: name.to_owned(),
            data: data.to_vec(),
            method: 0,
            flags: 0,
            size: data.len() as u32,
            compressed_size: data.len() as u32,
            header_at: None,
            only_listed: false,
        }
    }

    /// Deflated, so that it could be inflated.
    pub(crate) fn deflated(name: &str, data: &[u8]) -> Self {
        use std::io::Write as _;
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(data).unwrap();
        let compressed = encoder.finish().unwrap();
        Self {
            method: 8,
            size: data.len() as u32,
            ..Self::stored(name, &compressed)
        }
    }
}

fn crc32(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

/// The fields that local header and directory share, from the version on.
fn common(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    for field in [20, entry.flags, entry.method, 0, 0x21] {
        out.extend(field.to_le_bytes());
    }
    for field in [crc32(&entry.data), entry.compressed_size, entry.size] {
        out.extend(field.to_le_bytes());
    }
    out.extend((entry.name.len() as u16).to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}

/// A zip file of these entries.
pub(crate) fn build(entries: &[Entry]) -> Vec<u8> {
    build_claiming(entries, entries.len() as u16)
}

/// The same, with a number of entries of one's own in the end record.
pub(crate) fn build_claiming(entries: &[Entry], count: u16) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let header_at = out.len() as u32;
        if !entry.only_listed {
            out.extend(b"PK\x03\x04");
            out.extend(common(entry));
            out.extend(entry.name.bytes());
            out.extend(&entry.data);
        }
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(common(entry));
        // Comment length, disk, internal and external attributes.
        directory.extend([0; 10]);
        directory.extend(entry.header_at.unwrap_or(header_at).to_le_bytes());
        directory.extend(entry.name.bytes());
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}

/// A torch.save file of a pickle and the entries `data/N`.
pub(crate) fn torch(pickle: &[u8], data: &[(&str, &[u8])]) -> Vec<u8> {
    let mut entries = vec![Entry::stored("archive/data.pkl", pickle)];
    entries.extend(
        data.iter()
            .map(|(key, data)| Entry::stored(&format!("archive/data/{key}"), data)),
    );
    entries.push(Entry::stored("archive/version", b"3\n"));
    build(&entries)
}
