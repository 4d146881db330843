//! Kinds of files: what is read, what is read with a word about it, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "says which tests are skipped")]

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::cli::Workplace;

/// A file that the tests of the crate for images decode.
fn picture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../vcp-image/tests/fixtures");
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn what_should_be_known_of_a_photo_stands_in_its_record() {
    const WORDS: &str = "It is an animated WebP; only the first picture is used.";
    let workplace = Workplace::with_photos(&["plain.png"]);
    workplace.write("moving.webp", picture("decoded/animated.webp"));
    for tiling in [&[][..], &["--tile", "28"]] {
        let photos = ["moving.webp", "plain.png"];
        let outcome = workplace.segment(&[&photos[..], tiling].concat());
        let lines = outcome.ends_with(0).lines();
        assert_eq!(lines[0]["warnings"], serde_json::json!([WORDS]));
        let mut keys = lines[0].as_object().unwrap().keys();
        assert!(keys.any(|key| key == "milliseconds"));
        assert_eq!(keys.next().unwrap(), "warnings");
        assert!(lines[1].get("warnings").is_none(), "{}", lines[1]);
    }

    let table = ["moving.webp", "--format", "table"];
    let outcome = workplace.segment(&table).ends_with(0);
    let outcome = outcome.says(&format!("note: moving.webp: {WORDS}"));
    assert!(!outcome.stdout.contains("animated"), "{outcome:?}");
    let outcome = workplace.segment(&[&table[..], &["--quiet"]].concat());
    assert!(!outcome.stderr.contains("animated"), "{outcome:?}");
}

/// A kind of file in a table of docs/formats.md.
struct Row {
    kind: String,
    outcome: Found,
    /// What the program has to name: whatever stands in code in the last column.
    advice: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Read,
    Warned,
    Refused,
}

/// The first table below a heading of docs/formats.md.
fn table(heading: &str) -> Vec<Row> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split_once(&format!("\n## {heading}\n")).unwrap().1;
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let lines = lines.take_while(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, kind, outcome, advice, _] = cells[..] else {
                panic!("three columns: {line}")
            };
            let outcome = match outcome.split(':').next().unwrap() {
                "read" => Found::Read,
                "read with a warning" => Found::Warned,
                "refused" => Found::Refused,
                other => panic!("{kind}: {other} is no outcome"),
            };
            Row {
                kind: kind.to_owned(),
                outcome,
                advice: advice
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect(),
            }
        })
        .collect()
}

