//! The convolutional vision tower on a device: against PyTorch's numbers, and against a plain statement.

use std::collections::HashMap;
use std::path::Path;

use vcp_checkpoint::{
    Backbone, CONVOLUTIONAL_STRIDE, Geometry, InvertedResidual, LoadOptions, Settings, TensorFile,
    TowerGeometry, Weights,
};
use vcp_model::{Backbone as Loaded, ConvolutionalTower, Operations, Resampling};
use vcp_random::Random;

use super::Plain;
use crate::{Stage, Tolerance, assert_close, fixtures, read_safetensors, shared};

/// A model with a convolutional tower of so many blocks, with random weights.
#[must_use]
pub fn convolutional_weights(blocks: usize, image_size: usize) -> Weights {
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(2, 64),
        backbone: Some(Backbone {
            blocks,
            ..Backbone::efficientnet_lite0()
        }),
        patch_size: CONVOLUTIONAL_STRIDE,
        native_grid: image_size / CONVOLUTIONAL_STRIDE,
        text: TowerGeometry::new(1, 64),
        context_length: 20,
        tap_count: 2,
        ..Geometry::vit_b_16()
    };
    let settings = Settings {
        taps: vec![1, 2],
        image_size,
        ..Settings::default()
    };
    Weights::random(geometry, settings, 11).unwrap()
}

/// Every block of the pretrained backbone whose output is stored, and the whole tower with random weights.
pub fn convolutional<O: Operations>(name: &str, device: impl Fn() -> O) {
    let folder = fixtures().join("efficientnet-lite0");
    let stages = read_safetensors(&folder.join("stages.safetensors"));
    let compared = pretrained(
        name,
        &device,
        5,
        &folder.join("weights.safetensors"),
        &stages,
    );
    assert_eq!(compared, 3, "stem and two blocks");
    let whole = shared("weights/efficientnet-lite0.safetensors")
        .zip(shared("goldens/efficientnet-lite0/stages.safetensors"));
    if let Some((weights, stages)) = whole {
        let stages = read_safetensors(&stages);
        let compared = pretrained(name, &device, 16, &weights, &stages);
        assert_eq!(compared, stages.len() - 2, "all but the images");
    }
    random_tower(name, &device);
}

/// Compares what is stored of a pretrained backbone; how many stages that were.
fn pretrained<O: Operations>(
    name: &str,
    device: &impl Fn() -> O,
    blocks: usize,
    file: &Path,
    stages: &HashMap<String, Stage>,
) -> usize {
    let device = device();
    let mut weights = convolutional_weights(blocks, 96);
    let file = TensorFile::open(file).unwrap();
    weights.set_backbone(&file, LoadOptions::default()).unwrap();
    let mut compared = 0;
    for prefix in ["", "odd."] {
        let Some(input) = stages.get(&format!("{prefix}input")) else {
            continue;
        };
        let [_, channels, height, width] = input.shape[..] else {
            panic!("an image");
        };
        let image = device
            .constant([1, channels, height * width], &input.values)
            .unwrap();
        let mut check = |stage: &str, map: &O::Tensor, width: usize| {
            let Some(expected) = stages.get(&format!("{prefix}{stage}")) else {
                return;
            };
            assert_eq!(width, expected.shape[3]);
            let found = channels_first(&device.values(map).unwrap(), expected.shape[1]);
            let what = format!("{prefix}{stage} on {name}");
            assert_close(&what, &found, &expected.values, Tolerance::Stage);
            compared += 1;
        };
        let stem = Loaded::load(&device, &weights, 0..0).unwrap();
        let mut now = stem.begin(&device, &image, width);
        check("stem", &now.last.values, now.last.width);
        for block in 0..blocks {
            let one = Loaded::load(&device, &weights, block..block + 1).unwrap();
            now = one.forward(&device, now);
            check(&format!("block.{block}"), &now.last.values, now.last.width);
        }
    }
    compared
}

/// [pixels, channels] to [channels, pixels].
fn channels_first(values: &[f32], channels: usize) -> Vec<f32> {
    let pixel = |channel: usize| values.iter().skip(channel).step_by(channels).copied();
    (0..channels).flat_map(pixel).collect()
}

