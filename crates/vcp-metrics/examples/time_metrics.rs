//! Computes all figures of a folder of raw maps and prints them, the seconds they took and the
//! memory they needed as one line of JSON.
//!
//! ```sh
//! cargo run --release -p vcp-metrics --example time_metrics -- FOLDER [--streaming]
//! ```
//!
//! The folder holds `size.json` (`{"images", "height", "width"}`), `maps.f32` and `masks.u8`, both
//! raw, row-major, little-endian, image after image. Images are read one at a time, and reading is
//! not timed. `benchmarks/metrics` makes such folders.

#![allow(clippy::print_stdout)] // the result

use std::error::Error;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use vcp_metrics::{
    Collector, ImageMap, ImageReport, Outcome, PixelOptions, PixelReport, StreamingCollector,
};
use vcp_testing::memory::peak_bytes;

/// Either way to collect.
enum Either {
    Exact(Collector),
    Streaming(StreamingCollector),
}

impl Either {
    fn add(&mut self, image: &ImageMap<'_>) -> Result<(), vcp_metrics::Error> {
        match self {
            Self::Exact(collector) => collector.add(image),
            Self::Streaming(collector) => collector.add(image),
        }
    }

    fn report(&self) -> PixelReport {
        match self {
            Self::Exact(collector) => collector.report(),
            Self::Streaming(collector) => collector.report(),
        }
    }
}

fn outcome(outcome: Outcome) -> Value {
    match outcome {
        Ok(figure) => json!({"value": figure.value, "error_bound": figure.error_bound}),
        Err(reason) => json!({"undefined": reason.to_string()}),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut folder = None;
    let mut streaming = false;
    for argument in std::env::args_os().skip(1) {
        if argument == "--streaming" {
            streaming = true;
        } else {
            folder = Some(PathBuf::from(argument));
        }
    }
    let folder = folder.ok_or("Name the folder with size.json, maps.f32 and masks.u8.")?;
    let size: Value = serde_json::from_str(&fs::read_to_string(folder.join("size.json"))?)?;
    let number = |key: &str| -> Result<usize, Box<dyn Error>> {
        let value = size[key]
            .as_u64()
            .ok_or_else(|| format!("size.json lacks {key}."))?;
        Ok(usize::try_from(value)?)
    };
    let (images, height, width) = (number("images")?, number("height")?, number("width")?);

    let pixels = height * width;
    let mut maps = File::open(folder.join("maps.f32"))?;
    let mut masks = File::open(folder.join("masks.u8"))?;
    let mut bytes = vec![0; pixels * 4];
    let mut mask = vec![0; pixels];
    let mut map = vec![0.0; pixels];
    let (mut scores, mut labels) = (Vec::new(), Vec::new());
    let peak_before = peak_bytes();
    let mut adding = Duration::ZERO;
    let options = PixelOptions::default();
    let start = Instant::now();
    let mut collector = if streaming {
        Either::Streaming(StreamingCollector::new(options)?)
    } else {
        Either::Exact(Collector::new(options)?)
    };
    adding += start.elapsed();
    for _ in 0..images {
        maps.read_exact(&mut bytes)?;
        masks.read_exact(&mut mask)?;
        for (value, bytes) in map.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        let start = Instant::now();
        collector.add(&ImageMap {
            map: &map,
            mask: mask.iter().any(|&pixel| pixel != 0).then_some(&mask[..]),
            width,
            height,
        })?;
        scores.push(map.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        labels.push(mask.iter().any(|&pixel| pixel != 0));
        adding += start.elapsed();
    }
    let start = Instant::now();
    let report = collector.report();
    let image_report = ImageReport::new(&scores, &labels)?;
    let reporting = start.elapsed();

    let figures: Map<String, Value> = report
        .figures()
        .into_iter()
        .chain(image_report.figures())
        .map(|(name, figure)| (name.to_owned(), outcome(figure)))
        .collect();
    let peak = match (peak_before, peak_bytes()) {
        (Some(before), Some(after)) => json!(after.saturating_sub(before)),
        _ => Value::Null,
    };
    let result = json!({
        "seconds": (adding + reporting).as_secs_f64(),
        "seconds_adding": adding.as_secs_f64(),
        "seconds_reporting": reporting.as_secs_f64(),
        "bytes": peak,
        "pixels": report.pixels,
        "figures": figures,
    });
    println!("{result}");
    Ok(())
}
