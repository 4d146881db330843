//! Files that lie, break off or are something else: typed errors that name the file, no absurd memory.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers of tests, too

use std::path::{Path, PathBuf};

use vcp_image::{
    DecodeOptions, Error, Picture, ScaledMap, decode_bytes, decode_file, mask_picture,
};
use vcp_random::Random;
use vcp_testing::memory::peak_bytes;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decoded")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).unwrap()
}

fn decode(bytes: &[u8]) -> Result<vcp_image::Photo, Error> {
    decode_bytes(bytes, "the test's image", &DecodeOptions::default())
}

fn big_endian(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// A PNG whose header claims another size; its checksum is made to fit.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = fixture("rgb.png");
    big_endian(&mut bytes, 16, width);
    big_endian(&mut bytes, 20, height);
    let mut checksum = u32::MAX;
    for &byte in &bytes[12..29] {
        checksum ^= u32::from(byte);
        for _ in 0..8 {
            checksum = (checksum >> 1) ^ (0xEDB8_8320 * (checksum & 1));
        }
    }
    big_endian(&mut bytes, 29, !checksum);
    bytes
}

fn bmp_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = fixture("rgb.bmp");
    bytes[18..22].copy_from_slice(&width.to_le_bytes());
    bytes[22..26].copy_from_slice(&height.to_le_bytes());
    bytes
}

fn jpeg_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = fixture("baseline.jpg");
    let frame = bytes
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

fn tiff_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = fixture("rgb.tiff");
    let directory = u32::from_le_bytes(*bytes[4..].first_chunk().unwrap()) as usize;
    let entries = usize::from(u16::from_le_bytes([bytes[directory], bytes[directory + 1]]));
    for entry in bytes[directory + 2..].chunks_exact_mut(12).take(entries) {
        let value = match u16::from_le_bytes([entry[0], entry[1]]) {
            256 => width,
            257 | 278 => height,
            _ => continue,
        };
        entry[2..4].copy_from_slice(&4_u16.to_le_bytes());
        entry[8..12].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

fn webp_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = fixture("animated.webp");
    assert_eq!(&bytes[12..16], b"VP8X");
    bytes[24..27].copy_from_slice(&(width - 1).to_le_bytes()[..3]);
    bytes[27..30].copy_from_slice(&(height - 1).to_le_bytes()[..3]);
    bytes
}

/// A lossless WebP whose two sides are of this length.
fn lossless_webp_claiming(side: u32) -> Vec<u8> {
    let mut bytes = fixture("rgb.webp");
    assert_eq!(&bytes[12..16], b"VP8L");
    let rest = u32::from_le_bytes(*bytes[21..].first_chunk().unwrap()) & 0xF000_0000;
    let sides = (side - 1) | (side - 1) << 14 | rest;
    bytes[21..25].copy_from_slice(&sides.to_le_bytes());
    bytes
}

fn gif_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = fixture("palette.gif");
    bytes[6..8].copy_from_slice(&width.to_le_bytes());
    bytes[8..10].copy_from_slice(&height.to_le_bytes());
    bytes
}

#[test]
fn the_longest_side_of_a_lossless_webp_is_told_as_it_is() {
    let options = DecodeOptions {
        max_pixels: 1 << 30,
        ..Default::default()
    };
    let error = decode_bytes(&lossless_webp_claiming(16_384), "x", &options).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    assert!(error.to_string().contains("16384"), "{error}");
}

#[test]
fn bombs_are_refused_by_their_header() {
    for (format, bytes, size) in [
        ("PNG", png_claiming(100_000, 60_000), (100_000, 60_000)),
        (
            "PNG",
            png_claiming(0x7FFF_FFFF, 0x7FFF_FFFF),
            (0x7FFF_FFFF, 0x7FFF_FFFF),
        ),
        ("BMP", bmp_claiming(50_000, 50_000), (50_000, 50_000)),
        ("JPEG", jpeg_claiming(65_535, 65_535), (65_535, 65_535)),
        ("TIFF", tiff_claiming(900_000, 900_000), (900_000, 900_000)),
        ("WebP", webp_claiming(60_000, 60_000), (60_000, 60_000)),
        ("WebP", lossless_webp_claiming(16_384), (16_384, 16_384)),
        ("GIF", gif_claiming(65_535, 65_535), (65_535, 65_535)),
        ("PGM", b"P5 70000 70000 255 ".to_vec(), (70_000, 70_000)),
        (
            "PAM",
            b"P7\nWIDTH 99999\nHEIGHT 99999\nDEPTH 1\nMAXVAL 255\nENDHDR\n".to_vec(),
            (99_999, 99_999),
        ),
    ] {
        match decode(&bytes) {
            Err(error @ Error::TooManyPixels { width, height, .. }) => {
                assert_eq!((width, height), size, "{format}");
                let text = error.to_string();
                for part in [
                    "the test's image",
                    &width.to_string(),
                    "200000000",
                    "--max-pixels",
                ] {
                    assert!(text.contains(part), "{format}: {text}");
                }
            }
            other => panic!("{format}: {other:?}"),
        }
    }
}

