//! Writes a report of invented figures: `cargo run -p vcp-report --example demo [PAGE [PHOTO…]]`.
//!
//! Photos given are shown with invented maps; without any, surfaces are invented too. Beside the
//! page goes one strip.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::f32::consts::TAU;
use std::path::{Path, PathBuf};

use vcp_image::{DecodeOptions, Photo, decode_file};
use vcp_report::{Case, Category, Cell, Column, Curve, Format, Report, Row, strip, write_html};

const SIDE: usize = 259;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let page = arguments.next().unwrap_or_else(|| "report.html".into());
    let photos: Vec<PathBuf> = arguments.collect();
    let report = report(&photos)?;
    write_html(&report, &page)?;
    println!("{}", page.display());
    let case = report.categories[0].worst_misses[0].clone();
    let picture = page.with_extension("strip.png");
    strip(&case, 0.35, case.own_range())?.write_png(&picture)?;
    println!("{}", picture.display());
    Ok(())
}

fn report(photos: &[PathBuf]) -> Result<Report, Box<dyn Error>> {
    let columns = [
        ("images", "Images", "Images of the category.", Format::Count),
        (
            "pixel_auroc",
            "Pixel AUROC",
            "Area under the ROC curve of all pixels.",
            Format::Percent,
        ),
        (
            "aupro_200",
            "AUPRO (200 steps)",
            "As the official code computes it: 200 thresholds, false-positive rate below 0.3.",
            Format::Percent,
        ),
        (
            "aupro_exact",
            "AUPRO (exact)",
            "Every threshold, integral up to a false-positive rate of 0.3.",
            Format::Percent,
        ),
        (
            "pixel_ap",
            "Pixel AP",
            "Average precision of all pixels.",
            Format::Percent,
        ),
        (
            "pixel_f1_max",
            "Pixel F1-max",
            "Largest F1 over all thresholds.",
            Format::Percent,
        ),
        (
            "threshold",
            "Threshold",
            "The threshold of the largest F1.",
            Format::Number,
        ),
        (
            "image_auroc",
            "Image AUROC",
            "Area under the ROC curve of the image scores.",
            Format::Percent,
        ),
    ];
    let columns = columns.map(|(key, label, help, format)| Column {
        key: key.to_owned(),
        label: label.to_owned(),
        help: help.to_owned(),
        format,
    });
    let names = ["cookie", "metal nut", "größe <b>&amp;", "toothbrush"];
    let mut random = Random(7);
    let mut rows: Vec<Row> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let mut row = row(name, &mut random, at == 3);
            if at == 0 {
                row.defects = ["broken", "burnt", "crumbs"]
                    .map(|defect| self::row(defect, &mut random, false))
                    .to_vec();
            }
            row
        })
        .collect();
    rows.push(Row {
        is_mean: true,
        ..row("Mean", &mut random, false)
    });
    let mut categories = Vec::new();
    for (at, name) in names[..2].iter().enumerate() {
        categories.push(category(name, photos, at, &mut random)?);
    }
    Ok(Report {
        title: "Invented figures".to_owned(),
        created: "2026-11-23 10:00 UTC".to_owned(),
        model: pairs(&[
            ("Checkpoint", "train_visa.pth"),
            ("SHA-256", "bbb15ee3e303d6036d7eb82ecf6ee2419500d12472dc82c9023069b4110a2849"),
            ("Backbone", "ViT-L-14-336px"),
        ]),
        protocol: pairs(&[
            ("Side", "518 px"),
            ("Branch weights", "0.2 and 0.8"),
            ("Smoothing", "Gaussian, σ = 8"),
            ("False-positive limit", "0.3"),
        ]),
        columns: columns.to_vec(),
        rows,
        categories,
        problems: vec!["toothbrush: no anomalous pixels, so pixel figures are undefined; the mean is over 3 categories.".to_owned()],
    })
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn row(name: &str, random: &mut Random, is_undefined: bool) -> Row {
    let mut figure = |low: f64| {
        let value = low + (0.99 - low) * f64::from(random.next());
        if is_undefined {
            Cell::Undefined("no anomalous pixels".to_owned())
        } else {
            Cell::Number(value)
        }
    };
    let mut values = vec![Cell::Number(1725.0)];
    values.extend([0.9, 0.8, 0.8, 0.3, 0.3, 0.2].map(&mut figure));
    values.push(Cell::Number(0.8 + 0.19 * f64::from(random.next())));
    Row {
        category: name.to_owned(),
        values,
        ..Row::default()
    }
}

