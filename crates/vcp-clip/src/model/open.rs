//! Opening a model.

use std::io;
use std::path::{Path, PathBuf};

use vcp_checkpoint::{
    ElementType, Error, Kind, LoadOptions, NarrowMatrix, Precision, Problem, Settings, Tensor,
    TensorFile, Weights,
};

use super::changes::difference;
use super::{ModelName, SettingChanges, cached_bundle};
use crate::calibration::{Calibration, CalibrationFileError, CalibrationSource, Mismatch, Viewing};
use crate::pull::Catalogue;

/// A model that is wanted, and what to change about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelOptions {
    /// Which one.
    pub name: ModelName,
    /// What to set otherwise than it says.
    pub changes: SettingChanges,
    /// Whether tensors that the model has no use for are passed over. They may mean that a file is of
    /// another model.
    pub ignore_unknown_tensors: bool,
}

/// A model whose weights have been found and checked, with the calibration that applies to it.
#[derive(Debug)]
pub struct Model {
    weights: Weights,
    set_aside: Option<Mismatch>,
    has_forgotten: bool,
}

/// A model that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file cannot be read, or its tensors and settings do not fit.
    #[error(transparent)]
    Weights(#[from] Error),
    /// A file is not the part of a model that it is given as.
    #[error("{} is given with {option}, but it is {}.", path.display(), describe(*found))]
    WrongPart {
        /// The file.
        path: PathBuf,
        /// The option of the program that takes the part it was given as: `--clip` or `--checkpoint`.
        option: &'static str,
        /// What it is.
        found: Kind,
    },
    /// A published model that is not in the cache.
    #[error(
        "The model {name} has not been pulled: there is no {}. Fetch it with `vcp-clip model pull {name}`.",
        bundle.display()
    )]
    NotPulled {
        /// The model's name.
        name: String,
        /// Where it would lie.
        bundle: PathBuf,
    },
    /// A name that neither the cache nor the catalogue of published models knows.
    #[error(
        "There is no model called {name}: there is no {}. `vcp-clip model pull` knows {known}; a bundle \
         in a file without ending is named as ./{name}.", bundle.display()
    )]
    Unknown {
        /// The name.
        name: String,
        /// Where it would lie.
        bundle: PathBuf,
        /// Names of the published models.
        known: String,
    },
    /// No folder for the cache is known.
    #[error("No cache folder is known for this user; give one with --cache: {0}")]
    NoCache(String),
    /// No folder is known that programs keep data in.
    #[error("No folder for data is known for this user ({0}); name one with --history DIR.")]
    NoData(String),
    /// This crate was built without the built-in model.
    #[error(
        "This program was built without the built-in model; name a bundle, or build it with the feature `built-in`."
    )]
    NoBuiltIn,
    /// The built-in model cannot be unpacked.
    #[error("The built-in model cannot be unpacked; this program file is damaged: {0}.")]
    BuiltInDamaged(#[source] io::Error),
}

/// What kind of weight file something is and which option takes it, in words.
#[must_use]
pub fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Bundle => "a bundle, a complete model; --model takes it",
        Kind::Clip => "CLIP's weights; --clip takes it",
        Kind::Checkpoint => "a VCP-CLIP checkpoint; --checkpoint takes it",
        Kind::Backbone => {
            "pretrained weights of an EfficientNet; the option --tower of pretrain takes those of Lite0"
        }
        _ => "tensors of no model that vcp-clip knows",
    }
}

impl From<ModelName> for ModelOptions {
    fn from(name: ModelName) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }
}

impl ModelOptions {
    /// Opens the weights.
    ///
    /// # Errors
    /// When there is no such model, a file cannot be used, or the settings do not fit it.
    pub fn open(&self) -> Result<Model, ModelError> {
        let load = LoadOptions {
            ignore_unknown_tensors: self.ignore_unknown_tensors,
        };
        let settings = |geometry: &_| self.changes.apply(Settings::for_geometry(geometry));
        let weights = match &self.name {
            ModelName::Parts { clip, checkpoint } => {
                Weights::open_parts_with(clip, checkpoint, settings, load)
                    .map_err(|error| mixed_up(clip, checkpoint).unwrap_or(error.into()))?
            }
            ModelName::Start {
                clip,
                learned,
                seed,
            } => Weights::start(clip, *learned, settings, *seed, load)?,
            ModelName::Random(geometry) => Weights::random(*geometry, settings(geometry), 0)?,
            ModelName::Bundle(bundle) => {
                return self.changed(Weights::open_bundle_with(bundle, load)?);
            }
            ModelName::Cached { cache, name } => {
                let bundle = cached_bundle(cache, name);
                if !bundle.is_file() {
                    return Err(missing(name, bundle));
                }
                return self.changed(Weights::open_bundle_with(&bundle, load)?);
            }
            ModelName::BuiltIn => return self.changed(built_in()?),
        };
        Ok(Model {
            weights,
            set_aside: None,
            has_forgotten: false,
        })
    }

