//! A complete, validated model's weights.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use half::f16;

use crate::assemble::{self, Tensors};
use crate::error::{Error, ErrorKind, Problem, shorten};
use crate::generated::Generator;
use crate::names::{TensorSpec, tensor_specs, vcp_specs};
use crate::scaling::Scaling;
use crate::storage::Storage;
use crate::tensor::{Block, Content, Layout, Tensor};
use crate::{Calibration, ElementType, Geometry, Settings, Source, Storing, TensorFile};
use crate::{LearnedGeometry, bundle, checkpoint_writer, output, start};
use crate::{ReferenceDescription, References};

/// CLIP and the learned parts of VCP-CLIP, complete and of consistent shapes.
#[derive(Debug)]
pub struct Weights {
    geometry: Geometry,
    settings: Settings,
    storages: Vec<Arc<Storage>>,
    pub(crate) tensors: Tensors,
    pub(crate) index: HashMap<String, usize>,
    calibration: Option<Calibration>,
    pub(crate) references: Option<Arc<References>>,
    sources: Vec<Source>,
    ignored: Vec<Problem>,
}

/// How strictly files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Passes over tensors that the model has no use for, which otherwise are an error, because they
    /// may mean that the file is of another model. [`Weights::ignored_tensors`] tells which.
    pub ignore_unknown_tensors: bool,
}

impl Weights {
    /// Opens CLIP's weights and a checkpoint, each of any supported format and naming.
    ///
    /// # Errors
    /// If a file cannot be read; if tensors are missing, unknown or wrongly shaped (all of them
    /// are listed); if the settings do not fit.
    pub fn open_parts(clip: &Path, checkpoint: &Path, settings: Settings) -> Result<Self, Error> {
        Self::from_parts(
            &TensorFile::open(clip)?,
            &TensorFile::open(checkpoint)?,
            settings,
        )
    }

    /// As [`Weights::open_parts`], from files that are already open.
    ///
    /// # Errors
    /// As [`Weights::open_parts`].
    pub fn from_parts(
        clip: &TensorFile,
        checkpoint: &TensorFile,
        settings: Settings,
    ) -> Result<Self, Error> {
        Self::from_parts_with(clip, checkpoint, |_| settings, LoadOptions::default())
    }

    /// As [`Weights::open_parts`], as strictly as `options` say, and with settings that depend on the
    /// geometry, which is known only once the files are read; see [`Settings::for_geometry`].
    ///
    /// # Errors
    /// As [`Weights::open_parts`].
    pub fn open_parts_with(
        clip: &Path,
        checkpoint: &Path,
        settings: impl FnOnce(&Geometry) -> Settings,
        options: LoadOptions,
    ) -> Result<Self, Error> {
        Self::from_parts_with(
            &TensorFile::open(clip)?,
            &TensorFile::open(checkpoint)?,
            settings,
            options,
        )
    }

    fn from_parts_with(
        clip: &TensorFile,
        checkpoint: &TensorFile,
        settings: impl FnOnce(&Geometry) -> Settings,
        options: LoadOptions,
    ) -> Result<Self, Error> {
        let (geometry, collected) = assemble::from_parts(clip, checkpoint, options)?;
        let settings = settings(&geometry);
        settings.validate(&geometry).map_err(Error::new)?;
        let storages = [clip.storages(), checkpoint.storages()].concat();
        let mut weights = Self::new(geometry, settings, storages, collected.tensors);
        weights.ignored = collected.ignored;
        weights.sources = Source::of_file(clip);
        weights.sources.extend(Source::of_file(checkpoint));
        Ok(weights)
    }

