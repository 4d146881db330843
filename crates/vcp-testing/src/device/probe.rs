//! A device that fails when it is told to, or that refuses to tell the batch of its tensors.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use vcp_checkpoint::Tensor as Stored;
use vcp_model::{After, DeviceError, Operations, Orientation, Resampling, Windows};

/// Another device, watched. It computes what the other does, but for the failures that a test asks for.
pub struct Probe<O> {
    device: O,
    /// Operations and transfers that succeed before one fails, and after it all.
    left: AtomicUsize,
    error: DeviceError,
    hides_batch: AtomicBool,
}

/// A tensor of a [`Probe`].
#[derive(Clone)]
pub struct ProbeTensor<T> {
    tensor: T,
    /// Why it, or what it was computed from, is of no use.
    failure: Option<DeviceError>,
}

impl<O: Operations> Probe<O> {
    /// The device as it is, until a test asks for something else.
    pub fn new(device: O) -> Self {
        Self {
            device,
            left: AtomicUsize::new(usize::MAX),
            error: DeviceError {
                kind: vcp_model::DeviceErrorKind::Failed,
                message: "no test asked for this".to_owned(),
            },
            hides_batch: AtomicBool::new(false),
        }
    }

    /// From here on `count` operations and transfers succeed; all after them fail with `error`.
    #[must_use]
    pub fn failing_after(self, count: usize, error: DeviceError) -> Self {
        Self {
            left: AtomicUsize::new(count),
            error,
            ..self
        }
    }

    /// How many operations and transfers there were, of a device that does not fail.
    pub fn count(&self) -> usize {
        usize::MAX - self.left.load(Ordering::Relaxed)
    }

    /// While `work` runs, panics if the batch of a tensor is asked for.
    pub fn without_batch<R>(&self, work: impl FnOnce() -> R) -> R {
        self.hides_batch.store(true, Ordering::Relaxed);
        let result = work();
        self.hides_batch.store(false, Ordering::Relaxed);
        result
    }

    /// Counts an operation, which may be one that fails.
    fn attempt(&self) -> Result<(), DeviceError> {
        let one_less = |left: usize| left.checked_sub(1);
        let counted = (self.left).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        counted.map(drop).map_err(|_| self.error.clone())
    }

    fn made(
        &self,
        from: &[&ProbeTensor<O::Tensor>],
        work: impl FnOnce(&O) -> O::Tensor,
    ) -> ProbeTensor<O::Tensor> {
        let before = from.iter().find_map(|tensor| tensor.failure.clone());
        ProbeTensor {
            tensor: work(&self.device),
            failure: before.or_else(|| self.attempt().err()),
        }
    }

    fn transferred(
        &self,
        tensor: Result<O::Tensor, DeviceError>,
    ) -> Result<ProbeTensor<O::Tensor>, DeviceError> {
        self.attempt()?;
        let failure = None;
        tensor.map(|tensor| ProbeTensor { tensor, failure })
    }
}

