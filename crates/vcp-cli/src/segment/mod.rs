//! `vcp-clip segment`.

mod options;
mod out_table;
mod table;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use vcp_clip::photos::{Decoding, Found, Inputs, every_page};
use vcp_clip::record::Line;
use vcp_clip::results::{Finished, finish};
use vcp_clip::{Device, Inspector, InspectorOptions, Model, PredictorOptions, ReferenceChoice};
use vcp_table::{Done, TablePhotos, Totals};

use crate::args::{Format, SegmentArgs};
use crate::console;
use crate::exit::{Exit, OrUsage, usage};
use crate::inputs;
use crate::interrupt::Stop;
use crate::progress::Progress;
use crate::references::{self, Named};
use options::Options;
use out_table::Begun;

pub(crate) fn run(arguments: SegmentArgs) -> anyhow::Result<Exit> {
    let mut options = Options::new(arguments)?;
    let photos = Photos::find(&options)?;
    let references = reference_inputs(&options)?;
    let (device, model) = options
        .choice
        .open_on(options.device, options.threads, options.quiet)?;
    options.create_folder()?;
    let asked_bits = options.decode.bits;
    let table = options.table.as_ref();
    let table = table.map(|it| it.open(options.from.as_ref()));
    let table = table.transpose()?;
    if let Some(table) = &table {
        table.settle_bits(&mut options);
    }
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
    let cut = Arc::new(OnceLock::new());
    let decoding = inputs::decoding(options.decode.clone(), options.quiet);
    let to_compare = (references, &decoding);
    let Some(inspector) = inspector(&options, &model, &device, to_compare, &stop)? else {
        return Ok(Exit::Interrupted);
    };
    say_if_uncalibrated(&options, &inspector);
    let mut table = match table {
        None => None,
        Some(table) => {
            let used = (&model, &device);
            let settings = out_table::settings(&options, asked_bits, used, &inspector);
            match table.begin(&settings, options.quiet)? {
                Begun::Finished(totals) => return tally(totals, &options),
                Begun::Unfinished(table) => Some(table),
            }
        }
    };
    // The inspector has what it needs; large files need not stay mapped.
    drop(model);

    let done = table.as_mut().map(|table| table.take_done());
    let known = photos.known_count(&options, done.is_some());
    let progress = Progress::new(known, options.quiet);
    let windows = progress.windows();
    let photos = noting_cut(photos.into_inspected(&options, done), &cut);
    let on_window = move |done, all| windows.show(done, all);
    let mut inspections = inspector.inspect_all(photos, decoding.clone(), &stop, on_window)?;
    let mut printer = Printer::new(options.format, options.quiet);
    let mut totals = Totals::default();
    let mut names = options.names();
    for item in inspections.by_ref() {
        let result = finish(item, options.results.as_ref(), &mut names, console::json);
        totals.count(&result.line);
        // A list that could be read no further is no photo.
        let is_of_list =
            matches!(&result.line, Line::Failed(failure) if cut.get() == Some(&failure.error));
        let kept = match &mut table {
            Some(_) if is_of_list => Ok(()),
            Some(table) => table
                .settle_bits(decoding.bits())
                .and_then(|()| table.append(&result.line)),
            None => Ok(()),
        };
        let printed = kept
            .map_err(anyhow::Error::from)
            .and_then(|()| progress.around(|| printer.print(&result)));
        if let Err(error) = printed {
            stop.request();
            progress.finish();
            return Err(error);
        }
        progress.advance();
    }
    progress.finish();
    if stop.is_interrupted() {
        say_interrupted(&options, totals);
        return Ok(Exit::Interrupted);
    }
    inspections.finish()?;
    let totals = match table {
        Some(_) if cut.get().is_some() => {
            if !options.quiet {
                console::note(
                    "The list of photos could not be read to its end, so there is no table yet; when it can be, the \
                     same command with --resume continues.",
                );
            }
            return Ok(Exit::Failed);
        }
        Some(table) => table.finish()?,
        None => totals,
    };
    tally(totals, &options)
}

/// The reference photos that are named, if any.
fn reference_inputs(options: &Options) -> anyhow::Result<Option<Inputs>> {
    match &options.references[..] {
        [] => Ok(None),
        paths if paths.iter().any(|path| path.as_os_str() == "-") => Err(usage(
            "--reference names files, folders and patterns; standard input is for the photos.",
        )),
        paths => inputs::gather(paths, options.scan, options.quiet).map(Some),
    }
}

