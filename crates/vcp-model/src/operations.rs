//! What a device must be able to do for the model to run on it.

use crate::device_error::DeviceError;
use crate::interpolation::Resampling;
use vcp_checkpoint::{Activation, Tensor as Stored};

/// What is done to a linear layer's result, after its bias.
pub enum After<'a, T> {
    /// Nothing.
    Nothing,
    /// The activation.
    Activate(Activation),
    /// `ReLU6`: values below 0 become 0, values above 6 become 6. What is no number stays none.
    Relu6,
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

/// Squares of pixels that slide over a map: those of a convolution, and a transformer's patches.
///
/// The map has a margin of zeros, `side − stride` wide in all: half of it, rounded down, on the left and at
/// the top, the rest on the right and at the bottom. So a map of `n` pixels has ⌊n / stride⌋ windows along
/// that side, and windows as wide as their stride have no margin. For maps whose sides the stride divides
/// this is what TensorFlow calls `SAME`; other maps have the same margins, as in `EfficientNet` in PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Side of a window, in pixels; at least the stride.
    pub side: usize,
    /// Pixels from one window to the next, across and down.
    pub stride: usize,
}

impl Windows {
    /// Squares that touch and do not overlap.
    #[must_use]
    pub fn patches(side: usize) -> Self {
        Self { side, stride: side }
    }

    /// Windows along a side of `length` pixels.
    #[must_use]
    pub fn along(self, length: usize) -> usize {
        length / self.stride.max(1)
    }

    /// Width of the margin on the left and at the top.
    #[must_use]
    pub fn margin(self) -> usize {
        self.side.saturating_sub(self.stride) / 2
    }
}

/// The tensor operations that VCP-CLIP is stated in.
///
/// Every tensor has three dimensions, [batch, rows, channels].
///
/// # Shapes
///
/// Where an operation takes several tensors, the batch of each is 1 or the same as that of the others; a
/// tensor with a batch of 1 counts as repeated to theirs. Some operations are narrower, and say so:
/// [`add`](Self::add) and [`multiply`](Self::multiply) give the shape of their first tensor, so that only
/// dimensions of the second may be 1; [`attention`](Self::attention), [`mean`](Self::mean) and
/// [`After::Add`] repeat nothing. No other number is repeated, even if it divides the batch. Rows and
/// channels have to fit as each operation says.
///
/// The model guarantees all this once its weights have been checked. A device refuses what does not fit
/// by a panic, or as a failure: it must not compute something else.
///
/// The model never asks for the batch of a tensor ([`batch`](Self::batch), [`shape`](Self::shape)), so
/// that a device that records operations, for an exporter, need not know it.
///
/// # Failures
///
/// Only what moves data between the program and the device reports errors: [`values`](Self::values), and
/// what makes constants, parameters and layers. An operation that fails on the device gives a tensor of
/// the right shape all the same. Whatever is computed from such a tensor has failed with it, and
/// [`values`](Self::values) gives the error. A failure is that of one tensor: other work on the device goes
/// on, if the device can.
///
/// # Fusions
///
/// The methods with a body are combinations of others: an implementation that can do better than the
/// plain statement overrides them and must give the same numbers.
pub trait Operations {
    /// A tensor [batch, rows, channels]. Cloning is cheap: contents are shared.
    type Tensor: Clone;
    /// A linear layer, prepared for this device.
    type Linear;
    /// A layer norm, prepared for this device.
    type Norm;
    /// A depthwise convolution, prepared for this device.
    type Depthwise;

