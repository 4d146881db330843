//! Steps of the official training after the frozen vision tower, on features that are made up; for
//! `benchmarks/train`. Makes one for each line on standard input and says how long it took.
//!
//! `official_step [--geometry=vit-l-14-336] [--batch=8] [--threads=2]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example")]

use std::collections::HashMap;
use std::io::BufRead as _;
use std::time::Instant;

use vcp_burn::losses::{LossWeights, losses};
use vcp_burn::{Adam, AdamOptions, Burn, Device};
use vcp_checkpoint::{Geometry, Settings, Weights};
use vcp_model::{Decoder, Operations as _, VisionFeatures};
use vcp_testing::memory::peak_bytes;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let options: HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|option| {
            let (name, value) = option.strip_prefix("--")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    let number = |name: &str, usual| options.get(name).map_or(usual, |it| it.parse().unwrap());
    let (batch, threads): (usize, usize) = (number("batch", 8), number("threads", 2));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build_global().unwrap();
    let geometry = match options
        .get("geometry")
        .map_or("vit-l-14-336", String::as_str)
    {
        "vit-l-14-336" => Geometry::vit_l_14_336(),
        "vit-l-14" => Geometry::vit_l_14(),
        "vit-b-16" => Geometry::vit_b_16(),
        other => panic!("there is no geometry {other}"),
    };
    let settings = Settings::for_geometry(&geometry);
    let side = settings.image_size;
    let rows = (side / geometry.patch_size).pow(2) + 1;
    let taps = geometry.tap_count;
    let (width, embedding) = (geometry.vision.width, geometry.embedding_width);
    let weights = Weights::random(geometry, settings, 1).unwrap();
    let burn = Burn::training(Device::flex(), |name| name.starts_with("vcp."));
    let mut adam = Adam::new(AdamOptions::default());

    let made_up = |seed: usize, shape: [usize; 3]| {
        let value = |index: usize| ((index + seed * 7919) as f32 * 0.618_034).sin();
        let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        burn.constant(shape, &values).unwrap()
    };
    let features = VisionFeatures {
        image_feature: made_up(0, [batch, 1, embedding]),
        taps: (1..=taps)
            .map(|tap| made_up(tap, [batch, rows, width]))
            .collect(),
    };
    let truth: Vec<f32> = (0..batch * side * side)
        .map(|index| f32::from(u8::from(index % 20 == 0)))
        .collect();
    let truth = burn.constant([batch, side, side], &truth).unwrap();

    for line in std::io::stdin().lock().lines() {
        line.unwrap();
        let start = Instant::now();
        let decoder = Decoder::load(&burn, &weights).unwrap();
        let logits = decoder.forward(&burn, &features);
        let (maps, parts) = (&decoder.maps, LossWeights::default());
        let losses = losses(&burn, maps, &logits, &truth, parts, 1).unwrap();
        let loss = losses.total.value().unwrap();
        let forward = start.elapsed();
        let gradients = burn.gradients(&losses.total).unwrap();
        let rate = |name: &str| {
            if name.contains("prompt_temp") {
                0.01
            } else {
                4e-5
            }
        };
        adam.step(&burn, &gradients, rate, |_| true).unwrap();
        println!(
            "{{\"seconds\": {}, \"forward\": {}, \"loss\": {loss}, \"peak_bytes\": {}}}",
            start.elapsed().as_secs_f64(),
            forward.as_secs_f64(),
            peak_bytes().unwrap_or(0),
        );
    }
}
