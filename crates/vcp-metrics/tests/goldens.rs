//! Against the official evaluation, from its own maps. The folder is not part of the repository;
//! without it these tests say so and pass.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // helpers of tests, too

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use vcp_metrics::{
    Collector, ImageMap, ImageReport, Outcome, PixelOptions, PixelReport, StreamingCollector,
};

/// How closely figures have to agree.
const TOLERANCE: f64 = 1e-6;

/// One category: what the branches gave, what the official code made of it.
struct Category {
    name: &'static str,
    side: usize,
    map1: Vec<f32>,
    map2: Vec<f32>,
    smoothed_scaled: Vec<f32>,
    mask: Vec<u8>,
    anomalous: Vec<bool>,
    expected: serde_json::Value,
}

impl Category {
    fn read(name: &'static str) -> Option<Self> {
        let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/goldens/metrics")
            .join(name);
        if !folder.is_dir() {
            eprintln!("SKIPPED: {} is not there", folder.display());
            return None;
        }
        let maps = fs::read(folder.join("maps.safetensors")).unwrap();
        let maps = SafeTensors::deserialize(&maps).unwrap();
        let floats = |name: &str| -> Vec<f32> {
            let (values, _) = maps.tensor(name).unwrap().data().as_chunks::<4>();
            values
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes))
                .collect()
        };
        let bytes = |name: &str| maps.tensor(name).unwrap().data().to_vec();
        let expected = fs::read_to_string(folder.join("expected.json")).unwrap();
        Some(Self {
            name,
            side: maps.tensor("mask").unwrap().shape()[2],
            map1: floats("map1"),
            map2: floats("map2"),
            smoothed_scaled: floats("smoothed_scaled"),
            mask: bytes("mask"),
            anomalous: bytes("label").iter().map(|&label| label != 0).collect(),
            expected: serde_json::from_str(&expected).unwrap(),
        })
    }

    fn expected(&self, figure: &str) -> f64 {
        self.expected[figure].as_f64().unwrap()
    }

    fn check(&self, figure: &str, found: Outcome) {
        let (found, expected) = (found.unwrap(), self.expected(figure));
        let difference = (found.value - expected).abs();
        eprintln!(
            "{} {figure}: {found} differs by {difference:.1e}",
            self.name
        );
        assert!(
            difference <= TOLERANCE + found.error_bound,
            "{} {figure}: {found:?}, not {expected}",
            self.name
        );
    }

    fn check_all(&self, report: &PixelReport) {
        for (figure, found) in [
            ("auroc_px", report.auroc),
            ("aupro_px_200_steps", report.aupro_steps),
            ("ap_px", report.average_precision),
            ("f1_px", report.f1_max),
            ("threshold", report.threshold),
            ("iou", report.iou),
        ] {
            self.check(figure, found);
        }
    }

    /// The images with these values as their maps.
    fn images<'a>(&'a self, maps: &'a [f32]) -> Vec<ImageMap<'a>> {
        let pixels = self.side * self.side;
        let masks = self.mask.chunks(pixels);
        maps.chunks(pixels)
            .zip(masks)
            .map(|(map, mask)| ImageMap {
                map,
                mask: mask.iter().any(|&pixel| pixel != 0).then_some(mask),
                width: self.side,
                height: self.side,
            })
            .collect()
    }

    fn report(&self, maps: &[f32]) -> PixelReport {
        let mut collector = Collector::new(PixelOptions::default()).unwrap();
        collector.add_all(&self.images(maps)).unwrap();
        collector.report()
    }
}

/// The official scaling: the smallest of all values becomes 0, the largest 1.
fn scaled(values: &[f32]) -> Vec<f32> {
    let smallest = values.iter().copied().fold(f32::INFINITY, f32::min);
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = largest - smallest;
    values
        .iter()
        .map(|value| (value - smallest) / range)
        .collect()
}

fn categories() -> impl Iterator<Item = Category> {
    ["smooth", "ties"].into_iter().filter_map(Category::read)
}

#[test]
fn pixel_figures_equal_the_official_ones() {
    for category in categories() {
        category.check_all(&category.report(&category.smoothed_scaled));
    }
}

#[test]
fn pixel_figures_equal_the_official_ones_from_the_branches_on() {
    for category in categories() {
        let pixels = category.side * category.side;
        let blended: Vec<f32> = category
            .map1
            .iter()
            .zip(&category.map2)
            .map(|(first, second)| 0.2 * first + 0.8 * second)
            .collect();
        let smoothed: Vec<f32> = blended
            .chunks(pixels)
            .flat_map(|map| vcp_image::gaussian_blur(map, category.side, category.side, 8.0))
            .collect();
        category.check_all(&category.report(&scaled(&smoothed)));
    }
}

#[test]
fn image_figures_equal_the_official_ones() {
    for category in categories() {
        let score = |map: &[f32]| {
            let mut values = map.to_vec();
            values.sort_by(f32::total_cmp);
            let largest = &values[values.len() - 2000..];
            largest.iter().map(|&value| f64::from(value)).sum::<f64>() / 2000.0
        };
        let pixels = category.side * category.side;
        let scores: Vec<f32> = category
            .map1
            .chunks(pixels)
            .zip(category.map2.chunks(pixels))
            .map(|(first, second)| (score(first) + score(second)) as f32)
            .collect();
        let expected = category.expected["image_scores_before_scaling"]
            .as_array()
            .unwrap();
        assert_eq!(scores.len(), expected.len());
        for (score, expected) in scores.iter().zip(expected) {
            let expected = expected.as_f64().unwrap();
            assert!(
                (f64::from(*score) - expected).abs() < TOLERANCE,
                "{score}, not {expected}"
            );
        }
        let report = ImageReport::new(&scaled(&scores), &category.anomalous).unwrap();
        category.check("auroc_sp", report.auroc);
        category.check("ap_sp", report.average_precision);
        category.check("f1_sp", report.f1_max);
    }
}

#[test]
fn fixed_memory_stays_within_its_bounds() {
    for category in categories() {
        let mut collector = StreamingCollector::new(PixelOptions::default()).unwrap();
        for image in category.images(&category.smoothed_scaled) {
            collector.add(&image).unwrap();
        }
        let report = collector.report();
        category.check_all(&report);
        let exact = category.report(&category.smoothed_scaled);
        for ((name, found), (_, exact)) in report.figures().into_iter().zip(exact.figures()) {
            match (found, exact) {
                (Ok(found), Ok(exact)) => assert!(
                    (found.value - exact.value).abs() <= found.error_bound + 1e-12,
                    "{name}: {found:?}, not {exact:?}"
                ),
                (found, exact) => assert_eq!(found.is_err(), exact.is_err(), "{name}"),
            }
        }
    }
}
