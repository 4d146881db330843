//! What two methods without any learning reach on a data set, to compare a model with:
//!
//! ```sh
//! cargo run --release -p vcp-evaluate --example baselines -- LAYOUT ROOT [by-object]
//! ```
//!
//! *Local contrast* is how far a pixel's colour lies from the blurred colours about it. *Unusual
//! patches* are those whose mean colour lies far from the photo's others, as the Mahalanobis distance
//! with the photo's own mean and covariance. Both look at photos as a model does: at 256 pixels, the map
//! smoothed, the score the mean of its largest values.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example that prints a table and cannot go on without its data"
)]

use std::path::Path;

use vcp_dataset::{Label, Options, Split, layout};
use vcp_image::{Photo, gaussian_blur, resize_mask};
use vcp_metrics::{Collector, ImageMap, ImageReport, Outcome, PixelOptions};
use vcp_predict::{mean_of_largest, pixels_for_score};

const SIDE: usize = 256;
const PATCH: usize = 8;
/// Standard deviation of the smoothing in pixels of the map: 8 at a side of 518, in proportion here.
const SMOOTHING: f32 = 8.0 / 518.0 * SIDE as f32;

type Method = fn(&Photo) -> Vec<f32>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, root, further @ ..] = &arguments[..] else {
        panic!("name a layout and the data set's folder");
    };
    let options = Options::default();
    let reader = layout(name).expect("a layout that `vcp-clip data list` names");
    let mut dataset = reader.read(Path::new(root), &options).unwrap();
    if further.iter().any(|it| it == "by-object") {
        dataset.split_by_group();
    }
    dataset.select(&[], Some(Split::Test)).unwrap();

    let methods: [(&str, Method); 2] = [
        ("local contrast", local_contrast),
        ("unusual patches", unusual_patches),
    ];
    println!("method           images  px AUROC     AP  AUPRO-200  img AUROC");
    for (title, method) in methods {
        let mut pixels = Collector::new(PixelOptions::default()).unwrap();
        let (mut scores, mut labels) = (Vec::new(), Vec::new());
        for sample in &dataset.samples {
            let photo = sample.load_image(&options.decode).unwrap();
            let mask = sample.load_mask(photo.width(), photo.height(), &options.decode);
            let mask = resize_mask(&mask.unwrap(), SIDE, SIDE);
            let map = method(&photo.to_rgb().resize_bicubic(SIDE, SIDE));
            let map = gaussian_blur(&map, SIDE, SIDE, SMOOTHING);
            let is_anomalous = sample.label == Label::Anomalous;
            scores.push(mean_of_largest(&map, pixels_for_score(SIDE)));
            labels.push(is_anomalous);
            let image = ImageMap {
                map: &map,
                mask: is_anomalous.then(|| mask.pixels()),
                width: SIDE,
                height: SIDE,
            };
            pixels.add(&image).unwrap();
        }
        let pixels = pixels.report();
        let images = ImageReport::new(&scores, &labels).unwrap();
        println!(
            "{title:15}  {:6}  {:>8}  {:>5}  {:>9}  {:>9}",
            labels.len(),
            percent(&pixels.auroc),
            percent(&pixels.average_precision),
            percent(&pixels.aupro_steps),
            percent(&images.auroc),
        );
    }
}

fn percent(outcome: &Outcome) -> String {
    match outcome {
        Ok(figure) => format!("{:.2}", 100.0 * figure.value),
        Err(_) => "–".to_owned(),
    }
}

/// The three colours, each 0 to 1, [SIDE, SIDE].
fn channels(photo: &Photo) -> [Vec<f32>; 3] {
    let (pixels, _) = photo.pixels().as_chunks::<3>();
    let channel = |index: usize| pixels.iter().map(move |it| f32::from(it[index]) / 255.0);
    [0, 1, 2].map(|index| channel(index).collect())
}

fn local_contrast(photo: &Photo) -> Vec<f32> {
    let mut map = vec![0.0; SIDE * SIDE];
    for channel in channels(photo) {
        let about = gaussian_blur(&channel, SIDE, SIDE, 0.06 * SIDE as f32);
        for ((map, value), about) in map.iter_mut().zip(&channel).zip(about) {
            *map += (value - about).powi(2);
        }
    }
    map.iter().map(|square| square.sqrt()).collect()
}

fn unusual_patches(photo: &Photo) -> Vec<f32> {
    let grid = SIDE / PATCH;
    let mut colours = vec![[0.0_f64; 3]; grid * grid];
    for (index, channel) in channels(photo).iter().enumerate() {
        for (at, value) in channel.iter().enumerate() {
            let (x, y) = (at % SIDE / PATCH, at / SIDE / PATCH);
            colours[y * grid + x][index] += f64::from(*value) / (PATCH * PATCH) as f64;
        }
    }
    let count = colours.len() as f64;
    let mean = [0, 1, 2].map(|i| colours.iter().map(|it| it[i]).sum::<f64>() / count);
    let apart: Vec<[f64; 3]> = colours
        .iter()
        .map(|colour| [0, 1, 2].map(|i| colour[i] - mean[i]))
        .collect();
    let mut covariance = [0, 1, 2]
        .map(|i| [0, 1, 2].map(|j| apart.iter().map(|it| it[i] * it[j]).sum::<f64>() / count));
    for (i, row) in covariance.iter_mut().enumerate() {
        row[i] += 1e-4;
    }
    let inverse = inverse(covariance);
    let distance = |apart: &[f64; 3]| {
        let along = |i: usize| {
            (0..3)
                .map(|j| apart[i] * inverse[i][j] * apart[j])
                .sum::<f64>()
        };
        (along(0) + along(1) + along(2)).max(0.0).sqrt() as f32
    };
    let distances: Vec<f32> = apart.iter().map(distance).collect();
    (0..SIDE * SIDE)
        .map(|at| distances[at / SIDE / PATCH * grid + at % SIDE / PATCH])
        .collect()
}

/// By cofactors.
fn inverse(m: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    let cofactor = |i: usize, j: usize| {
        let [a, b] = [(i + 1) % 3, (i + 2) % 3];
        let [c, d] = [(j + 1) % 3, (j + 2) % 3];
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * cofactor(0, j)).sum();
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| cofactor(j, i) / determinant))
}
