//! Which model to use, and with what settings.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use vcp_checkpoint::{
    Activation, Error, ErrorKind, Geometry, Kind, LearnedGeometry, LoadOptions, Problem,
    ProblemKind, Settings, TensorFile, Weights,
};

use super::{built_in, cache, describe};
use crate::args::{ActivationName, ChoiceArgs, OnOrOff};
use crate::console;
use crate::cost;
use crate::exit::{OrUsage, usage};

/// A model that was asked for; no file of it has been opened.
#[derive(Debug)]
pub(crate) struct Choice {
    files: Files,
    changes: Changes,
    load: LoadOptions,
    /// Whether a look at a photo may cost whatever it will.
    unlimited: bool,
}

#[derive(Debug)]
enum Files {
    BuiltIn,
    Bundle(PathBuf),
    Parts {
        clip: PathBuf,
        checkpoint: PathBuf,
    },
    #[cfg_attr(
        not(feature = "train"),
        expect(dead_code, reason = "only training begins so")
    )]
    /// CLIP with learned parts as training starts from them.
    Start {
        clip: PathBuf,
        learned: LearnedGeometry,
        seed: u64,
    },
    /// Pseudo-random weights, for benchmarks.
    Random(Geometry),
}

/// What to set otherwise than the bundle, or the defaults, say.
#[derive(Debug, Default)]
struct Changes {
    taps: Vec<usize>,
    image_size: Option<usize>,
    normal_templates: Vec<String>,
    anomalous_templates: Vec<String>,
    activation: Option<Activation>,
    global_context: Option<bool>,
}

impl Choice {
    /// Settles which files are meant.
    ///
    /// # Errors
    /// When half of a model is given, or the name of one that has not been pulled.
    pub(crate) fn new(mut arguments: ChoiceArgs) -> anyhow::Result<Self> {
        let (model, clip, checkpoint) = (
            arguments.model.take(),
            arguments.clip.take(),
            arguments.checkpoint.take(),
        );
        let files = match (model, clip, checkpoint) {
            (Some(model), _, _) if model == Path::new(built_in::NAME) => Files::BuiltIn,
            (Some(model), _, _) if cache::is_name(&model) => {
                let folder = cache::folder(&arguments.cache)?;
                let bundle = cache::bundle(&folder, &model);
                if !bundle.is_file() {
                    return Err(usage(not_pulled(&model, &bundle)));
                }
                Files::Bundle(bundle)
            }
            (Some(model), _, _) => Files::Bundle(model),
            (None, Some(clip), Some(checkpoint)) => Files::Parts { clip, checkpoint },
            (None, Some(_), None) => {
                return Err(usage(
                    "--clip names CLIP's weights only; name a trained checkpoint with --checkpoint \
                     FILE as well.",
                ));
            }
            (None, None, Some(_)) => {
                return Err(usage(
                    "--checkpoint names the trained part only; name CLIP's weights with --clip \
                     FILE as well.",
                ));
            }
            (None, None, None) => Files::BuiltIn,
        };
        Ok(Self::of(files, arguments))
    }

    /// As [`Choice::new`], but without any file named: pseudo-random weights of a geometry.
    pub(crate) fn or_random(arguments: ChoiceArgs, geometry: Geometry) -> anyhow::Result<Self> {
        let named = [&arguments.model, &arguments.clip, &arguments.checkpoint];
        if named.iter().any(|file| file.is_some()) {
            return Self::new(arguments);
        }
        Ok(Self::of(Files::Random(geometry), arguments))
    }

    fn of(files: Files, arguments: ChoiceArgs) -> Self {
        let load = LoadOptions {
            ignore_unknown_tensors: arguments.ignore_unknown_tensors,
        };
        Self {
            files,
            load,
            unlimited: arguments.no_cost_limit,
            changes: Changes::of(arguments),
        }
    }

