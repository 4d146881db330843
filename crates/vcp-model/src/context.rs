//! Pre-VCP: the image's feature turned into context vectors for the text (paper, section
//! 3.2; the official code's `New_Lan_Embed`).

use crate::error::Error;
use crate::operations::Operations;
use vcp_checkpoint::Weights;

/// context z = q + conv(x): learned vectors plus a 1 → r channel convolution of width 3 that
/// slides along the channels of the image feature.
pub struct VisualContext<O: Operations> {
    /// [1, r, E].
    query: O::Tensor,
    /// Nothing where the context does not depend on the image.
    convolution: Option<Convolution<O::Tensor>>,
}

struct Convolution<T> {
    /// [1, r, 3].
    kernel: T,
    /// [1, r, 1].
    bias: T,
}

impl<O: Operations> VisualContext<O> {
    pub(crate) fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let geometry = weights.geometry();
        let (r, width) = (geometry.context_vectors, geometry.embedding_width);
        let parameter = |name: &str, shape| -> Result<_, Error> {
            let stored = weights.tensor(&format!("vcp.New_Lan_Embed.{name}"))?;
            Ok(ops.parameter(&stored, shape)?)
        };
        let convolution = if weights.settings().global_context {
            Some(Convolution {
                kernel: parameter("prompt_linear1.fc.weight", [1, r, 3])?,
                bias: parameter("prompt_linear1.fc.bias", [1, r, 1])?,
            })
        } else {
            None
        };
        Ok(Self {
            query: parameter("prompt_query", [1, r, width])?,
            convolution,
        })
    }

    /// Image feature [batch, 1, E] → context vectors [batch, r, E].
    pub fn forward(&self, ops: &O, image_feature: &O::Tensor) -> O::Tensor {
        let Some(Convolution { kernel, bias }) = &self.convolution else {
            return ops.repeat_batch_as(&self.query, image_feature);
        };
        let others = ops.channels(image_feature) - 1;
        let before = ops.slice_channels(image_feature, 0, others);
        let after = ops.slice_channels(image_feature, 1, others);
        // Each channel with its neighbours, zeros beyond the ends: [batch, 3, E].
        let windows = ops.concatenate_rows(&[
            &ops.pad_channels(&before, 1, 0),
            image_feature,
            &ops.pad_channels(&after, 0, 1),
        ]);
        let convolved = ops.add(&ops.matmul(kernel, &windows), bias);
        ops.add(&convolved, &self.query)
    }
}
