//! What training makes smaller (the official `utils/loss.py`: `FocalLoss`, `BinaryDiceLoss`).

use burn_tensor::{Tensor as Held, activation};
use serde::{Deserialize, Serialize};
use vcp_model::{DeviceError, GridLogits, MapMaker, Operations as _};

use crate::fused::{self, Dice, Focal};
use crate::tensor::{guarded, read};
use crate::{Burn, Tensor};

/// Keeps the one-hot target off 0 and 1, the logarithm off 0, and scores off 0 and 1.
const SMOOTHING: f32 = 1e-5;

/// Weights of the parts of a loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossWeights {
    /// Weight of the focal loss on pixels.
    pub focal: f32,
    /// Weight of the dice loss on pixels.
    pub dice: f32,
    /// Weight of the cross-entropy on patches. The official training has none; without it a network with
    /// random weights does not begin to learn.
    pub grid: f32,
    /// How much more a defect counts than its absence in the cross-entropy on patches.
    pub defect: f32,
    /// Weight of the cross-entropy of image scores: the mean of the largest patches of both branches
    /// against whether the image shows a defect. The official training has none.
    #[serde(default)]
    pub image: f32,
}

impl Default for LossWeights {
    /// The weights of the official training.
    fn default() -> Self {
        Self {
            focal: 1.0,
            dice: 1.0,
            grid: 0.0,
            defect: 4.0,
            image: 0.0,
        }
    }
}

/// A loss: one number, of which there are [gradients](Burn::gradients).
#[derive(Clone, Debug)]
pub struct Loss(pub(crate) Held<1>);

impl Loss {
    /// The number.
    ///
    /// # Errors
    /// When the device fails.
    pub fn value(&self) -> Result<f32, DeviceError> {
        let values = read(self.0.clone())?;
        Ok(values.first().copied().unwrap_or(f32::NAN))
    }
}

/// A loss and what each branch has in it.
#[derive(Clone, Debug)]
pub struct Losses {
    /// All parts together: to be made smaller.
    pub total: Loss,
    /// Parts on pixels and patches, summed over the taps of branch 1.
    pub branch1: Loss,
    /// Parts on pixels and patches, summed over the taps of branch 2.
    pub branch2: Loss,
}

/// The loss over all taps of both branches. `truth` is 1 where there is a defect, 0 elsewhere:
/// [batch, side, side]. The image score that the loss on images is of is the mean of so many of the
/// largest pixels, `score_pixels`.
///
/// # Errors
/// When the device fails, or the logits have failed.
pub fn losses(
    burn: &Burn,
    maps: &MapMaker,
    logits: &GridLogits<Tensor>,
    truth: &Tensor,
    weights: LossWeights,
    score_pixels: usize,
) -> Result<Losses, DeviceError> {
    let truth = truth.held()?;
    let share = guarded(|| fraction_of_patches(truth, maps.grid()))?;
    let branch = |taps: &[Tensor]| -> Result<Held<1>, DeviceError> {
        let mut sum: Option<Held<1>> = None;
        let mut add = |part: &dyn Fn() -> Held<1>| {
            let more = guarded(|| match sum.take() {
                Some(sum) => sum + part(),
                None => part(),
            });
            more.map(|more| sum = Some(more))
        };
        for logits in taps {
            if weights.focal != 0.0 || weights.dice != 0.0 {
                let probability = maps.probability(burn, logits);
                let probability = probability.held()?;
                if weights.focal != 0.0 {
                    add(&|| held_focal(probability, truth) * weights.focal)?;
                }
                if weights.dice != 0.0 {
                    add(&|| held_dice(probability, truth) * weights.dice)?;
                }
            }
            if weights.grid != 0.0 {
                let logits = logits.held()?;
                add(&|| grid_cross_entropy(logits, &share, weights.defect) * weights.grid)?;
            }
        }
        sum.map_or_else(|| guarded(|| Held::zeros([1], burn.device())), Ok)
    };
    let (branch1, branch2) = (branch(&logits.branch1)?, branch(&logits.branch2)?);
    let mut total = guarded(|| branch1.clone() + branch2.clone())?;
    if weights.image > 0.0 {
        let of_images = image_cross_entropy(burn, logits, truth, score_pixels)?;
        total = guarded(|| total + of_images * weights.image)?;
    }
    Ok(Losses {
        total: Loss(total),
        branch1: Loss(branch1),
        branch2: Loss(branch2),
    })
}

