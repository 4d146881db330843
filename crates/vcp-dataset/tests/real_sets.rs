//! The two real data sets that developers may have beside the repository. Without them these tests
//! say so and pass.

#![allow(clippy::print_stderr, clippy::unwrap_used)] // helpers of tests, too

use std::path::{Path, PathBuf};

use vcp_dataset::{Dataset, Label, MaskSource, Options, Split, check, layout};
use vcp_image::DecodeOptions;

fn root(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if root.is_dir() {
        Some(root)
    } else {
        eprintln!("skipped: there is no {}", root.display());
        None
    }
}

fn read(layout_name: &str, root: &Path) -> Dataset {
    layout(layout_name)
        .unwrap()
        .read(root, &Options::default())
        .unwrap()
}

fn count(dataset: &Dataset, split: Split, label: Label) -> usize {
    let of_kind = |sample: &&vcp_dataset::Sample| sample.split == split && sample.label == label;
    dataset.samples.iter().filter(of_kind).count()
}

#[test]
fn cookies() {
    let Some(root) = root("cookies") else {
        return;
    };
    let dataset = read("lookout", &root);
    assert_eq!(count(&dataset, Split::Unassigned, Label::Normal), 31);
    assert_eq!(count(&dataset, Split::Unassigned, Label::Anomalous), 32);
    assert_eq!(dataset.samples.len(), 63);
    assert_eq!(dataset.categories(), ["cookies"]);
    // Decodes everything: masks have the images' size and are not empty.
    let report = check(&dataset, true);
    assert_eq!(report.problems, []);
    assert_eq!(report.without_mask, 0);
    assert_eq!(report.categories[0].splits[0].defects[0].defect, "cracked");
    // Counted by another program; the first is a palette with transparent entries, the others RGBA.
    for (number, expected) in [(1, 7_676), (4, 21_315), (23, 29_609), (26, 15_722)] {
        let id = format!("dataset-files/training-images/anomaly-{number}.jpg");
        let sample = dataset
            .samples
            .iter()
            .find(|sample| sample.id == id)
            .unwrap();
        let mask = sample
            .load_mask(576, 768, &DecodeOptions::default())
            .unwrap();
        let pixels: usize = mask
            .pixels()
            .iter()
            .map(|&pixel| usize::from(pixel == 255))
            .sum();
        assert_eq!(pixels, expected, "{id}");
    }
}

#[test]
fn bsdata() {
    let Some(root) = root("bsdata") else {
        return;
    };
    let dataset = read("bsdata", &root);
    // A part of the published set, which has 394 annotated images of 1104.
    assert_eq!(dataset.samples.len(), 330);
    assert_eq!(count(&dataset, Split::Train, Label::Anomalous), 120);
    assert_eq!(count(&dataset, Split::Test, Label::Anomalous), 50);
    assert_eq!(count(&dataset, Split::Unassigned, Label::Normal), 160);
    let report = check(&dataset, true);
    assert_eq!(report.problems, []);
    for split in &report.categories[0].splits {
        assert!(
            split
                .defects
                .iter()
                .all(|defect| defect.defect == "Pitting")
        );
    }
    // The area of the polygons, by the shoelace formula, is about that of their pixels.
    let options = DecodeOptions::default();
    let annotated = dataset
        .samples
        .iter()
        .filter_map(|sample| match &sample.mask {
            MaskSource::Labelme { path } => Some((sample, path)),
            _ => None,
        });
    for (sample, path) in annotated.step_by(10) {
        let photo = sample.load_image(&options).unwrap();
        let mask = sample
            .load_mask(photo.width(), photo.height(), &options)
            .unwrap();
        let pixels: usize = mask
            .pixels()
            .iter()
            .map(|&pixel| usize::from(pixel == 255))
            .sum();
        let text = std::fs::read_to_string(path).unwrap();
        let annotation: serde_json::Value = serde_json::from_str(&text).unwrap();
        let shapes = annotation["shapes"].as_array().unwrap();
        let (mut area, mut perimeter) = (0.0, 0.0);
        for shape in shapes {
            let points: Vec<[f64; 2]> = serde_json::from_value(shape["points"].clone()).unwrap();
            let mut twice = 0.0;
            for (index, [x0, y0]) in points.iter().enumerate() {
                let [x1, y1] = points[(index + 1) % points.len()];
                twice += x0 * y1 - x1 * y0;
                perimeter += (x1 - x0).hypot(y1 - y0);
            }
            area += f64::abs(twice) / 2.0;
        }
        // Corners are cut to whole pixels, and the pixels along the edge belong to the polygon.
        assert!(
            (pixels as f64 - area).abs() <= perimeter,
            "{}: {pixels}, {area}",
            sample.id
        );
    }
}