#[test]
fn a_line_of_many_pixels_is_refused_by_its_header() {
    for (format, bytes) in [
        ("PNG", png_claiming(1, 100_000_000)),
        ("PNG", png_claiming(100_000_000, 1)),
        ("TIFF", tiff_claiming(1, 100_000_000)),
        ("TIFF", tiff_claiming((1 << 18) + 1, 1)),
    ] {
        assert!(
            matches!(decode(&bytes), Err(Error::SideTooLong { .. })),
            "{format}: {:?}",
            decode(&bytes)
        );
    }
    // That these hold no pixels is found out only when they are decoded.
    assert!(matches!(
        decode(&png_claiming(1, 1 << 18)),
        Err(Error::Invalid { .. })
    ));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("a.png");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("Skipped: mkfifo is not at hand.");
        return;
    }
    for path in [pipe.as_path(), std::path::Path::new("/dev/zero")] {
        let error = vcp_image::decode_file(path, &DecodeOptions::default()).unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}

#[test]
fn the_limit_is_the_option() {
    let bytes = fixture("rgb.png");
    let options = |max_pixels| DecodeOptions {
        max_pixels,
        ..DecodeOptions::default()
    };
    assert!(decode_bytes(&bytes, "x", &options(19 * 26)).is_ok());
    assert!(matches!(
        decode_bytes(&bytes, "x", &options(19 * 26 - 1)),
        Err(Error::TooManyPixels { .. })
    ));
}

#[test]
fn headers_that_claim_much_within_the_limit_cost_little() {
    // Not WebP: a large canvas with a small frame on it is a sound animation.
    let before = peak_bytes();
    for (format, bytes) in [
        ("PNG", png_claiming(14_000, 14_000)),
        ("BMP", bmp_claiming(14_000, 14_000)),
        ("TIFF", tiff_claiming(14_000, 14_000)),
        ("JPEG", jpeg_claiming(14_000, 14_000)),
        ("PGM", b"P5 14000 14000 255 ".to_vec()),
    ] {
        assert!(
            matches!(decode(&bytes), Err(Error::Invalid { .. })),
            "{format}"
        );
    }
    // Linux counts roughly, so that a peak may be told as a little lower than before.
    if let (Some(before), Some(after)) = (before, peak_bytes()) {
        let more = after.saturating_sub(before);
        assert!(more < 256 << 20, "{} MB", more >> 20);
    }
}

#[test]
fn a_webp_chunk_that_claims_gigabytes_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/oriented");
    let whole = std::fs::read(folder.join("6.webp")).unwrap();
    let exif = whole.windows(4).position(|name| name == b"EXIF").unwrap();
    let mut bytes = whole.clone();
    bytes[exif + 4..exif + 8].fill(0xFF);
    let error = decode(&bytes).unwrap_err();
    assert!(
        matches!(error, Error::Invalid { format: "WebP", .. }),
        "{error:?}"
    );
    // After the end that the header names, anything may follow.
    let followed = [whole.as_slice(), b"EXIF\xFF\xFF\xFF\xFF trailing"].concat();
    assert_eq!(decode(&followed).unwrap(), decode(&whole).unwrap());
}

#[test]
fn images_without_pixels_are_refused() {
    for bytes in [
        png_claiming(0, 5),
        png_claiming(5, 0),
        bmp_claiming(0, 5),
        tiff_claiming(0, 5),
    ] {
        let error = decode(&bytes).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Empty { .. } | Error::Invalid { .. } | Error::Unsupported { .. }
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains("the test's image"));
    }
}

#[test]
fn a_cut_file_is_an_error_wherever_it_is_cut() {
    for name in [
        "rgb.png",
        "rgb.bmp",
        "rgb.tiff",
        "rgb.webp",
        "baseline.jpg",
        "progressive.jpg",
        "lossy.webp",
        "palette.gif",
        "rgb.ppm",
        "tiff_lzw.tiff",
    ] {
        let whole = fixture(name);
        assert!(decode(&whole).is_ok(), "{name}");
        for length in 0..whole.len() - 1 {
            match decode(&whole[..length]) {
                Err(Error::UnknownFormat { .. } | Error::NoImage { .. }) => {
                    assert!(length < 16, "{name} at {length}");
                }
                Err(Error::Invalid { .. } | Error::Empty { .. }) => {}
                // What follows the pixels may be missing.
                Ok(photo) => assert_eq!(photo, decode(&whole).unwrap(), "{name} at {length}"),
                Err(other) => panic!("{name} cut to {length} bytes: {other:?}"),
            }
        }
    }
}

