//! The vision tower, of either kind.

use crate::convolutional::ConvolutionalTower;
use crate::error::Error;
use crate::operations::Operations;
use crate::transformer::VisionTransformer;
use vcp_checkpoint::Weights;

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
}
