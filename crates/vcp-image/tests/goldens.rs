//! Against the numbers of Pillow, torchvision, `SciPy` and the official code. The folder is not part
//! of the repository; without it these tests say so and pass.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers of tests, too

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use vcp_image::{DecodeOptions, Photo, decode_file, gaussian_blur, normalise, resize_mask};

fn goldens(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/goldens")
        .join(folder);
    if !path.is_dir() {
        eprintln!("SKIPPED: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn decode(path: &Path) -> Photo {
    decode_file(path, &DecodeOptions::default()).unwrap()
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f32>) {
    let tensor = tensors.tensor(name).unwrap();
    let (values, _) = tensor.data().as_chunks::<4>();
    let values = values.iter().map(|bytes| f32::from_le_bytes(*bytes));
    (tensor.shape().to_vec(), values.collect())
}

/// Largest and mean difference in levels.
fn levels(found: &Photo, expected: &Photo) -> (u8, f64) {
    let (found, expected) = (found.to_rgb(), expected.to_rgb());
    assert_eq!(
        (found.width(), found.height()),
        (expected.width(), expected.height())
    );
    let differences: Vec<u8> = found
        .pixels()
        .iter()
        .zip(expected.pixels())
        .map(|(a, b)| a.abs_diff(*b))
        .collect();
    let sum: u64 = differences.iter().map(|&d| u64::from(d)).sum();
    let largest = differences.iter().copied().max().unwrap();
    (largest, sum as f64 / differences.len() as f64)
}

#[test]
fn resizing_equals_pillow() {
    let Some(folder) = goldens("preprocess") else {
        return;
    };
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let rows = std::fs::read(folder.join("normalised_rows.safetensors")).unwrap();
    let rows = SafeTensors::deserialize(&rows).unwrap();
    for case in manifest["cases"].as_array().unwrap() {
        let source = case["source"].as_str().unwrap();
        let size = usize::try_from(case["size"].as_u64().unwrap()).unwrap();
        let photo = decode(&folder.join(source));
        assert_eq!(photo.is_grey(), case["mode"] == "L", "{source}");
        let resized = photo.resize_bicubic(size, size);
        let expected = decode(&folder.join(case["resized"].as_str().unwrap()));
        let (largest, mean) = levels(&resized, &expected);
        println!("{source} to {size}: largest {largest}, mean {mean:.5}");
        assert!(largest == 0, "{source}: {largest} levels");

        let tolerance = 1e-6;
        let planes = normalise(&resized);
        for (channel, plane) in planes.chunks_exact(size * size).enumerate() {
            for (part, row) in [
                ("row0", &plane[..size]),
                ("rowlast", &plane[size * (size - 1)..]),
            ] {
                let (shape, expected) = floats(&rows, &format!("{source}@{size}:{part}"));
                assert_eq!(shape, [3, size]);
                for (found, expected) in row.iter().zip(&expected[channel * size..]) {
                    assert!(
                        (found - expected).abs() <= tolerance,
                        "{source}, {part}, channel {channel}: {found} instead of {expected}"
                    );
                }
            }
            let (_, means) = floats(&rows, &format!("{source}@{size}:mean"));
            let mean = plane.iter().map(|&v| f64::from(v)).sum::<f64>() / plane.len() as f64;
            assert!((mean - f64::from(means[channel])).abs() <= f64::from(tolerance) + 2e-6);
        }
    }
}

#[test]
fn blurring_equals_scipy() {
    for (folder, side) in [("mini", 70), ("tiny", 98)] {
        let Some(folder) = goldens(folder) else {
            return;
        };
        let bytes = std::fs::read(folder.join("stages.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let (shape, map1) = floats(&tensors, "map1");
        let (_, map2) = floats(&tensors, "map2");
        let (_, expected) = floats(&tensors, "blended_smoothed");
        assert_eq!(shape, [2, side, side]);
        let blended: Vec<f32> = map1
            .iter()
            .zip(&map2)
            .map(|(one, two)| 0.2 * one + 0.8 * two)
            .collect();
        for (map, expected) in blended
            .chunks_exact(side * side)
            .zip(expected.chunks_exact(side * side))
        {
            let found = gaussian_blur(map, side, side, 8.0);
            let largest = found
                .iter()
                .zip(expected)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            println!("{}: largest difference {largest:e}", folder.display());
            assert!(largest <= 1e-6, "{largest}");
        }
    }
}

#[test]
fn images_without_expected_pixels_decode() {
    let Some(folder) = goldens("preprocess") else {
        return;
    };
    for (name, width, height, grey) in [
        ("rgba_199x176.png", 199, 176, false),
        ("palette_140x100.png", 140, 100, false),
        ("gray16_300x200.png", 300, 200, true),
    ] {
        let photo = decode(&folder.join(name));
        assert_eq!(
            (photo.width(), photo.height(), photo.is_grey()),
            (width, height, grey),
            "{name}"
        );
        let lowest = photo.pixels().iter().min().unwrap();
        let highest = photo.pixels().iter().max().unwrap();
        assert!(highest - lowest > 100, "{name}: {lowest} to {highest}");
    }
}

#[test]
fn masks_equal_pillow() {
    let Some(folder) = goldens("preprocess") else {
        return;
    };
    let mask = decode(&folder.join("mask_320x240.png"));
    let expected = decode(&folder.join("mask_to_518.png"));
    assert_eq!(resize_mask(&mask, 518, 518), expected);
}
