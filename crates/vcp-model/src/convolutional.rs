//! A vision tower of convolutions: a pretrained backbone and a neck.

use crate::backbone::{Backbone, Map};
use crate::block::{self, CLIP_EPSILON};
use crate::error::Error;
use crate::neck::Neck;
use crate::operations::{After, Operations};
use crate::vision::VisionFeatures;
use vcp_checkpoint::Weights;

/// Mean and standard deviation of CLIP's images, of RGB from 0 to 1: images come normalised by them.
const CLIP_NORMALISATION: [[f32; 3]; 2] = [
    [0.481_454_66, 0.457_827_5, 0.408_210_73],
    [0.268_629_54, 0.261_302_6, 0.275_777_1],
];

/// The convolutional vision tower.
pub struct ConvolutionalTower<O: Operations> {
    /// From CLIP's normalisation to the backbone's.
    pub normalisation: Renormalisation<O>,
    /// All of the backbone.
    pub backbone: Backbone<O>,
    /// From its features on.
    pub head: ConvolutionalHead<O>,
}

/// From the backbone's features to those of the tower: all of it that is trained when the backbone is not.
pub struct ConvolutionalHead<O: Operations> {
    neck: Neck<O>,
    /// [1, 1, grid²]: the mean over the grid.
    mean: O::Tensor,
    norm: O::Norm,
    projection: O::Linear,
}

/// Images as they come to the model → as the backbone was trained.
pub struct Renormalisation<O: Operations> {
    /// [1, 3, 1].
    factors: O::Tensor,
    /// [1, 3, 1].
    shifts: O::Tensor,
    image_size: usize,
}

impl<O: Operations> ConvolutionalTower<O> {
    /// Prepares the tower's weights for the device.
    ///
    /// # Errors
    /// When a tensor cannot be read, or the device fails.
    pub fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let blocks = weights.geometry().backbone.map_or(0, |it| it.blocks);
        Ok(Self {
            normalisation: Renormalisation::load(ops, weights)?,
            backbone: Backbone::load(ops, weights, 0..blocks)?,
            head: ConvolutionalHead::load(ops, weights)?,
        })
    }

    /// Images [batch, 3, side·side], normalised as CLIP's are.
    pub fn forward(&self, ops: &O, images: &O::Tensor) -> VisionFeatures<O::Tensor> {
        self.head.forward(ops, &self.levels(ops, images))
    }

    /// As [`ConvolutionalTower::forward`], and the levels of the backbone on the grid, but for finer ones: [batch, grid²,
    /// channels] each.
    pub fn forward_with_levels(
        &self,
        ops: &O,
        images: &O::Tensor,
    ) -> (VisionFeatures<O::Tensor>, Vec<O::Tensor>) {
        let levels = self.levels(ops, images);
        let on_grid = self.head.neck.levels_on_grid(ops, &levels);
        (self.head.forward(ops, &levels), on_grid)
    }

    /// The last features of each resolution.
    fn levels(&self, ops: &O, images: &O::Tensor) -> Vec<Map<O::Tensor>> {
        let images = self.normalisation.apply(ops, images);
        let stages = self.backbone.begin(ops, &images.values, images.width);
        drop(images);
        self.backbone.forward(ops, stages).levels
    }
}

impl<O: Operations> ConvolutionalHead<O> {
    /// Prepares the weights for the device.
    ///
    /// # Errors
    /// When a tensor cannot be read, or the device fails.
    pub fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let cells = weights
            .geometry()
            .grid(weights.settings().image_size)
            .pow(2);
        let mean = vec![1.0 / cells as f32; cells];
        Ok(Self {
            neck: Neck::load(ops, weights)?,
            mean: ops.constant([1, 1, cells], &mean)?,
            norm: block::norm(ops, weights, "clip.visual.ln_post", CLIP_EPSILON)?,
            projection: block::projection(ops, weights, "clip.visual.proj")?,
        })
    }

    /// The last features of each resolution → what the tower gives.
    pub fn forward(&self, ops: &O, levels: &[Map<O::Tensor>]) -> VisionFeatures<O::Tensor> {
        let (taps, last) = self.neck.forward(ops, levels);
        let mean = |x: &O::Tensor| ops.matmul(&self.mean, x);
        let normed = ops.layer_norm(&mean(&last), &self.norm);
        VisionFeatures {
            image_feature: ops.linear(&normed, &self.projection, After::Nothing),
            taps: taps
                .iter()
                .map(|tap| ops.concatenate_rows(&[&mean(tap), tap]))
                .collect(),
        }
    }
}

impl<O: Operations> Renormalisation<O> {
    /// Prepares it for the device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let architecture = weights.geometry().backbone.map(|it| it.architecture);
        let [mean, deviation] =
            architecture.map_or([0.0, 1.0], vcp_checkpoint::Architecture::normalisation);
        let [means, deviations] = CLIP_NORMALISATION;
        let factors = deviations.map(|own| own / deviation);
        let shifts = means.map(|own| (own - mean) / deviation);
        Ok(Self {
            factors: ops.constant([1, 3, 1], &factors)?,
            shifts: ops.constant([1, 3, 1], &shifts)?,
            image_size: weights.settings().image_size,
        })
    }

    /// Images [batch, 3, side·side].
    pub fn apply(&self, ops: &O, images: &O::Tensor) -> Map<O::Tensor> {
        let scaled = ops.multiply(images, &self.factors);
        Map {
            values: ops.add(&scaled, &self.shifts),
            width: self.image_size,
        }
    }
}