/// Focal loss of probabilities of a defect with γ = 2: the mean of −(1 − pₜ)²·ln pₜ, where pₜ is the
/// probability of what is true.
///
/// # Errors
/// When the device fails.
pub fn focal(probability: &Tensor, truth: &Tensor) -> Result<Loss, DeviceError> {
    let (probability, truth) = (probability.held()?, truth.held()?);
    guarded(|| Loss(held_focal(probability, truth)))
}

/// Dice loss of probabilities of a defect: 1 minus the mean over the batch of
/// (2·Σpg + 1) / (Σp + Σg + 1).
///
/// # Errors
/// When the device fails.
pub fn dice(probability: &Tensor, truth: &Tensor) -> Result<Loss, DeviceError> {
    let (probability, truth) = (probability.held()?, truth.held()?);
    guarded(|| Loss(held_dice(probability, truth)))
}

pub(crate) fn held_focal(probability: &Held<3>, truth: &Held<3>) -> Held<1> {
    let smoothing = SMOOTHING;
    let inputs = [fused::input(probability), fused::input(truth)];
    fused::apply(&Focal { smoothing }, inputs).unwrap_or_else(|| plain_focal(probability, truth))
}

/// As [`held_focal`], on any device.
pub(crate) fn plain_focal(probability: &Held<3>, truth: &Held<3>) -> Held<1> {
    let defect = truth.clone().clamp(SMOOTHING, 1.0 - SMOOTHING);
    let normal = (-truth.clone() + 1.0).clamp(SMOOTHING, 1.0 - SMOOTHING);
    let of_true = probability.clone() * defect + (-probability.clone() + 1.0) * normal + SMOOTHING;
    let missing = -of_true.clone() + 1.0;
    -(missing.square() * of_true.log()).mean()
}

pub(crate) fn held_dice(probability: &Held<3>, truth: &Held<3>) -> Held<1> {
    let inputs = [fused::input(probability), fused::input(truth)];
    fused::apply(&Dice, inputs).unwrap_or_else(|| plain_dice(probability, truth))
}

/// As [`held_dice`], on any device.
pub(crate) fn plain_dice(probability: &Held<3>, truth: &Held<3>) -> Held<1> {
    let [batch, rows, columns] = truth.dims();
    let sum = |x: Held<3>| x.reshape([batch, rows * columns]).sum_dim(1);
    let both = sum(probability.clone() * truth.clone());
    let each = sum(probability.clone()) + sum(truth.clone());
    -((both * 2.0 + 1.0) / (each + 1.0)).mean() + 1.0
}

/// Cross-entropy of logits on the patch grid against the share of each patch that is defective, in
/// which a defect counts `defect` times.
fn grid_cross_entropy(logits: &Held<3>, share: &Held<3>, defect: f32) -> Held<1> {
    // ln σ(x) and ln (1 − σ(x)), without overflow.
    let is = activation::log_sigmoid(logits.clone());
    let is_not = activation::log_sigmoid(-logits.clone());
    let normal = -share.clone() + 1.0;
    -(share.clone() * defect * is + normal * is_not).mean()
}

/// [batch, side, side] → the mean of every patch, [batch, grid, grid]. Pixels beyond the last patch
/// belong to none, as in the convolution that cuts the patches.
fn fraction_of_patches(truth: &Held<3>, grid: usize) -> Held<3> {
    let [batch, side, _] = truth.dims();
    let patch = side / grid;
    let covered = grid * patch;
    truth
        .clone()
        .slice([0..batch, 0..covered, 0..covered])
        .reshape([batch, grid, patch, grid, patch])
        .mean_dim(4)
        .mean_dim(2)
        .reshape([batch, grid, grid])
}

