//! Masks as people store them: with alpha, soft edges, inverted, turned, a little too large.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::fs;
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use tempfile::TempDir;
use vcp_dataset::{
    Dataset, Error, MaskFinding, Mismatch, Options, Problem, Report, check_deeply, layout,
};
use vcp_image::{Bits, DecodeOptions, PageChoice};

const STORED: DecodeOptions = DecodeOptions {
    apply_orientation: false,
    max_pixels: 200_000_000,
    bits: Bits::Auto,
    page: PageChoice::Photo,
};

/// A set of one category with these masks of photos of 20 × 10 pixels.
fn set(masks: impl IntoIterator<Item = (&'static str, DynamicImage)>) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (number, (ending, mask)) in masks.into_iter().enumerate() {
        let photo = RgbImage::from_pixel(20, 10, Rgb([90, 80, 70]));
        let place = |name: String| {
            let path = folder.path().join("part").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        photo
            .save(place(format!("test/hole/{number}.png")))
            .unwrap();
        mask.save(place(format!("ground_truth/hole/{number}_mask.{ending}")))
            .unwrap();
    }
    folder
}

fn read(root: &Path) -> Dataset {
    layout("mvtec")
        .unwrap()
        .read(root, &Options::default())
        .unwrap()
}

fn checked(dataset: &Dataset) -> Report {
    check_deeply(dataset, &STORED, &|| ())
}

fn defect(dataset: &Dataset, at: usize) -> usize {
    let mask = dataset.samples[at].load_mask(20, 10, &STORED).unwrap();
    let pixels = mask.pixels().iter();
    pixels.map(|&pixel| usize::from(pixel == 255)).sum()
}

/// Whether a pixel belongs to a square of 4 × 4.
fn is_square(x: u32, y: u32) -> bool {
    (3..7).contains(&x) && (2..6).contains(&y)
}

#[test]
fn transparent_pixels_are_no_defect_whatever_their_colour() {
    let rgba = |under: [u8; 3]| {
        RgbaImage::from_fn(20, 10, |x, y| {
            if is_square(x, y) {
                Rgba([255, 255, 255, 255])
            } else {
                Rgba([under[0], under[1], under[2], 0])
            }
        })
    };
    let grey = image::ImageBuffer::<LumaA<u16>, Vec<u16>>::from_fn(20, 10, |x, y| {
        LumaA([3, if is_square(x, y) { u16::MAX } else { 0 }])
    });
    // Alpha that is the same everywhere says nothing: neither opaque nor transparent.
    let [opaque, transparent] = [255, 0].map(|alpha| {
        RgbaImage::from_fn(20, 10, |x, y| {
            Rgba([0, if is_square(x, y) { 9 } else { 0 }, 0, alpha])
        })
    });
    let folder = set([
        ("png", rgba([255; 3]).into()),
        ("png", rgba([0; 3]).into()),
        ("png", DynamicImage::ImageLumaA16(grey)),
        ("png", opaque.into()),
        ("png", transparent.into()),
        ("webp", rgba([255, 0, 0]).into()),
        ("tif", rgba([255; 3]).into()),
    ]);
    let dataset = read(folder.path());
    for at in 0..7 {
        assert_eq!(defect(&dataset, at), 16, "mask {at}");
    }
    assert_eq!(checked(&dataset).problems, []);
}

#[test]
fn masks_that_cover_nearly_everything_are_a_problem() {
    let inverted = GrayImage::from_fn(20, 10, |x, y| Luma([if is_square(x, y) { 0 } else { 255 }]));
    let purple = RgbImage::from_fn(20, 10, |x, y| {
        Rgb(if is_square(x, y) {
            [255, 255, 0]
        } else {
            [68, 1, 84]
        })
    });
    let usual = || GrayImage::from_fn(20, 10, |x, y| Luma([255 * u8::from(is_square(x, y))]));
    for masks in [
        [inverted.clone().into(), inverted.into()],
        [purple.clone().into(), purple.into()],
    ] {
        let [first, second]: [DynamicImage; 2] = masks;
        let folder = set([("png", first.clone()), ("png", second)]);
        let report = checked(&read(folder.path()));
        // Two values are two values, whichever they are.
        assert_eq!(report.notes, Vec::<String>::new());
        assert!(
            matches!(&report.problems[..], [Problem::MasksCoverImages { category, masks: 2, percent: 92..=100, .. }]
                if category == "part"),
            "{:?}",
            report.problems
        );
        let sentence = report.problems[0].sentence();
        assert!(
            sentence.contains("inverted") && sentence.contains("--mask-threshold"),
            "{sentence}"
        );
        // One large defect among others is just that.
        let folder = set([("png", first), ("png", usual().into())]);
        assert_eq!(checked(&read(folder.path())).problems, []);
    }
}

#[test]
fn soft_edges_are_said_once_with_the_option() {
    let soft = GrayImage::from_fn(20, 10, |x, y| {
        let near = (2..8).contains(&x) && (1..7).contains(&y);
        Luma([match (is_square(x, y), near) {
            (true, _) => 255,
            (false, true) => 40,
            _ => 0,
        }])
    });
    // Numbers of defects are no soft edges.
    let numbered = GrayImage::from_fn(20, 10, |x, y| {
        Luma([if is_square(x, y) { x as u8 } else { 0 }])
    });
    let folder = set([
        ("png", soft.clone().into()),
        ("png", soft.into()),
        ("png", numbered.into()),
    ]);
    let mut dataset = read(folder.path());
    // As the official code has it.
    assert_eq!([0, 1, 2].map(|at| defect(&dataset, at)), [36, 36, 16]);
    let report = checked(&dataset);
    assert_eq!(report.problems, []);
    let [note] = &report.notes[..] else {
        panic!("{:?}", report.notes);
    };
    assert!(
        note.starts_with("2 masks have more than two values")
            && note.contains("125 % larger")
            && note.contains("--mask-threshold 127"),
        "{note}"
    );
    let finding = dataset.samples[0].read_mask(20, 10, &STORED).unwrap();
    assert!(matches!(
        finding.findings(),
        [MaskFinding::Soft {
            defect: 36,
            strong: 16,
            ..
        }]
    ));

    dataset.set_mask_threshold(127);
    assert_eq!([0, 1, 2].map(|at| defect(&dataset, at)), [16, 16, 0]);
    let notes = checked(&dataset).notes;
    assert!(
        matches!(&notes[..], [note] if note.contains("above 127")),
        "{notes:?}"
    );
}

#[test]
fn a_mask_a_little_off_is_resized_and_said_to_be() {
    let mask = |width, height| {
        GrayImage::from_fn(width, height, |x, y| {
            Luma([255 * u8::from(is_square(x, y))])
        })
    };
    // The last two are no resized versions of the photo.
    let folder = set([
        ("png", mask(40, 20).into()),
        ("png", mask(199, 100).into()),
        ("png", mask(21, 10).into()),
        ("png", mask(20, 20).into()),
    ]);
    let dataset = read(folder.path());
    assert_eq!(defect(&dataset, 0), 2);
    let loaded = dataset.samples[1].read_mask(20, 10, &STORED).unwrap();
    // Nothing was resized on the way to the model's size.
    assert_eq!(
        (loaded.photo().width(), loaded.photo().height()),
        (199, 100)
    );
    let fitted = loaded.fitted();
    assert_eq!((fitted.width(), fitted.height()), (20, 10));
    let problems = checked(&dataset).problems;
    let mismatches: Vec<Mismatch> = problems
        .iter()
        .map(|problem| match problem {
            Problem::MaskSize { mismatch, .. } => *mismatch,
            other => panic!("{other:?}"),
        })
        .collect();
    let (resized, other) = (Mismatch::Resized, Mismatch::Proportion);
    assert_eq!(mismatches, [resized, resized, other, other]);
    assert!(problems[0].sentence().contains("is resized"));
}

/// The four ways in which EXIF swaps the sides, and masks drawn on the upright photo.
#[test]
fn upright_masks_of_turned_photos_name_the_option() {
    let turned = |number: u32| -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../vcp-image/tests/fixtures/oriented")
            .join(format!("{number}.jpg"))
    };
    let upright = vcp_image::decode_file(&turned(6), &DecodeOptions::default()).unwrap();
    let (width, height) = (upright.width() as u32, upright.height() as u32);
    assert_ne!(width, height);
    let mask = GrayImage::from_fn(width, height, |x, _| Luma([255 * u8::from(x == 0)]));
    for number in 5..=8 {
        let folder = set([("png", mask.clone().into())]);
        let photo = folder.path().join("part/test/hole/0.png");
        fs::copy(turned(number), photo.with_extension("jpg")).unwrap();
        fs::remove_file(photo).unwrap();
        let dataset = read(folder.path());
        let report = checked(&dataset);
        assert!(
            matches!(
                report.problems[..],
                [Problem::MaskSize {
                    mismatch: Mismatch::ImageNotTurned,
                    ..
                }]
            ),
            "{:?}",
            report.problems
        );
        assert!(report.problems[0].sentence().contains("--orientation"));
        assert!(
            report.notes[0].contains("1 of the images"),
            "{:?}",
            report.notes
        );
        // Turned upright, all is well.
        let options = DecodeOptions::default();
        let report = check_deeply(&dataset, &options, &|| ());
        assert_eq!(report.problems, []);
        assert_eq!(report.notes, [""; 0]);

        // The other way round: a mask like the photo as it is stored.
        let stored = GrayImage::from_fn(height, width, |x, _| Luma([255 * u8::from(x == 0)]));
        stored
            .save(folder.path().join("part/ground_truth/hole/0_mask.png"))
            .unwrap();
        let error = dataset.samples[0].load_mask(width as usize, height as usize, &options);
        let error = error.unwrap_err();
        assert!(
            matches!(
                error,
                Error::MaskSize {
                    mismatch: Mismatch::ImageTurned,
                    ..
                }
            ) && error.to_string().contains("--no-orientation"),
            "{error}"
        );
    }
}