    /// A bundle's weights with the settings that are wanted.
    fn changed(&self, weights: Weights) -> Result<Model, ModelError> {
        let settings = self.changes.apply(weights.settings().clone());
        if settings == *weights.settings() {
            return Ok(Model::of(weights));
        }
        let mismatch = difference(weights.settings(), &settings);
        let has_forgotten = weights.references().is_some();
        let mut weights = weights.with_settings(settings)?;
        let is_calibrated = weights.calibration().is_some();
        if mismatch.is_some() {
            // It was found with other settings and says nothing about these.
            weights.set_calibration(None)?;
        }
        Ok(Model {
            weights,
            set_aside: mismatch.filter(|_| is_calibrated),
            has_forgotten,
        })
    }
}

#[cfg(feature = "built-in")]
fn built_in() -> Result<Weights, ModelError> {
    Ok(Weights::from_bundle(&super::built_in_file()?)?)
}

#[cfg(not(feature = "built-in"))]
fn built_in() -> Result<Weights, ModelError> {
    Err(ModelError::NoBuiltIn)
}

impl Model {
    /// A model that was opened elsewhere.
    #[must_use]
    pub fn of(weights: Weights) -> Self {
        Self {
            weights,
            set_aside: None,
            has_forgotten: false,
        }
    }

    /// Its weights, settings and calibration.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// As [`Model::weights`], to be changed.
    pub fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }

    /// Its weights, settings and calibration.
    #[must_use]
    pub fn into_weights(self) -> Weights {
        self.weights
    }

    /// How the model is used otherwise than when its calibration was found, so that the calibration has
    /// been taken away; none if it has not.
    #[must_use]
    pub fn set_aside(&self) -> Option<Mismatch> {
        self.set_aside
    }

    /// Whether the reference photos that are stored with the model have been taken away, since with other settings
    /// photos cannot be compared with them.
    #[must_use]
    pub fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }

    /// Whether it is a transformer that is computed in int8 though its weights were not packed for that, by which it may lose
    /// much: nothing is known of the ranges of what they are multiplied with.
    #[must_use]
    pub fn is_unprepared(&self) -> bool {
        let is_wide = |tensor: &Tensor<'_>| {
            NarrowMatrix::of(tensor.name()) == Some(NarrowMatrix::Vision)
                && tensor.element_type() != ElementType::I8
        };
        self.weights.settings().precision == Precision::Int8
            && self.weights.geometry().backbone.is_none()
            && self.weights.tensors().any(|tensor| is_wide(&tensor))
    }

    /// The tensors that were passed over, those of each file side by side.
    #[must_use]
    pub fn ignored_tensors(&self) -> &[Problem] {
        self.weights.ignored_tensors()
    }

    /// Which calibration applies to photos that are processed as `viewing` says: the one that is given, else
    /// the model's own unless it was found in another way, which is said then.
    ///
    /// # Errors
    /// When the one that is given cannot be used, or was found with another model or in another way.
    pub fn applicable(
        &self,
        given: Option<&CalibrationSource>,
        viewing: &Viewing,
    ) -> Result<Applicable, CalibrationFileError> {
        if let Some(given) = given {
            let calibration = given.calibration(&self.weights)?;
            let settings = self.weights.settings();
            return match Mismatch::between(&calibration, settings, viewing) {
                Some(mismatch) => Err(CalibrationFileError::OtherViewing {
                    name: given.name(),
                    mismatch,
                }),
                None => Ok(Applicable {
                    calibration: Some(calibration),
                    set_aside: None,
                }),
            };
        }
        let Some(calibration) = self.weights.calibration() else {
            return Ok(Applicable {
                calibration: None,
                set_aside: self.set_aside,
            });
        };
        let set_aside = Mismatch::between(calibration, self.weights.settings(), viewing);
        Ok(Applicable {
            calibration: set_aside.is_none().then(|| calibration.clone()),
            set_aside,
        })
    }
}

/// The calibration that applies to photos.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applicable {
    /// The calibration, if there is one.
    pub calibration: Option<Calibration>,
    /// In which way the model's own calibration was found otherwise than photos are processed, so that it is
    /// not the one; none if it is, or there is none.
    pub set_aside: Option<Mismatch>,
}

/// Says so when the files of two parts are not what they are given as, which as a list of missing and
/// unknown tensors would be hard to see.
fn mixed_up(clip: &Path, checkpoint: &Path) -> Option<ModelError> {
    let expected = [
        ("--clip", clip, Kind::Clip),
        ("--checkpoint", checkpoint, Kind::Checkpoint),
    ];
    for (option, path, kind) in expected {
        let found = TensorFile::open(path).ok()?.kind();
        if found != kind && found != Kind::Tensors {
            return Some(ModelError::WrongPart {
                path: path.to_owned(),
                option,
                found,
            });
        }
    }
    None
}

fn missing(name: &str, bundle: PathBuf) -> ModelError {
    let catalogue = Catalogue::published();
    let name = name.to_owned();
    if catalogue.bundle(&name).is_some() {
        return ModelError::NotPulled { name, bundle };
    }
    let known: Vec<&str> = catalogue
        .bundles
        .iter()
        .map(|bundle| bundle.name.as_str())
        .collect();
    ModelError::Unknown {
        name,
        bundle,
        known: known.join(" and "),
    }
}