/// The same photos; notes what is said of a list that cannot be read any further.
fn noting_cut(
    photos: Box<dyn Iterator<Item = Found> + Send>,
    cut: &Arc<OnceLock<String>>,
) -> Box<dyn Iterator<Item = Found> + Send> {
    let cut = Arc::clone(cut);
    Box::new(photos.inspect(move |found| {
        if let Found::Unreadable {
            error,
            is_cut: true,
            ..
        } = found
        {
            // There is one list.
            let _ = cut.set(error.clone());
        }
    }))
}

/// The photos of a run.
enum Photos {
    Named(Inputs),
    OfTable(TablePhotos),
}

impl Photos {
    fn find(options: &Options) -> anyhow::Result<Self> {
        Ok(match &options.from {
            Some((table, column)) => Self::OfTable(TablePhotos::open(table, column).or_usage()?),
            None => Self::Named(inputs::gather(
                &options.inputs,
                options.scan,
                options.quiet,
            )?),
        })
    }

    /// Those that are known already, in order; also those of other parts, so that all parts are read alike.
    fn listed(&self) -> Vec<&Path> {
        match self {
            Self::Named(inputs) => inputs.listed(),
            Self::OfTable(_) => Vec::new(),
        }
    }

    /// How many there are, if that is known and all are inspected.
    fn known_count(&self, options: &Options, is_resumed: bool) -> Option<usize> {
        match self {
            Self::Named(inputs)
                if !options.every_page && options.shard.is_none() && !is_resumed =>
            {
                inputs.known_count()
            }
            _ => None,
        }
    }

    /// Those of the part that is to be inspected, without those that have been.
    fn into_inspected(
        self,
        options: &Options,
        done: Option<Done>,
    ) -> Box<dyn Iterator<Item = Found> + Send> {
        let mut photos: Box<dyn Iterator<Item = Found> + Send> = match self {
            Self::Named(inputs) => Box::new(inputs),
            Self::OfTable(photos) => Box::new(photos),
        };
        // By its file, so that it is no matter for a part which pages the files of others have.
        if let Some(shard) = options.shard {
            photos = Box::new(shard.of(photos));
        }
        if options.every_page {
            photos = Box::new(every_page(photos));
        }
        match done {
            Some(done) => out_table::without_done(photos, done),
            None => photos,
        }
    }
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
    format: Option<Format>,
    is_quiet: bool,
    is_headed: bool,
}

impl Printer {
    fn new(format: Option<Format>, is_quiet: bool) -> Self {
        Self {
            format,
            is_quiet,
            is_headed: false,
        }
    }

    fn print(&mut self, finished: &Finished) -> anyhow::Result<()> {
        let Some(format) = self.format else {
            return Ok(());
        };
        let line = match (format, &finished.line) {
            (Format::Json, line) => console::json(line),
            (Format::Table, Line::Done(record)) => {
                for note in finished.notes.iter().filter(|_| !self.is_quiet) {
                    console::note(&format!("{}: {note}", record.path));
                }
                table::row(record)
            }
            (Format::Table, Line::Failed(failure)) => table::failure(failure),
        };
        if format == Format::Table && !self.is_headed {
            self.is_headed = true;
            console::print_line(&table::heading())?;
        }
        console::print_line(&line).context("Standard output cannot be written")
    }
}

/// Says how far an interrupted run came.
fn say_interrupted(options: &Options, totals: Totals) {
    if options.quiet {
        return;
    }
    let mut note = format!("Stopped after {} photos.", totals.rows);
    if options.table.is_some() {
        note += " Their rows are kept; the same command with --resume continues.";
    }
    console::note(&note);
}

/// An incomplete run says so before it says what was found: a later script must not take "anomalous" for "all
/// processed".
fn tally(totals: Totals, options: &Options) -> anyhow::Result<Exit> {
    // A part may be empty, and so may a table.
    if totals.rows == 0 && options.shard.is_none() && options.table.is_none() {
        return Err(usage(match &options.from {
            Some((table, _)) => format!("The table {} has no rows.", table.display()),
            None => "Standard input held no path.".to_owned(),
        }));
    }
    if totals.failed > 0 {
        if !options.quiet {
            console::note(&format!(
                "{} of {} inputs failed.",
                totals.failed, totals.rows
            ));
        }
        return Ok(Exit::Failed);
    }
    if options.fail_on.is_some() && totals.worst >= options.fail_on {
        return Ok(Exit::Anomalous);
    }
    Ok(Exit::Done)
}