fn inner<T>(after: After<'_, ProbeTensor<T>>) -> After<'_, T> {
    match after {
        After::Nothing => After::Nothing,
        After::Activate(activation) => After::Activate(activation),
        After::Relu6 => After::Relu6,
        After::Add(residual) => After::Add(&residual.tensor),
    }
}

/// The tensors that the operation is on, the one that is added with them.
fn all<'a, T>(x: &'a ProbeTensor<T>, after: After<'a, ProbeTensor<T>>) -> Vec<&'a ProbeTensor<T>> {
    match after {
        After::Add(residual) => vec![x, residual],
        After::Nothing | After::Activate(_) | After::Relu6 => vec![x],
    }
}

impl<O: Operations> Operations for Probe<O> {
    type Tensor = ProbeTensor<O::Tensor>;
    type Linear = O::Linear;
    type Norm = O::Norm;
    type Depthwise = O::Depthwise;

    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.device.run(work)
    }

    fn batch(&self, x: &Self::Tensor) -> usize {
        let is_hidden = self.hides_batch.load(Ordering::Relaxed);
        assert!(!is_hidden, "the batch of a tensor was asked for");
        self.device.batch(&x.tensor)
    }

    fn rows(&self, x: &Self::Tensor) -> usize {
        self.device.rows(&x.tensor)
    }

    fn channels(&self, x: &Self::Tensor) -> usize {
        self.device.channels(&x.tensor)
    }

    fn constant(&self, shape: [usize; 3], values: &[f32]) -> Result<Self::Tensor, DeviceError> {
        self.transferred(self.device.constant(shape, values))
    }

    fn values(&self, x: &Self::Tensor) -> Result<Vec<f32>, DeviceError> {
        if let Some(failure) = &x.failure {
            return Err(failure.clone());
        }
        self.attempt()?;
        self.device.values(&x.tensor)
    }

    fn parameter(
        &self,
        stored: &Stored<'_>,
        shape: [usize; 3],
    ) -> Result<Self::Tensor, DeviceError> {
        self.transferred(self.device.parameter(stored, shape))
    }

    fn linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Result<O::Linear, DeviceError> {
        self.attempt()?;
        self.device.linear_layer(weight, bias, orientation)
    }

    fn norm_layer(
        &self,
        weight: &Stored<'_>,
        bias: &Stored<'_>,
        epsilon: f32,
    ) -> Result<O::Norm, DeviceError> {
        self.attempt()?;
        self.device.norm_layer(weight, bias, epsilon)
    }

    fn depthwise_layer(
        &self,
        weight: &Stored<'_>,
        bias: &Stored<'_>,
        stride: usize,
    ) -> Result<O::Depthwise, DeviceError> {
        self.attempt()?;
        self.device.depthwise_layer(weight, bias, stride)
    }

    fn linear(
        &self,
        x: &Self::Tensor,
        layer: &O::Linear,
        after: After<'_, Self::Tensor>,
    ) -> Self::Tensor {
        self.made(&all(x, after), |device| {
            device.linear(&x.tensor, layer, inner(after))
        })
    }

    fn layer_norm(&self, x: &Self::Tensor, norm: &O::Norm) -> Self::Tensor {
        self.made(&[x], |device| device.layer_norm(&x.tensor, norm))
    }

    fn norm_linear(
        &self,
        x: &Self::Tensor,
        norm: &O::Norm,
        layer: &O::Linear,
        after: After<'_, Self::Tensor>,
    ) -> Self::Tensor {
        self.made(&all(x, after), |device| {
            device.norm_linear(&x.tensor, norm, layer, inner(after))
        })
    }

    fn attention(
        &self,
        query: &Self::Tensor,
        key: &Self::Tensor,
        value: &Self::Tensor,
        heads: usize,
        causal: bool,
    ) -> Self::Tensor {
        self.made(&[query, key, value], |device| {
            device.attention(&query.tensor, &key.tensor, &value.tensor, heads, causal)
        })
    }

    fn norm_self_attention(
        &self,
        x: &Self::Tensor,
        norm: &O::Norm,
        query_key_value: &O::Linear,
        heads: usize,
    ) -> Self::Tensor {
        self.made(&[x], |device| {
            device.norm_self_attention(&x.tensor, norm, query_key_value, heads)
        })
    }

    fn l2_normalise(&self, x: &Self::Tensor) -> Self::Tensor {
        self.made(&[x], |device| device.l2_normalise(&x.tensor))
    }

    fn softmax(&self, x: &Self::Tensor) -> Self::Tensor {
        self.made(&[x], |device| device.softmax(&x.tensor))
    }

    fn matmul(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor {
        self.made(&[a, b], |device| device.matmul(&a.tensor, &b.tensor))
    }

    fn matmul_transposed(&self, a: &Self::Tensor, b: &Self::Tensor) -> Self::Tensor {
        self.made(&[a, b], |device| {
            device.matmul_transposed(&a.tensor, &b.tensor)
        })
    }

    fn add(&self, x: &Self::Tensor, y: &Self::Tensor) -> Self::Tensor {
        self.made(&[x, y], |device| device.add(&x.tensor, &y.tensor))
    }

    fn multiply(&self, x: &Self::Tensor, y: &Self::Tensor) -> Self::Tensor {
        self.made(&[x, y], |device| device.multiply(&x.tensor, &y.tensor))
    }

    fn exp(&self, x: &Self::Tensor) -> Self::Tensor {
        self.made(&[x], |device| device.exp(&x.tensor))
    }

    fn sigmoid(&self, x: &Self::Tensor) -> Self::Tensor {
        self.made(&[x], |device| device.sigmoid(&x.tensor))
    }

    fn mean(&self, tensors: &[Self::Tensor]) -> Self::Tensor {
        let from: Vec<_> = tensors.iter().collect();
        let inner: Vec<_> = tensors.iter().map(|x| x.tensor.clone()).collect();
        self.made(&from, |device| device.mean(&inner))
    }

    fn concatenate_rows(&self, parts: &[&Self::Tensor]) -> Self::Tensor {
        let inner: Vec<_> = parts.iter().map(|x| &x.tensor).collect();
        self.made(parts, |device| device.concatenate_rows(&inner))
    }

    fn slice_rows(&self, x: &Self::Tensor, start: usize, count: usize) -> Self::Tensor {
        self.made(&[x], |device| device.slice_rows(&x.tensor, start, count))
    }

    fn slice_channels(&self, x: &Self::Tensor, start: usize, count: usize) -> Self::Tensor {
        self.made(&[x], |device| {
            device.slice_channels(&x.tensor, start, count)
        })
    }

    fn pad_channels(&self, x: &Self::Tensor, before: usize, after: usize) -> Self::Tensor {
        self.made(&[x], |device| device.pad_channels(&x.tensor, before, after))
    }

    fn repeat_batch_as(&self, x: &Self::Tensor, like: &Self::Tensor) -> Self::Tensor {
        self.made(&[x, like], |device| {
            device.repeat_batch_as(&x.tensor, &like.tensor)
        })
    }

    fn repeat_each(&self, x: &Self::Tensor, times: usize) -> Self::Tensor {
        self.made(&[x], |device| device.repeat_each(&x.tensor, times))
    }

    fn reshape(&self, x: &Self::Tensor, rows: usize, channels: usize) -> Self::Tensor {
        self.made(&[x], |device| device.reshape(&x.tensor, rows, channels))
    }

    fn patches(&self, images: &Self::Tensor, width: usize, windows: Windows) -> Self::Tensor {
        self.made(&[images], |device| {
            device.patches(&images.tensor, width, windows)
        })
    }

    fn depthwise_convolution(
        &self,
        x: &Self::Tensor,
        width: usize,
        layer: &O::Depthwise,
        after: After<'_, Self::Tensor>,
    ) -> Self::Tensor {
        self.made(&all(x, after), |device| {
            device.depthwise_convolution(&x.tensor, width, layer, inner(after))
        })
    }

    fn standardise(&self, x: &Self::Tensor, epsilon: f32) -> Self::Tensor {
        self.made(&[x], |device| device.standardise(&x.tensor, epsilon))
    }

    fn resize(&self, maps: &Self::Tensor, resampling: &Resampling) -> Self::Tensor {
        self.made(&[maps], |device| device.resize(&maps.tensor, resampling))
    }
}
