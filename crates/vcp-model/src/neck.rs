//! The neck of a convolutional tower: from several resolutions to taps of one width on one grid.
//!
//! What is unusual in a photo stands out against the rest of the same photo, so the neck is given every feature twice: as
//! it is, and brought to mean 0 and variance 1 over its photo, channel by channel.

use crate::backbone::Map;
use crate::block::{self, CLIP_EPSILON, Numbers};
use crate::error::Error;
use crate::interpolation::Resampling;
use crate::operations::{After, Operations, Windows};
use vcp_checkpoint::{CONVOLUTIONAL_STRIDE, NECK_KERNEL, Weights};

/// Levels on one grid, then residual blocks.
pub struct Neck<O: Operations> {
    grid: usize,
    taps: Vec<usize>,
    levels: Vec<Level<O>>,
    blocks: Vec<Block<O>>,
    /// [1, width, width].
    identity: O::Tensor,
}

/// A residual block: a layer norm, a linear layer with `ReLU6`, and a full convolution. Depthwise ones in its place were
/// less accurate.
struct Block<O: Operations> {
    norm: O::Norm,
    mix: O::Linear,
    convolution: O::Linear,
}

/// How one resolution comes in.
struct Level<O: Operations> {
    /// Pixels on a side of its maps.
    side: usize,
    /// Pixels of the image from one of its pixels to the next.
    stride: usize,
    feature: O::Linear,
    standardised: O::Linear,
    /// [1, grid, side].
    to_grid: O::Tensor,
}

impl<O: Operations> Neck<O> {
    /// Prepares the weights for the device.
    ///
    /// # Errors
    /// When a tensor cannot be read, or the device fails.
    pub(crate) fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let (geometry, settings) = (weights.geometry(), weights.settings());
        let (width, size) = (geometry.vision.width, settings.image_size);
        let grid = geometry.grid(size);
        let backbone = geometry.backbone.into_iter();
        let levels = backbone
            .flat_map(vcp_checkpoint::Backbone::levels)
            .enumerate();
        let linear = |name: &str| block::linear(ops, weights, name, Numbers::Narrow);
        let levels = levels.map(|(number, level)| {
            let prefix = format!("clip.visual.neck.levels.{number}");
            let standardised = weights.tensor(&format!("{prefix}.standardised.weight"))?;
            let side = size / level.stride;
            let to_grid =
                Resampling::features_to_cells(side, level.stride, grid, CONVOLUTIONAL_STRIDE);
            Ok(Level {
                side,
                stride: level.stride,
                feature: linear(&format!("{prefix}.feature"))?,
                standardised: Numbers::Narrow.linear_layer(ops, &standardised, None)?,
                to_grid: ops.constant([1, grid, side], to_grid.matrix())?,
            })
        });
        let levels = levels.collect::<Result<_, Error>>()?;
        let blocks = (0..geometry.vision.layers).map(|number| {
            let prefix = format!("clip.visual.neck.blocks.{number}");
            let linear = |part: &str| linear(&format!("{prefix}.{part}"));
            Ok(Block {
                norm: block::norm(ops, weights, &format!("{prefix}.norm"), CLIP_EPSILON)?,
                mix: linear("mix")?,
                convolution: linear("convolution")?,
            })
        });
        let identity: Vec<f32> = (0..width * width)
            .map(|index| f32::from(u8::from(index / width == index % width)))
            .collect();
        Ok(Self {
            grid,
            taps: settings.taps.clone(),
            levels,
            blocks: blocks.collect::<Result<_, Error>>()?,
            identity: ops.constant([1, width, width], &identity)?,
        })
    }

    /// The last features of each resolution as they are, but for those finer than the grid, on the grid: [batch, grid²,
    /// channels] each.
    pub(crate) fn levels_on_grid(&self, ops: &O, levels: &[Map<O::Tensor>]) -> Vec<O::Tensor> {
        let levels = self.levels.iter().zip(levels);
        let levels = levels.filter(|(level, _)| level.stride >= CONVOLUTIONAL_STRIDE);
        let on_grid = levels.map(|(level, map)| level.on_grid(ops, &map.values, self.grid));
        on_grid.collect()
    }

    /// The last features of each resolution → the taps, and the last block's output, all [batch, grid², width].
    pub fn forward(&self, ops: &O, levels: &[Map<O::Tensor>]) -> (Vec<O::Tensor>, O::Tensor) {
        let mut on_grid: Option<O::Tensor> = None;
        for (level, map) in self.levels.iter().zip(levels) {
            let own = level.forward(ops, &map.values, self.grid);
            on_grid = Some(match on_grid {
                Some(sum) => ops.add(&sum, &own),
                None => own,
            });
        }
        let mut map = on_grid.unwrap_or_else(|| levels[0].values.clone());
        let mut taps = Vec::with_capacity(self.taps.len());
        for (index, block) in self.blocks.iter().enumerate() {
            map = block.forward(ops, &map, self.grid, &self.identity);
            if self.taps.contains(&(index + 1)) {
                taps.push(map.clone());
            }
        }
        (taps, map)
    }
}

impl<O: Operations> Block<O> {
    /// [batch, grid², width] → the same.
    fn forward(&self, ops: &O, x: &O::Tensor, grid: usize, identity: &O::Tensor) -> O::Tensor {
        let mixed = ops.norm_linear(x, &self.norm, &self.mix, After::Relu6);
        // Windows are cut of planes: I·xᵀ.
        let planes = ops.matmul_transposed(identity, &mixed);
        drop(mixed);
        let windows = Windows {
            side: NECK_KERNEL,
            stride: 1,
        };
        let windows = ops.patches(&planes, grid, windows);
        drop(planes);
        ops.linear(&windows, &self.convolution, After::Add(x))
    }
}

impl<O: Operations> Level<O> {
    /// [batch, side², channels] → [batch, grid², width].
    fn forward(&self, ops: &O, features: &O::Tensor, grid: usize) -> O::Tensor {
        let plain = ops.linear(features, &self.feature, After::Nothing);
        let standardised = ops.standardise(features, CLIP_EPSILON);
        let both = ops.linear(&standardised, &self.standardised, After::Add(&plain));
        self.on_grid(ops, &both, grid)
    }

    /// Down, then across: R·x·Rᵀ for every channel. [batch, side², channels] → [batch, grid², channels].
    fn on_grid(&self, ops: &O, map: &O::Tensor, grid: usize) -> O::Tensor {
        let channels = ops.channels(map);
        let columns = ops.reshape(map, self.side, self.side * channels);
        let lines = ops.matmul(&self.to_grid, &columns);
        let lines = ops.reshape(&lines, self.side, channels);
        ops.reshape(&ops.matmul(&self.to_grid, &lines), grid * grid, channels)
    }
}
