//! Layers, in Burn's operations: what they hold, and what they compute.

use burn_tensor::Tensor as Held;
use burn_tensor::activation;
use vcp_checkpoint::Activation;
use vcp_model::{After, Orientation, Windows};

use crate::Burn;
use crate::fused::{self, Curve, LayerNorm, LinearLayer};

/// A linear layer.
pub struct Linear {
    /// As it is stored; of 16-bit floats in mixed precision.
    pub(crate) matrix: Held<2>,
    pub(crate) orientation: Orientation,
    /// [outputs].
    pub(crate) bias: Option<Held<1>>,
}

impl Linear {
    pub(crate) fn outputs(&self) -> usize {
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
            curve: Curve::of(after),
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

/// A depthwise convolution.
pub struct Depthwise {
    /// [channels, side²].
    pub(crate) kernels: Held<2>,
    /// [channels].
    pub(crate) bias: Held<1>,
    pub(crate) windows: Windows,
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

/// What comes after a sum that has its bias.
pub(crate) fn finished(result: Held<3>, after: After<'_, Held<3>>) -> Held<3> {
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
        // Not Burn's own `clamp`, which on GPUs may take what is no number for a bound. At both bounds the slope is 0.
        After::Relu6 => {
            let (low, high) = (
                result.clone().lower_equal_elem(0.0),
                result.clone().greater_equal_elem(6.0),
            );
            result.mask_fill(low, 0.0).mask_fill(high, 6.0)
        }
        After::Add(residual) => result + residual.clone(),
    }
}

impl Burn {
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
        finished(sum.reshape([batch, rows, outputs]), after)
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

    pub(crate) fn held_attention(
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
