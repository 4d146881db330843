//! The operations, in Burn's.

use burn_tensor::activation;
use burn_tensor::{Tensor, TensorData};
use vcp_checkpoint::{Activation, Tensor as Stored};
use vcp_model::{After, Operations, Orientation, Resampling};

use crate::Burn;
use crate::burn::read;
use crate::fused::{self, LayerNorm, LinearLayer, Normalise, SelfAttention, Sigmoid};

/// A linear layer.
pub struct Linear {
    /// As it is stored; of 16-bit floats in mixed precision.
    pub(crate) matrix: Tensor<2>,
    pub(crate) orientation: Orientation,
    /// [outputs].
    pub(crate) bias: Option<Tensor<1>>,
}

impl Linear {
    /// [inputs, outputs].
    fn weight(&self) -> Tensor<2> {
        match self.orientation {
            Orientation::OutputsInputs => self.matrix.clone().transpose(),
            Orientation::InputsOutputs => self.matrix.clone(),
        }
    }

    fn fused(&self, x: &Tensor<3>, after: After<'_, Tensor<3>>) -> Option<Tensor<3>> {
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
    pub(crate) weight: Tensor<1>,
    pub(crate) bias: Tensor<1>,
    pub(crate) epsilon: f32,
}

/// What scores of keys that a query must not see are set to: its exponential is zero.
const UNSEEN: f32 = -1e9;

impl Operations for Burn {
    type Tensor = Tensor<3>;
    type Linear = Linear;
    type Norm = Norm;

    fn shape(&self, x: &Tensor<3>) -> [usize; 3] {
        x.dims()
    }

