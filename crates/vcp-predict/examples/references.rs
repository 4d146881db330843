//! What comparing with good photos takes: time and memory for an image with 0, 1, 4, 16 and 200 of them.
//!
//! ```sh
//! cargo run --release -p vcp-predict --example references                 # ViT-L-14-336 at 518 pixels, random weights
//! cargo run --release -p vcp-predict --example references -- model.safetensors
//! ```
//!
//! The memories hold random features, as many as photos give; neither time nor memory depends on their values. Images
//! with different memories take turns; medians are printed.

#![allow(clippy::print_stdout, reason = "what a benchmark is for")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use half::f16;
use vcp_checkpoint::{Geometry, ReferenceDescription, References, Settings, Weights};
use vcp_image::Photo;
use vcp_model::patch_channels;
use vcp_predict::references::{Comparison, GROUPS, MOST_ROWS, ReferenceMemory};
use vcp_predict::{Predictor, PredictorOptions};
use vcp_random::Random;

const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weights = match std::env::args_os().nth(1) {
        Some(bundle) => Weights::open_bundle(bundle.as_ref())?,
        None => Weights::random(Geometry::vit_l_14_336(), Settings::default(), 0)?,
    };
    let predictor = Predictor::new(&weights, &PredictorOptions::default())?;
    println!(
        "{} pixels, {} threads, {}",
        predictor.image_size(),
        predictor.cpu().threads(),
        predictor.cpu().instruction_set().name()
    );
    let mut cases = vec![(0, 0, 0, None)];
    for photos in [1, 4, 16, 200] {
        let references = memory(&weights, photos)?;
        let (rows, bytes) = (references.description().row_count(), references.bytes());
        let memory = ReferenceMemory::new(predictor.cpu(), &references, &weights)?;
        cases.push((
            photos,
            rows,
            bytes,
            Some(Comparison::with(Arc::new(memory))),
        ));
    }
    let pixels = (0..1024 * 1024 * 3).map(|index| (index % 251) as u8);
    let photo = Photo::from_rgb(1024, 1024, pixels.collect())?;
    let mut times = vec![Vec::new(); cases.len()];
    for round in 0..=ROUNDS {
        for ((_, _, _, comparison), times) in cases.iter().zip(&mut times) {
            let start = Instant::now();
            let prepared = predictor.prepare_photo(&photo, None)?;
            let prepared = prepared.compared_with(comparison.clone());
            predictor.predict_photo(prepared, &mut |_, _| ControlFlow::Continue(()))?;
            // The first round only warms up.
            if round > 0 {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    println!("photos  patches  MB in memory  ms per image  more than without");
    for ((photos, rows, bytes, _), time) in cases.iter().zip(&medians) {
        println!(
            "{photos:6}  {rows:7}  {:12.1}  {time:12.1}  {:16.1} %",
            *bytes as f64 / 1e6,
            100.0 * (time / medians[0] - 1.0)
        );
    }
    Ok(())
}

/// As many random rows as so many photos give.
fn memory(weights: &Weights, photos: usize) -> Result<References, Box<dyn std::error::Error>> {
    let channels = patch_channels(weights);
    let grid = weights.geometry().grid(weights.settings().image_size);
    let groups = photos.min(GROUPS);
    let rows = (photos * grid * grid / groups).min(MOST_ROWS / groups);
    let mut random = Random::new(0);
    let levels = channels.iter().map(|&channels| {
        let length = (channels as f32).sqrt();
        let values = (0..groups * rows * channels).map(|_| f16::from_f32(random.normal() / length));
        values.collect()
    });
    let levels = levels.collect();
    let description = ReferenceDescription {
        version: References::VERSION,
        scales: vec![1.0; channels.len()],
        channels,
        rows: vec![rows; groups],
        photos: (0..photos).map(|photo| photo.to_string()).collect(),
        data: "random numbers".to_owned(),
        date: String::new(),
        apply_orientation: true,
        windows: None,
        bits: None,
        model: weights.fingerprint(),
    };
    Ok(References::new(description, levels)?)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
