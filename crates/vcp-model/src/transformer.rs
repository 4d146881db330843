//! CLIP's vision transformer (`VisionTransformer` of `openai/CLIP/clip/model.py`).

use crate::block::{self, Block, CLIP_EPSILON, Numbers};
use crate::error::Error;
use crate::interpolation::Resampling;
use crate::operations::{After, Operations, Orientation, Windows};
use crate::vision::VisionFeatures;
use vcp_checkpoint::Weights;

/// The vision transformer with taps.
pub struct VisionTransformer<O: Operations> {
    image_size: usize,
    patch_size: usize,
    taps: Vec<usize>,
    patch_embedding: O::Linear,
    /// [1, 1, width]: the class embedding with its position already added.
    class_row: O::Tensor,
    /// [1, patches, width].
    positions: O::Tensor,
    norm_before: O::Norm,
    blocks: Vec<Block<O>>,
    norm_after: O::Norm,
    projection: O::Linear,
}

impl<O: Operations> VisionTransformer<O> {
    /// Prepares the tower's weights for the device.
    ///
    /// # Errors
    /// When a tensor cannot be read, or the device fails.
    pub fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let (geometry, settings) = (weights.geometry(), weights.settings());
        let width = geometry.vision.width;
        let grid = geometry.grid(settings.image_size);
        let (class_position, positions) = positions(ops, weights, grid)?;
        let class_embedding = weights.tensor("clip.visual.class_embedding")?;
        let class_embedding = ops.parameter(&class_embedding, [1, 1, width])?;
        Ok(Self {
            image_size: settings.image_size,
            patch_size: geometry.patch_size,
            taps: settings.taps.clone(),
            patch_embedding: ops.linear_layer(
                &weights.tensor("clip.visual.conv1.weight")?,
                None,
                Orientation::OutputsInputs,
            )?,
            class_row: ops.add(&class_embedding, &class_position),
            positions,
            norm_before: block::norm(ops, weights, "clip.visual.ln_pre", CLIP_EPSILON)?,
            blocks: (0..geometry.vision.layers)
                .map(|i| {
                    let prefix = format!("clip.visual.transformer.resblocks.{i}");
                    Block::load(
                        ops,
                        weights,
                        &prefix,
                        geometry.vision.heads,
                        Numbers::Narrow,
                    )
                })
                .collect::<Result<_, _>>()?,
            norm_after: block::norm(ops, weights, "clip.visual.ln_post", CLIP_EPSILON)?,
            projection: block::projection(ops, weights, "clip.visual.proj")?,
        })
    }

    /// Images [batch, 3, side·side], normalised.
    pub fn forward(&self, ops: &O, images: &O::Tensor) -> VisionFeatures<O::Tensor> {
        let squares = Windows::patches(self.patch_size);
        let patches = ops.patches(images, self.image_size, squares);
        let embedded = ops.linear(&patches, &self.patch_embedding, After::Nothing);
        let embedded = ops.add(&embedded, &self.positions);
        let rows = ops.concatenate_rows(&[&self.class_row, &embedded]);
        let mut x = ops.layer_norm(&rows, &self.norm_before);
        drop((patches, embedded, rows));
        let mut taps = Vec::with_capacity(self.taps.len());
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(ops, &x);
            if self.taps.contains(&(index + 1)) {
                taps.push(x.clone());
            }
        }
        let class_row = ops.layer_norm(&ops.slice_rows(&x, 0, 1), &self.norm_after);
        let image_feature = ops.linear(&class_row, &self.projection, After::Nothing);
        VisionFeatures {
            image_feature,
            taps,
        }
    }
}

/// Position of the class row, [1, 1, width], and of the patches, [1, grid², width].
fn positions<O: Operations>(
    ops: &O,
    weights: &Weights,
    grid: usize,
) -> Result<(O::Tensor, O::Tensor), Error> {
    let width = weights.geometry().vision.width;
    let native = weights.geometry().native_grid;
    let table = weights.tensor("clip.visual.positional_embedding")?;
    // Used as it is, the table is a parameter like any other, and learns with them.
    if grid == native {
        let table = ops.parameter(&table, [1, 1 + grid * grid, width])?;
        return Ok((
            ops.slice_rows(&table, 0, 1),
            ops.slice_rows(&table, 1, grid * grid),
        ));
    }
    let table = table.to_f32();
    let (class_position, square) = table.split_at(width);
    let resampled = Resampling::cubic_antialiased(native, grid).apply_to_square(square, width);
    Ok((
        ops.constant([1, 1, width], class_position)?,
        ops.constant([1, grid * grid, width], &resampled)?,
    ))
}
