//! `vcp-clip serve`.

mod options;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use vcp_clip::{Inspector, ReferenceChoice};
use vcp_serve::{KeptHistory, Loaded, Options, ServeError, ServedModel};
use vcp_watch::WatchOptions;

use crate::args::{HistoryKeep, RunArgs, ServeArgs};
use crate::console;
use crate::exit::{Exit, OrUsage};
use crate::inputs;
use crate::interrupt::Stop;
use crate::kept_history;
use crate::references::{self, Named};
use crate::watched;
use options::ModelToServe;

/// What is printed once the server listens.
#[derive(Debug, Serialize)]
struct Listening {
    /// Its address.
    listening: String,
}

/// What a server that was asked to stop takes at most beyond the time that its requests get.
const LEAVING: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: ServeArgs) -> anyhow::Result<Exit> {
    let models = options::models(&arguments)?;
    let quiet = arguments.run.quiet;
    let limits = options::limits(&arguments);
    let settings = Options {
        access: options::access(&arguments)?,
        allowed_hosts: arguments.allowed_hosts.clone(),
        allowed_origins: options::origins(&arguments)?,
        limits,
        tell: Arc::new(console::note),
    };
    let history = kept_history::open(&arguments.history)?;
    let keep = &arguments.history.history_keep;
    let keeps = |kind| keep.is_empty() || keep.contains(&kind);
    let history = history.map(|history| KeptHistory {
        history,
        overlays: keeps(HistoryKeep::Overlay),
        maps: keeps(HistoryKeep::Map),
    });
    let watch = options::watch(&arguments, history.as_ref().map(|kept| &kept.history))?;
    let listener = options::listener(&arguments)?;
    let address = listener.local_addr()?;
    let stop = Stop::on_signals_within(limits.drain + LEAVING);
    console::print_json(&Listening {
        listening: format!("http://{address}"),
    })?;
    let load = {
        let stop = stop.clone();
        move || load(models, history, watch, &arguments, &stop)
    };
    match vcp_serve::serve(listener, settings, load, &stop) {
        Ok(()) => {
            if !quiet {
                console::note("Stopped.");
            }
            Ok(Exit::Done)
        }
        Err(ServeError::Load(error)) => Err(error),
        Err(ServeError::Watch(error)) => watched::ended(error),
        Err(ServeError::System(error)) => {
            Err(anyhow::Error::from(error).context("The server cannot run"))
        }
        Err(_) => Err(anyhow::anyhow!("The server cannot run.")),
    }
}

/// Loads what the server needs.
fn load(
    models: Vec<ModelToServe>,
    history: Option<KeptHistory>,
    watch: Option<WatchOptions>,
    arguments: &ServeArgs,
    stop: &Stop,
) -> anyhow::Result<Loaded> {
    let mut served = Vec::new();
    for model in models {
        let Some(model) = served_model(model, arguments, stop)? else {
            // It is about to end; nobody is answered any more.
            return Err(anyhow::anyhow!("Stopped before the models were loaded."));
        };
        served.push(model);
    }
    let loaded = Loaded {
        models: served,
        history,
        watch,
    };
    for note in loaded.restore() {
        console::note(&note);
    }
    if !arguments.run.quiet {
        console::note("Ready.");
    }
    Ok(loaded)
}

/// A model, ready to be served; none if it was interrupted.
fn served_model(
    model: ModelToServe,
    arguments: &ServeArgs,
    stop: &Stop,
) -> anyhow::Result<Option<ServedModel>> {
    let RunArgs {
        device,
        threads,
        precision: _,
        quiet,
    } = &arguments.run;
    let ModelToServe {
        name,
        choice,
        mut options,
        references,
    } = model;
    let (device, weights) = choice.open_on(device.device, *threads, *quiet)?;
    let inspector = if references.is_empty() {
        Inspector::new(&weights, &device, &options).or_usage()?
    } else {
        let inputs = inputs::gather(&references, arguments.photos.scan_options(), *quiet)?;
        let named = Named {
            words: references::in_words(&references),
            inputs,
            every_page: false,
        };
        let decoding = inputs::decoding(options.decode.clone(), *quiet);
        let found =
            references::comparing(&weights, &device, &options, named, &decoding, stop, *quiet)?;
        let Some((inspector, references)) = found else {
            return Ok(None);
        };
        options.references = ReferenceChoice::Given(Arc::new(references));
        inspector
    };
    if !*quiet && inspector.calibration().is_none() {
        console::note(&format!(
            "The model {name} has no calibration that applies, so 0.5 stands in for its thresholds."
        ));
    }
    Ok(Some(ServedModel::new(name, weights, inspector, options)))
}
