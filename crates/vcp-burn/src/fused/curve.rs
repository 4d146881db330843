//! The functions that come after a sum, element by element.

use burn_flex::FlexTensor;
use rayon::prelude::*;
use vcp_checkpoint::Activation;
use vcp_model::After;
use vcp_simd::math::{gelu, quick_gelu, relu6};
use vcp_simd::{Supported, kernel};

use super::math::{gelu_slope, quick_gelu_slope};
use super::{PIECE, values};

/// A function that comes after a sum.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Curve {
    Activation(Activation),
    Relu6,
}

impl Curve {
    /// That of `after`, if it has one.
    pub(crate) fn of<T>(after: After<'_, T>) -> Option<Self> {
        match after {
            After::Nothing | After::Add(_) => None,
            After::Activate(activation) => Some(Self::Activation(activation)),
            After::Relu6 => Some(Self::Relu6),
        }
    }

    /// Whether its results tell its slopes, as what it is given does. Then only they are kept.
    pub(super) fn is_told_by_results(self) -> bool {
        matches!(self, Self::Relu6)
    }

    /// Gradients before the function, from those after it and what has been kept.
    pub(super) fn gradient(self, kept: &FlexTensor, gradient: &FlexTensor) -> Vec<f32> {
        let mut of_sum = vec![0.0; values(gradient).len()];
        values(gradient)
            .par_chunks(PIECE)
            .zip(values(kept).par_chunks(PIECE))
            .zip(of_sum.par_chunks_mut(PIECE))
            .for_each(|((gradient, kept), to)| {
                bend_backward(Supported::detect(), self, kept, gradient, to);
            });
        of_sum
    }
}

#[inline(always)]
fn each(from: &[f32], to: &mut [f32], function: impl Fn(f32) -> f32) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = function(from);
    }
}

kernel! {
    /// What the function makes of values.
    pub(super) fn bend<S: Simd>(_simd: S, curve: Curve, from: &[f32], to: &mut [f32]) {
        match curve {
            Curve::Activation(Activation::Gelu) => each(from, to, gelu),
            Curve::Activation(Activation::QuickGelu) => each(from, to, quick_gelu),
            Curve::Relu6 => each(from, to, relu6),
        }
    }
}

#[inline(always)]
fn each_in_place(values: &mut [f32], function: impl Fn(f32) -> f32) {
    for value in values {
        *value = function(*value);
    }
}

kernel! {
    /// The same in place.
    pub(super) fn bend_in_place<S: Simd>(_simd: S, curve: Curve, values: &mut [f32]) {
        match curve {
            Curve::Activation(Activation::Gelu) => each_in_place(values, gelu),
            Curve::Activation(Activation::QuickGelu) => each_in_place(values, quick_gelu),
            Curve::Relu6 => each_in_place(values, relu6),
        }
    }
}

#[inline(always)]
fn each_backward(kept: &[f32], gradient: &[f32], to: &mut [f32], before: impl Fn(f32, f32) -> f32) {
    for ((to, &kept), &gradient) in to.iter_mut().zip(kept).zip(gradient) {
        *to = before(kept, gradient);
    }
}

kernel! {
    /// Gradients before the function, from those after it and what it was given, or what it gave if that
    /// tells its slopes.
    fn bend_backward<S: Simd>(
        _simd: S,
        curve: Curve,
        kept: &[f32],
        gradient: &[f32],
        to: &mut [f32],
    ) {
        match curve {
            Curve::Activation(Activation::Gelu) => {
                each_backward(kept, gradient, to, |x, gradient| gradient * gelu_slope(x));
            }
            Curve::Activation(Activation::QuickGelu) => {
                each_backward(kept, gradient, to, |x, gradient| gradient * quick_gelu_slope(x));
            }
            // At both bounds the slope is 0.
            Curve::Relu6 => each_backward(kept, gradient, to, |x, gradient| {
                if x <= 0.0 || x >= 6.0 { 0.0 } else { gradient }
            }),
        }
    }
}
