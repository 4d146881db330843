//! The shares of the branches in the map, which the official code sets by hand.

use rayon::prelude::*;

use crate::LossWeights;

/// Shares of branch 1 that are tried: 0, 0.05, … 1.
const CANDIDATES: usize = 21;
/// Keeps logarithms off 0, as in the focal loss.
const SMOOTHING: f64 = 1e-5;

/// What each share of branch 1 would have cost, summed over the images of an epoch: the focal and dice
/// loss, weighted as in training, of the map that blends both branches. Nothing else of a training
/// depends on it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BlendSearch {
    sums: [f64; CANDIDATES],
}

fn candidate(index: usize) -> f64 {
    index as f64 / (CANDIDATES - 1) as f64
}

impl BlendSearch {
    pub(crate) fn new() -> Self {
        Self {
            sums: [0.0; CANDIDATES],
        }
    }

    /// What [`BlendSearch::sums`] gave. Nothing if it is not that.
    pub(crate) fn from_sums(sums: &[f64]) -> Option<Self> {
        let sums = sums.try_into().ok()?;
        Some(Self { sums })
    }

    pub(crate) fn sums(&self) -> &[f64] {
        &self.sums
    }

    /// Takes maps of probabilities of some images and the truth of them into account; all are
    /// [images, pixels].
    pub(crate) fn add(
        &mut self,
        [branch1, branch2]: [&[f32]; 2],
        truth: &[f32],
        pixels: usize,
        weights: LossWeights,
    ) {
        let (focal, dice) = (f64::from(weights.focal), f64::from(weights.dice));
        let pixels = pixels.max(1);
        let images: Vec<[f64; CANDIDATES]> = branch1
            .par_chunks_exact(pixels)
            .zip(branch2.par_chunks_exact(pixels))
            .zip(truth.par_chunks_exact(pixels))
            .map(|((branch1, branch2), truth)| {
                std::array::from_fn(|index| {
                    let [of_focal, of_dice] = losses(candidate(index), branch1, branch2, truth);
                    focal * of_focal + dice * of_dice
                })
            })
            .collect();
        // In order, so that sums are the same however many threads there are.
        for of_image in images {
            for (sum, loss) in self.sums.iter_mut().zip(of_image) {
                *sum += loss;
            }
        }
    }

    /// The shares of branch 1 and branch 2 that would have cost least; none before the first image.
    pub(crate) fn best(&self) -> Option<[f32; 2]> {
        let least = (0..CANDIDATES)
            .filter(|&index| self.sums[index] > 0.0)
            .min_by(|&a, &b| self.sums[a].total_cmp(&self.sums[b]))?;
        Some([candidate(least) as f32, (1.0 - candidate(least)) as f32])
    }
}

/// Focal and dice loss of one image's map with so large a share of branch 1.
fn losses(share: f64, branch1: &[f32], branch2: &[f32], truth: &[f32]) -> [f64; 2] {
    let (mut focal, mut both, mut sum) = (0.0, 0.0, 0.0);
    for ((&first, &second), &truth) in branch1.iter().zip(branch2).zip(truth) {
        let probability = share * f64::from(first) + (1.0 - share) * f64::from(second);
        let truth = f64::from(truth);
        let of_true = probability * truth + (1.0 - probability) * (1.0 - truth) + SMOOTHING;
        focal -= (1.0 - of_true).powi(2) * of_true.ln();
        both += probability * truth;
        sum += probability + truth;
    }
    let dice = 1.0 - (2.0 * both + 1.0) / (sum + 1.0);
    [focal / branch1.len() as f64, dice]
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcp_burn::{Burn, Device, losses as burn_losses};
    use vcp_model::Operations as _;

    const OFFICIAL: LossWeights = LossWeights {
        focal: 1.0,
        dice: 1.0,
        grid: 0.0,
        defect: 4.0,
        image: 0.0,
    };

    /// Truth on every fifth pixel; branch 1 knows it, branch 2 says nothing.
    fn maps() -> [Vec<f32>; 3] {
        let truth: Vec<f32> = (0..128_u8)
            .map(|at| f32::from(u8::from(at % 5 == 0)))
            .collect();
        let knowing = truth.iter().map(|truth| 0.1 + 0.8 * truth).collect();
        [knowing, vec![0.5; 128], truth]
    }

    #[test]
    fn the_branch_that_knows_gets_all() {
        let [knowing, ignorant, truth] = maps();
        let mut search = BlendSearch::new();
        assert_eq!(search.best(), None);
        search.add([&knowing, &ignorant], &truth, 64, OFFICIAL);
        assert_eq!(search.best(), Some([1.0, 0.0]));
        let mut search = BlendSearch::new();
        search.add([&ignorant, &knowing], &truth, 64, OFFICIAL);
        assert_eq!(search.best(), Some([0.0, 1.0]));
        assert_eq!(BlendSearch::from_sums(search.sums()), Some(search));
        assert_eq!(BlendSearch::from_sums(&[0.0; 3]), None);
    }

    /// Branch 1 is right on one half, branch 2 on the other, and each is far off on what is the other's.
    #[test]
    fn branches_that_know_different_things_share() {
        let truth = vec![1.0; 64];
        let half = |first: f32, second: f32| [vec![first; 32], vec![second; 32]].concat();
        let mut search = BlendSearch::new();
        search.add([&half(0.9, 0.1), &half(0.1, 0.9)], &truth, 64, OFFICIAL);
        assert_eq!(search.best(), Some([0.5, 0.5]));
    }

    #[test]
    fn losses_are_those_of_training() {
        let burn = Burn::new(Device::flex());
        let [knowing, ignorant, truth] = maps();
        for share in [0.0, 0.3, 1.0] {
            let blend = knowing.iter().zip(&ignorant);
            let blend: Vec<f32> = blend
                .map(|(first, second)| share * first + (1.0 - share) * second)
                .collect();
            let tensor = |values: &[f32]| burn.constant([1, 8, 16], values).unwrap();
            let (map, truth_of_map) = (tensor(&blend), tensor(&truth));
            let expected = [
                burn_losses::focal(&map, &truth_of_map),
                burn_losses::dice(&map, &truth_of_map),
            ];
            let found = losses(f64::from(share), &knowing, &ignorant, &truth);
            for (found, expected) in found.into_iter().zip(expected) {
                let expected = f64::from(expected.unwrap().value().unwrap());
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }
}