    fn constant(&self, shape: [usize; 3], values: &[f32]) -> Tensor<3> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), self.device())
    }

    fn values(&self, x: &Tensor<3>) -> Vec<f32> {
        read(x.clone())
    }

    fn parameter(&self, stored: &Stored<'_>, shape: [usize; 3]) -> Tensor<3> {
        self.flat_parameter(stored).reshape(shape)
    }

    fn linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Linear {
        let [first, rest] = [weight.shape()[0], weight.shape()[1..].iter().product()];
        Linear {
            matrix: self.flat_factor(weight).reshape([first, rest]),
            orientation,
            bias: bias.map(|bias| self.flat_parameter(bias)),
        }
    }

    fn norm_layer(&self, weight: &Stored<'_>, bias: &Stored<'_>, epsilon: f32) -> Norm {
        Norm {
            weight: self.flat_parameter(weight),
            bias: self.flat_parameter(bias),
            epsilon,
        }
    }

    fn linear(&self, x: &Tensor<3>, layer: &Linear, after: After<'_, Tensor<3>>) -> Tensor<3> {
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

    fn layer_norm(&self, x: &Tensor<3>, norm: &Norm) -> Tensor<3> {
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

    fn attention(
        &self,
        query: &Tensor<3>,
        key: &Tensor<3>,
        value: &Tensor<3>,
        heads: usize,
        causal: bool,
    ) -> Tensor<3> {
        let [batch, rows, width] = query.dims();
        let keys = key.dims()[1];
        let head = width / heads;
        let by_head = |x: &Tensor<3>| {
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

    fn norm_self_attention(
        &self,
        x: &Tensor<3>,
        norm: &Norm,
        query_key_value: &Linear,
        heads: usize,
    ) -> Tensor<3> {
        let joint = self.norm_linear(x, norm, query_key_value, After::Nothing);
        let fused = || fused::apply(&SelfAttention { heads }, [fused::input(&joint)]);
        if let Some(result) = self.if_fused(fused) {
            return result;
        }
        let width = joint.dims()[2] / 3;
        let [query, key, value] =
            [0, 1, 2].map(|part| self.slice_channels(&joint, part * width, width));
        self.attention(&query, &key, &value, heads, false)
    }

    fn l2_normalise(&self, x: &Tensor<3>) -> Tensor<3> {
        if let Some(result) = self.if_fused(|| fused::apply(&Normalise, [fused::input(x)])) {
            return result;
        }
        let length = x.clone().square().sum_dim(2).sqrt();
        x.clone() / length.clamp_min(1e-12)
    }

    fn softmax(&self, x: &Tensor<3>) -> Tensor<3> {
        activation::softmax(x.clone(), 2)
    }

    fn matmul(&self, a: &Tensor<3>, b: &Tensor<3>) -> Tensor<3> {
        self.product(a.clone(), b.clone())
    }

    fn matmul_transposed(&self, a: &Tensor<3>, b: &Tensor<3>) -> Tensor<3> {
        self.product(a.clone(), b.clone().swap_dims(1, 2))
    }

    fn add(&self, x: &Tensor<3>, y: &Tensor<3>) -> Tensor<3> {
        x.clone() + y.clone()
    }

    fn multiply(&self, x: &Tensor<3>, y: &Tensor<3>) -> Tensor<3> {
        x.clone() * y.clone()
    }

    fn exp(&self, x: &Tensor<3>) -> Tensor<3> {
        x.clone().exp()
    }

    fn sigmoid(&self, x: &Tensor<3>) -> Tensor<3> {
        self.if_fused(|| fused::apply(&Sigmoid, [fused::input(x)]))
            .unwrap_or_else(|| activation::sigmoid(x.clone()))
    }

    fn mean(&self, tensors: &[Tensor<3>]) -> Tensor<3> {
        let sum = tensors.iter().cloned().reduce(|sum, tensor| sum + tensor);
        sum.map_or_else(
            || self.constant([0, 0, 0], &[]),
            |sum| sum / tensors.len() as f32,
        )
    }

    fn concatenate_rows(&self, parts: &[&Tensor<3>]) -> Tensor<3> {
        let batch = parts.iter().map(|part| part.dims()[0]).max().unwrap_or(1);
        let parts = parts.iter().map(|part| match part.dims() {
            [1, rows, channels] if batch > 1 => (*part).clone().expand([batch, rows, channels]),
            _ => (*part).clone(),
        });
        Tensor::cat(parts.collect(), 1)
    }

    fn concatenate_channels(&self, parts: &[&Tensor<3>]) -> Tensor<3> {
        Tensor::cat(parts.iter().map(|part| (*part).clone()).collect(), 2)
    }

    fn slice_rows(&self, x: &Tensor<3>, start: usize, count: usize) -> Tensor<3> {
        x.clone().narrow(1, start, count)
    }

    fn slice_channels(&self, x: &Tensor<3>, start: usize, count: usize) -> Tensor<3> {
        x.clone().narrow(2, start, count)
    }

    fn repeat_batch(&self, x: &Tensor<3>, times: usize) -> Tensor<3> {
        x.clone().repeat(&[times, 1, 1])
    }

    fn repeat_each(&self, x: &Tensor<3>, times: usize) -> Tensor<3> {
        let [batch, rows, channels] = x.dims();
        x.clone()
            .reshape([batch, 1, rows, channels])
            .expand([batch, times, rows, channels])
            .reshape([batch * times, rows, channels])
    }

    fn reshape(&self, x: &Tensor<3>, shape: [usize; 3]) -> Tensor<3> {
        x.clone().reshape(shape)
    }

    fn patches(&self, images: &Tensor<3>, patch: usize) -> Tensor<3> {
        let [batch, channels, pixels] = images.dims();
        let side = pixels.isqrt();
        let grid = side / patch;
        let covered = grid * patch;
        images
            .clone()
            .reshape([batch, channels, side, side])
            .narrow(2, 0, covered)
            .narrow(3, 0, covered)
            .reshape([batch, channels, grid, patch, grid, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, grid * grid, channels * patch * patch])
    }

    fn resize(&self, maps: &Tensor<3>, resampling: &Resampling) -> Tensor<3> {
        let (from, to) = (resampling.from(), resampling.to());
        let matrix = self.constant([1, to, from], resampling.matrix());
        // A resize's own backward pass is missing on GPUs; products have one everywhere.
        matrix
            .clone()
            .matmul(maps.clone())
            .matmul(matrix.swap_dims(1, 2))
    }
}

impl Burn {
    /// [1, rows, keys]: zero where a query sees a key. The last query sees all keys.
    fn causal_mask(&self, rows: usize, keys: usize) -> Tensor<3> {
        let mut mask = vec![0.0; rows * keys];
        for (row, line) in mask.chunks_exact_mut(keys.max(1)).enumerate() {
            line[keys - rows + row + 1..].fill(UNSEEN);
        }
        self.constant([1, rows, keys], &mask)
    }
}
