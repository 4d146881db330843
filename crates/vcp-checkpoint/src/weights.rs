//! A complete, validated model's weights.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::assemble::{self, Tensors};
use crate::error::{Error, ErrorKind, shorten};
use crate::generated::{Distribution, Generator};
use crate::names::tensor_specs;
use crate::storage::Storage;
use crate::tensor::{Block, Content, Layout, Tensor};
use crate::{Calibration, ElementType, Geometry, Precision, Settings, Source, TensorFile};
use crate::{bundle, checkpoint_writer, output};

/// CLIP and the learned parts of VCP-CLIP, complete and of consistent shapes.
#[derive(Debug)]
pub struct Weights {
    geometry: Geometry,
    settings: Settings,
    storages: Vec<Arc<Storage>>,
    tensors: Tensors,
    index: HashMap<String, usize>,
    calibration: Option<Calibration>,
    sources: Vec<Source>,
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
        Self::from_parts_with(clip, checkpoint, |_| settings)
    }

    /// As [`Weights::open_parts`], with settings that depend on the geometry, which is known only
    /// once the files are read; see [`Settings::for_geometry`].
    ///
    /// # Errors
    /// As [`Weights::open_parts`].
    pub fn open_parts_with(
        clip: &Path,
        checkpoint: &Path,
        settings: impl FnOnce(&Geometry) -> Settings,
    ) -> Result<Self, Error> {
        Self::from_parts_with(
            &TensorFile::open(clip)?,
            &TensorFile::open(checkpoint)?,
            settings,
        )
    }

    fn from_parts_with(
        clip: &TensorFile,
        checkpoint: &TensorFile,
        settings: impl FnOnce(&Geometry) -> Settings,
    ) -> Result<Self, Error> {
        let (geometry, tensors) = assemble::from_parts(clip, checkpoint)?;
        let settings = settings(&geometry);
        settings.validate(&geometry).map_err(Error::new)?;
        let storages = vec![Arc::clone(clip.storage()), Arc::clone(checkpoint.storage())];
        let mut weights = Self::new(geometry, settings, storages, tensors);
        weights.sources = vec![Source::of_file(clip), Source::of_file(checkpoint)];
        Ok(weights)
    }

    /// Opens a bundle, as [`Weights::write_bundle`] writes it.
    ///
    /// # Errors
    /// If the file cannot be read, is not a bundle, or if its tensors are not those of the geometry
    /// it claims.
    pub fn open_bundle(path: &Path) -> Result<Self, Error> {
        Self::from_bundle(&TensorFile::open(path)?)
    }

    /// As [`Weights::open_bundle`], from a file that is already open.
    ///
    /// # Errors
    /// As [`Weights::open_bundle`].
    pub fn from_bundle(file: &TensorFile) -> Result<Self, Error> {
        let json = file.metadata(bundle::KEY).ok_or_else(|| {
            let problem = format!(
                "it is a {} without a bundle's description; a bundle is made from CLIP's weights and \
                 a checkpoint",
                file.format()
            );
            Error::in_file(file.label(), ErrorKind::Bundle { problem })
        })?;
        let description =
            bundle::Description::parse(json).map_err(|kind| Error::in_file(file.label(), kind))?;
        let tensors = assemble::from_bundle(file, &description.geometry)?;
        let storages = vec![Arc::clone(file.storage())];
        let mut weights = Self::new(
            description.geometry,
            description.settings,
            storages,
            tensors,
        );
        weights.calibration = description.calibration;
        weights.sources = description.sources.into_iter().map(Source::from).collect();
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
        let tensors = tensor_specs(&geometry)
            .into_iter()
            .map(|spec| {
                let element_type = if spec.shape.len() >= 2 {
                    ElementType::F16
                } else {
                    ElementType::F32
                };
                let distribution = start_distribution(&spec.name, &spec.shape, &geometry);
                let generator = Generator::new(seed, &spec.name, distribution, element_type);
                let layout = Layout {
                    element_type,
                    blocks: vec![Block {
                        rows: spec.shape.first().copied().unwrap_or(1),
                        content: Content::Generated(generator),
                    }],
                    shape: spec.shape,
                };
                (spec.name, layout)
            })
            .collect();
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
            sources: Vec::new(),
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

    /// The same model with other settings. A calibration stays, although it was found with the old
    /// ones.
    ///
    /// # Errors
    /// If they do not fit the geometry.
    pub fn with_settings(mut self, settings: Settings) -> Result<Self, Error> {
        settings.validate(&self.geometry).map_err(Error::new)?;
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

    /// Replaces a tensor's values, such as learned ones after training. They are kept as `f32`.
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
        if let Some(index) = self.index.get(name) {
            let layout = &mut self.tensors[*index].1;
            layout.element_type = ElementType::F32;
            layout.blocks = vec![Block {
                rows: layout.shape.first().copied().unwrap_or(1),
                content: Content::Values(values.into()),
            }];
        }
        Ok(())
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

    /// Writes everything into one file that [`Weights::open_bundle`] reads. Reads the sources once
    /// for their SHA-256. An existing file is replaced when the new one is complete.
    ///
    /// # Errors
    /// If the file cannot be written, or if a value does not fit `f16`.
    pub fn write_bundle(&self, path: &Path, precision: Precision) -> Result<(), Error> {
        output::write_beside(path, |out| bundle::write(self, precision, out))
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

/// How a tensor is distributed before training.
///
/// CLIP: `initialize_parameters` of `openai/CLIP/clip/model.py`. Learned parts: SPEC section 9.
fn start_distribution(name: &str, shape: &[usize], geometry: &Geometry) -> Distribution {
    let fan_in = |inputs: usize| 1.0 / (inputs.max(1) as f32).sqrt();
    let inputs: usize = shape.iter().skip(1).product();
    let last = shape.last().copied().unwrap_or(1);
    let layers = if name.starts_with("clip.visual.") {
        geometry.vision.layers
    } else {
        geometry.text.layers
    };
    let is_norm = name.contains(".ln_") || name.contains("prompt_norm");
    match name {
        "clip.logit_scale" | "vcp.New_Lan_Embed.prompt_temp" | "vcp.Zero_try.prompt_temp_l1" => {
            Distribution::Constant((1.0f32 / 0.07).ln())
        }
        "vcp.New_Lan_Embed.prompt_query" => Distribution::Normal {
            deviation: 1.0,
            truncated: true,
        },
        "vcp.prompt_embeddings" | "vcp.deep_prompt_embeddings" => Distribution::Uniform {
            centre: 0.0,
            bound: 1.0,
        },
        // Kaiming normal with the fan of the outputs.
        "vcp.prompt_proj.weight" => Distribution::Normal {
            deviation: (2.0 / shape[0] as f32).sqrt(),
            truncated: false,
        },
        "clip.token_embedding.weight" => Distribution::spread(0.02),
        "clip.positional_embedding" => Distribution::spread(0.01),
        "clip.visual.class_embedding" | "clip.visual.positional_embedding" => {
            Distribution::spread(fan_in(last))
        }
        "clip.visual.proj" | "clip.text_projection" | "vcp.prompt_text_projection" => {
            Distribution::spread(fan_in(shape[0]))
        }
        _ if is_norm && name.ends_with(".weight") => Distribution::Uniform {
            centre: 1.0,
            bound: 0.1,
        },
        _ if name.ends_with("bias") => Distribution::spread(0.01),
        // What adds to the residual stream shrinks with depth, so that the stream does not grow.
        _ if name.ends_with("attn.out_proj.weight") || name.ends_with("mlp.c_proj.weight") => {
            Distribution::spread(fan_in(inputs) / (2.0 * layers as f32).sqrt())
        }
        _ => Distribution::spread(fan_in(inputs)),
    }
}
