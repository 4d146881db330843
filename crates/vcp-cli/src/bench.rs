//! `vcp-clip bench`: where the time goes on this machine.

use std::io::{self, BufRead};
use std::time::Instant;

use serde::Serialize;
use vcp_checkpoint::Geometry;
use vcp_clip::Device;
use vcp_cpu::{InstructionSet, Timing, fma_peak_gflops};
use vcp_image::Photo;
use vcp_predict::{Predictor, PredictorOptions};

use crate::args::{BenchArgs, GeometryName, InstructionSetName};
use crate::console::{self, Column};
use crate::exit::{Exit, OrUsage};
use crate::model::Choice;

/// The stages of one image, in order.
const STAGES: [&str; 4] = [
    "resize and normalise",
    "vision tower",
    "prompts, texts, branches",
    "maps and score",
];

/// Which of the stages is the vision tower.
const TOWER: usize = 1;

/// Everything that was measured; see `docs/output.md`.
#[derive(Debug, Serialize)]
struct Report {
    version: &'static str,
    instruction_set: &'static str,
    threads: usize,
    image_size: usize,
    load_ms: f64,
    fma_peak_gflops: f64,
    image_ms: Vec<f64>,
    tower_ms: Vec<f64>,
    image_ms_median: f64,
    tower_ms_median: f64,
    gflops_tower: f64,
    tower_share_of_peak: f64,
    outside_tower_share_of_time: f64,
    peak_memory_bytes: Option<u64>,
    stages: Vec<Stage>,
    operations: Vec<Operation>,
    precision: &'static str,
    narrow_units: [Option<&'static str>; 2],
}

/// One stage of an image, the median over the images.
#[derive(Debug, Serialize)]
struct Stage {
    name: &'static str,
    milliseconds: f64,
    share_of_time: f64,
}

/// One kind of operation, the mean over the images.
#[derive(Debug, Serialize)]
struct Operation {
    name: String,
    calls_per_image: f64,
    milliseconds: f64,
    gflops: Option<f64>,
    share_of_peak: Option<f64>,
}

pub(crate) fn run(arguments: BenchArgs) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let geometry = match arguments.geometry {
        GeometryName::VitL14336 => Geometry::vit_l_14_336(),
        GeometryName::VitL14 => Geometry::vit_l_14(),
        GeometryName::VitB16 => Geometry::vit_b_16(),
    };
    let choice =
        Choice::or_random(arguments.choice, geometry)?.computed_in(arguments.precision.precision());
    let model = choice.open(false)?;
    choice.settle_cost(&Device::cpu(), model.weights(), arguments.threads, false)?;
    let options = PredictorOptions {
        threads: arguments.threads,
        instruction_set: arguments.instruction_set.map(|name| match name {
            InstructionSetName::Avx512 => InstructionSet::Avx512,
            InstructionSetName::Avx2 => InstructionSet::Avx2,
            InstructionSetName::Portable => InstructionSet::Portable,
        }),
        ..PredictorOptions::default()
    };
    let predictor = Predictor::new(model.weights(), &options).or_usage()?;
    drop(model);
    let load = milliseconds(start);
    let photo = photo(1024);
    if arguments.serve {
        return serve(&predictor, &photo);
    }

    time_image(&predictor, &photo)?;
    let peak = || fma_peak_gflops(predictor.cpu().instruction_set(), predictor.cpu().threads());
    let mut highest_peak = peak();
    let mut times = Vec::new();
    predictor.cpu().start_recording();
    for _ in 0..arguments.repeat.get() {
        times.push(time_image(&predictor, &photo)?);
    }
    let timings = predictor.cpu().stop_recording();
    highest_peak = highest_peak.max(peak());
    let report = report(&predictor, load, highest_peak, &times, timings);
    if arguments.json {
        console::print_json(&report)?;
    } else {
        console::print_text(&text(&report))?;
    }
    Ok(Exit::Done)
}

/// A made-up photo with structure at every scale.
fn photo(side: usize) -> Photo {
    let value = |x: usize, y: usize, channel: usize| {
        let wave = (x * (channel + 1)) as f64 / 37.0 + y as f64 / 23.0;
        (127.5 + 90.0 * wave.sin() + ((x * 31 + y * 17 + channel * 7) % 37) as f64) as u8
    };
    let pixels = (0..side * side * 3).map(|i| value(i / 3 % side, i / 3 / side, i % 3));
    // The number of pixels is right by construction; an empty photo could not be made.
    Photo::from_rgb(side, side, pixels.collect())
        .unwrap_or_else(|_| unreachable!("side·side RGB pixels"))
}

/// One image's stages in milliseconds.
fn time_image(predictor: &Predictor, photo: &Photo) -> anyhow::Result<[f64; 4]> {
    let mut times = [0.0; 4];
    let start = Instant::now();
    let prepared = [predictor.prepare(photo)];
    times[0] = milliseconds(start);
    let start = Instant::now();
    let features = predictor.vision(&prepared)?;
    times[TOWER] = milliseconds(start);
    let start = Instant::now();
    let logits = predictor.decode(&features)?;
    times[2] = milliseconds(start);
    let start = Instant::now();
    predictor.finish(&logits[0])?;
    times[3] = milliseconds(start);
    Ok(times)
}

