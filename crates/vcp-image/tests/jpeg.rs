//! JPEG: to the bit as Pillow with libjpeg-turbo decodes it, and a word where data are missing.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::path::{Path, PathBuf};

use vcp_image::{DecodeOptions, Error, Photo, Warning, decode_bytes};

const SOF: u8 = 0xC0;
const DHT: u8 = 0xC4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jpeg")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn decode(bytes: &[u8]) -> Result<Photo, Error> {
    decode_bytes(bytes, "the test's image", &DecodeOptions::default())
}

/// Places of the segments with this marker, up to the first scan.
fn segments(bytes: &[u8], wanted: u8) -> Vec<std::ops::Range<usize>> {
    let (mut at, mut found) = (2, Vec::new());
    while bytes[at + 1] != 0xDA {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if bytes[at + 1] == wanted {
            found.push(at..at + 2 + length);
        }
        at += 2 + length;
    }
    found
}

/// Where the data of the first scan begin.
fn data(bytes: &[u8]) -> usize {
    let scan = bytes.windows(2).position(|pair| pair == [0xFF, 0xDA]);
    let scan = scan.unwrap();
    scan + 2 + usize::from(u16::from_be_bytes([bytes[scan + 2], bytes[scan + 3]]))
}

#[test]
fn every_kind_is_decoded_as_pillow_does_to_the_bit() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(source) = name.strip_suffix(".png") else {
            continue;
        };
        let found = decode(&fixture(source)).unwrap();
        let expected = decode(&fixture(&name)).unwrap();
        assert!(found.to_rgb() == expected.to_rgb(), "{source}");
        assert_eq!(found.is_grey(), source.starts_with("grey"), "{source}");
        assert_eq!(found.warnings(), [], "{source}");
        count += 1;
    }
    assert_eq!(count, 25);
}

/// Webcams send Motion JPEG, whose frames have no Huffman tables because all have the standard ones.
#[test]
fn standard_tables_need_not_be_there() {
    for name in ["sampled_2x1.jpg", "grey.jpg"] {
        let mut bytes = fixture(name);
        let expected = decode(&bytes).unwrap();
        let tables = segments(&bytes, DHT);
        assert!(!tables.is_empty());
        for table in tables.into_iter().rev() {
            bytes.drain(table);
        }
        assert!(decode(&bytes).unwrap() == expected, "{name}");
    }
}

#[test]
fn data_that_end_before_the_end_marker_are_said_to() {
    for (name, is_whole_picture) in [
        ("sampled_1x1.jpg", false),
        ("sampled_2x2.jpg", false),
        ("restart_blocks.jpg", false),
        ("grey.jpg", false),
        ("cmyk.jpg", false),
        ("scans.jpg", true),
        // Their first scan is a rough picture of all.
        ("progressive.jpg", true),
        ("progressive_restart.jpg", true),
        ("grey_progressive.jpg", true),
    ] {
        let whole = fixture(name);
        let start = data(&whole);
        for part in 2..20 {
            let end = start + (whole.len() - 4 - start) * part / 20;
            let mut cut = whole[..end].to_vec();
            if cut.last() == Some(&0xFF) {
                cut.pop();
            }
            cut.extend([0xFF, 0xD9]);
            let photo = match decode(&cut) {
                Ok(photo) => photo,
                // Of next to nothing there is no picture.
                Err(error) => {
                    let said = error.to_string();
                    let is_early = part < 7 && said.contains("almost where they begin");
                    // Cut amid the tables between two scans, which claim more than is left.
                    let is_cut = is_whole_picture && said.contains("ends before its end marker");
                    assert!(is_early || is_cut, "{name}, {part} of 20: {error}");
                    continue;
                }
            };
            let warnings = photo.warnings();
            let is_said = warnings.iter().any(|warning| match warning {
                Warning::DataMissing { percent, .. } => (1..=100).contains(percent),
                Warning::DetailMissing { .. } => is_whole_picture,
                _ => false,
            });
            assert!(is_said, "{name}, {part} of 20: {warnings:?}");
        }
    }
    // As much is said to be missing as is: of a picture that is alike everywhere, half.
    let mut state = 1_u32;
    let noise = (0..320 * 320).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let photo = Photo::from_grey(320, 320, noise.collect()).unwrap();
    let whole = vcp_image::Picture::from(photo).to_jpeg_bytes(80).unwrap();
    let half = data(&whole) + (whole.len() - data(&whole)) / 2;
    let cut = [&whole[..half], &[0xFF, 0xD9]].concat();
    match decode(&cut).unwrap().warnings() {
        [Warning::DataMissing { percent, .. }] => assert!((48..53).contains(percent), "{percent}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_restart_interval_is_said_and_the_rest_is_in_its_place() {
    let bytes = fixture("restart_blocks.jpg");
    let whole = decode(&bytes).unwrap();
    let markers: Vec<usize> = (data(&bytes)..bytes.len() - 1)
        .filter(|&at| bytes[at] == 0xFF && (0xD0..=0xD7).contains(&bytes[at + 1]))
        .collect();
    let mut lost = bytes.clone();
    lost.drain(markers[0]..markers[1]);
    let photo = decode(&lost).unwrap();
    assert!(
        matches!(photo.warnings(), [Warning::DataMissing { .. }, ..]),
        "{:?}",
        photo.warnings()
    );
    // Three intervals of two units each lie in two rows of three.
    let last = |photo: &Photo| photo.crop(20..35, 20..27);
    assert!(last(&photo) == last(&whole));
}

#[test]
fn codes_that_do_not_exist_are_said() {
    let mut bytes = fixture("sampled_1x1.jpg");
    let start = data(&bytes);
    // All ones are no code of any table; stuffed, they are no marker either.
    for pair in bytes[start + 20..start + 28].chunks_exact_mut(2) {
        pair.copy_from_slice(&[0xFF, 0]);
    }
    let photo = decode(&bytes).unwrap();
    let damaged = Warning::Damaged { format: "JPEG" };
    assert!(
        photo.warnings().contains(&damaged),
        "{:?}",
        photo.warnings()
    );
}

#[test]
fn only_the_end_marker_may_be_missing() {
    for name in ["sampled_2x2.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg"] {
        let whole = fixture(name);
        for cut in [1, 2] {
            let photo = decode(&whole[..whole.len() - cut]).unwrap();
            let expected = [Warning::NoEnd { format: "JPEG" }];
            assert_eq!(photo.warnings(), expected, "{name}");
            assert!(photo == decode(&whole).unwrap(), "{name}");
        }
        for cut in [6, 60] {
            let error = decode(&whole[..whole.len() - cut]).unwrap_err();
            let is_said = matches!(&error, Error::Invalid { format: "JPEG", reason, .. }
                if reason == "it ends before its end marker");
            assert!(is_said, "{name}: {error:?}");
        }
    }
}

#[test]
fn what_is_valid_but_not_decoded_is_not_called_invalid() {
    let baseline = fixture("sampled_1x1.jpg");
    let frame = segments(&baseline, SOF)[0].start;
    for (offset, value, word, advice) in [
        (1, 0xC3, "without loss", "djpeg"),
        (1, 0xC9, "arithmetic", "jpegtran"),
        (1, 0xCA, "arithmetic", "jpegtran"),
        (1, 0xF7, "JPEG-LS", "ffmpeg"),
        (1, 0xC5, "no common program", "PNG"),
        (4, 12, "more than 8 bits", "djpeg"),
    ] {
        let mut bytes = baseline.clone();
        bytes[frame + offset] = value;
        let error = decode(&bytes).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(word) && text.contains(advice), "{text}");
    }
}
