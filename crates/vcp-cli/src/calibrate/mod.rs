//! `vcp-clip calibrate`.

mod listing;
mod look;
mod measure;
mod options;
mod photos;
mod thresholds;

use anyhow::Context;
use serde::Serialize;
use vcp_checkpoint::{Calibration, Precision, Weights};
use vcp_predict::PredictorOptions;

use crate::args::CalibrateArgs;
use crate::calibration_file::{self, ModelRecord, windows_of};
use crate::console;
use crate::device::Place;
use crate::exit::Exit;
use crate::files::write_whole;
use crate::interrupt::Stop;
use crate::progress::Progress;
use measure::Measurements;
use options::{Options, Output};
use photos::Photos;
use thresholds::{Threshold, Thresholds, reach};

pub(crate) use listing::today;

pub(crate) fn run(arguments: CalibrateArgs) -> anyhow::Result<Exit> {
    let (options, photos) = Options::new(arguments)?;
    let place = Place::find(options.device, options.quiet)?;
    let mut weights = options.choice.open(options.quiet)?;
    place.settle_cost(&options.choice, &weights, options.threads, options.quiet)?;
    options.create_folder()?;
    let words = photos.words.clone();
    let stop = Stop::on_signals();
    let Some(found) = measure(&options, photos, &place, &weights, &stop)? else {
        return Ok(Exit::Interrupted);
    };
    let thresholds = Thresholds::new(&found, &options)
        .with_context(|| format!("{} photos of {} can be used", found.used(), found.seen()))?;
    let calibration = Calibration {
        version: Calibration::VERSION,
        pixel_threshold: thresholds.pixel.value,
        score_threshold: thresholds.score.value,
        range: thresholds.range,
        data: description(&words, &found),
        date: listing::today(),
        images: found.used() as u64,
        apply_orientation: options.decode.apply_orientation,
        windows: options.tiling.as_ref().map(windows_of),
        bits: options.decoding.bits(),
    };
    weights.set_calibration(Some(calibration.clone()))?;
    let document = Document::new(calibration, &thresholds, &found, &weights);
    let text = console::json_document(&document)?;
    match &options.out {
        None => {}
        Some(Output::File(path)) => write_whole(path, |file| writeln!(file, "{text}"))
            .with_context(|| format!("{} cannot be written", path.display()))?,
        Some(Output::Bundle(path)) => weights.write_bundle(path, Precision::AsStored)?,
    }
    if !options.quiet {
        for sentence in thresholds.words(&found, &options) {
            console::note(&sentence);
        }
        if found.copies > 0 {
            console::note(&format!(
                "{} photos are copies of others and do not count.",
                found.copies
            ));
        }
        if found.failed > 0 {
            console::note(&format!(
                "{} of {} photos failed.",
                found.failed,
                found.seen()
            ));
        }
    }
    console::print_text(&format!("{text}\n")).context("Standard output cannot be written")?;
    Ok(if found.failed > 0 {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// Looks at all photos; none if it was interrupted.
fn measure(
    options: &Options,
    photos: Photos,
    place: &Place,
    weights: &Weights,
    stop: &Stop,
) -> anyhow::Result<Option<Measurements>> {
    let predictor = place.predictor(
        weights,
        &PredictorOptions {
            threads: options.threads,
            ..Default::default()
        },
    )?;
    let progress = Progress::new(photos.known_count(), options.quiet);
    let mut found = Measurements::new(options, photos.has_masks())?;
    let (photos, samples) = photos.split();
    let pipeline = look::start(predictor, photos, options, &progress, stop)?;
    // One item for each sample, in their order.
    let mut samples = samples.iter();
    while let Some(item) = pipeline.next().flatten() {
        if let Ok(looked) = &item.outcome
            && !options.quiet
        {
            let warnings = looked.photo.warnings().iter();
            for warning in warnings.filter(|warning| !warning.is_of_the_run()) {
                let note = format!("{}: {warning}", item.input.path.display());
                progress.around(|| console::note(&console::printable(&note)));
            }
        }
        if let Err(problem) = found.add(item, samples.next())
            && !options.quiet
        {
            progress.around(|| console::note(&problem));
        }
        progress.advance();
    }
    progress.finish();
    let interrupted = stop.is_interrupted();
    pipeline.finish()?;
    if interrupted {
        if !options.quiet {
            console::note(&format!(
                "Stopped after {} photos; nothing was written.",
                found.seen()
            ));
        }
        return Ok(None);
    }
    Ok(Some(found))
}

/// What the user named, cut between two names if there are many.
fn shortened(words: &str) -> String {
    const MAX_CHARACTERS: usize = 300;
    let Some((end, _)) = words.char_indices().nth(MAX_CHARACTERS) else {
        return words.to_owned();
    };
    let start = &words[..end];
    match start.rfind(", ") {
        Some(end) => format!("{}, …", &start[..end]),
        None => format!("{start}…"),
    }
}

/// The data, as they stand in the calibration.
fn description(words: &str, found: &Measurements) -> String {
    let words = shortened(words);
    let bad = match found.anomalous.len() {
        0 => String::new(),
        count => format!(" and {count} anomalous"),
    };
    format!(
        "{words}: {} normal{bad} photos, SHA-256 of their listing {}",
        found.normal.len(),
        found.listing.digest()
    )
}

/// What is printed, and written into a file of its own. The order of the fields is the order of the
/// keys, which is stable.
#[derive(Serialize)]
struct Document<'a> {
    vcp_clip_calibration: u32,
    calibration: Calibration,
    score: &'a Threshold,
    pixel: PixelDocument<'a>,
    photos: PhotosDocument,
    model: ModelRecord,
}

#[derive(Serialize)]
struct PixelDocument<'a> {
    #[serde(flatten)]
    threshold: &'a Threshold,
    masks: usize,
}

/// How many photos there were, and how many of them reach the score threshold.
#[derive(Serialize)]
struct PhotosDocument {
    normal: usize,
    normal_reported: usize,
    anomalous: usize,
    anomalous_reported: usize,
    copies: usize,
    failed: usize,
    listing_sha256: String,
}

impl<'a> Document<'a> {
    fn new(
        calibration: Calibration,
        thresholds: &'a Thresholds,
        found: &Measurements,
        weights: &Weights,
    ) -> Self {
        let reported = |scores: &[f32]| reach(scores, thresholds.score.value);
        Self {
            vcp_clip_calibration: calibration_file::VERSION,
            photos: PhotosDocument {
                normal: found.normal.len(),
                normal_reported: reported(&found.normal),
                anomalous: found.anomalous.len(),
                anomalous_reported: reported(&found.anomalous),
                copies: found.copies,
                failed: found.failed,
                listing_sha256: found.listing.digest(),
            },
            calibration,
            score: &thresholds.score,
            pixel: PixelDocument {
                threshold: &thresholds.pixel,
                masks: found.masked,
            },
            model: ModelRecord::of(weights),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn names_are_not_cut_in_two() {
        assert_eq!(shortened("good, bad"), "good, bad");
        let names: Vec<String> = (100..200)
            .map(|number| format!("photos/{number}.png"))
            .collect();
        let short = shortened(&names.join(", "));
        assert!(
            short.starts_with("photos/100.png, photos/101.png, "),
            "{short}"
        );
        assert!(short.ends_with(".png, …") && short.len() < 310, "{short}");
        let long = "ü".repeat(400);
        assert_eq!(shortened(&long), format!("{}…", "ü".repeat(300)));
    }
}