/// A whole tower with random weights against a plain statement of it.
fn random_tower<O: Operations>(name: &str, device: &impl Fn() -> O) {
    // No stride but the first divides the side.
    const SIDE: usize = 54;
    let device = device();
    let weights = convolutional_weights(7, SIDE);
    let random = &mut Random::of(&[31]);
    let images = Plain::random([2, 3, SIDE * SIDE], random);
    let tower = ConvolutionalTower::load(&device, &weights).unwrap();
    let found = tower.forward(&device, &images.on(&device));
    let values = |x: &O::Tensor| device.values(x).unwrap();
    let found: Vec<Vec<f32>> = std::iter::once(&found.image_feature)
        .chain(&found.taps)
        .map(values)
        .collect();
    for (number, image) in images.values.chunks_exact(3 * SIDE * SIDE).enumerate() {
        let expected = plain_tower(&weights, image, SIDE);
        assert_eq!(expected.len(), found.len());
        for (part, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let found = &found[number * expected.len()..][..expected.len()];
            let what = format!("part {part} of image {number} on {name}");
            assert_close(&what, found, expected, Tolerance::Stage);
        }
    }
}

/// A square map, channels last.
#[derive(Clone)]
struct Square {
    side: usize,
    channels: usize,
    values: Vec<f64>,
}

impl Square {
    fn each(side: usize, channels: usize, value: impl Fn(usize, usize, usize) -> f64) -> Self {
        let mut values = Vec::with_capacity(side * side * channels);
        for y in 0..side {
            for x in 0..side {
                values.extend((0..channels).map(|c| value(y, x, c)));
            }
        }
        Self {
            side,
            channels,
            values,
        }
    }

    fn at(&self, y: usize, x: usize, c: usize) -> f64 {
        self.values[(y * self.side + x) * self.channels + c]
    }

    /// A convolution whose channels fall into groups of `weight`'s second dimension, with the margins that
    /// EfficientNet-Lite has.
    fn convolved(&self, weights: &Weights, name: &str, stride: usize, relu6: bool) -> Self {
        let weight = weights.tensor(&format!("{name}.weight")).unwrap();
        let bias = weights.tensor(&format!("{name}.bias"));
        let shape = weight.shape().to_vec();
        let (outputs, inputs) = (shape[0], shape[1]);
        let kernel = shape.get(2).copied().unwrap_or(1);
        let (weight, bias) = (weight.to_f32(), bias.map(|bias| bias.to_f32()).ok());
        let before = (kernel - stride) / 2;
        let side = (self.side + (kernel - stride) - kernel) / stride + 1;
        Self::each(side, outputs, |y, x, output| {
            let first = if inputs == self.channels { 0 } else { output };
            let mut sum = bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
            for input in 0..inputs {
                for down in 0..kernel {
                    for across in 0..kernel {
                        let (v, u) = (y * stride + down, x * stride + across);
                        let inside = before..before + self.side;
                        if inside.contains(&v) && inside.contains(&u) {
                            let at = ((output * inputs + input) * kernel + down) * kernel + across;
                            sum += f64::from(weight[at])
                                * self.at(v - before, u - before, first + input);
                        }
                    }
                }
            }
            if relu6 { sum.clamp(0.0, 6.0) } else { sum }
        })
    }

    fn plus(&self, other: &Self) -> Self {
        Self::each(self.side, self.channels, |y, x, c| {
            self.at(y, x, c) + other.at(y, x, c)
        })
    }

    fn residual(&self, weights: &Weights, name: &str, block: &InvertedResidual) -> Self {
        let mut map = self.clone();
        if block.expansion > 1 {
            map = map.convolved(weights, &format!("{name}.expand"), 1, true);
        }
        map = map.convolved(weights, &format!("{name}.depthwise"), block.stride, true);
        map.convolved(weights, &format!("{name}.project"), 1, false)
    }

    fn mean(&self) -> Vec<f64> {
        let pixels = self.values.chunks_exact(self.channels);
        let sum = |c: usize| pixels.clone().map(|pixel| pixel[c]).sum::<f64>();
        let count = (self.side * self.side) as f64;
        (0..self.channels).map(|c| sum(c) / count).collect()
    }

    fn standardised(&self) -> Self {
        let mean = self.mean();
        let squares = Self::each(self.side, self.channels, |y, x, c| {
            (self.at(y, x, c) - mean[c]).powi(2)
        });
        let variance = squares.mean();
        Self::each(self.side, self.channels, |y, x, c| {
            (self.at(y, x, c) - mean[c]) / (variance[c] + 1e-5).sqrt()
        })
    }

