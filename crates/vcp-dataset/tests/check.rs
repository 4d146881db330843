//! Counting, and finding what is wrong with images and masks.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{DynamicImage, GrayImage, ImageBuffer, Luma, Rgb, RgbImage};
use tempfile::TempDir;
use vcp_dataset::{Dataset, Options, Problem, Report, Split, check, check_deeply, layout};
use vcp_image::DecodeOptions;

fn save(root: &Path, name: &str, picture: impl Into<DynamicImage>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.into().save(path).unwrap();
}

/// A mask with this many defect pixels.
fn mask(width: u32, height: u32, defects: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| {
        Luma([if y * width + x < defects { 255 } else { 0 }])
    })
}

fn read(root: &Path) -> Dataset {
    layout("mvtec")
        .unwrap()
        .read(root, &Options::default())
        .unwrap()
}

/// A set with grey, 16-bit and colour images, where nothing is wrong.
fn build() -> TempDir {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let grey_16 = ImageBuffer::<Luma<u16>, _>::from_pixel(6, 4, Luma([40_000]));
    let color_16 = ImageBuffer::<Rgb<u16>, _>::from_pixel(6, 4, Rgb([1, 2, 3]));
    let mask_16 = ImageBuffer::<Luma<u16>, _>::from_fn(6, 4, |x, _| Luma([(x == 0).into()]));
    save(root, "grid/train/good/000.png", GrayImage::new(6, 4));
    save(
        root,
        "grid/test/good/000.png",
        DynamicImage::ImageLuma16(grey_16),
    );
    save(
        root,
        "grid/test/bent/000.png",
        DynamicImage::ImageRgb16(color_16),
    );
    save(root, "grid/test/bent/001.png", RgbImage::new(6, 4));
    save(root, "grid/test/hole/000.png", RgbImage::new(6, 4));
    let truth = "grid/ground_truth";
    save(
        root,
        &format!("{truth}/bent/000_mask.png"),
        DynamicImage::ImageLuma16(mask_16),
    );
    save(root, &format!("{truth}/bent/001_mask.png"), mask(6, 4, 1));
    save(root, &format!("{truth}/hole/000_mask.png"), mask(6, 4, 24));
    save(root, "wood/test/good/000.png", GrayImage::new(6, 4));
    folder
}

#[test]
fn a_sound_set_is_counted() {
    let folder = build();
    let dataset = read(folder.path());
    let done = AtomicUsize::new(0);
    let report = check_deeply(&dataset, &DecodeOptions::default(), &|| {
        done.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), 6);
    assert!(report.deep);
    assert_eq!(report.problems, []);
    assert_eq!(
        report,
        Report {
            deep: true,
            ..check(&dataset, false)
        }
    );
    assert_eq!(
        serde_json::to_string(&report).unwrap(),
        r#"{"dataset":"mvtec","deep":true,"images":6,"normal":3,"anomalous":3,"without_mask":0,"weak_masks":false,"notes":[],"categories":[{"category":"grid","splits":[{"split":"train","images":1,"normal":1,"anomalous":0,"without_mask":0,"defects":[]},{"split":"test","images":4,"normal":1,"anomalous":3,"without_mask":0,"defects":[{"defect":"bent","images":2},{"defect":"hole","images":1}]}]},{"category":"wood","splits":[{"split":"test","images":1,"normal":1,"anomalous":0,"without_mask":0,"defects":[]}]}],"problems":[],"problem_count":0}"#
    );
}

