//! How bundles store numbers.

use crate::names::CLIP;
use crate::{ElementType, NarrowMatrix, Precision, Tensor, Weights};

/// How a bundle stores numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storing {
    /// Every tensor as its source stores it (`f64` as `f32`). OpenAI's CLIP has matrices in `f16`
    /// and the rest in `f32`; checkpoints are `f32`. Loses nothing.
    ///
    /// The settings keep their [`Precision`].
    #[default]
    AsStored,
    /// Tensors of two or more dimensions as `f16`, vectors and scalars (norms, biases,
    /// temperatures) as `f32`. Learned matrices are rounded. The precision is [`Precision::F32`].
    F16,
    /// Everything as `f32`. The precision is [`Precision::F32`].
    F32,
    /// The vision tower's [narrow matrices](NarrowMatrix) as bfloat16, CLIP's other tensors of two or more dimensions as
    /// `f16` and the rest of CLIP as `f32`; the learned parts as they are stored. The precision is [`Precision::Bf16`].
    Bf16,
    /// The [narrow matrices](NarrowMatrix) of both towers as 8-bit codes with an `f32` scale for each row, other tensors of
    /// two or more dimensions, learned ones too, as `f16` and the rest as `f32`. The precision is [`Precision::Int8`].
    Int8,
}

impl Storing {
    /// The type of a tensor in the bundle. One that is [`ElementType::I8`] has scales beside it.
    pub(crate) fn element_type(self, tensor: &Tensor<'_>) -> ElementType {
        let wide = match tensor.shape().len() {
            0 | 1 => ElementType::F32,
            _ => ElementType::F16,
        };
        let is_learned = !tensor.name().starts_with(CLIP);
        match (self, NarrowMatrix::of(tensor.name())) {
            (Self::F32, _) => ElementType::F32,
            (Self::Int8, Some(_)) => ElementType::I8,
            (Self::Bf16, Some(NarrowMatrix::Vision)) => ElementType::BF16,
            (Self::AsStored, _) => as_stored(tensor),
            (Self::Bf16, _) if is_learned => as_stored(tensor),
            (Self::F16 | Self::Bf16 | Self::Int8, _) => wide,
        }
    }

    /// The precision of the bundle's settings.
    pub(crate) fn precision(self, weights: &Weights) -> Precision {
        match self {
            Self::Bf16 => Precision::Bf16,
            Self::Int8 => Precision::Int8,
            Self::AsStored => weights.settings().precision,
            Self::F16 | Self::F32 => Precision::F32,
        }
    }
}

/// The type in which a bundle keeps all that a tensor's source holds.
fn as_stored(tensor: &Tensor<'_>) -> ElementType {
    match tensor.element_type() {
        ElementType::I8 if tensor.scales().is_some() => ElementType::I8,
        narrow @ (ElementType::F16 | ElementType::BF16) => narrow,
        _ => ElementType::F32,
    }
}
