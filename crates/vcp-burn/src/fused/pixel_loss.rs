//! Losses on pixels. Inputs: probability and truth, [batch, side, side] each; no gradient is given for
//! the truth.

use burn_flex::FlexTensor;
use rayon::prelude::*;
use vcp_simd::{Supported, kernel};

use super::math::{ln, sum};
use super::{Fused, PIECE, dimensions, like, tensor, values};

/// The focal loss with γ = 2, [1].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Focal {
    /// Keeps the target off 0 and 1, and the logarithm off 0.
    pub(crate) smoothing: f32,
}

/// The dice loss, [1].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice;

/// Probability and truth.
type Kept = [FlexTensor; 2];

fn contiguous(inputs: &[FlexTensor]) -> Kept {
    [0, 1].map(|input: usize| inputs[input].to_contiguous())
}

impl Focal {
    /// What the probability of the truth changes by with the probability, and that itself.
    #[inline(always)]
    fn of_true(self, probability: f32, truth: f32) -> (f32, f32) {
        let clamp = |x: f32| {
            let x = if x < self.smoothing {
                self.smoothing
            } else {
                x
            };
            let most = 1.0 - self.smoothing;
            if x > most { most } else { x }
        };
        let (defect, normal) = (clamp(truth), clamp(1.0 - truth));
        let of_true = probability * defect + (1.0 - probability) * normal + self.smoothing;
        (defect - normal, of_true)
    }
}

kernel! {
    /// The sum of the losses.
    fn focal<S: Simd>(_simd: S, focal: Focal, probability: &[f32], truth: &[f32]) -> f32 {
        sum(probability.len().min(truth.len()), |i| {
            let (_, of_true) = focal.of_true(probability[i], truth[i]);
            let missing = 1.0 - of_true;
            -missing * missing * ln(of_true)
        })
    }
}

kernel! {
    fn focal_backward<S: Simd>(
        _simd: S,
        focal: Focal,
        factor: f32,
        probability: &[f32],
        truth: &[f32],
        to: &mut [f32],
    ) {
        for ((to, &probability), &truth) in to.iter_mut().zip(probability).zip(truth) {
            let (slope, of_true) = focal.of_true(probability, truth);
            let missing = 1.0 - of_true;
            let change = 2.0 * missing * ln(of_true) - missing * missing / of_true;
            *to = factor * slope * change;
        }
    }
}

impl Fused for Focal {
    type Kept = Kept;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<Kept>) {
        let inputs = contiguous(&inputs);
        let [probability, truth] = inputs.each_ref().map(values);
        let parts: Vec<f32> = probability
            .par_chunks(PIECE)
            .zip(truth.par_chunks(PIECE))
            .map(|(probability, truth)| focal(Supported::detect(), *self, probability, truth))
            .collect();
        let total: f64 = parts.into_iter().map(f64::from).sum();
        let mean = (total / probability.len() as f64) as f32;
        (tensor(vec![mean], [1]), keep.then_some(inputs))
    }

    fn backward(&self, kept: Kept, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let [probability, truth] = kept.each_ref().map(values);
        let factor = values(&gradient.to_contiguous())[0] / probability.len() as f32;
        let mut found = vec![0.0; probability.len()];
        probability
            .par_chunks(PIECE)
            .zip(truth.par_chunks(PIECE))
            .zip(found.par_chunks_mut(PIECE))
            .for_each(|((probability, truth), to)| {
                focal_backward(Supported::detect(), *self, factor, probability, truth, to);
            });
        vec![Some(like(&kept[0], found)), None]
    }
}

kernel! {
    /// The sums that the dice loss of one image is made of: Σpg and Σp + Σg.
    fn overlap<S: Simd>(_simd: S, probability: &[f32], truth: &[f32]) -> (f32, f32) {
        let length = probability.len().min(truth.len());
        let both = sum(length, |i| probability[i] * truth[i]);
        let each = sum(length, |i| probability[i]) + sum(length, |i| truth[i]);
        (both, each)
    }
}

kernel! {
    fn dice_backward<S: Simd>(
        _simd: S,
        of_defect: f32,
        of_all: f32,
        truth: &[f32],
        to: &mut [f32],
    ) {
        for (to, truth) in to.iter_mut().zip(truth) {
            *to = of_defect * truth - of_all;
        }
    }
}

impl Fused for Dice {
    type Kept = Kept;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<Kept>) {
        let inputs = contiguous(&inputs);
        let [batch, rows, columns] = dimensions(&inputs[0]);
        let [probability, truth] = inputs.each_ref().map(values);
        let shares: Vec<f32> = probability
            .par_chunks(rows * columns)
            .zip(truth.par_chunks(rows * columns))
            .map(|(probability, truth)| {
                let (both, each) = overlap(Supported::detect(), probability, truth);
                (2.0 * both + 1.0) / (each + 1.0)
            })
            .collect();
        let loss = 1.0 - shares.into_iter().sum::<f32>() / batch as f32;
        (tensor(vec![loss], [1]), keep.then_some(inputs))
    }

    fn backward(&self, kept: Kept, gradient: FlexTensor, _: &[bool]) -> Vec<Option<FlexTensor>> {
        let [batch, rows, columns] = dimensions(&kept[0]);
        let [probability, truth] = kept.each_ref().map(values);
        let factor = -values(&gradient.to_contiguous())[0] / batch as f32;
        let mut found = vec![0.0; probability.len()];
        probability
            .par_chunks(rows * columns)
            .zip(truth.par_chunks(rows * columns))
            .zip(found.par_chunks_mut(rows * columns))
            .for_each(|((probability, truth), to)| {
                let (both, each) = overlap(Supported::detect(), probability, truth);
                let of_defect = factor * 2.0 / (each + 1.0);
                let of_all = factor * (2.0 * both + 1.0) / ((each + 1.0) * (each + 1.0));
                dice_backward(Supported::detect(), of_defect, of_all, truth, to);
            });
        vec![Some(like(&kept[0], found)), None]
    }
}
