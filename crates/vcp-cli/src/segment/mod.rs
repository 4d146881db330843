//! `vcp-clip segment`.

mod looked;
mod options;
mod report;
mod save;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use vcp_checkpoint::{Calibration, Weights};
use vcp_files::ResultNames;
use vcp_predict::PredictorOptions;

use crate::args::{Format, SegmentArgs};
use crate::calibration_file::{self, other_bits, other_windows};
use crate::console;
use crate::decoding;
use crate::device::Place;
use crate::exit::{Exit, OrUsage, usage, whole_message};
use crate::inputs::Inputs;
use crate::interrupt::Stop;
use crate::pipeline::Item;
use crate::progress::Progress;
use looked::{Looked, Looking};
use options::Options;
use report::{Failure, Report};
use save::Saving;

pub(crate) use save::PICTURE_SUFFIXES;

pub(crate) fn run(arguments: SegmentArgs) -> anyhow::Result<Exit> {
    let mut options = Options::new(arguments)?;
    let inputs = Inputs::gather(&options.inputs, &options.scan)?;
    if !options.quiet
        && let Some(skipped) = inputs.skipped().in_words()
    {
        console::note(&skipped);
    }
    let place = Place::find(options.device, options.quiet)?;
    let (mut weights, set_aside) = options.choice.open_saying(options.quiet)?;
    place.settle_cost(&options.choice, &weights, options.threads, options.quiet)?;
    let set_aside = settle_calibration(&options, &mut weights, set_aside)?;
    options.create_folder()?;
    decoding::settle(
        &mut options.decode,
        weights.calibration(),
        &inputs.listed(),
        options.quiet,
    );
    let scale = Scale::new(&options, weights.calibration(), set_aside.as_deref());
    let stop = Stop::on_signals();
    let predictor = place.predictor(
        &weights,
        &PredictorOptions {
            threads: options.threads,
            ..Default::default()
        },
    )?;
    // The model has what it needs; large files need not stay mapped.
    drop(weights);

    let known = inputs.known_count().filter(|_| !options.every_page);
    let progress = Progress::new(known, options.quiet);
    let mut printer = Printer::new(options.format, options.quiet);
    let mut tally = Tally::default();
    let mut names = ResultNames::default();
    let looking = Looking::start(predictor, inputs, &options, progress.windows(), &stop)?;
    while let Some(item) = looking.next() {
        let result = finish(item, &options, scale, &mut names);
        tally.count(&result);
        let printed = progress.around(|| printer.print(&result));
        if let Err(error) = printed {
            stop.request();
            progress.finish();
            return Err(error);
        }
        progress.advance();
    }
    progress.finish();
    let interrupted = stop.is_interrupted();
    looking.finish()?;
    tally.exit(&options, interrupted)
}

/// Gives the model the calibration in --calibration, and takes away one that was found in another
/// way than photos are looked at now. `set_aside` says with what the model's own was found if that
/// has been taken away already; what is given back says the same.
fn settle_calibration(
    options: &Options,
    weights: &mut Weights,
    set_aside: Option<&'static str>,
) -> anyhow::Result<Option<String>> {
    if let Some(file) = &options.calibration {
        calibration_file::apply(file, weights)?;
    }
    let Some(calibration) = weights.calibration() else {
        return Ok(set_aside.map(str::to_owned));
    };
    let turns = options.decode.apply_orientation;
    let other = other_windows(calibration, options.tiling.as_ref())
        .or_else(|| other_bits(calibration, options.decode.bits));
    let other = match other {
        Some(other) => other,
        None if calibration.apply_orientation && !turns => "without --no-orientation".to_owned(),
        None if !calibration.apply_orientation && turns => "with --no-orientation".to_owned(),
        None => return Ok(None),
    };
    if let Some(file) = &options.calibration {
        return Err(usage(format!(
            "The calibration {} was found {other}, so its thresholds mean nothing here; look at \
             photos in the same way, or leave out --calibration and set --score-threshold and \
             --pixel-threshold.",
            file.display()
        )));
    }
    weights.set_calibration(None).or_usage()?;
    Ok(Some(other))
}

/// What the model's values are measured against.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// From here on a photo is anomalous.
    score: f32,
    /// From here on a pixel belongs to a defect.
    pixel: f32,
    /// The two ends of the colours.
    range: (f32, f32),
}

impl Scale {
    const UNCALIBRATED: f32 = 0.5;

