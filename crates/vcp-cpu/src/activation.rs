//! The activations of a model, on registers.

use vcp_model::Activation;
use vcp_simd::{Lanes, math};

/// GELU (exact) or `QuickGELU` (x · sigmoid(1.702 x)).
#[inline(always)]
pub(crate) fn activate<V: Lanes>(activation: Activation, x: V) -> V {
    match activation {
        Activation::Gelu => math::gelu(x),
        Activation::QuickGelu => math::quick_gelu(x),
    }
}
