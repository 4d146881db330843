//! The built-in model on photos that differ in what nobody sees, or in nothing but colour.
//!
//! What it prints with `--nocapture` is in the model's card, docs/models/built-in.md.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use vcp_clip::{DecodeOptions, Inspection, Inspector, ModelName, Photo};
use vcp_metrics::{Collector, ImageMap, ImageReport, PixelOptions};
use vcp_synthetic::{Synthetic, sample};

/// Of pictures that no training has drawn.
const FIRST_SEED: u64 = 90_000_000;
const SIDE: usize = 360;

fn inspector() -> Inspector {
    Inspector::open(&ModelName::BuiltIn).unwrap()
}

fn inspected(inspector: &Inspector, photo: &Photo) -> Inspection {
    inspector.inspect_photo(photo.clone()).unwrap()
}

/// Changes of a photo that nobody sees.
fn changes(photo: &Photo) -> Vec<(&'static str, Photo)> {
    let (width, height) = (photo.width(), photo.height());
    let cropped = |by: usize| photo.crop(by..width, by / 2..height);
    let mapped = |change: &dyn Fn(u8) -> u8| {
        let pixels = photo.pixels().iter().map(|value| change(*value));
        Photo::from_rgb(width, height, pixels.collect()).unwrap()
    };
    let mirrored = (0..height).flat_map(|y| photo.row(y).chunks(3).rev().flatten().copied());
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 75)
        .encode(
            photo.pixels(),
            width as u32,
            height as u32,
            image::ExtendedColorType::Rgb8,
        )
        .unwrap();
    vec![
        ("cropped by 1 px", cropped(1)),
        ("cropped by 4 px", cropped(4)),
        ("cropped by 10 px", cropped(10)),
        (
            "mirrored",
            Photo::from_rgb(width, height, mirrored.collect()).unwrap(),
        ),
        ("brighter by 5", mapped(&|value| value.saturating_add(5))),
        ("darker by 5", mapped(&|value| value.saturating_sub(5))),
        (
            "JPEG 75",
            vcp_image::decode_bytes(&jpeg, "jpeg", &DecodeOptions::default()).unwrap(),
        ),
        ("half size", photo.resize_bicubic(width / 2, height / 2)),
    ]
}

/// The value below which this fraction of the sorted values are.
fn quantile(sorted: &[f32], fraction: f64) -> f32 {
    let place = (fraction * sorted.len() as f64).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

#[test]
fn scores_do_not_move_by_what_nobody_sees() {
    let inspector = inspector();
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    let files = std::fs::read_dir(samples).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    files.sort();
    assert_eq!(files.len(), 6);
    let photos = files.iter().map(|path| {
        let photo = vcp_image::decode_file(path, &DecodeOptions::default());
        photo.unwrap().to_rgb()
    });
    let drawn = (0..50).map(|index| sample(FIRST_SEED + index, SIDE).image);
    let mut moved: Vec<(&str, Vec<f32>)> = Vec::new();
    for photo in photos.chain(drawn) {
        let score = inspected(&inspector, &photo).score();
        for (place, (name, changed)) in changes(&photo).into_iter().enumerate() {
            if moved.len() == place {
                moved.push((name, Vec::new()));
            }
            let difference = (inspected(&inspector, &changed).score() - score).abs();
            moved[place].1.push(difference);
        }
    }
    let mut all: Vec<f32> = Vec::new();
    for (name, differences) in &mut moved {
        differences.sort_by(f32::total_cmp);
        println!(
            "{name}: median {:.3}, 95 % below {:.3}, most {:.3}",
            quantile(differences, 0.5),
            quantile(differences, 0.95),
            quantile(differences, 1.0)
        );
        all.extend_from_slice(differences);
    }
    all.sort_by(f32::total_cmp);
    let (median, most) = (quantile(&all, 0.5), quantile(&all, 0.95));
    println!("all: median {median:.3}, 95 % below {most:.3}");
    assert!(median <= 0.05, "{median}");
    assert!(most <= 0.15, "{most}");
}

/// Pixel AUROC, AP, image AUROC, and the fractions of defective and of clean pictures that are reported.
fn figures(inspector: &Inspector, pictures: &[Synthetic], grey: bool) -> [f64; 5] {
    let mut pixels = Collector::new(PixelOptions::default()).unwrap();
    let (mut scores, mut reported) = (Vec::new(), [Vec::new(), Vec::new()]);
    for picture in pictures {
        let photo = if grey {
            without_colour(&picture.image)
        } else {
            picture.image.clone()
        };
        let inspection = inspected(inspector, &photo);
        let (rows, mut map) = (inspection.map(), Vec::new());
        for y in 0..SIDE {
            let mut row = vec![0.0; SIDE];
            rows.row(y, &mut row);
            map.extend(row);
        }
        let image = ImageMap {
            map: &map,
            mask: (!picture.is_clean()).then_some(&picture.mask[..]),
            width: SIDE,
            height: SIDE,
        };
        pixels.add(&image).unwrap();
        scores.push(inspection.score());
        let outcome = f64::from(u8::from(inspection.is_anomalous()));
        reported[usize::from(picture.is_clean())].push(outcome);
    }
    let report = pixels.report();
    let anomalous: Vec<bool> = pictures.iter().map(|it| !it.is_clean()).collect();
    let images = ImageReport::new(&scores, &anomalous).unwrap();
    let [defective, clean] = reported.map(|all| all.iter().sum::<f64>() / all.len() as f64);
    [
        report.auroc.unwrap().value,
        report.average_precision.unwrap().value,
        images.auroc.unwrap().value,
        defective,
        clean,
    ]
}

/// As a grey camera takes it: one channel.
fn without_colour(photo: &Photo) -> Photo {
    let pixels = photo.pixels().chunks_exact(3).map(|pixel| {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
        (0.299 * red + 0.587 * green + 0.114 * blue).round() as u8
    });
    Photo::from_grey(photo.width(), photo.height(), pixels.collect()).unwrap()
}

#[test]
fn photos_without_colour_are_judged_as_those_with_it() {
    let inspector = inspector();
    let pictures: Vec<Synthetic> = (0..160)
        .map(|index| sample(FIRST_SEED + 1000 + index, SIDE))
        .collect();
    let [colour, grey] = [false, true].map(|grey| figures(&inspector, &pictures, grey));
    let names = [
        "pixel AUROC",
        "pixel AP",
        "image AUROC",
        "defective pictures reported",
        "clean pictures reported",
    ];
    for (name, (colour, grey)) in names.iter().zip(colour.iter().zip(&grey)) {
        println!(
            "{name}: {:.1} in colour, {:.1} in grey",
            100.0 * colour,
            100.0 * grey
        );
    }
    for (name, (colour, grey)) in names.iter().zip(colour.iter().zip(&grey)).take(3) {
        assert!(
            grey > &(colour - 0.03),
            "{name}: {colour} in colour, {grey} in grey"
        );
    }
    // The same thresholds serve.
    assert!(
        grey[3] > colour[3] - 0.1,
        "{} in colour, {} in grey",
        colour[3],
        grey[3]
    );
    assert!(
        grey[4] < colour[4] + 0.1,
        "{} in colour, {} in grey",
        colour[4],
        grey[4]
    );
}