    /// As [`Choice::new`], but CLIP's weights alone are enough: the learned parts start anew.
    #[cfg(feature = "train")]
    pub(crate) fn to_train(
        mut arguments: ChoiceArgs,
        learned: LearnedGeometry,
        seed: u64,
    ) -> anyhow::Result<Self> {
        if arguments.checkpoint.is_some() || arguments.model.is_some() {
            return Self::new(arguments);
        }
        let Some(clip) = arguments.clip.take() else {
            return Err(usage(
                "There is nothing to begin with: name CLIP's weights with --clip FILE, or a trained \
                 model with --model BUNDLE.",
            ));
        };
        let tap_count = match arguments.taps.len() {
            0 => learned.tap_count,
            count => count,
        };
        let learned = LearnedGeometry {
            tap_count,
            ..learned
        };
        let files = Files::Start {
            clip,
            learned,
            seed,
        };
        Ok(Self::of(files, arguments))
    }

    /// Opens the weights. Says which tensors were passed over, if any, unless `quiet`.
    ///
    /// # Errors
    /// When a file cannot be used or the settings do not fit it; both count as wrong usage, since
    /// nothing can be begun.
    pub(crate) fn open(&self, quiet: bool) -> anyhow::Result<Weights> {
        Ok(self.open_saying(quiet)?.0)
    }

    /// As [`Choice::open`], and with what the model's calibration was found if that is not how the
    /// model is used now, so that it was set aside: "with another image size".
    pub(crate) fn open_saying(
        &self,
        quiet: bool,
    ) -> anyhow::Result<(Weights, Option<&'static str>)> {
        let opened = self.opened()?;
        if !quiet {
            let of_file = |one: &Problem, other: &Problem| one.file == other.file;
            for problems in opened.0.ignored_tensors().chunk_by(of_file) {
                console::note(&ignored(problems));
            }
        }
        Ok(opened)
    }

    /// Says what a photo will cost if that is much, unless `quiet`; see [`cost::settle`].
    ///
    /// # Errors
    /// If it is too much and --no-cost-limit is not given.
    pub(crate) fn settle_cost(
        &self,
        weights: &Weights,
        threads: Option<NonZeroUsize>,
        quiet: bool,
    ) -> anyhow::Result<()> {
        cost::settle(weights, threads, self.unlimited, quiet)
    }

    fn opened(&self) -> anyhow::Result<(Weights, Option<&'static str>)> {
        let weights = match &self.files {
            Files::Parts { clip, checkpoint } => {
                let settings =
                    |geometry: &Geometry| self.changes.apply(Settings::for_geometry(geometry));
                Weights::open_parts_with(clip, checkpoint, settings, self.load)
                    .map_err(|error| {
                        mixed_up(clip, checkpoint).unwrap_or_else(|| with_advice(error))
                    })
                    .or_usage()
            }
            Files::Start {
                clip,
                learned,
                seed,
            } => {
                let settings =
                    |geometry: &Geometry| self.changes.apply(Settings::for_geometry(geometry));
                Weights::start(clip, *learned, settings, *seed, self.load)
                    .map_err(with_advice)
                    .or_usage()
            }
            Files::Random(geometry) => {
                let settings = self.changes.apply(Settings::for_geometry(geometry));
                Weights::random(*geometry, settings, 0).or_usage()
            }
            Files::Bundle(bundle) => {
                let weights = Weights::open_bundle_with(bundle, self.load)
                    .map_err(with_advice)
                    .or_usage()?;
                return self.changed(weights);
            }
            Files::BuiltIn => return self.changed(built_in::weights()?),
        };
        Ok((weights?, None))
    }

    /// A bundle's weights with the settings that were asked for.
    fn changed(&self, weights: Weights) -> anyhow::Result<(Weights, Option<&'static str>)> {
        let settings = self.changes.apply(weights.settings().clone());
        let Some(other) = difference(weights.settings(), &settings) else {
            return Ok((weights, None));
        };
        let mut weights = weights.with_settings(settings).or_usage()?;
        // It was found with other settings and says nothing about these.
        let is_calibrated = weights.calibration().is_some();
        weights.set_calibration(None).or_usage()?;
        Ok((weights, is_calibrated.then_some(other)))
    }
}