/// What makes a file of each kind in the table of photos.
#[allow(clippy::type_complexity, reason = "a table of names and makers")]
const PHOTOS: &[(&str, fn() -> Vec<u8>)] = &[
    ("PNG", || picture("decoded/rgb.png")),
    ("PNG, interlaced, 16 bits, with alpha", || {
        picture("decoded/adam7_rgba16.png")
    }),
    ("PNG, animated", || picture("decoded/animated.png")),
    ("PNG without its last chunk", || {
        cut(picture("decoded/rgb.png"), 12)
    }),
    ("PNG with one wrong check sum", || {
        changed(picture("decoded/rgb.png"), |bytes| {
            // That of the chunk before the last, which has twelve bytes.
            let place = bytes.len() - 13;
            bytes[place] ^= 1;
        })
    }),
    ("PNG with a wrong check sum of its size or palette", || {
        changed(picture("decoded/rgb.png"), |bytes| bytes[29] ^= 1)
    }),
    ("PNG with damaged pixels", || {
        changed(picture("decoded/rgb.png"), |bytes| bytes[60] ^= 1)
    }),
    ("JPEG, sequential", || picture("jpeg/sampled_2x2.jpg")),
    ("JPEG, progressive", || picture("jpeg/progressive.jpg")),
    ("JPEG, CMYK", || picture("jpeg/cmyk.jpg")),
    (
        "JPEG without Huffman tables (frames of Motion JPEG)",
        without_huffman_tables,
    ),
    ("JPEG without its end marker", || {
        cut(picture("jpeg/sampled_2x2.jpg"), 2)
    }),
    ("JPEG whose data end early, with an end marker", || {
        let mut bytes = cut(picture("jpeg/fine.jpg"), 500);
        bytes.extend([0xFF, 0xD9]);
        bytes
    }),
    ("JPEG that is cut off", || {
        cut(picture("jpeg/fine.jpg"), 500)
    }),
    ("JPEG, arithmetic coding", || jpeg_of_process(1, 0xC9)),
    ("JPEG, 12 bits", || jpeg_of_process(4, 12)),
    ("JPEG, lossless", || jpeg_of_process(1, 0xC3)),
    ("JPEG-LS", || jpeg_of_process(1, 0xF7)),
    ("BMP", || picture("decoded/rgb.bmp")),
    ("WebP", || picture("decoded/rgb.webp")),
    ("WebP, animated", || picture("decoded/animated.webp")),
    ("WebP, lossless, a side of 16384", || {
        changed(picture("decoded/rgb.webp"), |bytes| {
            // 14 bits for each side less one.
            (bytes[21], bytes[22]) = (0xFF, bytes[22] | 0x3F);
        })
    }),
    ("GIF", || picture("decoded/palette.gif")),
    ("GIF, animated", || picture("decoded/animated.gif")),
    ("PBM, PGM, PPM, PAM", || picture("decoded/grey4095.pgm")),
    ("TIFF", || picture("decoded/rgb.tiff")),
    ("BigTIFF", || picture("tiff/big_little.tif")),
    ("TIFF, packed 12 bits", || picture("tiff/grey12_packed.tif")),
    ("TIFF, palette", || picture("tiff/palette8.tif")),
    ("TIFF, CMYK", || picture("tiff/cmyk.tif")),
    ("TIFF, fax group 4", || picture("tiff/fax4.tif")),
    ("TIFF, floating point", || picture("tiff/float_unit.tif")),
    ("TIFF with several pages", || picture("tiff/stack.tif")),
    ("TIFF whose first page is a thumbnail", || {
        picture("tiff/thumbnail_marked.tif")
    }),
    ("HEIC", || b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec()),
    ("AVIF", || b"\0\0\0\x18ftypavif\0\0\0\0mif1avif".to_vec()),
    ("JPEG XL", || b"\xff\x0a\0\0".to_vec()),
    ("JPEG 2000", || b"\xff\x4f\xff\x51\0\0".to_vec()),
    ("JPEG XR", || b"II\xbc\x01\0\0".to_vec()),
    ("Photoshop", || b"8BPS\0\x01\0\0".to_vec()),
    ("GIMP", || b"gimp xcf v011\0".to_vec()),
    (
        "camera raw (CR2, CR3, NEF, ARW, DNG, RAF, ORF, RW2, …)",
        || b"II*\0\x10\0\0\0CR\x02\0".to_vec(),
    ),
    ("DICOM", || [&[0; 128][..], b"DICM"].concat()),
    ("FITS", || b"SIMPLE  =                    T".to_vec()),
    ("PDF", || b"%PDF-1.7\n".to_vec()),
    ("PostScript", || b"%!PS-Adobe-3.0 EPSF-3.0\n".to_vec()),
    ("SVG", || b"<?xml version='1.0'?><svg width='9'/>".to_vec()),
    ("OpenEXR", || b"v/1\x01\x02\0\0\0".to_vec()),
    ("Radiance HDR", || b"#?RADIANCE\n".to_vec()),
    ("PFM", || b"PF\n1 1\n-1.0\n".to_vec()),
    ("ICO", || b"\0\0\x01\0\x01\0\x10\x10\0\0".to_vec()),
    ("DDS", || b"DDS |\0\0\0".to_vec()),
    ("QOI", || b"qoif\0\0\0\x01".to_vec()),
    ("video", || b"\0\0\0\x18ftypisom\0\0\x02\0isommp41".to_vec()),
    ("a Git LFS note in a picture's place", || {
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n".to_vec()
    }),
    ("a web page in a picture's place", || {
        b"<!DOCTYPE html><title>Not found</title>".to_vec()
    }),
    ("an empty file", Vec::new),
    ("anything else", || b"Shopping: milk, bread.".to_vec()),
];

fn cut(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    bytes.truncate(bytes.len() - length);
    bytes
}

fn changed(mut bytes: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut bytes);
    bytes
}

/// A JPEG with a byte of its frame's segment changed.
fn jpeg_of_process(offset: usize, value: u8) -> Vec<u8> {
    changed(picture("jpeg/sampled_1x1.jpg"), |bytes| {
        let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]);
        bytes[frame.unwrap() + offset] = value;
    })
}

fn without_huffman_tables() -> Vec<u8> {
    changed(picture("jpeg/sampled_2x1.jpg"), |bytes| {
        while let Some(at) = bytes.windows(2).position(|pair| pair == [0xFF, 0xC4]) {
            let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
            bytes.drain(at..at + 2 + length);
        }
    })
}

#[test]
fn the_table_of_photos_is_true() {
    let rows = table("Photos");
    let kinds: Vec<&str> = rows.iter().map(|row| row.kind.as_str()).collect();
    let made: Vec<&str> = PHOTOS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, made);
    let workplace = Workplace::new();
    let names: Vec<String> = (0..rows.len())
        .map(|number| format!("{number}.bin"))
        .collect();
    for ((_, make), name) in PHOTOS.iter().zip(&names) {
        workplace.write(name, make());
    }
    let arguments: Vec<&str> = names.iter().map(String::as_str).collect();
    let outcome = workplace.segment(&arguments).ends_with(1);
    for (row, line) in rows.iter().zip(outcome.lines()) {
        let said = |key: &str| line.get(key).map(Value::to_string);
        let (found, words) = match (said("error"), said("warnings")) {
            (Some(error), _) => (Found::Refused, error),
            (None, Some(warnings)) => (Found::Warned, warnings),
            (None, None) => (Found::Read, String::new()),
        };
        assert_eq!(found, row.outcome, "{}: {line}", row.kind);
        for advice in &row.advice {
            assert!(
                words.contains(advice),
                "{}: {advice} is not in {words}",
                row.kind
            );
        }
        // Words for people, not what programs print for their makers.
        let is_plain =
            !words.contains("Error") && !words.contains(" { ") && !words.contains("Some(");
        assert!(is_plain, "{}: {words}", row.kind);
    }
}
