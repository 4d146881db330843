//! The whole model.

use crate::branches::{BaselineBranch, PostContextBranch};
use crate::context::VisualContext;
use crate::error::Error;
use crate::interpolation::Resampling;
use crate::operations::Operations;
use crate::text::{ChangePrompts, TextTower};
use crate::text_inputs::TextInputs;
use crate::vision::{VisionFeatures, VisionTower};
use vcp_checkpoint::Weights;

/// VCP-CLIP: images in, logits on the patch grid out.
pub struct Model<O: Operations> {
    /// CLIP's vision transformer.
    pub vision: VisionTower<O>,
    /// All that comes after it.
    pub decoder: Decoder<O>,
}

/// All that comes after the vision tower: all that the official training changes, and CLIP's text tower.
pub struct Decoder<O: Operations> {
    /// Pre-VCP.
    pub context: VisualContext<O>,
    /// CLIP's text transformer with the deep prompts.
    pub text: TextTower<O>,
    /// Branch 1.
    pub baseline: BaselineBranch<O>,
    /// Branch 2.
    pub post_context: PostContextBranch<O>,
    /// From its logits to maps.
    pub maps: MapMaker,
}

/// From logits on the patch grid to maps. It holds nothing of a device: one device's logits can become
/// maps on another.
#[derive(Clone, Debug, PartialEq)]
pub struct MapMaker {
    to_pixels: Resampling,
}

/// Differences of logits (anomalous minus normal) on the patch grid, [batch, g, g] for every
/// tap: all that has to be kept of an image, since the maps follow from it.
pub struct GridLogits<T> {
    /// Branch 1, a tensor for each tap.
    pub branch1: Vec<T>,
    /// Branch 2, a tensor for each tap.
    pub branch2: Vec<T>,
}

impl<O: Operations> Model<O> {
    /// Prepares all weights for the device and runs the part of the text that does not
    /// depend on an image.
    ///
    /// # Errors
    /// A template that cannot be used, a tensor that cannot be read, or a device that fails.
    pub fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        Ok(Self {
            vision: VisionTower::load(ops, weights)?,
            decoder: Decoder::load(ops, weights)?,
        })
    }

    /// Normalised images [batch, 3, side·side] → logits on the grid.
    pub fn forward(&self, ops: &O, images: &O::Tensor) -> GridLogits<O::Tensor> {
        self.decoder.forward(ops, &self.vision.forward(ops, images))
    }
}

impl<O: Operations> Decoder<O> {
    /// As [`Model::load`], without the vision tower.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let inputs = TextInputs::new(ops, weights)?;
        Self::load_with(ops, weights, inputs, &mut |prompts, _| Ok(prompts.clone()))
    }

    /// As [`Decoder::load`], with inputs of the text tower that have been made of these weights before,
    /// and with deep prompts changed on their way into it. Prompts that differ from image to image make a
    /// decoder for as many images.
    ///
    /// # Errors
    /// As [`Model::load`], and what `change_prompts` gives.
    pub fn load_with(
        ops: &O,
        weights: &Weights,
        inputs: TextInputs<O::Tensor>,
        change_prompts: &mut ChangePrompts<'_, O::Tensor>,
    ) -> Result<Self, Error> {
        let side = weights.settings().image_size;
        Ok(Self {
            context: VisualContext::load(ops, weights)?,
            text: TextTower::load(ops, weights, inputs, change_prompts)?,
            baseline: BaselineBranch::load(ops, weights)?,
            post_context: PostContextBranch::load(ops, weights)?,
            maps: MapMaker::new(weights.geometry().grid(side), side),
        })
    }

    /// Patches along one side of the image.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.maps.grid()
    }

    /// What the vision tower saw → logits on the grid.
    pub fn forward(&self, ops: &O, features: &VisionFeatures<O::Tensor>) -> GridLogits<O::Tensor> {
        let grid = self.grid();
        let context = self.context.forward(ops, &features.image_feature);
        let text = self.text.forward(ops, &context);
        let patches: Vec<_> = features
            .taps
            .iter()
            .map(|tap| ops.slice_rows(tap, 1, grid * grid))
            .collect();
        let square = |logits: &O::Tensor| ops.reshape(logits, grid, grid);
        let branch1 = self.baseline.forward(ops, &patches, &text);
        let branch2 = self.post_context.forward(ops, &patches, &text);
        GridLogits {
            branch1: branch1.iter().map(square).collect(),
            branch2: branch2.iter().map(|(_, logits)| square(logits)).collect(),
        }
    }
}

impl MapMaker {
    /// From `grid` patches a side to `side` pixels.
    #[must_use]
    pub fn new(grid: usize, side: usize) -> Self {
        Self {
            to_pixels: Resampling::linear_aligned(grid, side),
        }
    }

    /// Patches along one side of the image.
    #[must_use]
    pub fn grid(&self) -> usize {
        self.to_pixels.from()
    }

    /// From the grid to pixels, by bilinear interpolation: [batch, g, g] → [batch, side, side].
    pub fn to_pixels<O: Operations>(&self, ops: &O, grid: &O::Tensor) -> O::Tensor {
        ops.resize(grid, &self.to_pixels)
    }

    /// One tap's probability map: logits [batch, g, g] → [batch, side, side].
    pub fn probability<O: Operations>(&self, ops: &O, logits: &O::Tensor) -> O::Tensor {
        ops.sigmoid(&self.to_pixels(ops, logits))
    }

    /// A branch's map, the mean over its taps: [batch, side, side].
    pub fn map<O: Operations>(&self, ops: &O, branch: &[O::Tensor]) -> O::Tensor {
        let maps: Vec<_> = branch
            .iter()
            .map(|logits| self.probability(ops, logits))
            .collect();
        ops.mean(&maps)
    }
}
