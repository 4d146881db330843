//! The sigmoid.

use burn_flex::FlexTensor;
use pulp::Arch;
use rayon::prelude::*;

use super::{Fused, PIECE, like, math, values};

/// 1 / (1 + e⁻ˣ). Input: any shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sigmoid;

impl Fused for Sigmoid {
    /// The result.
    type Kept = FlexTensor;

    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<FlexTensor>) {
        let x = inputs[0].to_contiguous();
        let mut result = vec![0.0; values(&x).len()];
        values(&x)
            .par_chunks(PIECE)
            .zip(result.par_chunks_mut(PIECE))
            .for_each(|(x, to)| {
                Arch::new().dispatch(|| {
                    for (to, &x) in to.iter_mut().zip(x) {
                        *to = math::sigmoid(x);
                    }
                });
            });
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
                Arch::new().dispatch(|| {
                    for ((to, gradient), result) in to.iter_mut().zip(gradient).zip(result) {
                        *to = gradient * result * (1.0 - result);
                    }
                });
            });
        vec![Some(like(&result, of_x))]
    }
}