/// In which way other settings differ from these, if they do.
pub(crate) fn difference(one: &Settings, other: &Settings) -> Option<&'static str> {
    if one == other {
        None
    } else if one.image_size != other.image_size {
        Some("with another image size")
    } else if one.taps != other.taps {
        Some("with other taps")
    } else if one.activation != other.activation {
        Some("with another activation")
    } else if one.global_context != other.global_context {
        Some("with another context")
    } else if one.normal_templates != other.normal_templates
        || one.anomalous_templates != other.anomalous_templates
    {
        Some("with other templates")
    } else {
        Some("with other shares of the branches")
    }
}

impl Changes {
    fn of(arguments: ChoiceArgs) -> Self {
        Self {
            taps: arguments.taps,
            image_size: arguments.image_size,
            normal_templates: arguments.template_normal,
            anomalous_templates: arguments.template_anomalous,
            activation: arguments.activation.map(|name| match name {
                ActivationName::Gelu => Activation::Gelu,
                ActivationName::Quickgelu => Activation::QuickGelu,
            }),
            global_context: arguments
                .global_context
                .map(|context| context == OnOrOff::On),
        }
    }

    fn apply(&self, mut settings: Settings) -> Settings {
        if !self.taps.is_empty() {
            settings.taps.clone_from(&self.taps);
        }
        if let Some(image_size) = self.image_size {
            settings.image_size = image_size;
        }
        if !self.normal_templates.is_empty() {
            settings.normal_templates.clone_from(&self.normal_templates);
        }
        if !self.anomalous_templates.is_empty() {
            settings
                .anomalous_templates
                .clone_from(&self.anomalous_templates);
        }
        if let Some(activation) = self.activation {
            settings.activation = activation;
        }
        if let Some(global_context) = self.global_context {
            settings.global_context = global_context;
        }
        settings
    }
}

/// An error with the option that goes on in spite of it, if there is one.
fn with_advice(error: Error) -> anyhow::Error {
    let is_unknown = |problem: &Problem| matches!(problem.kind, ProblemKind::Unknown { .. });
    match error.kind() {
        ErrorKind::Mismatch { problems } if problems.iter().all(is_unknown) => anyhow::anyhow!(
            "{error}\n  If the model is right without them, --ignore-unknown-tensors goes on."
        ),
        _ => error.into(),
    }
}

/// The tensors of a file that were passed over, as a sentence.
fn ignored(problems: &[Problem]) -> String {
    const MOST: usize = 10;
    let names: Vec<_> = problems
        .iter()
        .take(MOST)
        .map(|problem| console::printable(&problem.tensor))
        .collect();
    let more = match problems.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let tensors = if problems.len() == 1 {
        "tensor"
    } else {
        "tensors"
    };
    format!(
        "{} {tensors} of {} passed over, since the model has no use for them: {}{more}.",
        problems.len(),
        console::printable(&problems[0].file),
        names.join(", ")
    )
}

/// Says so when the files of two parts are not what their options call for, which as a list of
/// missing and unknown tensors would be hard to see.
fn mixed_up(clip: &Path, checkpoint: &Path) -> Option<anyhow::Error> {
    let expected = [
        ("--clip", clip, Kind::Clip),
        ("--checkpoint", checkpoint, Kind::Checkpoint),
    ];
    for (option, path, kind) in expected {
        let found = TensorFile::open(path).ok()?.kind();
        if found != kind && found != Kind::Tensors {
            return Some(anyhow::anyhow!(
                "{} is given with {option}, but it is {}.",
                path.display(),
                describe::title(found)
            ));
        }
    }
    None
}

fn not_pulled(model: &Path, bundle: &Path) -> String {
    let name = model.display();
    let bundle = bundle.display();
    let catalogue = crate::pull::Catalogue::published();
    if model
        .to_str()
        .is_some_and(|name| catalogue.bundle(name).is_some())
    {
        format!(
            "The model {name} has not been pulled: there is no {bundle}. Fetch it with `vcp-clip \
             model pull {name}`."
        )
    } else {
        let known: Vec<&str> = catalogue
            .bundles
            .iter()
            .map(|bundle| bundle.name.as_str())
            .collect();
        format!(
            "There is no model called {name}: there is no {bundle}. `vcp-clip model pull` knows \
             {}; a bundle in a file without ending is named as ./{name}.",
            known.join(" and ")
        )
    }
}