    fn resampled(&self, to: &Resampling) -> Self {
        let weight = |i: usize, j: usize| f64::from(to.matrix()[i * self.side + j]);
        Self::each(to.to(), self.channels, |y, x, c| {
            let lines = (0..self.side).filter(|j| weight(y, *j) != 0.0);
            let line = |j: usize| {
                let terms = (0..self.side).map(|i| weight(x, i) * self.at(j, i, c));
                terms.sum::<f64>()
            };
            lines.map(|j| weight(y, j) * line(j)).sum()
        })
    }
}

/// A layer norm.
fn normed(weights: &Weights, name: &str, row: &[f64]) -> Vec<f64> {
    let part = |part: &str| weights.tensor(&format!("{name}.{part}")).unwrap().to_f32();
    let (weight, bias) = (part("weight"), part("bias"));
    let count = row.len() as f64;
    let mean = row.iter().sum::<f64>() / count;
    let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let normal = row.iter().map(|x| (x - mean) / (variance + 1e-5).sqrt());
    let scaled = normal.zip(weight.iter().zip(&bias));
    scaled
        .map(|(x, (weight, bias))| x * f64::from(*weight) + f64::from(*bias))
        .collect()
}

/// By which images are normalised, of RGB from 0 to 1.
const CLIP_MEANS: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_DEVIATIONS: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// The image feature and the taps.
fn plain_tower(weights: &Weights, image: &[f32], side: usize) -> Vec<Vec<f32>> {
    let backbone = weights.geometry().backbone.unwrap();
    let [mean, deviation] = backbone.architecture.normalisation().map(f64::from);
    let mut map = Square::each(side, 3, |y, x, c| {
        let own = f64::from(image[(c * side + y) * side + x]);
        let value = own * CLIP_DEVIATIONS[c] + CLIP_MEANS[c];
        (value - mean) / deviation
    });
    map = map.convolved(weights, "clip.visual.backbone.stem", 2, true);
    let mut sum: Option<Square> = None;
    let levels = backbone.levels();
    let grid = side / CONVOLUTIONAL_STRIDE;
    for (number, block) in backbone.blocks().iter().enumerate() {
        let name = format!("clip.visual.backbone.blocks.{number}");
        let next = map.residual(weights, &name, block);
        map = if block.stride == 1 && block.inputs == block.outputs {
            next.plus(&map)
        } else {
            next
        };
        if let Some(level) = levels.iter().position(|level| level.block == number) {
            let stride = levels[level].stride;
            let name = |part: &str| format!("clip.visual.neck.levels.{level}.{part}");
            let plain = map.convolved(weights, &name("feature"), 1, false);
            let own = map.standardised();
            let own = own.convolved(weights, &name("standardised"), 1, false);
            let cells = Resampling::features_to_cells(map.side, stride, grid, CONVOLUTIONAL_STRIDE);
            let both = plain.plus(&own).resampled(&cells);
            sum = Some(sum.map_or_else(|| both.clone(), |sum| sum.plus(&both)));
        }
    }
    let mut map = sum.unwrap();
    let width = weights.geometry().vision.width;
    let mut taps = Vec::new();
    for number in 0..weights.geometry().vision.layers {
        let name = format!("clip.visual.neck.blocks.{number}");
        let rows = map.values.chunks_exact(width);
        let before = Square {
            values: rows
                .flat_map(|row| normed(weights, &format!("{name}.norm"), row))
                .collect(),
            ..map.clone()
        };
        let mixed = before.convolved(weights, &format!("{name}.mix"), 1, true);
        let convolved = mixed.convolved(weights, &format!("{name}.convolution"), 1, false);
        map = map.plus(&convolved);
        let rows = map.mean().into_iter().chain(map.values.iter().copied());
        taps.push(rows.map(|value| value as f32).collect::<Vec<f32>>());
    }
    let mean = normed(weights, "clip.visual.ln_post", &map.mean());
    let projection = weights.tensor("clip.visual.proj").unwrap();
    let (outputs, projection) = (projection.shape()[1], projection.to_f32());
    let feature = (0..outputs).map(|output| {
        let terms = mean.iter().enumerate();
        let terms = terms.map(|(input, x)| x * f64::from(projection[input * outputs + output]));
        terms.sum::<f64>() as f32
    });
    std::iter::once(feature.collect()).chain(taps).collect()
}
