//! The vision tower, of either kind.

use crate::convolutional::ConvolutionalTower;
use crate::error::Error;
use crate::operations::Operations;
use crate::transformer::VisionTransformer;
use vcp_checkpoint::{CONVOLUTIONAL_STRIDE, Weights};

/// A vision tower: taps of one width on one grid, and an image feature.
pub enum VisionTower<O: Operations> {
    /// CLIP's.
    Transformer(VisionTransformer<O>),
    /// A pretrained convolutional backbone and a neck.
    Convolutional(ConvolutionalTower<O>),
}

/// What the vision tower gives for a batch of images.
pub struct VisionFeatures<T> {
    /// The projected class row, not normalised: [batch, 1, embedding width].
    pub image_feature: T,
    /// The raw output of every tapped block, class row first: [batch, 1 + patches, width]. A convolutional tower
    /// has the mean of all patches in the class row's place.
    pub taps: Vec<T>,
}

/// Channels of the features that [`VisionTower::forward_with_patches`] gives of a model's patches.
#[must_use]
pub fn patch_channels(weights: &Weights) -> Vec<usize> {
    let geometry = weights.geometry();
    match geometry.backbone {
        Some(backbone) => {
            let levels = backbone.levels().into_iter();
            let levels = levels.filter(|level| level.stride >= CONVOLUTIONAL_STRIDE);
            levels.map(|level| level.channels).collect()
        }
        None => vec![geometry.vision.width; weights.settings().taps.len()],
    }
}

impl<O: Operations> VisionTower<O> {
    /// Prepares the tower's weights for the device.
    ///
    /// # Errors
    /// When a tensor cannot be read, or the device fails.
    pub fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        Ok(match weights.geometry().backbone {
            None => Self::Transformer(VisionTransformer::load(ops, weights)?),
            Some(_) => Self::Convolutional(ConvolutionalTower::load(ops, weights)?),
        })
    }

    /// Images [batch, 3, side·side], normalised as CLIP's are.
    pub fn forward(&self, ops: &O, images: &O::Tensor) -> VisionFeatures<O::Tensor> {
        match self {
            Self::Transformer(tower) => tower.forward(ops, images),
            Self::Convolutional(tower) => tower.forward(ops, images),
        }
    }

    /// As [`VisionTower::forward`], and the features by which patches of different images are compared, each
    /// [batch, patches, channels]: a transformer's taps without their class row, and the levels of a convolutional
    /// tower's backbone on the grid, which has seen far more kinds of things than the neck behind it, but for levels
    /// finer than the grid, of which a patch is no part but a mixture. [`patch_channels`] says how wide they are.
    pub fn forward_with_patches(
        &self,
        ops: &O,
        images: &O::Tensor,
    ) -> (VisionFeatures<O::Tensor>, Vec<O::Tensor>) {
        match self {
            Self::Transformer(tower) => {
                let features = tower.forward(ops, images);
                let taps = features.taps.iter();
                let patches = taps.map(|tap| ops.slice_rows(tap, 1, ops.rows(tap) - 1));
                let patches = patches.collect();
                (features, patches)
            }
            Self::Convolutional(tower) => tower.forward_with_levels(ops, images),
        }
    }
}