/// Answers every line of standard input with the times of one image.
fn serve(predictor: &Predictor, photo: &Photo) -> anyhow::Result<Exit> {
    for line in io::stdin().lock().lines() {
        line?;
        let times = time_image(predictor, photo)?;
        console::print_json(&serde_json::json!({
            "image_ms": times.iter().sum::<f64>(),
            "tower_ms": times[TOWER],
        }))?;
    }
    Ok(Exit::Done)
}

fn report(
    predictor: &Predictor,
    load_ms: f64,
    fma_peak_gflops: f64,
    times: &[[f64; 4]],
    timings: Vec<Timing>,
) -> Report {
    let images = times.len() as f64;
    let image_ms: Vec<f64> = times.iter().map(|times| times.iter().sum()).collect();
    let tower_ms: Vec<f64> = times.iter().map(|times| times[TOWER]).collect();
    let (image_ms_median, tower_ms_median) = (median(&image_ms), median(&tower_ms));
    let stages = STAGES.iter().enumerate().map(|(index, name)| {
        let milliseconds = median(&times.iter().map(|times| times[index]).collect::<Vec<_>>());
        Stage {
            name,
            milliseconds,
            share_of_time: milliseconds / image_ms_median,
        }
    });
    let tower_gflop = predictor.tower_operations() as f64 / 1e9;
    let gflops_tower = tower_gflop / (tower_ms_median / 1e3);
    let operations = timings.into_iter().map(|timing| {
        let gflops = (timing.operations > 0.0).then(|| timing.operations / timing.seconds / 1e9);
        Operation {
            name: timing.name,
            calls_per_image: timing.calls as f64 / images,
            milliseconds: timing.seconds * 1e3 / images,
            gflops,
            share_of_peak: gflops.map(|gflops| gflops / fma_peak_gflops),
        }
    });
    Report {
        version: env!("CARGO_PKG_VERSION"),
        instruction_set: predictor.cpu().instruction_set().name(),
        threads: predictor.cpu().threads(),
        image_size: predictor.image_size(),
        load_ms,
        fma_peak_gflops,
        image_ms_median,
        tower_ms_median,
        gflops_tower,
        tower_share_of_peak: gflops_tower / fma_peak_gflops,
        outside_tower_share_of_time: 1.0 - tower_ms_median / image_ms_median,
        peak_memory_bytes: peak_memory_bytes(),
        stages: stages.collect(),
        operations: operations.collect(),
        precision: predictor.cpu().precision().name(),
        narrow_units: predictor.cpu().narrow_units(),
        image_ms,
        tower_ms,
    }
}

fn text(report: &Report) -> String {
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let stages = report.stages.iter().map(|stage| {
        vec![
            stage.name.to_owned(),
            format!("{:.1}", stage.milliseconds),
            percent(stage.share_of_time),
        ]
    });
    let operations = report.operations.iter().map(|operation| {
        vec![
            operation.name.clone(),
            format!("{}", operation.calls_per_image),
            format!("{:.2}", operation.milliseconds),
            operation
                .gflops
                .map_or_else(String::new, |gflops| format!("{gflops:.0}")),
            operation.share_of_peak.map_or_else(String::new, percent),
        ]
    });
    let memory = report.peak_memory_bytes.map_or_else(
        || "not known here".to_owned(),
        |bytes| format!("{:.2} GB", bytes as f64 / 1e9),
    );
    let units: Vec<&str> = report.narrow_units.into_iter().flatten().collect();
    let units = match &units[..] {
        [] => String::new(),
        units => format!(" ({})", units.join(", ")),
    };
    format!(
        "threads: {}, {}, {}{}, {:.0} GFLOP/s at best in f32\n\
         model loaded in {:.0} ms; {} images of {} px\n\n\
         image   {:.0} ms (median)\n\
         tower   {:.0} ms, {:.0} GFLOP/s, {} of the best\n\
         memory  {memory} at most\n\n{}\n{}",
        report.threads,
        report.instruction_set,
        report.precision,
        units,
        report.fma_peak_gflops,
        report.load_ms,
        report.image_ms.len(),
        report.image_size,
        report.image_ms_median,
        report.tower_ms_median,
        report.gflops_tower,
        percent(report.tower_share_of_peak),
        console::table(&Column::of_figures(&["stage", "ms", "of the time"]), stages),
        console::table(
            &Column::of_figures(&["operation", "calls", "ms", "GFLOP/s", "of the best"]),
            operations
        ),
    )
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// The middle value, or the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        0.5 * (sorted[middle - 1] + sorted[middle])
    } else {
        sorted[middle]
    }
}

/// The largest resident memory of this process so far, where the system tells (Linux).
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_in_the_middle() {
        for (values, expected) in [(&[3.0, 1.0, 2.0][..], 2.0), (&[4.0, 1.0, 2.0, 3.0], 2.5)] {
            assert!((median(values) - expected).abs() < 1e-12, "{values:?}");
        }
    }
}
