//! The operations, in Burn's.

use burn_tensor::activation;
use burn_tensor::{Tensor as Held, TensorData};
use vcp_checkpoint::Tensor as Stored;
use vcp_model::{After, DeviceError, Operations, Orientation, Resampling, Windows};

use crate::fused::{self, Normalise, SelfAttention, Sigmoid};
use crate::layers::{Depthwise, Linear, Norm};
use crate::tensor::{guarded, read};
use crate::{Burn, Tensor};

/// The batch of a result: of the tensors that it is made of, each has a batch of 1 or this one.
fn common_batch(tensors: &[&Tensor]) -> usize {
    let mut batches = tensors.iter().map(|tensor| tensor.shape()[0]);
    batches.find(|batch| *batch != 1).unwrap_or(1)
}

// What does not fit is found out where Burn's own panics are too, so that it becomes a failure as they do.

fn assert_batch(batch: usize, tensors: &[&Held<3>]) {
    for own in tensors.iter().map(|tensor| tensor.dims()[0]) {
        assert!(
            own == 1 || own == batch,
            "a batch of 1 or {batch}, not {own}"
        );
    }
}

fn assert_windows(windows: Windows) {
    let Windows { side, stride } = windows;
    assert!((1..=side).contains(&stride), "windows that leave no gaps");
}