#[test]
fn everything_that_decoding_finds_is_reported_with_both_paths() {
    let folder = build();
    let root = folder.path();
    save(root, "grid/test/hole/001.png", RgbImage::new(6, 4));
    save(root, "grid/ground_truth/hole/001_mask.png", mask(4, 6, 3));
    save(root, "grid/test/hole/002.png", RgbImage::new(6, 4));
    save(root, "grid/ground_truth/hole/002_mask.png", mask(6, 4, 0));
    save(root, "grid/test/hole/003.png", RgbImage::new(6, 4));
    fs::write(
        root.join("grid/ground_truth/hole/003_mask.png"),
        "no picture",
    )
    .unwrap();
    fs::write(root.join("grid/test/hole/004.png"), "no picture").unwrap();
    save(root, "grid/ground_truth/hole/004_mask.png", mask(6, 4, 3));
    save(root, "grid/test/hole/005.png", RgbImage::new(6, 4));
    save(root, "grid/ground_truth/good/000_mask.png", mask(6, 4, 5));
    let dataset = read(root);

    let shallow = check(&dataset, false);
    let missing = Problem::MissingMask {
        image: root.join("grid/test/hole/005.png"),
        expected: root.join("grid/ground_truth/hole/005_mask.png"),
    };
    assert_eq!(shallow.problems, [missing]);
    assert_eq!(shallow.without_mask, 1);
    assert_eq!(shallow.categories[0].splits[1].without_mask, 1);

    let deep = check(&dataset, true);
    assert_eq!(deep.problems[..1], shallow.problems[..]);
    let sentences: Vec<String> = deep.problems[1..].iter().map(Problem::sentence).collect();
    let sentences = sentences
        .join("\n")
        .replace(&format!("{}/", root.display()), "");
    assert_eq!(
        sentences,
        "grid/test/good/000.png is normal, but its mask grid/ground_truth/good/000_mask.png has 5 pixels of defect, which are ignored.
The mask grid/ground_truth/hole/001_mask.png has 4 × 6 pixels, but its image grid/test/hole/001.png has 6 × 4: the sides are swapped, so that one of the two was turned without the other.
grid/test/hole/002.png is anomalous, but its mask grid/ground_truth/hole/002_mask.png is empty.
The mask of grid/test/hole/003.png cannot be used: grid/ground_truth/hole/003_mask.png is not a PNG, JPEG, BMP, TIFF, WebP, GIF or PNM image (judged by its first bytes, not by its name).
grid/test/hole/004.png is not a PNG, JPEG, BMP, TIFF, WebP, GIF or PNM image (judged by its first bytes, not by its name)."
    );
    // Whatever its file says, a normal image has no defects.
    let normal = dataset
        .samples
        .iter()
        .find(|sample| sample.id == "grid/test/good/000.png");
    let normal = normal.unwrap();
    assert!(normal.mask.path().is_some());
    let mask = normal.load_mask(6, 4, &DecodeOptions::default()).unwrap();
    assert!(mask.pixels().iter().all(|&pixel| pixel == 0));
}

#[test]
fn samples_are_selected_by_category_and_split() {
    let folder = build();
    let mut dataset = read(folder.path());
    let whole = dataset.clone();
    assert!(
        dataset
            .select(&["grid".into(), "brick".into()], None)
            .is_err()
    );
    assert_eq!(dataset, whole);
    dataset.select(&["grid".into()], Some(Split::Test)).unwrap();
    assert_eq!(dataset.samples.len(), 4);
    dataset.samples[0].split = Split::Unassigned;
    dataset.select(&[], Some(Split::Train)).unwrap();
    assert_eq!(dataset.samples.len(), 1);
    dataset.select(&[], Some(Split::Unassigned)).unwrap();
    assert_eq!(dataset.samples.len(), 1);
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_do_not_break_reports() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = build();
    let root = folder.path();
    let name = OsStr::from_bytes(b"\xff\xfe.png");
    fs::copy(
        root.join("grid/test/hole/000.png"),
        root.join("grid/test/hole").join(name),
    )
    .unwrap();
    let report = check(&read(root), true);
    assert!(matches!(report.problems[..], [Problem::MissingMask { .. }]));
    let json = serde_json::to_string(&report).unwrap();
    assert!(
        json.contains("\u{fffd}\u{fffd}.png") && json.contains("missing-mask"),
        "{json}"
    );
    assert!(report.problems[0].sentence().contains("\u{fffd}"));
}
