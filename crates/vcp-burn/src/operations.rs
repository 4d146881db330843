//! The operations, in Burn's.

use burn_tensor::activation;
use burn_tensor::{Tensor as Held, TensorData};
use vcp_checkpoint::{Activation, Tensor as Stored};
use vcp_model::{After, DeviceError, Operations, Orientation, Resampling};

use crate::fused::{self, LayerNorm, LinearLayer, Normalise, SelfAttention, Sigmoid};
use crate::tensor::{guarded, read};
use crate::{Burn, Tensor};

/// A linear layer.
pub struct Linear {
    /// As it is stored; of 16-bit floats in mixed precision.
    pub(crate) matrix: Held<2>,
    pub(crate) orientation: Orientation,
    /// [outputs].
    pub(crate) bias: Option<Held<1>>,
}

impl Linear {
    fn outputs(&self) -> usize {
        let [first, second] = self.matrix.dims();
        match self.orientation {
            Orientation::OutputsInputs => first,
            Orientation::InputsOutputs => second,
        }
    }

    /// [inputs, outputs].
    fn weight(&self) -> Held<2> {
        match self.orientation {
            Orientation::OutputsInputs => self.matrix.clone().transpose(),
            Orientation::InputsOutputs => self.matrix.clone(),
        }
    }

    fn fused(&self, x: &Held<3>, after: After<'_, Held<3>>) -> Option<Held<3>> {
        let layer = LinearLayer {
            orientation: self.orientation,
            has_bias: self.bias.is_some(),
            activation: match after {
                After::Activate(activation) => Some(activation),
                After::Nothing | After::Add(_) => None,
            },
            has_residual: matches!(after, After::Add(_)),
        };
        let (x, matrix) = (fused::input(x), fused::input(&self.matrix));
        match (&self.bias, after) {
            (None, After::Add(residual)) => {
                fused::apply(&layer, [x, matrix, fused::input(residual)])
            }
            (None, _) => fused::apply(&layer, [x, matrix]),
            (Some(bias), After::Add(residual)) => {
                let (bias, residual) = (fused::input(bias), fused::input(residual));
                fused::apply(&layer, [x, matrix, bias, residual])
            }
            (Some(bias), _) => fused::apply(&layer, [x, matrix, fused::input(bias)]),
        }
    }
}

/// A layer norm.
pub struct Norm {
    /// [channels].
    pub(crate) weight: Held<1>,
    pub(crate) bias: Held<1>,
    pub(crate) epsilon: f32,
}