    /// Runs `work`, which calls many of these operations, where the device runs them best.
    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }

    /// The batch of a tensor: for those who run the model, not for the model.
    fn batch(&self, x: &Self::Tensor) -> usize;
    /// The rows of each element of a tensor's batch.
    fn rows(&self, x: &Self::Tensor) -> usize;
    /// The channels of each row of a tensor.
    fn channels(&self, x: &Self::Tensor) -> usize;
    /// [batch, rows, channels]: for those who run the model, not for the model.
    fn shape(&self, x: &Self::Tensor) -> [usize; 3] {
        [self.batch(x), self.rows(x), self.channels(x)]
    }

    /// A tensor from values that are no parameters, in row-major order.
    ///
    /// # Errors
    /// When the device has no memory for them, or fails otherwise.
    fn constant(&self, shape: [usize; 3], values: &[f32]) -> Result<Self::Tensor, DeviceError>;
    /// All values of a tensor in row-major order.
    ///
    /// # Errors
    /// When the tensor, or anything that it was computed from, could not be computed, or cannot be read.
    fn values(&self, x: &Self::Tensor) -> Result<Vec<f32>, DeviceError>;
    /// A stored parameter, given three dimensions.
    ///
    /// # Errors
    /// As [`constant`](Self::constant).
    fn parameter(
        &self,
        stored: &Stored<'_>,
        shape: [usize; 3],
    ) -> Result<Self::Tensor, DeviceError>;
    /// A linear layer from stored parameters. A matrix of more than two dimensions counts
    /// as [first, all others].
    ///
    /// # Errors
    /// As [`constant`](Self::constant).
    fn linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Result<Self::Linear, DeviceError>;
    /// As [`linear_layer`](Self::linear_layer), of a layer whose operands may be rounded, where the device has been told to
    /// compute in narrower numbers than `f32`: those of the vision tower. So may those of self-attention behind it.
    ///
    /// # Errors
    /// As [`constant`](Self::constant).
    fn narrow_linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Result<Self::Linear, DeviceError> {
        self.linear_layer(weight, bias, orientation)
    }
    /// A layer norm from stored parameters.
    ///
    /// # Errors
    /// As [`constant`](Self::constant).
    fn norm_layer(
        &self,
        weight: &Stored<'_>,
        bias: &Stored<'_>,
        epsilon: f32,
    ) -> Result<Self::Norm, DeviceError>;

    /// A depthwise convolution from stored parameters: weight [channels, 1, k, k], a bias for each channel. `stride` is
    /// from 1 to k.
    ///
    /// # Errors
    /// As [`constant`](Self::constant).
    fn depthwise_layer(
        &self,
        weight: &Stored<'_>,
        bias: &Stored<'_>,
        stride: usize,
    ) -> Result<Self::Depthwise, DeviceError>;

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

    /// x + the perceptron of a block: norm, a linear layer with an activation, a linear layer back to the width of x.
    fn norm_perceptron(
        &self,
        x: &Self::Tensor,
        norm: &Self::Norm,
        expand: &Self::Linear,
        activation: Activation,
        contract: &Self::Linear,
    ) -> Self::Tensor {
        let hidden = self.norm_linear(x, norm, expand, After::Activate(activation));
        self.linear(&hidden, contract, After::Add(x))
    }

    /// Softmax(q kᵀ / √(width of a head)) v in every head; the heads lie side by side in the
    /// channels. All three tensors have one batch; there are as many values as keys. With `causal`, the last query sees all keys, the one before it all but the
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
        let width = self.channels(&joint) / 3;
        let [query, key, value] =
            [0, 1, 2].map(|part| self.slice_channels(&joint, part * width, width));
        self.attention(&query, &key, &value, heads, false)
    }

    /// Rows divided by their Euclidean length (at least 1e-12).
    fn l2_normalise(&self, x: &Self::Tensor) -> Self::Tensor;
    /// Softmax over the channels.
    fn softmax(&self, x: &Self::Tensor) -> Self::Tensor;
    /// a [batch or 1, m, k] times b [batch or 1, k, n]: [batch, m, n].
    fn matmul(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// a [batch or 1, m, k] times the transpose of b [batch or 1, n, k]: [batch, m, n].
    fn matmul_transposed(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor;
    /// x + y, of the shape of x; dimensions of y that are 1 are repeated.
    fn add(&self, x: &Self::Tensor, y: &Self::Tensor) -> Self::Tensor;
    /// x · y element by element, of the shape of x; dimensions of y that are 1 are repeated.
    fn multiply(&self, x: &Self::Tensor, y: &Self::Tensor) -> Self::Tensor;
    /// eˣ.
    fn exp(&self, x: &Self::Tensor) -> Self::Tensor;
    /// 1 / (1 + e⁻ˣ).
    fn sigmoid(&self, x: &Self::Tensor) -> Self::Tensor;
    /// The mean of one or more tensors of one shape.
    fn mean(&self, tensors: &[Self::Tensor]) -> Self::Tensor;

    /// Tensors [batch or 1, any rows, channels] one below the other.
    fn concatenate_rows(&self, parts: &[&Self::Tensor]) -> Self::Tensor;
    /// `count` rows from `start`.
    fn slice_rows(&self, x: &Self::Tensor, start: usize, count: usize) -> Self::Tensor;
    /// `count` channels from `start`.
    fn slice_channels(&self, x: &Self::Tensor, start: usize, count: usize) -> Self::Tensor;
    /// `before` channels of zeros, those of x, `after` channels of zeros.
    fn pad_channels(&self, x: &Self::Tensor, before: usize, after: usize) -> Self::Tensor;
    /// The whole batch of x, repeated to the batch of `like`, which is a multiple of it or 1: element i is
    /// element i mod batch of x. Where the batch of `like` is 1, x as it is.
    fn repeat_batch_as(&self, x: &Self::Tensor, like: &Self::Tensor) -> Self::Tensor;
    /// Every batch element `times` times in a row: element i is element i / times of `x`.
    fn repeat_each(&self, x: &Self::Tensor, times: usize) -> Self::Tensor;
    /// The same values in the same order with other rows and channels; the batch follows from them.
    fn reshape(&self, x: &Self::Tensor, rows: usize, channels: usize) -> Self::Tensor;

    /// Images [batch, channels, height·width] cut into windows, row by row: [batch, number of windows,
    /// channels·side²], each window channel by channel, row by row. Pixels that no whole window covers are
    /// skipped.
    fn patches(&self, images: &Self::Tensor, width: usize, windows: Windows) -> Self::Tensor;
    /// Every channel convolved with its own kernel. The rows of x [batch, height·width, channels] are the
    /// pixels of maps, row by row; the rows of the result [batch, number of windows, channels] are the
    /// [`Windows`] of the layer's kernel and stride on them. After the bias comes `after`.
    fn depthwise_convolution(
        &self,
        x: &Self::Tensor,
        width: usize,
        layer: &Self::Depthwise,
        after: After<'_, Self::Tensor>,
    ) -> Self::Tensor;
    /// Every channel of an element of the batch brought to mean 0 and variance 1 over its rows:
    /// (x − mean) / √(variance + ε).
    fn standardise(&self, x: &Self::Tensor, epsilon: f32) -> Self::Tensor;
    /// Square maps [batch, from, from] resized to [batch, to, to]: R·x·Rᵀ.
    fn resize(&self, maps: &Self::Tensor, resampling: &Resampling) -> Self::Tensor;
}