/// Binary cross-entropy of image scores. A score is what the predictor's is, on the patch grid: the mean
/// of the largest probabilities of a branch (mean of its taps), of as many patches as there are
/// `score_pixels`, averaged over both branches. `truth` is [batch, side, side].
fn image_cross_entropy(
    burn: &Burn,
    logits: &GridLogits<Tensor>,
    truth: &Held<3>,
    score_pixels: usize,
) -> Result<Held<1>, DeviceError> {
    let side = truth.dims()[1];
    let score = |taps: &[Tensor]| -> Result<Held<3>, DeviceError> {
        let probabilities: Vec<_> = taps.iter().map(|tap| burn.sigmoid(tap)).collect();
        let map = burn.mean(&probabilities);
        let [batch, grid, _] = burn.shape(&map);
        let patch = side / grid.max(1);
        let count = score_pixels.div_ceil((patch * patch).max(1));
        let chosen = largest(&burn.values(&map)?, batch, count);
        let chosen = burn.multiply(&map, &burn.constant([batch, grid, grid], &chosen)?);
        let chosen = chosen.held()?;
        // [batch, 1, 1]
        guarded(|| chosen.clone().sum_dim(2).sum_dim(1))
    };
    let (first, second) = (score(&logits.branch1)?, score(&logits.branch2)?);
    guarded(|| {
        let score = ((first + second) * 0.5).clamp(SMOOTHING, 1.0 - SMOOTHING);
        // 1 where an image shows a defect: [batch, 1, 1].
        let label = truth.clone().max_dim(2).max_dim(1);
        let normal = -label.clone() + 1.0;
        let of_true = label * score.clone().log() + normal * (-score + 1.0).log();
        -of_true.mean()
    })
}

/// For each map of a batch, 1 / `count` at its `count` largest values (the first of equal ones) and 0
/// elsewhere.
fn largest(maps: &[f32], batch: usize, count: usize) -> Vec<f32> {
    let size = (maps.len() / batch.max(1)).max(1);
    let count = count.clamp(1, size);
    let mut weights = vec![0.0; maps.len()];
    for (map, weights) in maps.chunks_exact(size).zip(weights.chunks_exact_mut(size)) {
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by(|&a, &b| map[b].total_cmp(&map[a]));
        for &at in &order[..count] {
            weights[at] = 1.0 / count as f32;
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    #[test]
    fn the_largest_are_chosen() {
        let maps = [0.1, 0.9, 0.5, 0.9, 3.0, 2.0, 1.0, 0.0];
        let expected = [0.0, 0.5, 0.0, 0.5, 0.5, 0.5, 0.0, 0.0];
        assert_eq!(largest(&maps, 2, 2), expected);
        assert_eq!(largest(&maps[..4], 1, 9), [0.25; 4]);
    }

    #[test]
    fn the_loss_on_images_is_the_cross_entropy_of_the_mean_of_the_largest() {
        let burn = Burn::new(Device::flex());
        let tap = |values: &[f32]| burn.constant([2, 2, 2], values).expect("on the CPU");
        let logits = GridLogits {
            branch1: vec![tap(&[0.0, 2.0, 0.0, 0.0, -1.0, -1.0, -1.0, -2.0])],
            branch2: vec![tap(&[1.0, 0.0, 0.0, 0.0, -3.0, -3.0, -2.0, -3.0])],
        };
        let mut truth = [0.0; 32];
        truth[5] = 1.0;
        let truth = burn.constant([2, 4, 4], &truth).expect("on the CPU");
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let scores = [
            0.5 * (sigmoid(2.0) + sigmoid(1.0)),
            0.5 * (sigmoid(-1.0) + sigmoid(-2.0)),
        ];
        let expected = -0.5 * (scores[0].ln() + (1.0 - scores[1]).ln());
        let weights = LossWeights {
            focal: 0.0,
            dice: 0.0,
            image: 2.0,
            ..LossWeights::default()
        };
        // Grid of 2, side of 4: so few pixels are one patch.
        let losses = losses(&burn, &MapMaker::new(2, 4), &logits, &truth, weights, 3);
        let loss = losses
            .and_then(|losses| losses.total.value())
            .expect("on the CPU");
        assert!((loss - 2.0 * expected).abs() < 1e-6, "{loss} {expected}");
    }
}
