//! The convolutional backbone: EfficientNet-Lite (Tan and Le, arXiv 1905.11946, without squeeze and excitation).
//!
//! Maps lie channels last: [batch, height·width, channels]. Batch norms have been folded into the convolutions
//! before them.

use std::ops::Range;

use crate::block::{self, Numbers};
use crate::error::Error;
use crate::operations::{After, Operations, Windows};
use vcp_checkpoint::{InvertedResidual as Shape, Weights};

/// A map of features.
#[derive(Clone)]
pub struct Map<T> {
    /// [batch, height·width, channels], row by row.
    pub values: T,
    /// Pixels in a row of the map.
    pub width: usize,
}

/// An inverted residual block (MobileNetV2, arXiv 1801.04381): expansion, depthwise convolution, projection.
pub struct InvertedResidual<O: Operations> {
    norm: Option<O::Norm>,
    expand: Option<O::Linear>,
    depthwise: O::Depthwise,
    windows: Windows,
    project: O::Linear,
    is_residual: bool,
}

impl<O: Operations> InvertedResidual<O> {
    /// Reads `{prefix}.expand`, `.depthwise` and `.project`. A `norm` is taken before the expansion.
    pub(crate) fn load(
        ops: &O,
        weights: &Weights,
        prefix: &str,
        shape: &Shape,
        norm: Option<O::Norm>,
    ) -> Result<Self, Error> {
        let linear = |part: &str| {
            let name = format!("{prefix}.{part}");
            block::linear(ops, weights, &name, Numbers::Exact)
        };
        let weight = weights.tensor(&format!("{prefix}.depthwise.weight"))?;
        let bias = weights.tensor(&format!("{prefix}.depthwise.bias"))?;
        Ok(Self {
            norm,
            expand: (shape.expansion > 1)
                .then(|| linear("expand"))
                .transpose()?,
            depthwise: ops.depthwise_layer(&weight, &bias, shape.stride)?,
            windows: Windows {
                side: shape.kernel,
                stride: shape.stride,
            },
            project: linear("project")?,
            is_residual: shape.is_residual(),
        })
    }

    /// A map of features to the next one.
    pub fn forward(&self, ops: &O, map: &Map<O::Tensor>) -> Map<O::Tensor> {
        let x = &map.values;
        let expanded = match (&self.expand, &self.norm) {
            (Some(expand), Some(norm)) => ops.norm_linear(x, norm, expand, After::Relu6),
            (Some(expand), None) => ops.linear(x, expand, After::Relu6),
            (None, Some(norm)) => ops.layer_norm(x, norm),
            (None, None) => x.clone(),
        };
        let convolved =
            ops.depthwise_convolution(&expanded, map.width, &self.depthwise, After::Relu6);
        drop(expanded);
        let after = if self.is_residual {
            After::Add(x)
        } else {
            After::Nothing
        };
        Map {
            values: ops.linear(&convolved, &self.project, after),
            width: self.windows.along(map.width),
        }
    }
}

/// The stem and blocks of a backbone, or some of its blocks.
pub struct Backbone<O: Operations> {
    stem: Option<O::Linear>,
    /// Each with whether it is the last one of its resolution.
    blocks: Vec<(InvertedResidual<O>, bool)>,
}

/// How far images have come in a backbone.
#[derive(Clone)]
pub struct Stages<T> {
    /// The last features of each resolution from a quarter of the image's downwards, as far as they are done.
    pub levels: Vec<Map<T>>,
    /// The last features of all.
    pub last: Map<T>,
}

/// The stem's windows.
const STEM: Windows = Windows { side: 3, stride: 2 };

impl<O: Operations> Backbone<O> {
    /// Prepares blocks of the backbone, and with the first one the stem.
    ///
    /// # Errors
    /// When the weights have no such blocks, a tensor cannot be read, or the device fails.
    pub fn load(ops: &O, weights: &Weights, blocks: Range<usize>) -> Result<Self, Error> {
        let backbone = weights.geometry().backbone.unwrap_or_else(|| {
            // Its tensors will be missing, which is what will be said.
            vcp_checkpoint::Backbone::efficientnet_lite0()
        });
        let levels = backbone.levels();
        let stem = (blocks.start == 0).then(|| {
            let name = "clip.visual.backbone.stem";
            block::linear(ops, weights, name, Numbers::Exact)
        });
        let all = backbone.blocks().iter().enumerate();
        let blocks = all.skip(blocks.start).take(blocks.len());
        let blocks = blocks.map(|(number, shape)| {
            let prefix = format!("clip.visual.backbone.blocks.{number}");
            let block = InvertedResidual::load(ops, weights, &prefix, shape, None)?;
            Ok((block, levels.iter().any(|level| level.block == number)))
        });
        Ok(Self {
            stem: stem.transpose()?,
            blocks: blocks.collect::<Result<_, Error>>()?,
        })
    }

    /// The stem: images [batch, 3, height·width], `width` pixels wide, normalised as the backbone's are
    /// ([`vcp_checkpoint::Architecture::normalisation`]). If this one has none, the images as they are.
    pub fn begin(&self, ops: &O, images: &O::Tensor, width: usize) -> Stages<O::Tensor> {
        let last = match &self.stem {
            Some(stem) => Map {
                values: ops.linear(&ops.patches(images, width, STEM), stem, After::Relu6),
                width: STEM.along(width),
            },
            None => Map {
                values: images.clone(),
                width,
            },
        };
        Stages {
            levels: Vec::new(),
            last,
        }
    }

    /// Through these blocks.
    pub fn forward(&self, ops: &O, mut stages: Stages<O::Tensor>) -> Stages<O::Tensor> {
        for (block, is_level) in &self.blocks {
            stages.last = block.forward(ops, &stages.last);
            if *is_level {
                stages.levels.push(stages.last.clone());
            }
        }
        stages
    }
}