#[test]
fn a_jpeg_that_ends_early_is_not_filled_with_grey() {
    for name in ["baseline.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg"] {
        let whole = fixture(name);
        // Without its end marker alone, the picture is whole.
        for cut in [10, 60] {
            let error = decode(&whole[..whole.len() - cut]).unwrap_err();
            assert!(
                matches!(error, Error::Invalid { format: "JPEG", .. }),
                "{name}: {error:?}"
            );
        }
        // Pictures are often followed by something else.
        assert!(
            decode(&[whole.as_slice(), b"trailing bytes"].concat()).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn other_files_are_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, word) in [
        ("empty.png", &b""[..], "is empty"),
        (
            "text.jpg",
            b"This is no image at all, whatever its name says.",
            "first bytes",
        ),
        (
            "pointer.jpg",
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
        ("error.jpg", b"<!DOCTYPE html><html>404</html>", "web page"),
        ("phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = decode_file(&path, &DecodeOptions::default()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(word), "{text}");
    }
    for path in [folder.path().join("missing.png"), folder.path().to_owned()] {
        let error = decode_file(&path, &DecodeOptions::default()).unwrap_err();
        assert!(matches!(error, Error::Read { .. }), "{error:?}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn the_content_tells_the_format_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    std::fs::write(&path, fixture("rgb.png")).unwrap();
    assert!(decode_file(&path, &DecodeOptions::default()).is_ok());
}

/// Every fixture, changed in 60 ways: bytes set to random or extreme values, runs doubled, removed
/// or overwritten. Whatever comes out, it must come out as a photo or an error that names the file.
#[test]
fn a_damaged_file_gives_a_photo_or_an_error_that_names_it() {
    let before = peak_bytes();

    let mut random = Random::new(7);
    let mut slowest = (std::time::Duration::ZERO, String::new());
    let (mut accepted, mut refused) = (0, 0);
    let mut names: Vec<_> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in names {
        let whole = fixture(&name);
        for round in 0..60 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                let run = (1 + random.below(16)).min(bytes.len() - at);
                match random.below(5) {
                    0 => bytes[at] = random.below(256) as u8,
                    1 => bytes[at..at + run].fill(0xFF),
                    2 => bytes[at..at + run].fill(0),
                    3 if bytes.len() > run + 1 => drop(bytes.drain(at..at + run)),
                    _ => {
                        let copy = bytes[at..at + run].to_vec();
                        bytes.splice(at..at, copy);
                    }
                }
            }
            let start = std::time::Instant::now();
            match decode(&bytes) {
                Ok(photo) => {
                    assert_eq!(
                        photo.pixels().len(),
                        photo.width() * photo.height() * photo.channels()
                    );
                    accepted += 1;
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("the test's image"), "{text}");
                    // This is what a panic inside a decoder becomes. Other people's decoders may
                    // panic; JPEG and TIFF are read by code of this project.
                    let is_ours = [".jpg", ".tiff"].iter().any(|end| name.ends_with(end));
                    assert!(
                        !is_ours || !text.contains("gave up"),
                        "{name}, round {round}: {text}"
                    );
                    refused += 1;
                }
            }
            if start.elapsed() > slowest.0 {
                slowest = (start.elapsed(), format!("{name}, round {round}"));
            }
        }
    }
    println!("{accepted} accepted, {refused} refused, slowest {slowest:?}");
    assert!(accepted > 100 && refused > 100, "{accepted}, {refused}");
    assert!(
        slowest.0 < std::time::Duration::from_secs(20),
        "{slowest:?}"
    );
    if let (Some(before), Some(after)) = (before, peak_bytes()) {
        let more = after.saturating_sub(before);
        println!("{} MB", more >> 20);
        assert!(more < 1 << 30, "{} MB", more >> 20);
    }
}

#[test]
fn a_picture_is_written_whole_or_not_at_all() {
    let picture: Picture = mask_picture(&ScaledMap::new(&[0.0, 1.0, 1.0, 0.0], 2, 9, 4), 0.5);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.png");
    std::fs::write(&path, "what was there before").unwrap();
    picture.write_png(&path).unwrap();
    let back = decode_file(&path, &DecodeOptions::default()).unwrap();
    assert_eq!(&back, picture.as_photo());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);

    let nowhere = folder.path().join("missing").join("mask.png");
    let error = picture.write_png(&nowhere).unwrap_err();
    assert!(matches!(error, Error::Write { .. }), "{error:?}");
    assert!(error.to_string().contains("missing"), "{error}");

    // A folder stands in the way: nothing is left beside it.
    let taken = folder.path().join("taken.png");
    std::fs::create_dir(&taken).unwrap();
    assert!(picture.write_png(&taken).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_picture_can_be_read_by_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (plain, path) = (folder.path().join("plain"), folder.path().join("mask.png"));
    std::fs::write(&plain, "as any new file").unwrap();
    mask_picture(&ScaledMap::new(&[0.0], 1, 2, 2), 0.5)
        .write_png(&path)
        .unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&plain));
}