    /// CLIP's weights with learned parts as the official training starts from them, `f32` and a
    /// function of the seed. They are as many as `learned` says; settings may depend on the geometry.
    ///
    /// # Errors
    /// As [`Weights::open_parts`], and if the geometry is not usable.
    pub fn start(
        clip: &Path,
        learned: LearnedGeometry,
        settings: impl FnOnce(&Geometry) -> Settings,
        seed: u64,
        options: LoadOptions,
    ) -> Result<Self, Error> {
        let clip = TensorFile::open(clip)?;
        let (geometry, collected) = assemble::from_clip(&clip, learned, options)?;
        let mut tensors = collected.tensors;
        tensors.extend(generated(&vcp_specs(&geometry), &geometry, seed, |_| {
            ElementType::F32
        }));
        let settings = settings(&geometry);
        settings.validate(&geometry).map_err(Error::new)?;
        let mut weights = Self::new(geometry, settings, clip.storages().to_vec(), tensors);
        weights.ignored = collected.ignored;
        weights.sources = Source::of_file(&clip);
        Ok(weights)
    }

    /// Opens a bundle, as [`Weights::write_bundle`] writes it.
    ///
    /// # Errors
    /// If the file cannot be read, is not a bundle, has changed since it was written (bundles of older
    /// versions do not tell), or if its tensors are not those of the geometry it claims.
    pub fn open_bundle(path: &Path) -> Result<Self, Error> {
        Self::open_bundle_with(path, LoadOptions::default())
    }

    /// As [`Weights::open_bundle`], as strictly as `options` say.
    ///
    /// # Errors
    /// As [`Weights::open_bundle`].
    pub fn open_bundle_with(path: &Path, options: LoadOptions) -> Result<Self, Error> {
        Self::from_bundle_with(&TensorFile::open(path)?, options)
    }

    /// As [`Weights::open_bundle`], from a file that is already open.
    ///
    /// # Errors
    /// As [`Weights::open_bundle`].
    pub fn from_bundle(file: &TensorFile) -> Result<Self, Error> {
        Self::from_bundle_with(file, LoadOptions::default())
    }

    fn from_bundle_with(file: &TensorFile, options: LoadOptions) -> Result<Self, Error> {
        let json = file.metadata(bundle::KEY).ok_or_else(|| {
            let problem = format!(
                "it is a {} of {} without a bundle's description; a bundle is made from CLIP's \
                 weights and a checkpoint",
                file.format(),
                file.kind()
            );
            Error::in_file(file.label(), ErrorKind::Bundle { problem })
        })?;
        file.check_seal()?;
        let description =
            bundle::Description::parse(json).map_err(|kind| Error::in_file(file.label(), kind))?;
        let beside = description
            .references
            .as_ref()
            .map(ReferenceDescription::specs);
        let beside = beside.unwrap_or_default();
        let mut collected = assemble::from_bundle(
            file,
            &description.geometry,
            &beside,
            description.has_codes(),
            options,
        )?;
        let memory = collected.tensors.len() - beside.len();
        let memory = collected.tensors.split_off(memory);
        let mut weights = Self::new(
            description.geometry,
            description.settings,
            file.storages().to_vec(),
            collected.tensors,
        );
        weights.ignored = collected.ignored;
        weights.calibration = description.calibration;
        weights.sources = description.sources.into_iter().map(Source::from).collect();
        if let Some(description) = description.references {
            let in_file = |error: Error| error.within(file.label());
            weights.check_references(&description).map_err(in_file)?;
            let levels = memory.iter().map(|(name, layout)| {
                let tensor = Tensor {
                    name,
                    layout,
                    storages: &weights.storages,
                };
                tensor.to_f32().into_iter().map(f16::from_f32).collect()
            });
            let levels = levels.collect();
            let references = References::new(description, levels).map_err(in_file)?;
            weights.references = Some(Arc::new(references));
        }
        Ok(weights)
    }

