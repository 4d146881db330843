//! What training makes smaller (the official `utils/loss.py`: `FocalLoss`, `BinaryDiceLoss`).

use burn_tensor::{Tensor, activation};
use vcp_model::{Decoder, GridLogits};

use crate::Burn;
use crate::fused::{self, Dice, Focal};

/// Keeps the one-hot target off 0 and 1, and the logarithm off 0.
const SMOOTHING: f32 = 1e-5;

/// Weights of the parts of a loss.
#[derive(Clone, Copy, Debug, PartialEq)]
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
}

impl Default for LossWeights {
    /// The weights of the official training.
    fn default() -> Self {
        Self {
            focal: 1.0,
            dice: 1.0,
            grid: 0.0,
            defect: 4.0,
        }
    }
}

/// A loss and what each branch has in it. Each a tensor of one value.
pub struct Losses {
    /// The loss: the sum over all taps of both branches.
    pub total: Tensor<1>,
    /// What the taps of branch 1 add to the loss.
    pub branch1: Tensor<1>,
    /// What the taps of branch 2 add to the loss.
    pub branch2: Tensor<1>,
}

/// The loss over all taps of both branches. `truth` is 1 where there is a defect, 0 elsewhere:
/// [batch, side, side].
pub fn losses(
    burn: &Burn,
    decoder: &Decoder<Burn>,
    logits: &GridLogits<Tensor<3>>,
    truth: &Tensor<3>,
    weights: LossWeights,
) -> Losses {
    let share = share_of_patches(truth, decoder.grid());
    let branch = |taps: &[Tensor<3>]| {
        let parts = taps.iter().flat_map(|logits| {
            let mut parts = Vec::with_capacity(3);
            if weights.focal != 0.0 || weights.dice != 0.0 {
                let probability = decoder.probability(burn, logits);
                if weights.focal != 0.0 {
                    parts.push(focal(&probability, truth) * weights.focal);
                }
                if weights.dice != 0.0 {
                    parts.push(dice(&probability, truth) * weights.dice);
                }
            }
            if weights.grid != 0.0 {
                parts.push(grid_cross_entropy(logits, &share, weights.defect) * weights.grid);
            }
            parts
        });
        let zero = || Tensor::zeros([1], burn.device());
        parts.reduce(|sum, part| sum + part).unwrap_or_else(zero)
    };
    let (branch1, branch2) = (branch(&logits.branch1), branch(&logits.branch2));
    Losses {
        total: branch1.clone() + branch2.clone(),
        branch1,
        branch2,
    }
}

/// Focal loss of probabilities of a defect with γ = 2: the mean of −(1 − pₜ)²·ln pₜ, where pₜ is the
/// probability of what is true.
#[must_use]
pub fn focal(probability: &Tensor<3>, truth: &Tensor<3>) -> Tensor<1> {
    let smoothing = SMOOTHING;
    let inputs = [fused::input(probability), fused::input(truth)];
    fused::apply(&Focal { smoothing }, inputs).unwrap_or_else(|| plain_focal(probability, truth))
}

/// As [`focal`], on any device.
pub(crate) fn plain_focal(probability: &Tensor<3>, truth: &Tensor<3>) -> Tensor<1> {
    let defect = truth.clone().clamp(SMOOTHING, 1.0 - SMOOTHING);
    let normal = (-truth.clone() + 1.0).clamp(SMOOTHING, 1.0 - SMOOTHING);
    let of_true = probability.clone() * defect + (-probability.clone() + 1.0) * normal + SMOOTHING;
    let missing = -of_true.clone() + 1.0;
    -(missing.square() * of_true.log()).mean()
}

/// Dice loss of probabilities of a defect: 1 minus the mean over the batch of
/// (2·Σpg + 1) / (Σp + Σg + 1).
#[must_use]
pub fn dice(probability: &Tensor<3>, truth: &Tensor<3>) -> Tensor<1> {
    let inputs = [fused::input(probability), fused::input(truth)];
    fused::apply(&Dice, inputs).unwrap_or_else(|| plain_dice(probability, truth))
}

/// As [`dice`], on any device.
pub(crate) fn plain_dice(probability: &Tensor<3>, truth: &Tensor<3>) -> Tensor<1> {
    let [batch, rows, columns] = truth.dims();
    let sum = |x: Tensor<3>| x.reshape([batch, rows * columns]).sum_dim(1);
    let both = sum(probability.clone() * truth.clone());
    let each = sum(probability.clone()) + sum(truth.clone());
    -((both * 2.0 + 1.0) / (each + 1.0)).mean() + 1.0
}

/// Cross-entropy of logits on the patch grid against the share of each patch that is defective, in
/// which a defect counts `defect` times.
#[must_use]
pub fn grid_cross_entropy(logits: &Tensor<3>, share: &Tensor<3>, defect: f32) -> Tensor<1> {
    // ln σ(x) and ln (1 − σ(x)), without overflow.
    let is = activation::log_sigmoid(logits.clone());
    let is_not = activation::log_sigmoid(-logits.clone());
    let normal = -share.clone() + 1.0;
    -(share.clone() * defect * is + normal * is_not).mean()
}

/// [batch, side, side] → the mean of every patch, [batch, grid, grid]. Pixels beyond the last patch
/// belong to none, as in the convolution that cuts the patches.
fn share_of_patches(truth: &Tensor<3>, grid: usize) -> Tensor<3> {
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
