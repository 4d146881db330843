//! Against scikit-learn and scikit-image, where the interpreter `VCP_CLIP_PYTHON` (or `python3`)
//! has them; otherwise this says so and passes.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers of tests, too

mod support;

use std::path::Path;
use std::process::Command;

use support::{Image, report, smooth_images};
use vcp_metrics::{ImageReport, PixelOptions};

/// The state of a small generator of numbers that look random.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }
}

fn cases() -> Vec<(&'static str, Vec<Image>)> {
    let smooth = smooth_images(6, 6, 96);
    let mut levels = smooth.clone();
    let mut noisy = smooth.clone();
    let mut noise = Noise(7);
    for image in &mut levels {
        for value in &mut image.map {
            *value = (*value * 40.0).round() / 40.0;
        }
    }
    for image in &mut noisy {
        for (value, mask) in image.map.iter_mut().zip(&mut image.mask) {
            *value = 0.3 * *value + 0.7 * noise.next();
            // Ragged edges: many small regions beside the large one.
            if *mask != 0 && noise.next() < 0.6 {
                *mask = 0;
            }
        }
    }
    vec![("smooth", smooth), ("levels", levels), ("noisy", noisy)]
}

fn write(folder: &Path, images: &[Image]) {
    let size = serde_json::json!({
        "images": images.len(),
        "height": images[0].height,
        "width": images[0].width,
    });
    let values = images.iter().flat_map(|image| &image.map);
    let maps: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
    let masks: Vec<u8> = images.iter().flat_map(|image| image.mask.clone()).collect();
    std::fs::write(folder.join("size.json"), size.to_string()).unwrap();
    std::fs::write(folder.join("maps.f32"), maps).unwrap();
    std::fs::write(folder.join("masks.u8"), masks).unwrap();
}

#[test]
fn figures_equal_those_of_scikit_learn_and_scikit_image() {
    let python = std::env::var_os("VCP_CLIP_PYTHON").unwrap_or_else(|| "python3".into());
    let modules = ["-c", "import sklearn, skimage"];
    let has_modules = Command::new(&python).args(modules).output();
    if !has_modules.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "skipped: {} cannot import sklearn and skimage",
            python.to_string_lossy()
        );
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benchmarks/metrics/official.py");
    let options = PixelOptions {
        aupimo_bounds: [0.01, 0.1],
        ..PixelOptions::default()
    };
    for (case, images) in cases() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &images);
        let output = Command::new(&python)
            .arg(&script)
            .arg(folder.path())
            .args(["--all", "--aupimo-bounds", "0.01", "0.1"])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let expected: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected = |name: &str| expected["figures"][name].as_f64().unwrap();
        let found = report(&images, options);
        let largest = |image: &Image| image.map.iter().copied().fold(f32::MIN, f32::max);
        let scores: Vec<f32> = images.iter().map(largest).collect();
        let labels: Vec<bool> = images.iter().map(|image| image.mask.contains(&1)).collect();
        let found_images = ImageReport::new(&scores, &labels).unwrap();
        let of_images = found_images.figures().into_iter().take(3);
        for (name, figure) in found.figures().into_iter().chain(of_images) {
            let figure = figure.unwrap().value;
            let difference = (figure - expected(name)).abs();
            eprintln!("{case} {name}: {figure} differs by {difference:.1e}");
            assert!(
                difference < 1e-6,
                "{case} {name}: {figure}, not {}",
                expected(name)
            );
        }
        // Sampling thresholds and taking the nearest for the bounds is not exact.
        let aupimo = found.aupimo.unwrap().value;
        let difference = (aupimo - expected("aupimo_sampled")).abs();
        eprintln!("{case} AUPIMO, sampled: differs by {difference:.1e}");
        if case != "levels" {
            assert!(difference < 0.01, "{case}: {aupimo}");
        }
    }
}
