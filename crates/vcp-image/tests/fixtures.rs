//! Against Pillow and `SciPy`, with small files that are part of the repository
//! (`fixtures/make.py` makes them).

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::path::PathBuf;

use safetensors::SafeTensors;
use vcp_image::{
    DecodeOptions, Photo, decode_file, decode_mask_file, gaussian_blur, is_turned, resize_mask,
};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn decode(name: &str) -> Photo {
    decode_file(&fixture(name), &DecodeOptions::default()).unwrap()
}

/// Names of the files in a folder of the fixtures, sorted.
fn names(folder: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(fixture(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn largest_difference(found: &Photo, expected: &Photo) -> u8 {
    assert_eq!(
        (found.width(), found.height()),
        (expected.width(), expected.height())
    );
    let pairs = found.to_rgb().into_pixels();
    let pairs = pairs.into_iter().zip(expected.to_rgb().into_pixels());
    pairs.map(|(a, b)| a.abs_diff(b)).max().unwrap()
}

#[test]
fn resizing_equals_pillow_byte_for_byte() {
    let mut count = 0;
    for name in names("resized") {
        let Some((source, size)) = name.strip_suffix(".png").unwrap().split_once('_') else {
            continue;
        };
        let (width, height) = size.split_once('x').unwrap();
        let (width, height) = (width.parse().unwrap(), height.parse().unwrap());
        let photo = decode(&format!("resized/{source}.png"));
        let expected = decode(&format!("resized/{name}"));
        let found = if source == "mask" {
            resize_mask(&photo, width, height)
        } else {
            photo.resize_bicubic(width, height)
        };
        assert!(found == expected, "{name}");
        count += 1;
    }
    assert_eq!(count, 14);
}

#[test]
fn every_kind_of_file_decodes_as_in_pillow() {
    let mut count = 0;
    for name in names("decoded") {
        // NAME.EXTENSION.png is what NAME.EXTENSION holds.
        let Some(source) = name.strip_suffix(".png").filter(|rest| rest.contains('.')) else {
            continue;
        };
        let found = decode(&format!("decoded/{source}"));
        let expected = decode(&format!("decoded/{name}"));
        let difference = largest_difference(&found, &expected);
        let allowed = match source {
            "lossy.webp" => 6,
            // Halves are rounded otherwise.
            "plain100.pgm" => 1,
            _ => 0,
        };
        assert!(difference <= allowed, "{source}: {difference} levels");
        count += 1;
    }
    assert_eq!(count, 46);
}

#[test]
fn grey_stays_grey() {
    for name in [
        "grey.png",
        "grey.tiff",
        "grey.jpg",
        "bits.png",
        "bits.tiff",
        "grey16.png",
        "grey16.tiff",
        "grey_alpha.png",
        "grey.pgm",
        "bits.pbm",
    ] {
        assert!(decode(&format!("decoded/{name}")).is_grey(), "{name}");
    }
    assert!(!decode("decoded/rgb.png").is_grey());
}

#[test]
fn a_mask_is_whatever_is_not_zero() {
    let mask = |name: &str| decode_mask_file(&fixture(name), &DecodeOptions::default()).unwrap();
    for name in ["masks/labels16.png", "masks/labels16.tiff"] {
        let found = mask(name);
        assert!(found.is_grey());
        for y in 0..6 {
            for x in 0..8 {
                let defect = (y == 1 && (1..4).contains(&x)) || [(2, 3), (7, 5)].contains(&(x, y));
                assert_eq!(
                    found.row(y)[x],
                    if defect { 255 } else { 0 },
                    "{name} at {x}, {y}"
                );
            }
        }
    }
    // A colour mask counts in every channel.
    let blocks = mask("oriented/upright.png");
    let expected = decode("oriented/upright.png");
    for (found, pixel) in blocks
        .pixels()
        .iter()
        .zip(expected.pixels().chunks_exact(3))
    {
        assert_eq!(*found == 255, pixel != [0, 0, 0]);
    }
    assert!(blocks.pixels().contains(&0));
}

#[test]
fn every_orientation_is_turned_upright_in_every_format() {
    let as_stored = DecodeOptions {
        apply_orientation: false,
        ..DecodeOptions::default()
    };
    for format in ["jpg", "png", "webp", "tiff"] {
        for orientation in 1..=8 {
            let name = format!("oriented/{orientation}.{format}");
            let expected = decode(&format!("oriented/expected_{orientation}.png"));
            // Blocks of one colour, but chroma of a JPEG bleeds a little at their edges.
            let allowed = if format == "jpg" { 40 } else { 0 };
            let difference = largest_difference(&decode(&name), &expected);
            assert!(difference <= allowed, "{name}: {difference}");

            assert_eq!(is_turned(&fixture(&name)), orientation != 1, "{name}");
            let stored = decode_file(&fixture(&name), &as_stored).unwrap();
            let difference = largest_difference(&stored, &decode("oriented/upright.png"));
            assert!(difference <= allowed, "{name}, as stored: {difference}");
        }
    }
}

#[test]
fn blurring_equals_scipy() {
    let bytes = std::fs::read(fixture("blur.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name: &str| -> Vec<f32> {
        let (values, _) = tensors.tensor(name).unwrap().data().as_chunks::<4>();
        values.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    let mut count = 0;
    for name in tensors.names() {
        let Some(case) = name.strip_prefix("in_") else {
            continue;
        };
        let [height, width, sigma] = case.split('_').collect::<Vec<_>>()[..] else {
            panic!("{name}");
        };
        let found = gaussian_blur(
            &floats(name),
            width.parse().unwrap(),
            height.parse().unwrap(),
            sigma.parse().unwrap(),
        );
        let expected = floats(&format!("out_{case}"));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() <= 1e-6,
                "{case}: {found}, {expected}"
            );
        }
        count += 1;
    }
    assert_eq!(count, 5);
}
