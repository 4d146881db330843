//! The memory that is promised, measured where the system tells (Linux). Alone in its file, and so
//! in its process.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers of tests, too
#![cfg(target_os = "linux")]

use std::process::Command;

use vcp_metrics::{Collector, ImageMap, PixelOptions, StreamingCollector};
use vcp_testing::memory::peak_bytes_of;

const SIDE: usize = 1024;
const IMAGES: usize = 12;

/// What one image needs while it is added, and tables of fixed size, in bytes.
const ALLOWANCE: f64 = 24e6;

/// Names the case to measure to a process that this test starts: memory that another case gave
/// back would be used again, and hide what is needed.
const CASE: &str = "VCP_METRICS_MEMORY_CASE";

#[test]
fn twelve_bytes_per_pixel_are_never_exceeded() {
    if let Some(case) = std::env::var_os(CASE) {
        measure(case.to_str().unwrap());
        return;
    }
    for case in [
        "constant maps of normal images",
        "varied maps of normal images",
        "anomalous all over",
        "half anomalous",
        "striped",
        "fixed memory",
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "twelve_bytes_per_pixel_are_never_exceeded"])
            .arg("--nocapture")
            .env(CASE, case)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let lines = said.lines().filter(|line| line.starts_with(case));
        eprintln!("{}", lines.collect::<Vec<_>>().join("\n"));
        assert!(output.status.success(), "{said}");
    }
}

fn measure(case: &str) {
    let pixels = SIDE * SIDE;
    let constant = vec![0.5; pixels];
    let varied: Vec<f32> = (0..pixels)
        .map(|i| (i * 7919 % 10_007) as f32 / 10_007.0)
        .collect();
    let stripes: Vec<u8> = (0..pixels).map(|i| u8::from(i % 2 == 0)).collect();
    let (map, mask) = match case {
        "constant maps of normal images" => (constant, None),
        "varied maps of normal images" => (varied, None),
        "anomalous all over" => (varied, Some(vec![1; pixels])),
        "half anomalous" => {
            let mut half = vec![0; pixels];
            half[..pixels / 2].fill(1);
            (varied, Some(half))
        }
        _ => (varied, Some(stripes.clone())),
    };
    let image = ImageMap {
        map: &map,
        mask: mask.as_deref(),
        width: SIDE,
        height: SIDE,
    };
    // One anomalous image, without which less would be computed.
    let anomalous = ImageMap {
        mask: Some(&stripes),
        ..image
    };
    let needed = if case == "fixed memory" {
        peak_bytes_of(|| {
            let mut collector = StreamingCollector::new(PixelOptions::default()).unwrap();
            for _ in 0..IMAGES {
                collector.add(&image).unwrap();
            }
            assert_eq!(collector.report().images, IMAGES);
        })
    } else {
        peak_bytes_of(|| {
            let mut collector = Collector::new(PixelOptions::default()).unwrap();
            collector.add(&anomalous).unwrap();
            for _ in 1..IMAGES {
                collector.add(&image).unwrap();
            }
            assert_eq!(collector.report().images, IMAGES);
        })
    };
    let Some(needed) = needed else {
        eprintln!("{case}: skipped, this system does not tell how much memory is in use");
        return;
    };
    let needed = needed as f64;
    let all = (IMAGES * pixels) as f64;
    eprintln!(
        "{case}: {:.1} MB, {:.1} bytes per pixel",
        needed / 1e6,
        needed / all
    );
    let promised = if case == "fixed memory" {
        101.5e6
    } else {
        12.0 * all
    };
    assert!(needed <= promised + ALLOWANCE, "{case}: {needed} bytes");
}