/// What scores of keys that a query must not see are set to: its exponential is zero.
const UNSEEN: f32 = -1e9;

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

    fn linear(&self, x: &Tensor, layer: &Linear, after: After<'_, Tensor>) -> Tensor {
        let [batch, rows, _] = x.shape();
        let shape = [batch, rows, layer.outputs()];
        match after {
            After::Nothing => Tensor::made(shape, &[x], |x| {
                self.held_linear(x[0], layer, After::Nothing)
            }),
            After::Activate(activation) => Tensor::made(shape, &[x], |x| {
                self.held_linear(x[0], layer, After::Activate(activation))
            }),
            After::Add(residual) => Tensor::made(shape, &[x, residual], |x| {
                assert_eq!(x[1].dims(), shape, "the result's shape");
                self.held_linear(x[0], layer, After::Add(x[1]))
            }),
        }
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

    fn patches(&self, images: &Tensor, patch: usize) -> Tensor {
        let [batch, channels, pixels] = images.shape();
        let side = pixels.isqrt();
        let grid = side / patch;
        let covered = grid * patch;
        let shape = [batch, grid * grid, channels * patch * patch];
        Tensor::made(shape, &[images], |images| {
            images[0]
                .clone()
                .reshape([batch, channels, side, side])
                .narrow(2, 0, covered)
                .narrow(3, 0, covered)
                .reshape([batch, channels, grid, patch, grid, patch])
                .permute([0, 2, 4, 1, 3, 5])
                .reshape(shape)
        })
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

    pub(crate) fn held_linear(
        &self,
        x: &Held<3>,
        layer: &Linear,
        after: After<'_, Held<3>>,
    ) -> Held<3> {
        if let Some(result) = self.if_fused(|| layer.fused(x, after)) {
            return result;
        }
        let [batch, rows, inputs] = x.dims();
        let weight = layer.weight();
        let outputs = weight.dims()[1];
        // One product of many rows, not one for each element of the batch.
        let rows_of_all = x.clone().reshape([batch * rows, inputs]);
        let product = self.product(rows_of_all, weight);
        let sum = match &layer.bias {
            Some(bias) => product + bias.clone().reshape([1, outputs]),
            None => product,
        };
        let result = sum.reshape([batch, rows, outputs]);
        match after {
            After::Nothing => result,
            // Not Burn's own: the slope that it gives is that of the approximation with tanh.
            After::Activate(Activation::Gelu) => {
                let share = (result.clone() * std::f64::consts::FRAC_1_SQRT_2).erf();
                result * 0.5 * (share + 1.0)
            }
            After::Activate(Activation::QuickGelu) => {
                result.clone() * activation::sigmoid(result * 1.702)
            }
            After::Add(residual) => result + residual.clone(),
        }
    }

    pub(crate) fn held_layer_norm(&self, x: &Held<3>, norm: &Norm) -> Held<3> {
        assert_eq!(
            x.dims()[2],
            norm.weight.dims()[0],
            "channels as the norm has"
        );
        if let Some(result) = self.if_fused(|| {
            let (weight, bias) = (fused::input(&norm.weight), fused::input(&norm.bias));
            let epsilon = norm.epsilon;
            fused::apply(&LayerNorm { epsilon }, [fused::input(x), weight, bias])
        }) {
            return result;
        }
        let shape = [1, 1, norm.weight.dims()[0]];
        let (weight, bias) = (norm.weight.clone(), norm.bias.clone());
        let centred = x.clone() - x.clone().mean_dim(2);
        let variance = centred.clone().square().mean_dim(2);
        let normalised = centred / (variance + norm.epsilon).sqrt();
        normalised * weight.reshape(shape) + bias.reshape(shape)
    }

    fn held_attention(
        &self,
        query: &Held<3>,
        key: &Held<3>,
        value: &Held<3>,
        heads: usize,
        causal: bool,
    ) -> Held<3> {
        let [batch, rows, width] = query.dims();
        let keys = key.dims()[1];
        assert_eq!(key.dims(), value.dims(), "a value for each key");
        assert_eq!(key.dims(), [batch, keys, width], "keys as queries");
        assert!(width.is_multiple_of(heads), "heads of one width");
        assert!(!causal || rows <= keys, "a key for each query");
        let head = width / heads;
        let by_head = |x: &Held<3>| {
            let [batch, rows, _] = x.dims();
            x.clone()
                .reshape([batch, rows, heads, head])
                .swap_dims(1, 2)
        };
        let query = by_head(query) * (1.0 / (head as f32).sqrt());
        let mut scores = self.product(query, by_head(key).swap_dims(2, 3));
        if causal {
            scores = scores + self.causal_mask(rows, keys).reshape([1, 1, rows, keys]);
        }
        self.product(activation::softmax(scores, 3), by_head(value))
            .swap_dims(1, 2)
            .reshape([batch, rows, width])
    }

    /// [1, rows, keys]: zero where a query sees a key. The last query sees all keys.
    fn causal_mask(&self, rows: usize, keys: usize) -> Held<3> {
        let mut mask = vec![0.0; rows * keys];
        for (row, line) in mask.chunks_exact_mut(keys.max(1)).enumerate() {
            line[keys - rows + row + 1..].fill(UNSEEN);
        }
        self.held_constant([1, rows, keys], &mask)
    }
}
