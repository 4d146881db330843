//! The sigmoid.

use burn_flex::FlexTensor;
use rayon::prelude::*;
use vcp_simd::{Supported, kernel, math};

use super::{Fused, PIECE, like, values};

/// 1 / (1 + e⁻ˣ). Input: any shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sigmoid;

kernel! {
    fn forward<S: Simd>(_simd: S, x: &[f32], to: &mut [f32]) {
        for (to, &x) in to.iter_mut().zip(x) {
            *to = math::sigmoid(x);
        }
    }
}

kernel! {
    fn backward<S: Simd>(_simd: S, gradient: &[f32], result: &[f32], to: &mut [f32]) {
        for ((to, gradient), result) in to.iter_mut().zip(gradient).zip(result) {
            *to = gradient * result * (1.0 - result);
        }
    }
}

impl Fused for Sigmoid {
    /// The result.
    type Kept = FlexTensor;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<FlexTensor>) {
        let x = inputs[0].to_contiguous();
        let mut result = vec![0.0; values(&x).len()];
        values(&x)
            .par_chunks(PIECE)
            .zip(result.par_chunks_mut(PIECE))
            .for_each(|(x, to)| forward(Supported::detect(), x, to));
        let result = like(&x, result);
        (result.clone(), keep.then_some(result))
    }

    fn backward(
        &self,
        result: FlexTensor,
        gradient: FlexTensor,
        _: &[bool],
    ) -> Vec<Option<FlexTensor>> {
        let gradient = gradient.to_contiguous();
        let mut of_x = vec![0.0; values(&result).len()];
        values(&gradient)
            .par_chunks(PIECE)
            .zip(values(&result).par_chunks(PIECE))
            .zip(of_x.par_chunks_mut(PIECE))
            .for_each(|((gradient, result), to)| {
                backward(Supported::detect(), gradient, result, to);
            });
        vec![Some(like(&result, of_x))]
    }
}
