//! What `serve` was asked to do, checked as far as can be without opening a model.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use vcp_clip::calibration::CalibrationSource;
use vcp_clip::{InspectorOptions, ModelName, PredictorOptions, ReferenceChoice};
use vcp_history::History;
use vcp_serve::{Access, ApiKeys, Limits, ServedModel};
use vcp_watch::WatchOptions;

use crate::args::ServeArgs;
use crate::console;
use crate::exit::{OrUsage, usage};
use crate::model::Choice;
use crate::watched;

/// Longest file of keys that is read.
const MAX_KEY_BYTES: u64 = 1 << 20;

/// A model that is to be served.
pub(super) struct ModelToServe {
    pub(super) name: String,
    pub(super) choice: Choice,
    pub(super) options: InspectorOptions,
    /// Good photos to compare with.
    pub(super) references: Vec<PathBuf>,
}

/// The models that the arguments name.
pub(super) fn models(arguments: &ServeArgs) -> anyhow::Result<Vec<ModelToServe>> {
    if arguments.photos.every_page() {
        return Err(usage(
            "--page all makes a photo of each page, but a request is answered with one record; give a number.",
        ));
    }
    let options = InspectorOptions {
        predictor: PredictorOptions {
            threads: arguments.run.threads,
            ..PredictorOptions::default()
        },
        decode: arguments.photos.decode_options(),
        tiling: arguments.tiling.tiling()?,
        mask: arguments.photos.mask()?,
        reference_copies: arguments.reference_copies.copies(),
        references: if arguments.no_references {
            ReferenceChoice::Without
        } else {
            ReferenceChoice::Stored
        },
        // It is refused before, or is wanted.
        no_cost_limit: true,
        ..InspectorOptions::default()
    };
    let built_in = [vcp_clip::model::BUILT_IN.to_owned()];
    let named = match &arguments.models[..] {
        [] => &built_in[..],
        named => named,
    };
    let mut models: Vec<ModelToServe> = Vec::new();
    for value in named {
        let (name, value) = match value.split_once('=') {
            Some((name, value)) if ServedModel::is_name(name) => (Some(name.to_owned()), value),
            _ => (None, value.as_str()),
        };
        let found =
            ModelName::parse(Path::new(value), arguments.cache.cache.as_deref()).or_usage()?;
        let name = name.or_else(|| usual_name(&found)).ok_or_else(|| {
            usage(format!(
                "Requests cannot call a model by the name of the file {value}; give it one of letters, digits, dots, \
                 hyphens and underscores: --model NAME={value}."
            ))
        })?;
        if models.iter().any(|model| model.name == name) {
            return Err(usage(format!(
                "Two models are called {name}; give one another name: --model NAME=BUNDLE."
            )));
        }
        models.push(ModelToServe {
            name,
            choice: Choice::unchanged(found, arguments.no_cost_limit)
                .computed_in(arguments.run.precision.precision()),
            options: options.clone(),
            references: Vec::new(),
        });
    }
    for value in &arguments.calibrations {
        let (model, file) = of_model(&mut models, value);
        if model.options.calibration.is_some() {
            return Err(usage(format!(
                "The model {} was given two calibrations.",
                model.name
            )));
        }
        model.options.calibration = Some(CalibrationSource::File(file.into()));
    }
    for value in &arguments.references {
        let (model, path) = of_model(&mut models, value);
        if path == "-" {
            return Err(usage("--reference names files, folders and patterns."));
        }
        model.references.push(path.into());
    }
    Ok(models)
}

/// The model that a value is about, the first unless it begins with the name of one, and the rest of the value.
fn of_model<'a, 'b>(
    models: &'a mut [ModelToServe],
    value: &'b str,
) -> (&'a mut ModelToServe, &'b str) {
    if let Some((name, rest)) = value.split_once('=')
        && let Some(index) = models.iter().position(|model| model.name == name)
    {
        return (&mut models[index], rest);
    }
    // There is at least one.
    (&mut models[0], value)
}

