//! Time of a step of training from random weights: forward, losses, backward, optimiser.
//!
//! `cargo run --release -p vcp-burn --example step_time -- [WIDTH [LAYERS [IMAGE_SIZE [PATCH [BATCH [STEPS]]]]]]`

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example")]

use std::time::Instant;

use vcp_burn::losses::{LossWeights, losses};
use vcp_burn::{Adam, AdamOptions, Burn, Device};
use vcp_checkpoint::{Geometry, Settings, TowerGeometry, Weights};
use vcp_model::{Model, Operations as _};

fn main() {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .map(|argument| argument.parse().unwrap())
        .collect();
    let argument = |index: usize, usual| arguments.get(index).copied().unwrap_or(usual);
    let (width, layers, side) = (argument(0, 128), argument(1, 6), argument(2, 144));
    let (patch, batch, steps) = (argument(3, 8), argument(4, 8), argument(5, 10));
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(layers, width),
        patch_size: patch,
        native_grid: side / patch,
        text: TowerGeometry::new(2, 64),
        tap_count: 3,
        ..Geometry::vit_b_16()
    };
    let settings = Settings {
        image_size: side,
        ..Settings::for_geometry(&geometry)
    };
    let weights = Weights::random(geometry, settings, 1).unwrap();
    let burn = Burn::training(Device::flex(), |_| true);
    let mut adam = Adam::new(AdamOptions::default());
    let value = |index: usize| (index as f32 * 0.37).sin();
    let images: Vec<f32> = (0..batch * 3 * side * side).map(value).collect();
    let images = burn.constant([batch, 3, side * side], &images).unwrap();
    let truth: Vec<f32> = (0..batch * side * side)
        .map(|index| f32::from(u8::from(index % 11 == 0)))
        .collect();
    let truth = burn.constant([batch, side, side], &truth).unwrap();
    let loss_weights = LossWeights {
        grid: 1.0,
        ..LossWeights::default()
    };
    let mut times = Vec::new();
    for _ in 0..=steps {
        let start = Instant::now();
        let model = Model::load(&burn, &weights).unwrap();
        let loaded = start.elapsed();
        let logits = model.forward(&burn, &images);
        let maps = &model.decoder.maps;
        let losses = losses(&burn, maps, &logits, &truth, loss_weights, 1).unwrap();
        let forward = start.elapsed();
        let gradients = burn.gradients(&losses.total).unwrap();
        let backward = start.elapsed();
        adam.step(&burn, &gradients, |_| 1e-3, |_| true).unwrap();
        let all = start.elapsed();
        times.push((
            all,
            loaded,
            forward.saturating_sub(loaded),
            backward.saturating_sub(forward),
            all.saturating_sub(backward),
        ));
    }
    // The first one makes the parameters.
    times.remove(0);
    times.sort();
    let (all, load, forward, backward, optimiser) = times[times.len() / 2];
    println!(
        "{:.1} ms a step, {:.1} images a second; load {:.1}, forward {:.1}, backward {:.1}, optimiser {:.1} ms",
        all.as_secs_f64() * 1e3,
        batch as f64 / all.as_secs_f64(),
        load.as_secs_f64() * 1e3,
        forward.as_secs_f64() * 1e3,
        backward.as_secs_f64() * 1e3,
        optimiser.as_secs_f64() * 1e3,
    );
}
