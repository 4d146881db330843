//! `vcp-clip watch`.

mod options;
mod status;

use std::sync::Arc;
use std::time::Duration;

use vcp_clip::{Device, Inspector, InspectorOptions, Model, PredictorOptions, ReferenceChoice};
use vcp_history::ModelEntry;
use vcp_watch::{Event, FolderInspector, StatusBoard};

use crate::args::WatchArgs;
use crate::console;
use crate::exit::{Exit, OrUsage};
use crate::inputs;
use crate::interrupt::Stop;
use crate::references::{self, Named};
use crate::watched;
use options::Options;
use status::StatusLine;

/// How long the photo in work and the last messages may take after a signal.
const LEAVING: Duration = Duration::from_secs(10);

pub(crate) fn run(arguments: WatchArgs) -> anyhow::Result<Exit> {
    let options = Options::new(arguments)?;
    let (device, model) = options
        .choice
        .open_on(options.device, options.threads, options.quiet)?;
    let stop = Stop::on_signals_within(LEAVING);
    let Some(inspect) = inspector(&options, &model, &device, &stop)? else {
        return Ok(Exit::Interrupted);
    };
    let inspect = Arc::new(inspect);
    // The inspector has what it needs; large files need not stay mapped.
    drop(model);
    let board = StatusBoard::default();
    let shown = StatusLine::start(board.clone(), options.quiet);
    let mut print = |event: Event<'_>| {
        let line = console::json(event.line);
        shown
            .around(|| console::print_line(&line))
            .map_err(Into::into)
    };
    let outcome = vcp_watch::watch(&inspect, &options.watch, &stop, &board, &mut print);
    shown.finish();
    match outcome {
        Ok(()) => {
            if !options.quiet {
                console::note(&status::in_the_end(&board.get()));
            }
            Ok(Exit::Done)
        }
        Err(error) => watched::ended(error),
    }
}

/// What inspects; none if it was interrupted.
fn inspector(
    options: &Options,
    model: &Model,
    device: &Device,
    stop: &Stop,
) -> anyhow::Result<Option<FolderInspector>> {
    let chosen = InspectorOptions {
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
        references: if options.no_references {
            ReferenceChoice::Without
        } else {
            ReferenceChoice::default()
        },
        // It has been refused already, or is wanted.
        no_cost_limit: true,
    };
    let inspector = if options.references.is_empty() {
        Inspector::new(model, device, &chosen).or_usage()?
    } else {
        let named = Named {
            words: references::in_words(&options.references),
            inputs: inputs::gather(&options.references, options.scan, options.quiet)?,
            every_page: false,
        };
        let decoding = inputs::decoding(options.decode.clone(), options.quiet);
        let quiet = options.quiet;
        let found = references::comparing(model, device, &chosen, named, &decoding, stop, quiet)?;
        let Some((inspector, _)) = found else {
            return Ok(None);
        };
        inspector
    };
    let thresholds = &options.thresholds;
    let is_missing = inspector.calibration().is_none()
        && (thresholds.score.is_none() || thresholds.pixel.is_none());
    if is_missing && !options.quiet {
        console::note(
            "No calibration applies, so 0.5 stands in for a threshold that is not given; see vcp-clip calibrate.",
        );
    }
    let decoding = inputs::decoding(inspector.decode_options().clone(), options.quiet);
    Ok(Some(FolderInspector {
        inspector,
        decoding,
        model: ModelEntry {
            name: options.model_name.clone(),
            digest: model.weights().fingerprint(),
        },
    }))
}
