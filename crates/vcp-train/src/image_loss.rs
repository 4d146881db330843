//! A loss on the image score, which the official training has not.

use vcp_burn::{Burn, Tensor};
use vcp_model::{GridLogits, Operations as _};
use vcp_predict::pixels_for_score;

/// Keeps scores off 0 and 1.
const SMOOTHING: f32 = 1e-5;

/// Binary cross-entropy of image scores. A score is what the predictor's is, on the patch grid: the mean
/// of the largest probabilities of a branch (mean of its taps), of as many patches as the predictor
/// takes pixels, averaged over both branches. `side` is the image's; `truth` is [batch, side, side].
pub(crate) fn image_loss(
    burn: &Burn,
    logits: &GridLogits<Tensor<3>>,
    truth: &[f32],
    side: usize,
) -> Tensor<1> {
    let score = |taps: &[Tensor<3>]| {
        let probabilities: Vec<_> = taps.iter().map(|tap| burn.sigmoid(tap)).collect();
        let map = burn.mean(&probabilities);
        let [batch, grid, _] = map.dims();
        let patch = side / grid.max(1);
        let count = pixels_for_score(side).div_ceil((patch * patch).max(1));
        let chosen = largest(&burn.values(&map), batch, count);
        let chosen = burn.constant([batch, grid, grid], &chosen);
        // [batch, 1, 1]
        (map * chosen).sum_dim(2).sum_dim(1)
    };
    let score = (score(&logits.branch1) + score(&logits.branch2)) * 0.5;
    let score = score.clamp(SMOOTHING, 1.0 - SMOOTHING);
    let batch = score.dims()[0];
    let labels: Vec<f32> = truth
        .chunks_exact((side * side).max(1))
        .map(|truth| f32::from(u8::from(truth.iter().any(|&value| value > 0.0))))
        .collect();
    let label = burn.constant([batch, 1, 1], &labels);
    let normal = -label.clone() + 1.0;
    let of_true = label * score.clone().log() + normal * (-score + 1.0).log();
    -of_true.mean()
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
    use vcp_burn::Device;

    #[test]
    fn the_largest_are_chosen() {
        let maps = [0.1, 0.9, 0.5, 0.9, 3.0, 2.0, 1.0, 0.0];
        let expected = [0.0, 0.5, 0.0, 0.5, 0.5, 0.5, 0.0, 0.0];
        assert_eq!(largest(&maps, 2, 2), expected);
        assert_eq!(largest(&maps[..4], 1, 9), [0.25; 4]);
    }

    #[test]
    fn it_is_the_cross_entropy_of_the_mean_of_the_largest() {
        let burn = Burn::new(Device::flex());
        // Grid of 2, side of 4: as few pixels as count for a score are one patch.
        assert!(pixels_for_score(4) <= 4);
        let tap = |values: &[f32]| burn.constant([2, 2, 2], values);
        let logits = GridLogits {
            branch1: vec![tap(&[0.0, 2.0, 0.0, 0.0, -1.0, -1.0, -1.0, -2.0])],
            branch2: vec![tap(&[1.0, 0.0, 0.0, 0.0, -3.0, -3.0, -2.0, -3.0])],
        };
        let mut truth = [0.0; 32];
        truth[5] = 1.0;
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let scores = [
            0.5 * (sigmoid(2.0) + sigmoid(1.0)),
            0.5 * (sigmoid(-1.0) + sigmoid(-2.0)),
        ];
        let expected = -0.5 * (scores[0].ln() + (1.0 - scores[1]).ln());
        let loss = image_loss(&burn, &logits, &truth, 4);
        let loss = burn.values(&loss.reshape([1, 1, 1]))[0];
        assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
    }
}
