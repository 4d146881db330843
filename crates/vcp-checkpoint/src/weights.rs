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
use crate::{ElementType, Geometry, Settings, TensorFile};

/// CLIP and the learned parts of VCP-CLIP, complete and of consistent shapes.
#[derive(Debug)]
pub struct Weights {
    geometry: Geometry,
    settings: Settings,
    storages: Vec<Arc<Storage>>,
    tensors: Tensors,
    index: HashMap<String, usize>,
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
        let (geometry, tensors) = assemble::from_parts(clip, checkpoint)?;
        settings.validate(&geometry).map_err(Error::new)?;
        let storages = vec![Arc::clone(clip.storage()), Arc::clone(checkpoint.storage())];
        Ok(Self::new(geometry, settings, storages, tensors))
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
