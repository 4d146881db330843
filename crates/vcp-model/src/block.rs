//! The residual attention block that both of CLIP's towers are made of.

use crate::error::Error;
use crate::operations::{After, Operations, Orientation};
use vcp_checkpoint::{Activation, Tensor, Weights};

/// What a layer's operands may be rounded to, where the device computes in narrower numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// `f32`, always: the decoder.
    Exact,
    /// Narrower ones: the vision tower.
    Narrow,
}

impl Numbers {
    /// A linear layer stored [outputs, inputs].
    pub(crate) fn linear_layer<O: Operations>(
        self,
        ops: &O,
        weight: &Tensor<'_>,
        bias: Option<&Tensor<'_>>,
    ) -> Result<O::Linear, Error> {
        let orientation = Orientation::OutputsInputs;
        Ok(match self {
            Self::Exact => ops.linear_layer(weight, bias, orientation)?,
            Self::Narrow => ops.narrow_linear_layer(weight, bias, orientation)?,
        })
    }
}

/// Epsilon of every layer norm in CLIP.
pub(crate) const CLIP_EPSILON: f32 = 1e-5;

/// `x += attn(ln_1 x); x += mlp(ln_2 x)` (CLIP's `ResidualAttentionBlock`).
pub struct Block<O: Operations> {
    heads: usize,
    activation: Activation,
    attention_norm: O::Norm,
    query_key_value: O::Linear,
    attention_output: O::Linear,
    mlp_norm: O::Norm,
    expand: O::Linear,
    contract: O::Linear,
}

/// Keys and values of rows that later rows attend to, [batch, rows, width] each.
pub struct KeyValue<T> {
    pub(crate) key: T,
    pub(crate) value: T,
}

impl<O: Operations> Block<O> {
    /// Reads `{prefix}.attn…`, `.ln_1`, `.mlp…`, `.ln_2`.
    pub(crate) fn load(
        ops: &O,
        weights: &Weights,
        prefix: &str,
        heads: usize,
        numbers: Numbers,
    ) -> Result<Self, Error> {
        let linear = |name: &str| linear(ops, weights, &format!("{prefix}.{name}"), numbers);
        Ok(Self {
            heads,
            activation: weights.settings().activation,
            attention_norm: norm(ops, weights, &format!("{prefix}.ln_1"), CLIP_EPSILON)?,
            query_key_value: linear_named(
                ops,
                weights,
                &format!("{prefix}.attn.in_proj_weight"),
                &format!("{prefix}.attn.in_proj_bias"),
                numbers,
            )?,
            attention_output: linear("attn.out_proj")?,
            mlp_norm: norm(ops, weights, &format!("{prefix}.ln_2"), CLIP_EPSILON)?,
            expand: linear("mlp.c_fc")?,
            contract: linear("mlp.c_proj")?,
        })
    }

    /// Every row attends to every row (vision). x: [batch, rows, width].
    pub fn forward(&self, ops: &O, x: &O::Tensor) -> O::Tensor {
        let attended =
            ops.norm_self_attention(x, &self.attention_norm, &self.query_key_value, self.heads);
        self.add_to_residual(ops, x, &attended)
    }

    /// Every row attends to the rows of `before` and to those of `x` that do not come after
    /// it (text). Gives the new rows, and the keys and values of `x`.
    pub fn forward_causal(
        &self,
        ops: &O,
        x: &O::Tensor,
        before: Option<&KeyValue<O::Tensor>>,
    ) -> (O::Tensor, KeyValue<O::Tensor>) {
        let joint = ops.norm_linear(
            x,
            &self.attention_norm,
            &self.query_key_value,
            After::Nothing,
        );
        let width = ops.channels(x);
        let [query, key, value] =
            [0, 1, 2].map(|part| ops.slice_channels(&joint, part * width, width));
        let attended = match before {
            None => ops.attention(&query, &key, &value, self.heads, true),
            Some(before) => {
                let with = |before: &O::Tensor, x: &O::Tensor| {
                    ops.concatenate_rows(&[&ops.repeat_batch_as(before, x), x])
                };
                let (keys, values) = (with(&before.key, &key), with(&before.value, &value));
                ops.attention(&query, &keys, &values, self.heads, true)
            }
        };
        (
            self.add_to_residual(ops, x, &attended),
            KeyValue { key, value },
        )
    }

    fn add_to_residual(&self, ops: &O, x: &O::Tensor, attended: &O::Tensor) -> O::Tensor {
        let x = ops.linear(attended, &self.attention_output, After::Add(x));
        ops.norm_perceptron(
            &x,
            &self.mlp_norm,
            &self.expand,
            self.activation,
            &self.contract,
        )
    }
}

/// The layer norm `{name}.weight`, `{name}.bias`.
pub(crate) fn norm<O: Operations>(
    ops: &O,
    weights: &Weights,
    name: &str,
    epsilon: f32,
) -> Result<O::Norm, Error> {
    let weight = weights.tensor(&format!("{name}.weight"))?;
    let bias = weights.tensor(&format!("{name}.bias"))?;
    Ok(ops.norm_layer(&weight, &bias, epsilon)?)
}

/// The linear layer `{name}.weight` [outputs, inputs], `{name}.bias`.
pub(crate) fn linear<O: Operations>(
    ops: &O,
    weights: &Weights,
    name: &str,
    numbers: Numbers,
) -> Result<O::Linear, Error> {
    linear_named(
        ops,
        weights,
        &format!("{name}.weight"),
        &format!("{name}.bias"),
        numbers,
    )
}

fn linear_named<O: Operations>(
    ops: &O,
    weights: &Weights,
    weight: &str,
    bias: &str,
    numbers: Numbers,
) -> Result<O::Linear, Error> {
    let weight = weights.tensor(weight)?;
    let bias = weights.tensor(bias)?;
    let layer = numbers.linear_layer(ops, &weight, Some(&bias))?;
    weight.release();
    Ok(layer)
}

/// The bias-free projection `name`, stored [inputs, outputs].
pub(crate) fn projection<O: Operations>(
    ops: &O,
    weights: &Weights,
    name: &str,
) -> Result<O::Linear, Error> {
    let weight = weights.tensor(name)?;
    Ok(ops.linear_layer(&weight, None, Orientation::InputsOutputs)?)
}
