//! Which model the arguments name, and with what settings.

use std::num::NonZeroUsize;
use std::path::Path;

use vcp_checkpoint::{Activation, ErrorKind, Geometry, Precision, Problem, ProblemKind, Weights};
use vcp_clip::cost::Estimate;
use vcp_clip::model::{ModelError, SettingChanges};
use vcp_clip::{Device, DeviceName, Model, ModelName, ModelOptions};

use crate::args::{ActivationName, ChoiceArgs, OnOrOff};
use crate::console;
use crate::exit::{OrUsage, usage};

/// A model that was asked for; no file of it has been opened.
#[derive(Debug)]
pub(crate) struct Choice {
    options: ModelOptions,
    /// Whether a pass of a photo may cost whatever it will.
    unlimited: bool,
}

impl Choice {
    /// Settles which files are meant.
    ///
    /// # Errors
    /// When half of a model is given, or no cache is known to find a name in.
    pub(crate) fn new(mut arguments: ChoiceArgs) -> anyhow::Result<Self> {
        let (model, clip, checkpoint) = (
            arguments.model.take(),
            arguments.clip.take(),
            arguments.checkpoint.take(),
        );
        let name = match (model, clip, checkpoint) {
            (Some(model), _, _) => {
                ModelName::parse(&model, arguments.cache.cache.as_deref()).or_usage()?
            }
            (None, Some(clip), Some(checkpoint)) => ModelName::Parts { clip, checkpoint },
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
            (None, None, None) => ModelName::BuiltIn,
        };
        Ok(Self::of(name, arguments))
    }

    /// A model as it is: no setting is changed.
    pub(crate) fn unchanged(name: ModelName, unlimited: bool) -> Self {
        Self {
            options: name.into(),
            unlimited,
        }
    }

    /// As [`Choice::new`], but without any file named: pseudo-random weights of a geometry.
    pub(crate) fn or_random(arguments: ChoiceArgs, geometry: Geometry) -> anyhow::Result<Self> {
        let named = [&arguments.model, &arguments.clip, &arguments.checkpoint];
        if named.iter().any(|file| file.is_some()) {
            return Self::new(arguments);
        }
        Ok(Self::of(ModelName::Random(geometry), arguments))
    }

    /// As [`Choice::new`], but CLIP's weights alone are enough: the learned parts start anew.
    #[cfg(feature = "train")]
    pub(crate) fn to_train(
        mut arguments: ChoiceArgs,
        learned: vcp_checkpoint::LearnedGeometry,
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
        let learned = vcp_checkpoint::LearnedGeometry {
            tap_count,
            ..learned
        };
        let name = ModelName::Start {
            clip,
            learned,
            seed,
        };
        Ok(Self::of(name, arguments))
    }

    fn of(name: ModelName, arguments: ChoiceArgs) -> Self {
        Self {
            unlimited: arguments.no_cost_limit,
            options: ModelOptions {
                name,
                ignore_unknown_tensors: arguments.ignore_unknown_tensors,
                changes: SettingChanges {
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
                    score_fractions: arguments.score_fractions,
                    precision: None,
                },
            },
        }
    }

    /// The same model, computed with other numbers if some are named.
    pub(crate) fn computed_in(mut self, precision: Option<Precision>) -> Self {
        self.options.changes.precision = precision;
        self
    }

    /// Opens the weights. Says which tensors were passed over, if any, unless `quiet`.
    ///
    /// # Errors
    /// When there is no such model, a file cannot be used or the settings do not fit it; all count as wrong
    /// usage, since nothing can be begun.
    pub(crate) fn open(&self, quiet: bool) -> anyhow::Result<Model> {
        let model = self.options.open().map_err(with_advice).or_usage()?;
        if !quiet {
            let of_file = |one: &Problem, other: &Problem| one.file == other.file;
            for problems in model.ignored_tensors().chunk_by(of_file) {
                console::note(&ignored(problems));
            }
        }
        Ok(model)
    }

    /// Finds the device, opens the weights and says what a photo will cost: what every command does before it
    /// begins.
    ///
    /// # Errors
    /// As [`find_device`], [`Choice::open`] and [`Choice::settle_cost`].
    pub(crate) fn open_on(
        &self,
        device: vcp_clip::DeviceName,
        threads: Option<NonZeroUsize>,
        quiet: bool,
    ) -> anyhow::Result<(Device, Model)> {
        // A GPU that was asked for and is not there is said before files are read.
        if device != DeviceName::Auto {
            find_device(device, true)?;
        }
        let model = self.open(quiet)?;
        let precision = model.weights().settings().precision;
        let device = noted(Device::find_for(device, precision).or_usage()?, quiet);
        if model.has_forgotten() && !quiet {
            console::note(
                "The model's reference photos were processed with other settings, so photos are not compared with them.",
            );
        }
        if !quiet && model.is_unprepared() {
            console::note(
                "The weights are brought to int8 as they are, by which a transformer may lose much: `vcp-clip model pack \
                 --precision int8 --photos …` prepares them, and `vcp-clip eval --compare-precision int8` says what is lost.",
            );
        }
        self.settle_cost(&device, model.weights(), threads, quiet)?;
        Ok((device, model))
    }

    /// Says what a photo will cost on the device, unless `quiet`, if that is much and known: of GPUs it is
    /// not.
    ///
    /// # Errors
    /// As wrong usage, if it is too much and --no-cost-limit is not given.
    pub(crate) fn settle_cost(
        &self,
        device: &Device,
        weights: &Weights,
        threads: Option<NonZeroUsize>,
        quiet: bool,
    ) -> anyhow::Result<()> {
        if !device.is_cpu() {
            return Ok(());
        }
        let estimate = Estimate::of(weights, threads);
        if !self.unlimited {
            estimate.check().or_usage()?;
        }
        if estimate.is_much() && !quiet {
            console::note(&format!("{estimate}."));
        }
        Ok(())
    }
}

/// The device of a name. Says where the model runs if that is not simply the CPU, unless `quiet`.
///
/// # Errors
/// As wrong usage, when a GPU was asked for and cannot be used.
pub(crate) fn find_device(name: vcp_clip::DeviceName, quiet: bool) -> anyhow::Result<Device> {
    Ok(noted(Device::find(name).or_usage()?, quiet))
}

/// Says where the model runs if that is not simply the CPU, unless `quiet`.
fn noted(device: Device, quiet: bool) -> Device {
    if let (false, Some(note)) = (quiet, device.note()) {
        console::note(note);
    }
    device
}

/// What a value of `inspect` means: a name, unless there is such a file.
pub(crate) fn named_or_file(value: &Path, cache: Option<&Path>) -> Result<ModelName, ModelError> {
    if value.exists() {
        Ok(ModelName::Bundle(value.to_owned()))
    } else {
        ModelName::parse(value, cache)
    }
}

/// An error with the option that goes on in spite of it, if there is one.
fn with_advice(error: ModelError) -> anyhow::Error {
    let is_unknown = |problem: &Problem| matches!(problem.kind, ProblemKind::Unknown { .. });
    if let ModelError::Weights(weights) = &error
        && let ErrorKind::Mismatch { problems } = weights.kind()
        && problems.iter().all(is_unknown)
    {
        return anyhow::anyhow!(
            "{error}\n  If the model is right without them, --ignore-unknown-tensors continues."
        );
    }
    error.into()
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