fn category(
    name: &str,
    photos: &[PathBuf],
    at: usize,
    random: &mut Random,
) -> Result<Category, Box<dyn Error>> {
    let rates = (0..=5000).map(|step| f64::from(step) / 5000.0);
    let roc = rates
        .clone()
        .map(|x| [x, 1.0 - (1.0 - x).powi(20)])
        .collect();
    let overlap = rates
        .clone()
        .map(|x| [x, 1.0 - (1.0 - x).powi(9)])
        .collect();
    let precision = rates
        .map(|x| [x, (1.0 - x.powi(3)) * 0.95 + 0.02])
        .collect();
    let mut scores = |count: usize, mean: f32, width: f32| -> Vec<f32> {
        (0..count)
            .map(|_| mean + width * ((0..6).map(|_| random.next()).sum::<f32>() - 3.0))
            .collect()
    };
    let (normal_scores, anomalous_scores) = (scores(467, 0.3, 0.08), scores(92, 0.55, 0.14));
    let mut cases = Vec::new();
    for count in 0..4 {
        let file = photos.get((at * 4 + count) % photos.len().max(1));
        cases.push(case(file.map(PathBuf::as_path), count)?.shrunk()?);
    }
    let worst_misses = cases.split_off(2);
    for case in &mut cases {
        case.truth = None;
    }
    Ok(Category {
        name: name.to_owned(),
        curves: vec![
            Curve::roc(roc).with_note("area 0.9524"),
            Curve::precision_recall(precision).with_note("average precision 0.7324"),
            Curve::per_region_overlap(overlap, 0.3).with_note("area to 0.3: 0.6761"),
        ],
        normal_scores,
        anomalous_scores,
        score_threshold: Some(0.42),
        pixel_threshold: Some(0.35),
        color_range: Some((0.0, 0.8)),
        worst_false_positives: cases,
        worst_misses,
    })
}

fn case(file: Option<&Path>, count: usize) -> Result<Case, Box<dyn Error>> {
    let photo = match file {
        Some(file) => decode_file(file, &DecodeOptions::default())?,
        None => surface(count)?,
    };
    let (width, height) = (photo.width(), photo.height());
    let spot = |x: f32, y: f32, cx: f32, cy: f32, r: f32| {
        (-((x - cx).powi(2) + (y - cy).powi(2)) / (r * r)).exp()
    };
    let center = (0.3 + 0.12 * count as f32, 0.6 - 0.07 * count as f32);
    let map = (0..SIDE * SIDE).map(|at| {
        let (x, y) = (
            (at % SIDE) as f32 / SIDE as f32,
            (at / SIDE) as f32 / SIDE as f32,
        );
        0.7 * spot(x, y, center.0, center.1, 0.12)
            + 0.25 * spot(x, y, 0.8, 0.2, 0.1)
            + 0.03 * ((x * 40.0).sin() + 1.0)
    });
    let truth = (0..width * height).map(|at| {
        let (x, y) = (
            (at % width) as f32 / width as f32,
            (at / width) as f32 / height as f32,
        );
        let angle = (y - center.1).atan2(x - center.0);
        let radius = 0.11 + 0.02 * (angle * 5.0).sin();
        u8::from((x - center.0 - 0.03).hypot(y - center.1) < radius) * 255
    });
    Ok(Case {
        title: format!("broken / {count:03}"),
        path: file.map_or_else(
            || format!("test/broken/{count:03}.png"),
            |file| file.display().to_string(),
        ),
        score: 0.612 - 0.05 * count as f64,
        map: map.collect(),
        side: SIDE,
        truth: Some(Photo::from_grey(width, height, truth.collect())?),
        photo,
    })
}

/// A brushed surface.
fn surface(count: usize) -> Result<Photo, Box<dyn Error>> {
    let mut random = Random(count as u64 + 1);
    let (width, height) = (640, 480);
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        let line = random.next() * 40.0;
        for x in 0..width {
            let wave = (x as f32 / width as f32 * TAU + y as f32 / 90.0).sin() * 25.0;
            let grey = 120.0 + wave + line + random.next() * 12.0;
            pixels.extend([grey as u8, (grey * 0.97) as u8, (grey * 0.9) as u8]);
        }
    }
    Ok(Photo::from_rgb(width, height, pixels)?)
}

/// Numbers from 0 to 1 that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }
}