/// What a model is called where nothing else is said.
fn usual_name(model: &ModelName) -> Option<String> {
    let name = match model {
        ModelName::BuiltIn => vcp_clip::model::BUILT_IN.to_owned(),
        ModelName::Cached { name, .. } => name.clone(),
        ModelName::Bundle(path) => path.file_stem()?.to_str()?.to_owned(),
        _ => return None,
    };
    ServedModel::is_name(&name).then_some(name)
}

/// How a folder is watched, if one is. Clients learn its name and not where it lies.
pub(super) fn watch(
    arguments: &ServeArgs,
    history: Option<&History>,
) -> anyhow::Result<Option<WatchOptions>> {
    let Some(folder) = &arguments.watch else {
        return Ok(None);
    };
    let recursive = arguments.photos.scan_options().recursive;
    let (quiet, history) = (arguments.run.quiet, || Ok(history.cloned()));
    let options = watched::options(&arguments.watched, folder, recursive, quiet, history)?;
    let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    Ok(Some(WatchOptions {
        name: Some(name.into_owned()),
        ..options
    }))
}

/// The address that was asked for, where it may be listened on.
pub(super) fn listener(arguments: &ServeArgs) -> anyhow::Result<TcpListener> {
    let asked = &arguments.listen;
    let addresses: Vec<SocketAddr> = asked
        .to_socket_addrs()
        .map_err(|error| {
            usage(format!(
                "--listen {asked} is no address and port, such as 127.0.0.1:8080: {error}."
            ))
        })?
        .collect();
    let is_guarded = arguments.api_key_file.is_some() || arguments.open;
    if !is_guarded && !addresses.iter().all(|address| address.ip().is_loopback()) {
        return Err(usage(format!(
            "Other machines can reach {asked}. Name a file of keys that they have to know with --api-key-file FILE, or say \
             with --open that whoever asks is answered."
        )));
    }
    TcpListener::bind(&addresses[..])
        .map_err(|error| usage(format!("{asked} cannot be listened on: {error}.")))
}

/// Who is answered.
pub(super) fn access(arguments: &ServeArgs) -> anyhow::Result<Access> {
    let Some(path) = &arguments.api_key_file else {
        return Ok(Access::Open);
    };
    let shown = path.display();
    let bytes = vcp_files::read_at_most(path, MAX_KEY_BYTES)
        .map_err(|error| usage(format!("The keys in {shown} cannot be read: {error}.")))?;
    let bytes = bytes.ok_or_else(|| {
        usage(format!(
            "{shown} is longer than {MAX_KEY_BYTES} bytes, which no file of keys is."
        ))
    })?;
    let text = String::from_utf8(bytes).map_err(|_| usage(format!("{shown} is not text.")))?;
    if is_readable_by_all(path) {
        console::note(&format!(
            "Every user of this machine can read the keys in {shown}; chmod 600 helps."
        ));
    }
    let keys = ApiKeys::parse(&text).map_err(|error| usage(format!("{shown} {error}")))?;
    Ok(Access::Keys(keys))
}

#[cfg(unix)]
fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_all(_: &Path) -> bool {
    false
}

/// Origins as browsers write them.
pub(super) fn origins(arguments: &ServeArgs) -> anyhow::Result<Vec<String>> {
    let origins = arguments.allowed_origins.iter().map(|origin| {
        let origin = origin.trim_end_matches('/');
        let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
            matches!(scheme, "http" | "https")
                && !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'*' | b'@'))
        });
        if is_origin {
            Ok(origin.to_owned())
        } else {
            Err(usage(format!(
                "--allow-origin takes the origin of a page, such as https://line.example, not {origin}."
            )))
        }
    });
    origins.collect()
}

/// How much is taken in at a time.
pub(super) fn limits(arguments: &ServeArgs) -> Limits {
    let idle = Duration::from_secs(arguments.idle_timeout);
    Limits {
        body_bytes: arguments.max_body,
        held_bytes: arguments.max_body.saturating_mul(8),
        queue: arguments.queue,
        connections: arguments.max_connections,
        head: idle,
        body: Duration::from_secs(arguments.body_timeout),
        write: idle,
        drain: Duration::from_secs(arguments.drain_timeout),
    }
}
