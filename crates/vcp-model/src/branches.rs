//! The two branches that compare patches with the two texts. Both end in a difference of
//! two logits for each patch: of two classes, the softmax's second value is the sigmoid of
//! the difference.

use crate::block::{self, Numbers};
use crate::error::Error;
use crate::operations::{After, Operations, Orientation};
use vcp_checkpoint::{Tensor, Weights};

/// Heads of Post-VCP's attention.
const HEADS: usize = 8;

/// How patches are compared with two texts: e^τ · patches · (anomalous − normal).
struct Comparison<T> {
    /// τ: [1, 1, 1].
    temperature: T,
    /// Anomalous minus normal: [1, 1, 2].
    difference: T,
}

impl<T> Comparison<T> {
    fn load<O: Operations<Tensor = T>>(ops: &O, temperature: &Tensor<'_>) -> Result<Self, Error> {
        Ok(Self {
            temperature: ops.parameter(temperature, [1, 1, 1])?,
            difference: ops.constant([1, 1, 2], &[-1.0, 1.0])?,
        })
    }

    /// Patches [batch, L, width] and text [batch, 2, width] → [batch, L, 1].
    fn forward<O: Operations<Tensor = T>>(&self, ops: &O, patches: &T, text: &T) -> T {
        let direction = ops.matmul(&self.difference, text);
        let similarity = ops.matmul_transposed(patches, &direction);
        ops.multiply(&similarity, &ops.exp(&self.temperature))
    }
}

/// Branch 1, the baseline branch: patches projected to the width of the text (the official
/// code's `trainable_linearlayer`).
pub struct BaselineBranch<O: Operations> {
    projections: Vec<O::Linear>,
    comparison: Comparison<O::Tensor>,
}

impl<O: Operations> BaselineBranch<O> {
    pub(crate) fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let temperature = weights.tensor("vcp.New_Lan_Embed.prompt_temp")?;
        Ok(Self {
            projections: (0..weights.settings().taps.len())
                .map(|i| {
                    let name = format!("vcp.trainable_linearlayer.fc.{i}");
                    block::linear(ops, weights, &name, Numbers::Exact)
                })
                .collect::<Result<_, _>>()?,
            comparison: Comparison::load(ops, &temperature)?,
        })
    }

    /// Patch rows of each tap [batch, L, D] and text [batch, 2, E] → differences of logits
    /// [batch, L, 1].
    pub fn forward(&self, ops: &O, taps: &[O::Tensor], text: &O::Tensor) -> Vec<O::Tensor> {
        taps.iter()
            .zip(&self.projections)
            .map(|(tap, projection)| {
                let patches = ops.l2_normalise(&ops.linear(tap, projection, After::Nothing));
                self.comparison.forward(ops, &patches, text)
            })
            .collect()
    }
}

/// Branch 2, Post-VCP: the text attends to the patches before it is compared with them
/// (paper, section 3.3; the official code's `Zero_try`).
///
/// Keys and values are linear in the patches, so their projections are done on the text's
/// side: q·(W z + b) = (Wᵀq)·z + a constant that the softmax drops, and Σ a (W z + b) =
/// W Σ a z + b. Two products over all patches become two over 2·8 rows.
pub struct PostContextBranch<O: Operations> {
    query: O::Linear,
    /// `x ↦ x·W_k`.
    key_folded: O::Linear,
    value: O::Linear,
    output: O::Linear,
    comparison: Comparison<O::Tensor>,
    /// [1, 2·heads, D]: 1 where a channel belongs to the row's head.
    head_mask: O::Tensor,
    /// [1, 2·heads, 2]: which text a row belongs to.
    spread: O::Tensor,
    /// [1, 1, heads] of ones: adds up what the heads of a text give.
    sum: O::Tensor,
}

impl<O: Operations> PostContextBranch<O> {
    pub(crate) fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let width = weights.geometry().vision.width;
        if !width.is_multiple_of(HEADS) {
            return Err(Error::HeadsDoNotFit {
                width,
                heads: HEADS,
            });
        }
        let head = width / HEADS;
        let mut head_mask = vec![0.0; 2 * HEADS * width];
        let mut spread = vec![0.0; 2 * HEADS * 2];
        for row in 0..2 * HEADS {
            head_mask[row * width + row % HEADS * head..][..head].fill(1.0);
            spread[row * 2 + row / HEADS] = 1.0;
        }
        let stored = |name: &str| weights.tensor(&format!("vcp.Zero_try.{name}"));
        let layer = |name: &str, bias: bool, orientation| -> Result<_, Error> {
            let weight = stored(&format!("{name}.weight"))?;
            let bias = if bias {
                Some(stored(&format!("{name}.bias"))?)
            } else {
                None
            };
            Ok(ops.linear_layer(&weight, bias.as_ref(), orientation)?)
        };
        Ok(Self {
            query: layer("q_proj_pre", true, Orientation::OutputsInputs)?,
            key_folded: layer("k_proj_pre_1", false, Orientation::InputsOutputs)?,
            value: layer("v_proj_pre_1", true, Orientation::OutputsInputs)?,
            output: layer("proj_post_t", true, Orientation::OutputsInputs)?,
            comparison: Comparison::load(ops, &stored("prompt_temp_l1")?)?,
            head_mask: ops.constant([1, 2 * HEADS, width], &head_mask)?,
            spread: ops.constant([1, 2 * HEADS, 2], &spread)?,
            sum: ops.constant([1, 1, HEADS], &[1.0; HEADS])?,
        })
    }

    /// Text [batch, 2, E] → what each head of each text looks for, [batch, 2·heads, D].
    fn folded_query(&self, ops: &O, text: &O::Tensor) -> O::Tensor {
        let query = ops.linear(text, &self.query, After::Nothing);
        let by_head = ops.multiply(&ops.matmul(&self.spread, &query), &self.head_mask);
        ops.linear(&by_head, &self.key_folded, After::Nothing)
    }

    /// The text updated by one tap's normalised patches [batch, L, D] → [batch, 2, D].
    fn updated_text(&self, ops: &O, query: &O::Tensor, patches: &O::Tensor) -> O::Tensor {
        let width = ops.channels(patches);
        // No 1/√d here, as in the official code.
        let attention = ops.softmax(&ops.matmul_transposed(query, patches));
        let pooled = ops.matmul(&attention, patches);
        let values = ops.linear(&pooled, &self.value, After::Nothing);
        // Each row keeps its own head's channels; the rows of a text then add up.
        let own = ops.multiply(&values, &self.head_mask);
        let halves = ops.reshape(&own, HEADS, width);
        let joined = ops.reshape(&ops.matmul(&self.sum, &halves), 2, width);
        ops.l2_normalise(&ops.linear(&joined, &self.output, After::Nothing))
    }

    /// Patch rows of each tap [batch, L, D] and text [batch, 2, E] → for each tap the
    /// updated text [batch, 2, D] and the differences of logits [batch, L, 1].
    pub fn forward(
        &self,
        ops: &O,
        taps: &[O::Tensor],
        text: &O::Tensor,
    ) -> Vec<(O::Tensor, O::Tensor)> {
        let query = self.folded_query(ops, text);
        taps.iter()
            .map(|tap| {
                let patches = ops.l2_normalise(tap);
                let updated = self.updated_text(ops, &query, &patches);
                let logits = self.comparison.forward(ops, &patches, &updated);
                (updated, logits)
            })
            .collect()
    }
}
