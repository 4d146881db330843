//! What happens to an element once its sum is complete, on registers.

use vcp_model::Activation;
use vcp_simd::{Lanes, Simd, math};

/// What happens to an element once its sum is complete.
#[derive(Clone, Copy)]
pub(crate) enum Finish<'a> {
    /// The bias is added, nothing else.
    Bias,
    /// Bias, then the activation.
    Activate(Activation),
    /// Bias, then `ReLU6`.
    Relu6,
    /// Bias, then this tensor of the output's shape is added.
    Add(&'a [f32]),
}

impl Finish<'_> {
    /// For the record of operations.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bias => "",
            Self::Activate(_) => ", activation",
            Self::Relu6 => ", ReLU6",
            Self::Add(_) => ", residual",
        }
    }

    /// What becomes of sums that have their bias.
    ///
    /// # Safety
    /// Where a tensor is added, `added` must be readable for a register: its values for these sums.
    #[inline(always)]
    pub(crate) unsafe fn apply<S: Simd>(self, simd: S, sum: S::F32, added: *const f32) -> S::F32 {
        match self {
            Self::Bias => sum,
            Self::Activate(activation) => activate(activation, sum),
            Self::Relu6 => math::relu6(sum),
            // SAFETY: the caller's promise.
            Self::Add(_) => sum + unsafe { simd.load(added) },
        }
    }

    /// As [`Finish::apply`], for a result that is rounded to bf16.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(crate) unsafe fn apply_to_bf16<S: Simd>(
        self,
        simd: S,
        sum: S::F32,
        added: *const f32,
    ) -> S::F32 {
        match self {
            Self::Activate(Activation::Gelu) => math::gelu_to_bf16(sum),
            // SAFETY: the caller's promise.
            _ => unsafe { self.apply(simd, sum, added) },
        }
    }
}

/// GELU (exact) or `QuickGELU` (x · sigmoid(1.702 x)).
#[inline(always)]
fn activate<V: Lanes>(activation: Activation, x: V) -> V {
    match activation {
        Activation::Gelu => math::gelu(x),
        Activation::QuickGelu => math::quick_gelu(x),
    }
}