/// What an operation makes of a tensor and of what comes after it, which fits a result of this shape.
fn made_with(
    shape: [usize; 3],
    x: &Tensor,
    after: After<'_, Tensor>,
    work: impl FnOnce(&Held<3>, After<'_, Held<3>>) -> Held<3>,
) -> Tensor {
    match after {
        After::Nothing => Tensor::made(shape, &[x], |x| work(x[0], After::Nothing)),
        After::Relu6 => Tensor::made(shape, &[x], |x| work(x[0], After::Relu6)),
        After::Activate(activation) => {
            Tensor::made(shape, &[x], |x| work(x[0], After::Activate(activation)))
        }
        After::Add(residual) => Tensor::made(shape, &[x, residual], |x| {
            assert_eq!(x[1].dims(), shape, "the result's shape");
            work(x[0], After::Add(x[1]))
        }),
    }
}

/// Height and width of maps of so many pixels.
fn map_size(pixels: usize, width: usize) -> [usize; 2] {
    assert!(
        width > 0 && pixels.is_multiple_of(width),
        "whole rows of pixels"
    );
    [pixels / width, width]
}

/// The second of two tensors has dimensions of 1 or those of the first.
fn assert_repeats(x: &Held<3>, y: &Held<3>) {
    let (x, y) = (x.dims(), y.dims());
    let fits = y.iter().zip(&x).all(|(y, x)| *y == 1 || y == x);
    assert!(fits, "dimensions of 1 or those of {x:?}, not {y:?}");
}

impl Operations for Burn {
    type Tensor = Tensor;
    type Linear = Linear;
    type Norm = Norm;
    type Depthwise = Depthwise;

    fn batch(&self, x: &Tensor) -> usize {
        x.shape()[0]
    }

    fn rows(&self, x: &Tensor) -> usize {
        x.shape()[1]
    }

    fn channels(&self, x: &Tensor) -> usize {
        x.shape()[2]
    }

    fn constant(&self, shape: [usize; 3], values: &[f32]) -> Result<Tensor, DeviceError> {
        guarded(|| self.held_constant(shape, values).into())
    }

    fn values(&self, x: &Tensor) -> Result<Vec<f32>, DeviceError> {
        read(x.held()?.clone())
    }

    fn parameter(&self, stored: &Stored<'_>, shape: [usize; 3]) -> Result<Tensor, DeviceError> {
        guarded(|| self.flat_parameter(stored).reshape(shape).into())
    }

    fn linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Result<Linear, DeviceError> {
        let [first, rest] = [weight.shape()[0], weight.shape()[1..].iter().product()];
        guarded(|| Linear {
            matrix: self.flat_factor(weight).reshape([first, rest]),
            orientation,
            bias: bias.map(|bias| self.flat_parameter(bias)),
        })
    }

    fn norm_layer(
        &self,
        weight: &Stored<'_>,
        bias: &Stored<'_>,
        epsilon: f32,
    ) -> Result<Norm, DeviceError> {
        guarded(|| Norm {
            weight: self.flat_parameter(weight),
            bias: self.flat_parameter(bias),
            epsilon,
        })
    }

    fn depthwise_layer(
        &self,
        weight: &Stored<'_>,
        bias: &Stored<'_>,
        stride: usize,
    ) -> Result<Depthwise, DeviceError> {
        guarded(|| {
            let (shape, side) = (weight.shape(), weight.shape().last().copied().unwrap_or(0));
            let channels = bias.len();
            assert_eq!(
                shape,
                [channels, 1, side, side],
                "a kernel for each channel"
            );
            assert_windows(Windows { side, stride });
            Depthwise {
                kernels: self.flat_parameter(weight).reshape([channels, side * side]),
                bias: self.flat_parameter(bias),
                windows: Windows { side, stride },
            }
        })
    }

    fn linear(&self, x: &Tensor, layer: &Linear, after: After<'_, Tensor>) -> Tensor {
        let [batch, rows, _] = x.shape();
        let shape = [batch, rows, layer.outputs()];
        made_with(shape, x, after, |x, after| {
            self.held_linear(x, layer, after)
        })
    }

    fn layer_norm(&self, x: &Tensor, norm: &Norm) -> Tensor {
        Tensor::made(x.shape(), &[x], |x| self.held_layer_norm(x[0], norm))
    }

    fn attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        heads: usize,
        causal: bool,
    ) -> Tensor {
        Tensor::made(query.shape(), &[query, key, value], |x| {
            self.held_attention(x[0], x[1], x[2], heads, causal)
        })
    }

    fn norm_self_attention(
        &self,
        x: &Tensor,
        norm: &Norm,
        query_key_value: &Linear,
        heads: usize,
    ) -> Tensor {
        let joint = self.norm_linear(x, norm, query_key_value, After::Nothing);
        Tensor::made(x.shape(), &[&joint], |joint| {
            let joint = joint[0];
            let [_, _, width] = joint.dims();
            assert_eq!(
                width,
                3 * x.shape()[2],
                "queries, keys and values of the rows' width"
            );
            assert!((width / 3).is_multiple_of(heads), "heads of one width");
            let fused = || fused::apply(&SelfAttention { heads }, [fused::input(joint)]);
            self.if_fused(fused).unwrap_or_else(|| {
                let width = joint.dims()[2] / 3;
                let [query, key, value] =
                    [0, 1, 2].map(|part| joint.clone().narrow(2, part * width, width));
                self.held_attention(&query, &key, &value, heads, false)
            })
        })
    }

    fn l2_normalise(&self, x: &Tensor) -> Tensor {
        Tensor::made(x.shape(), &[x], |x| {
            let x = x[0];
            let fused = || fused::apply(&Normalise, [fused::input(x)]);
            self.if_fused(fused).unwrap_or_else(|| {
                let length = x.clone().square().sum_dim(2).sqrt();
                x.clone() / length.clamp_min(1e-12)
            })
        })
    }

    fn softmax(&self, x: &Tensor) -> Tensor {
        Tensor::made(x.shape(), &[x], |x| activation::softmax(x[0].clone(), 2))
    }

    fn matmul(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let batch = common_batch(&[a, b]);
        Tensor::made([batch, a.shape()[1], b.shape()[2]], &[a, b], |x| {
            assert_batch(batch, x);
            self.product(x[0].clone(), x[1].clone())
        })
    }

    fn matmul_transposed(&self, a: &Tensor, b: &Tensor) -> Tensor {
        let batch = common_batch(&[a, b]);
        Tensor::made([batch, a.shape()[1], b.shape()[1]], &[a, b], |x| {
            assert_batch(batch, x);
            self.product(x[0].clone(), x[1].clone().swap_dims(1, 2))
        })
    }

    fn add(&self, x: &Tensor, y: &Tensor) -> Tensor {
        Tensor::made(x.shape(), &[x, y], |x| {
            assert_repeats(x[0], x[1]);
            x[0].clone() + x[1].clone()
        })
    }

    fn multiply(&self, x: &Tensor, y: &Tensor) -> Tensor {
        Tensor::made(x.shape(), &[x, y], |x| {
            assert_repeats(x[0], x[1]);
            x[0].clone() * x[1].clone()
        })
    }

    fn exp(&self, x: &Tensor) -> Tensor {
        Tensor::made(x.shape(), &[x], |x| x[0].clone().exp())
    }

    fn sigmoid(&self, x: &Tensor) -> Tensor {
        Tensor::made(x.shape(), &[x], |x| {
            let fused = || fused::apply(&Sigmoid, [fused::input(x[0])]);
            self.if_fused(fused)
                .unwrap_or_else(|| activation::sigmoid(x[0].clone()))
        })
    }

    fn mean(&self, tensors: &[Tensor]) -> Tensor {
        let shape = tensors[0].shape();
        let all: Vec<&Tensor> = tensors.iter().collect();
        Tensor::made(shape, &all, |x| {
            for tensor in x {
                assert_eq!(tensor.dims(), shape, "tensors of one shape");
            }
            let sum = x[1..].iter().fold(x[0].clone(), |sum, &x| sum + x.clone());
            sum / x.len() as f32
        })
    }

    fn concatenate_rows(&self, parts: &[&Tensor]) -> Tensor {
        let batch = common_batch(parts);
        let rows = parts.iter().map(|part| part.shape()[1]).sum();
        let channels = parts[0].shape()[2];
        Tensor::made([batch, rows, channels], parts, |parts| {
            assert_batch(batch, parts);
            let parts = parts.iter().map(|part| match part.dims() {
                [1, rows, channels] if batch > 1 => (*part).clone().expand([batch, rows, channels]),
                _ => (*part).clone(),
            });
            Held::cat(parts.collect(), 1)
        })
    }

    fn slice_rows(&self, x: &Tensor, start: usize, count: usize) -> Tensor {
        let [batch, _, channels] = x.shape();
        Tensor::made([batch, count, channels], &[x], |x| {
            x[0].clone().narrow(1, start, count)
        })
    }

    fn slice_channels(&self, x: &Tensor, start: usize, count: usize) -> Tensor {
        let [batch, rows, _] = x.shape();
        Tensor::made([batch, rows, count], &[x], |x| {
            x[0].clone().narrow(2, start, count)
        })
    }

    fn pad_channels(&self, x: &Tensor, before: usize, after: usize) -> Tensor {
        let [batch, rows, channels] = x.shape();
        Tensor::made([batch, rows, before + channels + after], &[x], |x| {
            let zeros = |count| Held::zeros([batch, rows, count], self.device());
            let mut parts = vec![x[0].clone()];
            if before > 0 {
                parts.insert(0, zeros(before));
            }
            if after > 0 {
                parts.push(zeros(after));
            }
            Held::cat(parts, 2)
        })
    }

    fn repeat_batch_as(&self, x: &Tensor, like: &Tensor) -> Tensor {
        let ([batch, rows, channels], [repeated, _, _]) = (x.shape(), like.shape());
        Tensor::made([repeated.max(batch), rows, channels], &[x, like], |x| {
            if [1, batch].contains(&repeated) {
                return x[0].clone();
            }
            assert!(repeated.is_multiple_of(batch), "whole repetitions");
            x[0].clone().repeat(&[repeated / batch, 1, 1])
        })
    }

    fn repeat_each(&self, x: &Tensor, times: usize) -> Tensor {
        let [batch, rows, channels] = x.shape();
        Tensor::made([batch * times, rows, channels], &[x], |x| {
            x[0].clone()
                .reshape([batch, 1, rows, channels])
                .expand([batch, times, rows, channels])
                .reshape([batch * times, rows, channels])
        })
    }

    fn reshape(&self, x: &Tensor, rows: usize, channels: usize) -> Tensor {
        let (values, size) = (
            x.shape().iter().product::<usize>(),
            (rows * channels).max(1),
        );
        assert!(values.is_multiple_of(size), "a whole batch");
        let shape = [values / size, rows, channels];
        Tensor::made(shape, &[x], |x| x[0].clone().reshape(shape))
    }

    fn patches(&self, images: &Tensor, width: usize, windows: Windows) -> Tensor {
        let [batch, channels, pixels] = images.shape();
        assert_windows(windows);
        let map = map_size(pixels, width);
        let count: usize = map.iter().map(|length| windows.along(*length)).product();
        let shape = [batch, count, channels * windows.side * windows.side];
        Tensor::made(shape, &[images], |images| {
            self.held_patches(images[0], map, windows).reshape(shape)
        })
    }

    fn depthwise_convolution(
        &self,
        x: &Tensor,
        width: usize,
        layer: &Depthwise,
        after: After<'_, Tensor>,
    ) -> Tensor {
        let [batch, rows, channels] = x.shape();
        let map = map_size(rows, width);
        let count = map
            .iter()
            .map(|length| layer.windows.along(*length))
            .product();
        made_with([batch, count, channels], x, after, |x, after| {
            self.held_depthwise(x, map, layer, after)
        })
    }

    fn standardise(&self, x: &Tensor, epsilon: f32) -> Tensor {
        Tensor::made(x.shape(), &[x], |x| self.held_standardise(x[0], epsilon))
    }

    fn resize(&self, maps: &Tensor, resampling: &Resampling) -> Tensor {
        let (from, to) = (resampling.from(), resampling.to());
        Tensor::made([maps.shape()[0], to, to], &[maps], |maps| {
            let matrix = self.held_constant([1, to, from], resampling.matrix());
            // A resize's own backward pass is missing on GPUs; products have one everywhere.
            matrix
                .clone()
                .matmul(maps[0].clone())
                .matmul(matrix.swap_dims(1, 2))
        })
    }
}

impl Burn {
    pub(crate) fn held_constant(&self, shape: [usize; 3], values: &[f32]) -> Held<3> {
        Held::from_data(TensorData::new(values.to_vec(), shape), self.device())
    }
}
