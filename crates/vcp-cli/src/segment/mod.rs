//! `vcp-clip segment`.

mod options;
mod table;

use anyhow::Context;
use vcp_clip::photos::{Decoding, Found, Inputs, every_page};
use vcp_clip::record::Line;
use vcp_clip::results::{Finished, finish};
use vcp_clip::{
    Decision, Device, Inspector, InspectorOptions, Model, PredictorOptions, ReferenceChoice,
    ResultNames,
};

use crate::args::{Format, SegmentArgs};
use crate::console;
use crate::exit::{Exit, OrUsage, usage};
use crate::inputs;
use crate::interrupt::Stop;
use crate::progress::Progress;
use crate::references::{self, Named};
use options::Options;

pub(crate) fn run(arguments: SegmentArgs) -> anyhow::Result<Exit> {
    let mut options = Options::new(arguments)?;
    let photos = inputs::gather(&options.inputs, options.scan, options.quiet)?;
    let references = match &options.references[..] {
        [] => None,
        paths if paths.iter().any(|path| path.as_os_str() == "-") => {
            return Err(usage(
                "--reference names files, folders and patterns; standard input is for the photos.",
            ));
        }
        paths => Some(inputs::gather(paths, options.scan, options.quiet)?),
    };
    let (device, model) = options
        .choice
        .open_on(options.device, options.threads, options.quiet)?;
    options.create_folder()?;
    let given = options.calibration.as_ref();
    let given = given.map(|it| it.calibration(model.weights()));
    let given = given.transpose().or_usage()?;
    let calibrated = given.as_ref().or(model.weights().calibration());
    inputs::settle_bits(
        &mut options.decode,
        calibrated,
        &photos.listed(),
        options.quiet,
    );
    let stop = Stop::on_signals();
    let decoding = inputs::decoding(options.decode.clone(), options.quiet);
    let to_compare = (references, &decoding);
    let Some(inspector) = inspector(&options, &model, &device, to_compare, &stop)? else {
        return Ok(Exit::Interrupted);
    };
    say_if_uncalibrated(&options, &inspector);
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
    let mut inspections = inspector.inspect_all(photos, decoding, &stop, move |done, all| {
        windows.show(done, all);
    })?;
    let mut printer = Printer::new(options.format, options.quiet);
    let mut tally = Tally::default();
    let mut names = ResultNames::default();
    for item in inspections.by_ref() {
        let result = finish(item, options.results.as_ref(), &mut names, console::json);
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

/// The model on its device, comparing with the reference photos that were named, if any; none if it was interrupted.
fn inspector(
    options: &Options,
    model: &Model,
    device: &Device,
    (inputs, decoding): (Option<Inputs>, &Decoding),
    stop: &Stop,
) -> anyhow::Result<Option<Inspector>> {
    let mut chosen = InspectorOptions {
        predictor: PredictorOptions {
            threads: options.threads,
            ..PredictorOptions::default()
        },
        decode: options.decode.clone(),
        tiling: options.tiling,
        mask: options.mask.clone(),
        min_area: options.min_area,
        reference_copies: options.reference_copies,
        thresholds: options.thresholds,
        calibration: options.calibration.clone(),
        // It has been refused already, or is wanted.
        no_cost_limit: true,
        ..InspectorOptions::default()
    };
    let Some(inputs) = inputs else {
        if options.no_references {
            chosen.references = ReferenceChoice::Without;
        }
        return Ok(Some(Inspector::new(model, device, &chosen).or_usage()?));
    };
    let named = Named {
        words: references::in_words(&options.references),
        inputs,
        every_page: options.every_page,
    };
    let quiet = options.quiet;
    let found = references::comparing(model, device, &chosen, named, decoding, stop, quiet)?;
    Ok(found.map(|(inspector, _)| inspector))
}

/// Says so where thresholds are nobody's, or a calibration is not used.
fn say_if_uncalibrated(options: &Options, inspector: &Inspector) {
    let thresholds = &options.thresholds;
    let is_missing = inspector.calibration().is_none()
        && (thresholds.score.is_none() || thresholds.pixel.is_none());
    let mut note = match inspector.set_aside() {
        Some(other) => format!("The model's calibration was found {other} and is set aside"),
        None if is_missing => "This model is not calibrated".to_owned(),
        None => return,
    };
    if options.quiet {
        return;
    }
    if is_missing {
        let references = match inspector.references() {
            Some(_) => " --references all",
            None => "",
        };
        note += ", so 0.5 stands in for a threshold that is not given; find what suits your photos with \
                 `vcp-clip calibrate";
        note += references;
        note += "`, or set --score-threshold and --pixel-threshold";
    }
    console::note(&(note + "."));
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

    fn print(&mut self, finished: &Finished) -> anyhow::Result<()> {
        let line = match (self.format, &finished.line) {
            (Format::Json, line) => console::json(line),
            (Format::Table, Line::Done(record)) => {
                for note in finished.notes.iter().filter(|_| !self.is_quiet) {
                    console::note(&format!("{}: {note}", record.path));
                }
                table::row(record)
            }
            (Format::Table, Line::Failed(failure)) => table::failure(failure),
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
    /// The most serious decision.
    worst: Option<Decision>,
}

impl Tally {
    fn count(&mut self, finished: &Finished) {
        self.all += 1;
        match &finished.line {
            Line::Done(record) => self.worst = self.worst.max(Some(record.decision)),
            Line::Failed(_) => self.failed += 1,
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
        if options.fail_on.is_some() && self.worst >= options.fail_on {
            return Ok(Exit::Anomalous);
        }
        Ok(Exit::Done)
    }
}