    /// What was asked for, else what the model was calibrated to, else one half and all of 0 to 1.
    /// `set_aside` says with what a calibration was found that cannot be used.
    fn new(options: &Options, calibration: Option<&Calibration>, set_aside: Option<&str>) -> Self {
        let score = options
            .score_threshold
            .or(calibration.map(|it| it.score_threshold));
        let pixel = options
            .pixel_threshold
            .or(calibration.map(|it| it.pixel_threshold));
        let range = options.range.or(calibration.map(|it| it.range));
        let is_missing = score.is_none() || pixel.is_none();
        if !options.quiet && (is_missing || set_aside.is_some()) {
            let mut note = match set_aside {
                Some(other) => {
                    format!("The model's calibration was found {other} and is set aside")
                }
                None => "This model is not calibrated".to_owned(),
            };
            if is_missing {
                note += ", so 0.5 stands in for a threshold that is not given; find what suits your \
                         photos with `vcp-clip calibrate`, or set --score-threshold and \
                         --pixel-threshold";
            }
            console::note(&(note + "."));
        }
        Self {
            score: score.unwrap_or(Self::UNCALIBRATED),
            pixel: pixel.unwrap_or(Self::UNCALIBRATED),
            range: range.unwrap_or((0.0, 1.0)),
        }
    }
}

/// Measures and writes what the model found in a photo.
fn finish(
    item: Item<Looked>,
    options: &Options,
    scale: Scale,
    names: &mut ResultNames,
) -> Result<Report, Failure> {
    let photo = &item.input.path;
    let path = photo.display().to_string();
    let page = item.input.page;
    let base = options
        .saving
        .as_ref()
        .map(|saving| saving.claim(names, &item.input.relative));
    let outcome = item.outcome.and_then(|looked| {
        let saving = options.saving.as_ref().zip(base.as_deref());
        report((photo, page), &looked, item.spent, scale, saving)
            .map_err(|error| whole_message(&error))
    });
    outcome.map_err(|error| Failure { path, error, page })
}

/// `saving` also says under what name. `spent` is the time that the photo has taken so far.
fn report(
    (photo, page): (&Path, Option<u32>),
    looked: &Looked,
    spent: Duration,
    scale: Scale,
    saving: Option<(&Saving, &Path)>,
) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let (width, height) = looked.size();
    let map = looked.map();
    let regions = vcp_image::regions(&*map, scale.pixel)
        .iter()
        .map(Into::into)
        .collect();
    let files = match saving {
        Some((saving, base)) => saving.save(photo, base, looked, &*map, scale)?,
        None => save::Files::default(),
    };
    let milliseconds = (spent + begun.elapsed()).as_secs_f64() * 1e3;
    let report = Report {
        path: photo.display().to_string(),
        page,
        score: looked.score(),
        score_threshold: scale.score,
        anomalous: looked.score() >= scale.score,
        max: looked.max(),
        pixel_threshold: scale.pixel,
        regions,
        width,
        height,
        files,
        milliseconds: (milliseconds * 10.0).round() / 10.0,
        warnings: looked.warnings().iter().map(ToString::to_string).collect(),
        notes: looked
            .warnings()
            .iter()
            .filter(|warning| !warning.is_of_the_run())
            .map(ToString::to_string)
            .collect(),
    };
    if let Some((saving, base)) = saving {
        saving.save_json(base, &console::json(&report)?)?;
    }
    Ok(report)
}

/// Prints results, each as soon as it is there.
struct Printer {
    format: Format,
    is_quiet: bool,
    is_headed: bool,
}

impl Printer {
    fn new(format: Format, is_quiet: bool) -> Self {
        Self {
            format,
            is_quiet,
            is_headed: false,
        }
    }

    fn print(&mut self, result: &Result<Report, Failure>) -> anyhow::Result<()> {
        let line = match (self.format, result) {
            (Format::Json, Ok(report)) => console::json(report)?,
            (Format::Json, Err(failure)) => console::json(failure)?,
            (Format::Table, Ok(report)) => {
                let notes = report.notes.iter().filter(|_| !self.is_quiet);
                for note in notes {
                    console::note(&format!("{}: {note}", report.path));
                }
                report.row()
            }
            (Format::Table, Err(failure)) => failure.row(),
        };
        if self.format == Format::Table && !self.is_headed {
            self.is_headed = true;
            console::print_line(&report::heading())?;
        }
        console::print_line(&line).context("Standard output cannot be written")
    }
}

/// How the photos came out.
#[derive(Debug, Default)]
struct Tally {
    all: usize,
    failed: usize,
    anomalous: usize,
}

impl Tally {
    fn count(&mut self, result: &Result<Report, Failure>) {
        self.all += 1;
        match result {
            Ok(report) if report.anomalous => self.anomalous += 1,
            Ok(_) => {}
            Err(_) => self.failed += 1,
        }
    }

    /// An incomplete run says so before it says what was found: a later script must not take
    /// "anomalous" for "all looked at".
    fn exit(&self, options: &Options, interrupted: bool) -> anyhow::Result<Exit> {
        if interrupted {
            if !options.quiet {
                console::note(&format!("Stopped after {} photos.", self.all));
            }
            return Ok(Exit::Interrupted);
        }
        if self.all == 0 {
            return Err(usage("Standard input held no path."));
        }
        if self.failed > 0 {
            if !options.quiet {
                console::note(&format!("{} of {} inputs failed.", self.failed, self.all));
            }
            return Ok(Exit::Failed);
        }
        if options.fail_on_anomaly && self.anomalous > 0 {
            return Ok(Exit::Anomalous);
        }
        Ok(Exit::Done)
    }
}