    /// Deterministic pseudo-random weights that are made row by row on reading and take no memory.
    ///
    /// Matrices claim [`ElementType::F16`] and hold values rounded to it; vectors and scalars are
    /// `f32`. Scales are those OpenAI's CLIP and the official training start from, so activations
    /// stay in a sensible range.
    ///
    /// # Errors
    /// If the geometry is not usable or the settings do not fit it.
    pub fn random(geometry: Geometry, settings: Settings, seed: u64) -> Result<Self, Error> {
        geometry.validate().map_err(Error::new)?;
        settings.validate(&geometry).map_err(Error::new)?;
        let tensors = generated(&tensor_specs(&geometry), &geometry, seed, |shape| {
            if shape.len() >= 2 {
                ElementType::F16
            } else {
                ElementType::F32
            }
        });
        Ok(Self::new(geometry, settings, Vec::new(), tensors))
    }

    fn new(
        geometry: Geometry,
        settings: Settings,
        storages: Vec<Arc<Storage>>,
        tensors: Tensors,
    ) -> Self {
        let index = tensors
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name.clone(), index))
            .collect();
        Self {
            geometry,
            settings,
            storages,
            tensors,
            index,
            calibration: None,
            references: None,
            sources: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// The model's geometry.
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The model's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sets the shares of the branches in the map.
    ///
    /// # Errors
    /// If they are not what [`bounds::is_blend`](crate::bounds::is_blend) asks for.
    pub fn set_blend(&mut self, blend: [f32; 2]) -> Result<(), Error> {
        let settings = Settings {
            blend,
            ..self.settings.clone()
        };
        settings.validate(&self.geometry).map_err(Error::new)?;
        if settings != self.settings {
            self.references = None;
        }
        self.settings = settings;
        Ok(())
    }

    /// The same model with other settings. A calibration stays, although it was found with the old
    /// ones; a memory of reference photos does not.
    ///
    /// # Errors
    /// If they do not fit the geometry.
    pub fn with_settings(mut self, settings: Settings) -> Result<Self, Error> {
        settings.validate(&self.geometry).map_err(Error::new)?;
        if settings != self.settings {
            self.references = None;
        }
        self.settings = settings;
        Ok(self)
    }

    /// The canonical names of all tensors, CLIP's first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_str())
    }

    /// The tensor of this canonical name, such as `clip.visual.conv1.weight` or
    /// `vcp.prompt_proj.bias`; see [`tensor_specs`](crate::tensor_specs) for all of them.
    ///
    /// # Errors
    /// If the model has no such tensor.
    pub fn tensor(&self, name: &str) -> Result<Tensor<'_>, Error> {
        let index = self.index.get(name).ok_or_else(|| {
            Error::new(ErrorKind::NoSuchTensor {
                name: shorten(name),
            })
        })?;
        let (name, layout) = &self.tensors[*index];
        Ok(Tensor {
            name,
            layout,
            storages: &self.storages,
        })
    }

    /// All tensors in canonical order, CLIP's first.
    pub fn tensors(&self) -> impl Iterator<Item = Tensor<'_>> {
        self.tensors.iter().map(|(name, layout)| Tensor {
            name,
            layout,
            storages: &self.storages,
        })
    }

    /// Replaces a tensor's values, such as learned ones after training. They are kept as `f32`. A memory of
    /// reference photos is removed, since its features are those of the model before.
    ///
    /// # Errors
    /// If the model has no such tensor or the number of values is not the tensor's.
    pub fn replace(&mut self, name: &str, values: Vec<f32>) -> Result<(), Error> {
        let expected = self.tensor(name)?.len();
        if values.len() != expected {
            return Err(Error::new(ErrorKind::WrongLength {
                name: shorten(name),
                found: values.len(),
                expected,
            }));
        }
        self.references = None;
        if let Some(index) = self.index.get(name) {
            let layout = &mut self.tensors[*index].1;
            layout.element_type = ElementType::F32;
            layout.scaling = Scaling::default();
            layout.blocks = vec![Block {
                rows: layout.shape.first().copied().unwrap_or(1),
                content: Content::Values(values.into()),
            }];
        }
        Ok(())
    }

    /// Puts pretrained weights in the place of the backbone's ([`Backbone::read`](crate::Backbone::read)), and
    /// their file among the [sources](Weights::sources).
    ///
    /// # Errors
    /// As [`Backbone::read`](crate::Backbone::read), and if the vision tower has no backbone.
    pub fn set_backbone(&mut self, file: &TensorFile, options: LoadOptions) -> Result<(), Error> {
        let Some(backbone) = self.geometry.backbone else {
            return Err(Error::new(ErrorKind::Geometry {
                problem: "the vision tower is a transformer, which has no backbone".to_owned(),
            }));
        };
        for (name, values) in backbone.read(file, options)? {
            self.replace(&name, values)?;
        }
        self.sources.extend(Source::of_file(file));
        Ok(())
    }

    /// The values of a checkpoint in the official layout, by canonical name, as [`Weights::replace`]
    /// takes them.
    ///
    /// # Errors
    /// If the checkpoint is not of a model of this geometry.
    pub fn read_checkpoint(
        &self,
        checkpoint: &TensorFile,
    ) -> Result<BTreeMap<String, Vec<f32>>, Error> {
        let tensors = assemble::from_checkpoint(checkpoint, &self.geometry)?;
        let storages = checkpoint.storages().to_vec();
        let learned = Self::new(self.geometry, self.settings.clone(), storages, tensors);
        let values = learned
            .tensors()
            .map(|tensor| (tensor.name().to_owned(), tensor.to_f32()));
        Ok(values.collect())
    }

    /// The calibration stored with the model, if any.
    #[must_use]
    pub fn calibration(&self) -> Option<&Calibration> {
        self.calibration.as_ref()
    }

    /// Sets or removes the calibration that bundles are written with.
    ///
    /// # Errors
    /// If it holds values that are not finite, an empty range, or another version.
    pub fn set_calibration(&mut self, calibration: Option<Calibration>) -> Result<(), Error> {
        if let Some(calibration) = &calibration {
            calibration.validate().map_err(Error::new)?;
        }
        self.calibration = calibration;
        Ok(())
    }

    /// The files the weights came from; for a bundle, those it was made of. Empty for random
    /// weights.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The tensors of the files that were passed over because the model has no use for them; none
    /// unless [`LoadOptions::ignore_unknown_tensors`] is set.
    #[must_use]
    pub fn ignored_tensors(&self) -> &[Problem] {
        &self.ignored
    }

    /// Writes everything into one file that [`Weights::open_bundle`] reads. Reads the sources once
    /// for their SHA-256. An existing file is replaced when the new one is complete.
    ///
    /// The bundle's settings have the precision that [`Storing`] says, whatever that of these weights is.
    ///
    /// # Errors
    /// If the file cannot be written, if a value does not fit the numbers asked for, or if there is a memory of
    /// reference photos and the bundle's precision is not that of these weights, with which it was made.
    pub fn write_bundle(&self, path: &Path, storing: Storing) -> Result<(), Error> {
        output::write_beside(path, |out| bundle::write(self, storing, out))
    }

    /// Writes the learned tensors as an official checkpoint (`.pth`) that PyTorch opens, all `f32`.
    /// An existing file is replaced when the new one is complete.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_checkpoint(&self, path: &Path) -> Result<(), Error> {
        output::write_beside(path, |out| checkpoint_writer::write(self, out))
    }
}

/// Tensors whose values are made on reading.
fn generated(
    specs: &[TensorSpec],
    geometry: &Geometry,
    seed: u64,
    element_type: impl Fn(&[usize]) -> ElementType,
) -> Tensors {
    let tensor = |spec: &TensorSpec| {
        let element_type = element_type(&spec.shape);
        let distribution = start::distribution(&spec.name, &spec.shape, geometry);
        let generator = Generator::new(seed, &spec.name, distribution, element_type);
        let layout = Layout {
            element_type,
            blocks: vec![Block {
                rows: spec.shape.first().copied().unwrap_or(1),
                content: Content::Generated(generator),
            }],
            scaling: Scaling::default(),
            shape: spec.shape.clone(),
        };
        (spec.name.clone(), layout)
    };
    specs.iter().map(tensor).collect()
}
