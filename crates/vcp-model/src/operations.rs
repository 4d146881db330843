//! What a device must be able to do for the model to run on it.

use crate::interpolation::Resampling;
use vcp_checkpoint::{Activation, Tensor as Stored};

/// What is done to a linear layer's result, after its bias.
pub enum After<'a, T> {
    /// Nothing.
    Nothing,
    /// The activation.
    Activate(Activation),
    /// A tensor of the same shape is added.
    Add(&'a T),
}

// Derived, these would ask for a tensor that can be copied; only the reference is.
impl<T> Copy for After<'_, T> {}

impl<T> Clone for After<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

/// How a stored matrix stands to the layer made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// Stored [outputs, inputs], as PyTorch's `Linear` does: x ↦ x·Wᵀ.
    OutputsInputs,
    /// Stored [inputs, outputs], as CLIP's `proj`: x ↦ x·W.
    InputsOutputs,
}

/// The tensor operations that VCP-CLIP is stated in.
///
/// Every tensor has three dimensions, [batch, rows, channels]. Methods may assume that the
/// shapes fit, which the model guarantees once its weights have been checked; they do not
/// report errors. The methods with a body are fusions: an implementation that can do better
/// than the plain statement overrides them and must give the same numbers.
pub trait Operations {
    /// A tensor [batch, rows, channels]. Cloning is cheap: contents are shared.
    type Tensor: Clone;
    /// A linear layer, prepared for this device.
    type Linear;
    /// A layer norm, prepared for this device.
    type Norm;

    /// Runs `work`, which calls many of these operations, where the device runs them best.
    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }

    /// Shape [batch, rows, channels].
    fn shape(&self, x: &Self::Tensor) -> [usize; 3];
    /// A tensor from values that are no parameters, in row-major order.
    fn constant(&self, shape: [usize; 3], values: &[f32]) -> Self::Tensor;
    /// All values in row-major order.
    fn values(&self, x: &Self::Tensor) -> Vec<f32>;
    /// A stored parameter, given three dimensions.
    fn parameter(&self, stored: &Stored<'_>, shape: [usize; 3]) -> Self::Tensor;
    /// A linear layer from stored parameters. A matrix of more than two dimensions counts
    /// as [first, all others].
    fn linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Self::Linear;
    /// A layer norm from stored parameters.
    fn norm_layer(&self, weight: &Stored<'_>, bias: &Stored<'_>, epsilon: f32) -> Self::Norm;

    /// x·Wᵀ + b on every row.
    fn linear(
        &self,
        x: &Self::Tensor,
        layer: &Self::Linear,
        after: After<'_, Self::Tensor>,
    ) -> Self::Tensor;
    /// Per row (x − mean) / √(variance + ε) · weight + bias.
    fn layer_norm(&self, x: &Self::Tensor, norm: &Self::Norm) -> Self::Tensor;
    /// A linear layer on normalised rows.
    fn norm_linear(
        &self,
        x: &Self::Tensor,
        norm: &Self::Norm,
        layer: &Self::Linear,
        after: After<'_, Self::Tensor>,
    ) -> Self::Tensor {
        self.linear(&self.layer_norm(x, norm), layer, after)
    }

    /// Softmax(q kᵀ / √(width of a head)) v in every head; the heads lie side by side in the
    /// channels. With `causal`, the last query sees all keys, the one before it all but the
    /// last, and so on.
    fn attention(
        &self,
        query: &Self::Tensor,
        key: &Self::Tensor,
        value: &Self::Tensor,
        heads: usize,
        causal: bool,
    ) -> Self::Tensor;
    /// Norm, one linear layer that gives queries, keys and values side by side, attention of
    /// all rows to all rows.
    fn norm_self_attention(
        &self,
        x: &Self::Tensor,
        norm: &Self::Norm,
        query_key_value: &Self::Linear,
        heads: usize,
    ) -> Self::Tensor {
        let joint = self.norm_linear(x, norm, query_key_value, After::Nothing);
        let width = self.shape(&joint)[2] / 3;
        let [query, key, value] =
            [0, 1, 2].map(|part| self.slice_channels(&joint, part * width, width));
        self.attention(&query, &key, &value, heads, false)
    }

    /// Rows divided by their Euclidean length (at least 1e-12).
    fn l2_normalise(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Softmax over the channels.
    fn softmax(&self, x: &Self::Tensor) -> Self::Tensor;
    /// a [batch or 1, m, k] times b [batch or 1, k, n].
    fn matmul(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// a [batch or 1, m, k] times the transpose of b [batch or 1, n, k].
    fn matmul_transposed(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// x + y; dimensions of y that are 1 are repeated.
    fn add(&self, x: &Self::Tensor, y: &Self::Tensor) -> Self::Tensor;
    /// x · y element by element; dimensions of y that are 1 are repeated.
    fn multiply(&self, x: &Self::Tensor, y: &Self::Tensor) -> Self::Tensor;
    /// eˣ.
    fn exp(&self, x: &Self::Tensor) -> Self::Tensor;
    /// 1 / (1 + e⁻ˣ).
    fn sigmoid(&self, x: &Self::Tensor) -> Self::Tensor;
    /// The mean of tensors of one shape.
    fn mean(&self, tensors: &[Self::Tensor]) -> Self::Tensor;

    /// Tensors one below the other. A batch of 1 is repeated to the largest batch.
    fn concatenate_rows(&self, parts: &[&Self::Tensor]) -> Self::Tensor;
    /// Tensors side by side.
    fn concatenate_channels(&self, parts: &[&Self::Tensor]) -> Self::Tensor;
    /// `count` rows from `start`.
    fn slice_rows(&self, x: &Self::Tensor, start: usize, count: usize) -> Self::Tensor;
    /// `count` channels from `start`.
    fn slice_channels(&self, x: &Self::Tensor, start: usize, count: usize) -> Self::Tensor;
    /// The whole batch, `times` times over: element i is element i mod batch of `x`.
    fn repeat_batch(&self, x: &Self::Tensor, times: usize) -> Self::Tensor;
    /// Every batch element `times` times in a row: element i is element i / times of `x`.
    fn repeat_each(&self, x: &Self::Tensor, times: usize) -> Self::Tensor;
    /// The same values in the same order under another shape.
    fn reshape(&self, x: &Self::Tensor, shape: [usize; 3]) -> Self::Tensor;

    /// Images [batch, 3, side·side] cut into squares: [batch, ⌊side/patch⌋², 3·patch²], each
    /// square channel by channel, row by row. Pixels right of and below the last whole square are left
    /// out.
    fn patches(&self, images: &Self::Tensor, patch: usize) -> Self::Tensor;
    /// Square maps [batch, from, from] resized to [batch, to, to]: R·x·Rᵀ.
    fn resize(&self, maps: &Self::Tensor, resampling: &Resampling) -> Self::Tensor;
}
