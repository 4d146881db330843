//! The functions that come after a sum, element by element.

use vcp_checkpoint::Activation;
use vcp_model::After;
use vcp_simd::kernel;
use vcp_simd::math::{gelu, quick_gelu, relu6};

use super::math::{gelu_slope, quick_gelu_slope};

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
fn each_backward(
    before: &[f32],
    gradient: &[f32],
    to: &mut [f32],
    of_before: impl Fn(f32, f32) -> f32,
) {
    for ((to, &before), &gradient) in to.iter_mut().zip(before).zip(gradient) {
        *to = of_before(before, gradient);
    }
}

kernel! {
    /// Gradients before the function, from those after it.
    pub(super) fn bend_backward<S: Simd>(
        _simd: S,
        curve: Curve,
        before: &[f32],
        gradient: &[f32],
        to: &mut [f32],
    ) {
        match curve {
            Curve::Activation(Activation::Gelu) => {
                each_backward(before, gradient, to, |x, gradient| gradient * gelu_slope(x));
            }
            Curve::Activation(Activation::QuickGelu) => {
                each_backward(before, gradient, to, |x, gradient| gradient * quick_gelu_slope(x));
            }
            // At both bounds the slope is 0.
            Curve::Relu6 => each_backward(before, gradient, to, |x, gradient| {
                if x <= 0.0 || x >= 6.0 { 0.0 } else { gradient }
            }),
        }
    }
}
