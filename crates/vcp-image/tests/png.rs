//! PNG files that are not as they should be, but hold their picture.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::path::Path;

use vcp_image::{DecodeOptions, Error, Photo, Warning, decode_bytes};

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoded");
    std::fs::read(folder.join(name)).unwrap()
}

fn decode(bytes: &[u8]) -> Result<Photo, Error> {
    decode_bytes(bytes, "the test's image", &DecodeOptions::default())
}

/// Where each chunk begins, and its kind.
fn chunks(bytes: &[u8]) -> Vec<(usize, [u8; 4])> {
    let (mut at, mut found) = (8, Vec::new());
    while at < bytes.len() {
        let length = u32::from_be_bytes(*bytes[at..].first_chunk().unwrap()) as usize;
        found.push((at, *bytes[at + 4..].first_chunk().unwrap()));
        at += 12 + length;
    }
    found
}

const NAMES: [&str; 5] = [
    "rgb.png",
    "palette.png",
    "grey16.png",
    "rgba16.png",
    "adam7_rgba16.png",
];

#[test]
fn the_last_chunk_may_be_missing() {
    for name in NAMES {
        let whole = fixture(name);
        let photo = decode(&whole[..whole.len() - 12]).unwrap();
        let expected = [Warning::NoEnd { format: "PNG" }];
        assert_eq!(photo.warnings(), expected, "{name}");
        assert!(photo == decode(&whole).unwrap(), "{name}");
    }
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |mut sum, &byte| {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xEDB8_8320 * (sum & 1));
        }
        sum
    })
}

#[test]
fn one_check_sum_may_be_wrong() {
    for name in NAMES {
        let whole = fixture(name);
        let starts = chunks(&whole);
        let mut places: Vec<usize> = starts[1..].iter().map(|(start, _)| start - 1).collect();
        places.push(whole.len() - 1);
        // The check sum of the pixels is the last of what is compressed.
        let data = starts.iter().rposition(|(_, kind)| kind == b"IDAT");
        let data = data.unwrap();
        let end = starts[data + 1].0 - 5;
        places.push(end);
        for place in places {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x55;
            if place == end {
                // Written wrong in the first place: the check sum of the chunk fits.
                let sum = crc(&bytes[starts[data].0 + 4..=end]);
                bytes[end + 1..end + 5].copy_from_slice(&sum.to_be_bytes());
            }
            // Nothing else vouches for the size and the colours.
            let (_, kind) = *starts.iter().rfind(|(start, _)| *start <= place).unwrap();
            if [*b"IHDR", *b"PLTE", *b"tRNS"].contains(&kind) {
                let error = decode(&bytes).unwrap_err();
                let is_invalid = matches!(error, Error::Invalid { format: "PNG", .. });
                assert!(is_invalid, "{name} {place}: {error:?}");
                continue;
            }
            let photo = decode(&bytes).unwrap_or_else(|error| panic!("{name} {place}: {error}"));
            let expected = [Warning::CheckSum { format: "PNG" }];
            assert_eq!(photo.warnings(), expected, "{name} at {place}");
            assert!(photo == decode(&whole).unwrap(), "{name} at {place}");
        }
    }
}

#[test]
fn a_damaged_size_or_palette_is_refused() {
    // The lowest byte of the height; a colour.
    for (name, kind, offset) in [("rgb.png", b"IHDR", 15), ("palette.png", b"PLTE", 9)] {
        let mut bytes = fixture(name);
        let starts = chunks(&bytes);
        let (start, _) = *starts.iter().find(|(_, found)| found == kind).unwrap();
        bytes[start + offset] ^= 1;
        let error = decode(&bytes).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{name}: {error:?}");
    }
}

#[test]
fn damaged_pixels_are_refused_in_plain_words() {
    for name in NAMES {
        let whole = fixture(name);
        let starts = chunks(&whole);
        let (start, _) = *starts.iter().find(|(_, kind)| kind == b"IDAT").unwrap();
        for offset in [14, 20, 30] {
            let mut bytes = whole.clone();
            bytes[start + offset] ^= 0x18;
            let error = decode(&bytes).unwrap_err();
            let text = error.to_string();
            let is_invalid = matches!(error, Error::Invalid { format: "PNG", .. });
            assert!(is_invalid, "{error:?}");
            let is_plain = !text.contains(['{', '[', '(', '"']);
            assert!(is_plain && text.contains("damaged"), "{text}");
        }
    }
}
