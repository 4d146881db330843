//! `vcp-clip segment`.

mod options;
mod table;

use std::time::Instant;

use anyhow::Context;
use vcp_clip::calibration::Viewing;
use vcp_clip::photos::{Found, every_page};
use vcp_clip::record::{FailureRecord, Record};
use vcp_clip::results::ResultFolder;
use vcp_clip::{Inspection, Inspector, InspectorOptions, Item, Model, ResultNames};

use crate::args::{Format, SegmentArgs};
use crate::console;
use crate::exit::{Exit, OrUsage, usage, whole_message};
use crate::inputs;
use crate::interrupt::Stop;
use crate::model::find_device;
use crate::progress::Progress;
use options::Options;

pub(crate) fn run(arguments: SegmentArgs) -> anyhow::Result<Exit> {
    let mut options = Options::new(arguments)?;
    let photos = inputs::gather(&options.inputs, options.scan, options.quiet)?;
    let device = find_device(options.device, options.quiet)?;
    let mut model = options.choice.open(options.quiet)?;
    let (weights, threads) = (model.weights(), options.threads);
    options
        .choice
        .settle_cost(&device, weights, threads, options.quiet)?;
    let viewing = Viewing::of(&options.decode, options.tiling);
    let calibration = options.calibration.as_deref();
    model.calibrate(calibration, &viewing).or_usage()?;
    options.create_folder()?;
    inputs::settle_bits(
        &mut options.decode,
        model.weights().calibration(),
        &photos.listed(),
        options.quiet,
    );
    say_if_uncalibrated(&options, &model);
    let stop = Stop::on_signals();
    let inspector_options = InspectorOptions {
        threads,
        decode: options.decode.clone(),
        tiling: options.tiling,
        thresholds: options.thresholds,
        calibration: None,
    };
    let inspector = Inspector::new(&mut model, &device, &inspector_options).or_usage()?;
    // The inspector has what it needs; large files need not stay mapped.
    drop(model);

    let known = photos.known_count().filter(|_| !options.every_page);
    let progress = Progress::new(known, options.quiet);
    let windows = progress.windows();
    let photos: Box<dyn Iterator<Item = Found> + Send> = if options.every_page {
        Box::new(every_page(photos))
    } else {
        Box::new(photos)
    };
    let decoding = inputs::decoding(options.decode.clone(), options.quiet);
    let inspections = inspector.inspect_all(photos, decoding, &stop, move |done, all| {
        windows.show(done, all);
    })?;
    let mut printer = Printer::new(options.format, options.quiet);
    let mut tally = Tally::default();
    let mut names = ResultNames::default();
    while let Some(item) = inspections.next() {
        let result = finish(item, options.results.as_ref(), &mut names);
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
    inspections.finish()?;
    tally.exit(&options, interrupted)
}

/// Says so where thresholds are nobody's, or a calibration is not used.
fn say_if_uncalibrated(options: &Options, model: &Model) {
    let thresholds = &options.thresholds;
    let is_missing = model.weights().calibration().is_none()
        && (thresholds.score.is_none() || thresholds.pixel.is_none());
    let mut note = match model.set_aside() {
        Some(other) => format!("The model's calibration was found {other} and is set aside"),
        None if is_missing => "This model is not calibrated".to_owned(),
        None => return,
    };
    if options.quiet {
        return;
    }
    if is_missing {
        note += ", so 0.5 stands in for a threshold that is not given; find what suits your \
                 photos with `vcp-clip calibrate`, or set --score-threshold and \
                 --pixel-threshold";
    }
    console::note(&(note + "."));
}

/// A record, and what should be said of how the photo was read that was not said of the whole run.
struct Finished {
    record: Record,
    notes: Vec<String>,
}

/// Writes what was found in a photo, if that is wanted.
fn finish(
    item: Item<Inspection>,
    results: Option<&ResultFolder>,
    names: &mut ResultNames,
) -> Result<Finished, FailureRecord> {
    let Item {
        photo,
        outcome,
        spent,
    } = item;
    let path = photo.path.display().to_string();
    let base = results.map(|results| results.claim(names, &photo.relative));
    let inspection = match outcome {
        Ok(inspection) => inspection,
        Err(error) => return Err(FailureRecord::new(path, photo.page, &error)),
    };
    let begun = Instant::now();
    let finish = || -> anyhow::Result<Record> {
        let mut record = inspection.record(&path);
        record.page = photo.page;
        let saving = results.zip(base.as_deref());
        if let Some((results, base)) = saving {
            record.files = results.save(&photo.path, base, &inspection)?;
        }
        let milliseconds = (spent + begun.elapsed()).as_secs_f64() * 1e3;
        record.milliseconds = (milliseconds * 10.0).round() / 10.0;
        if let Some((results, base)) = saving {
            results.save_record(base, &console::json(&record)?)?;
        }
        Ok(record)
    };
    let warnings = inspection.warnings().iter();
    match finish() {
        Ok(record) => Ok(Finished {
            record,
            notes: warnings
                .filter(|warning| !warning.is_of_the_run())
                .map(ToString::to_string)
                .collect(),
        }),
        Err(error) => Err(FailureRecord {
            path: path.clone(),
            error: whole_message(&error),
            page: photo.page,
        }),
    }
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

    fn print(&mut self, result: &Result<Finished, FailureRecord>) -> anyhow::Result<()> {
        let line = match (self.format, result) {
            (Format::Json, Ok(finished)) => console::json(&finished.record)?,
            (Format::Json, Err(failure)) => console::json(failure)?,
            (Format::Table, Ok(Finished { record, notes })) => {
                for note in notes.iter().filter(|_| !self.is_quiet) {
                    console::note(&format!("{}: {note}", record.path));
                }
                table::row(record)
            }
            (Format::Table, Err(failure)) => table::failure(failure),
        };
        if self.format == Format::Table && !self.is_headed {
            self.is_headed = true;
            console::print_line(&table::heading())?;
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
    fn count(&mut self, result: &Result<Finished, FailureRecord>) {
        self.all += 1;
        match result {
            Ok(finished) if finished.record.anomalous => self.anomalous += 1,
            Ok(_) => {}
            Err(_) => self.failed += 1,
        }
    }

    /// An incomplete run says so before it says what was found: a later script must not take
    /// "anomalous" for "all processed".
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
