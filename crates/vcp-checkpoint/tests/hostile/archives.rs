//! Zip files that are wrong in their headers and directory.

use crate::Case;
use crate::support::pickle::Pickle;
use crate::support::zip_file::{Entry, build, build_claiming};

const DATA: [u8; 64] = [0; 64];

fn pickle() -> Vec<u8> {
    Pickle::new()
        .raw(b"}")
        .text("t")
        .tensor("0", 16, 0, &[16], &[1])
        .raw(b"s")
        .end()
}

/// A good file: pickle, data, byte order, version.
fn good() -> Vec<Entry> {
    vec![
        Entry::stored("archive/data.pkl", &pickle()),
        Entry::stored("archive/data/0", &DATA),
        Entry::stored("archive/byteorder", b"little"),
        Entry::stored("archive/version", b"3\n"),
    ]
}

fn changed(change: impl FnOnce(&mut Vec<Entry>)) -> Vec<u8> {
    let mut entries = good();
    change(&mut entries);
    build(&entries)
}

#[allow(clippy::too_many_lines, reason = "one table")]
pub(crate) fn cases() -> Vec<Case> {
    let bomb = vec![0; 50 << 20];
    let big = (50u32 << 20) / 4;
    let bomb_pickle = Pickle::new()
        .raw(b"}")
        .text("t")
        .tensor("0", i64::from(big), 0, &[1], &[1])
        .raw(b"s")
        .end();
    let mut cases = vec![
        (
            "compressed pickle",
            changed(|e| e[0] = Entry::deflated("archive/data.pkl", &pickle())),
            "is compressed",
        ),
        (
            "compressed data",
            changed(|e| e[1] = Entry::deflated("archive/data/0", &DATA)),
            "is compressed",
        ),
        (
            "compressed byte order",
            changed(|e| e[2] = Entry::deflated("archive/byteorder", b"little")),
            "is compressed",
        ),
        (
            "bomb of data",
            changed(|e| {
                e[0] = Entry::stored("archive/data.pkl", &bomb_pickle);
                e[1] = Entry::deflated("archive/data/0", &bomb);
            }),
            "is compressed",
        ),
        (
            "bomb of a pickle",
            changed(|e| e[0] = Entry::deflated("archive/data.pkl", &bomb)),
            "is compressed",
        ),
        (
            "bomb that claims to be stored",
            changed(|e| {
                e[0] = Entry::stored("archive/data.pkl", &bomb_pickle);
                e[1].size = 50 << 20;
            }),
            "claims a length other",
        ),
        (
            "unknown compression",
            changed(|e| e[1].method = 77),
            "is compressed",
        ),
        ("encrypted", changed(|e| e[1].flags = 1), "is encrypted"),
        (
            "encrypted pickle",
            changed(|e| e[0].flags = 1),
            "is encrypted",
        ),
        (
            "length of 4 GB",
            changed(|e| e[1].compressed_size = 0xffff_fffe),
            "beyond the end",
        ),
        (
            "length beyond the file",
            changed(|e| e[1].compressed_size = 100_000),
            "beyond the end",
        ),
        (
            "data that is the directory",
            changed(|e| {
                e[3].compressed_size = 40;
                e[3].size = 40;
            }),
            "overlap",
        ),
        (
            "data that is the next entry",
            changed(|e| {
                e[1].compressed_size = 100;
                e[1].size = 100;
            }),
            "overlap",
        ),
        (
            "two names for one entry",
            changed(|e| {
                let mut twin = Entry::stored("archive/data/1", &DATA);
                twin.only_listed = true;
                twin.header_at = Some(30 + 16 + pickle().len() as u32);
                e.push(twin);
            }),
            "overlap",
        ),
        (
            "a thousand names for one entry",
            changed(|e| {
                for index in 1..1000 {
                    let mut twin = Entry::stored(&format!("archive/data/{index}"), &DATA);
                    twin.only_listed = true;
                    twin.header_at = Some(30 + 16 + pickle().len() as u32);
                    e.push(twin);
                }
            }),
            "overlap",
        ),
        (
            "entry within an entry",
            {
                let inner = build(&[Entry::stored("archive/data/0", &DATA)]);
                let mut hidden = Entry::stored("archive/data/1", &DATA);
                hidden.only_listed = true;
                hidden.header_at = Some(30 + "archive/outer".len() as u32);
                build(&[
                    Entry::stored("archive/outer", &inner),
                    hidden,
                    Entry::stored("archive/data.pkl", &pickle()),
                ])
            },
            "overlap",
        ),
        (
            "header beyond the file",
            changed(|e| e[1].header_at = Some(100_000)),
            "beyond the end",
        ),
        (
            "header at 4 GB",
            changed(|e| e[1].header_at = Some(0xffff_fffe)),
            "beyond the end",
        ),
        (
            "header in the last bytes",
            changed(|e| e[1].header_at = Some(700)),
            "",
        ),
        (
            "header in the middle of data",
            changed(|e| e[1].header_at = Some(40)),
            "no header where",
        ),
        (
            "two of one name",
            changed(|e| e.push(Entry::stored("archive/data/0", &DATA))),
            "two entries of the same name",
        ),
        (
            "two pickles of one name",
            changed(|e| e.push(Entry::stored("archive/data.pkl", &pickle()))),
            "two entries of the same name",
        ),
        (
            "two folders",
            changed(|e| e.push(Entry::stored("other/data.pkl", &pickle()))),
            "more than one folder",
        ),
        (
            "no folder",
            build(&[Entry::stored("data.pkl", &pickle())]),
            "holds no FOLDER/data.pkl",
        ),
        (
            "deeper folder",
            build(&[Entry::stored("a/b/data.pkl", &pickle())]),
            "holds no FOLDER/data.pkl",
        ),
        (
            "empty folder name",
            build(&[Entry::stored("/data.pkl", &pickle())]),
            "holds no FOLDER/data.pkl",
        ),
        (
            "an ordinary zip file",
            build(&[Entry::stored("hello.txt", b"hello")]),
            "holds no FOLDER/data.pkl",
        ),
        (
            "big-endian",
            changed(|e| e[2] = Entry::stored("archive/byteorder", b"big")),
            "not little-endian",
        ),
        (
            "nonsense byte order",
            changed(|e| e[2] = Entry::stored("archive/byteorder", &[0xff; 9])),
            "not little-endian",
        ),
        (
            "missing data",
            changed(|e| drop(e.remove(1))),
            "lacks the entry data/0",
        ),
        (
            "data in another folder",
            changed(|e| e[1].name = String::from("other/data/0")),
            "lacks the entry data/0",
        ),
        (
            "name with control characters",
            changed(|e| e[1].name = String::from("archive/\u{1b}[2J\0")),
            "lacks the entry data/0",
        ),
        (
            "more entries claimed",
            build_claiming(&good(), 5),
            "directory is damaged",
        ),
        (
            "65,534 entries claimed",
            build_claiming(&good(), 65_534),
            "directory is damaged",
        ),
        (
            "no entries claimed",
            build_claiming(&good(), 0),
            "holds no FOLDER/data.pkl",
        ),
        (
            "fewer entries claimed",
            build_claiming(&good(), 1),
            "lacks the entry data/0",
        ),
        (
            "an end record only",
            b"PK\x03\x04PK\x05\x06"
                .iter()
                .chain(&[0; 18])
                .copied()
                .collect(),
            "file cannot be used",
        ),
        (
            "a start only",
            b"PK\x03\x04".to_vec(),
            "directory is damaged",
        ),
        (
            "zeros after a start",
            b"PK\x03\x04".iter().chain(&[0; 1 << 20]).copied().collect(),
            "directory is damaged",
        ),
        (
            "a directory of its own signature",
            b"PK\x03\x04"
                .iter()
                .copied()
                .chain(b"PK\x05\x06".repeat(30_000))
                .collect(),
            "directory is damaged",
        ),
        (
            "junk in front",
            [b"junk".to_vec(), build(&good())].concat(),
            "not a weight file of a known kind",
        ),
        (
            "a start of another archive in front",
            [b"PK\x03\x04".to_vec(), build(&good())].concat(),
            "directory is damaged",
        ),
        (
            "a directory of 20 MB",
            changed(|e| {
                for index in 0..300 {
                    let mut entry =
                        Entry::stored(&format!("archive/{index}{}", "x".repeat(65_000)), b"");
                    entry.only_listed = true;
                    e.push(entry);
                }
            }),
            "directory is damaged",
        ),
    ]
    .into_iter()
    .map(|(name, bytes, says)| Case::new(format!("archive: {name}"), bytes, says))
    .collect::<Vec<_>>();

    // 80,000 entries exceed the 16 bits of the end record, which then counts what is left over.
    let many: Vec<Entry> = (0..65_000)
        .map(|index| Entry::stored(&format!("a/{index}"), b""))
        .collect();
    cases.push(Case::new(
        "archive: 65,000 entries",
        build(&many),
        "holds no FOLDER/data.pkl",
    ));

    for (name, locator) in [
        ("beyond the file", u64::MAX - 7),
        ("at the start", 0),
        ("at itself", 600),
    ] {
        // A directory whose numbers are said to be in a 64-bit record that is not there.
        let mut bytes = build(&good());
        let end = bytes.len() - 22;
        let mut tail = bytes.split_off(end);
        tail[8..20].fill(0xff);
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(locator.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(tail);
        cases.push(Case::new(
            format!("archive: 64-bit record {name}"),
            bytes,
            "file cannot be used",
        ));
    }
    for (name, count, size, start) in [
        ("2^64 entries", u64::MAX, 100, 400),
        ("a directory of 2^64 bytes", 4, u64::MAX, 400),
        ("a directory at 2^64", 4, 100, u64::MAX),
        ("a directory at 2^63", 4, 100, 1 << 63),
    ] {
        let mut bytes = build(&good());
        let end = bytes.len() - 22;
        let mut tail = bytes.split_off(end);
        let record = bytes.len() as u64;
        tail[8..20].fill(0xff);
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44u64.to_le_bytes());
        bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for field in [count, count, size, start] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(record.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(tail);
        cases.push(Case::new(
            format!("archive: {name}"),
            bytes,
            "file cannot be used",
        ));
    }
    cases
}
