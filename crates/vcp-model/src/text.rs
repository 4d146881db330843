//! CLIP's text tower with deep prompts (`CLIP.encode_text` of the official
//! `models/model_CLIP.py`).
//!
//! Only what can influence the result is computed. Nothing after the end mark is read, so
//! the sequence ends there; and with a causal mask the rows before `<|class|>` depend on no
//! image, so their keys and values are computed once. For an image there remain the context
//! vectors, the words after them and the end mark.

use crate::block::{self, Block, CLIP_EPSILON, KeyValue, Numbers};
use crate::device_error::DeviceError;
use crate::error::Error;
use crate::operations::{After, Operations};
use crate::text_inputs::TextInputs;
use vcp_checkpoint::Weights;

/// Epsilon of `prompt_norm`, unlike CLIP's own norms.
const PROMPT_EPSILON: f32 = 1e-6;

/// The text transformer, its prompts and the prepared templates.
pub struct TextTower<O: Operations> {
    inputs: TextInputs<O::Tensor>,
    blocks: Vec<Block<O>>,
    /// Nothing in a model without deep prompts.
    prompts: Option<Prompts<O>>,
    final_norm: O::Norm,
    projection: O::Linear,
    prefixes: Vec<Prefix<O::Tensor>>,
}

/// The learned rows that stand after the start mark, a set for each block.
struct Prompts<O: Operations> {
    /// [1, n, E] for each block.
    rows: Vec<O::Tensor>,
    projection: O::Linear,
    /// Of the end mark's row, before CLIP's own norm.
    norm: O::Norm,
    count: usize,
}

/// Keys and values of one group's rows before `<|class|>`, for each block.
struct Prefix<T>(Vec<KeyValue<T>>);

/// What may be done to the deep prompts before every block, such as dropout in training: from a block's
/// projected prompts [1, n, E] and the number of templates T that they are put into, to prompts with a
/// batch of 1, for all images and templates alike, or of images · T (image · T + template).
pub type ChangePrompts<'a, T> = dyn FnMut(&T, usize) -> Result<T, DeviceError> + 'a;

impl<O: Operations> TextTower<O> {
    /// Prepares the parameters and runs the rows that depend on no image.
    pub(crate) fn load(
        ops: &O,
        weights: &Weights,
        inputs: TextInputs<O::Tensor>,
        change_prompts: &mut ChangePrompts<'_, O::Tensor>,
    ) -> Result<Self, Error> {
        let geometry = weights.geometry();
        let (n, width) = (geometry.deep_prompts, geometry.text.width);
        let prompts = if geometry.deep_prompting {
            Some(Prompts {
                rows: prompt_rows(ops, weights, n, width)?,
                projection: block::linear(ops, weights, "vcp.prompt_proj", Numbers::Exact)?,
                norm: block::norm(ops, weights, "vcp.prompt_norm", PROMPT_EPSILON)?,
                count: n,
            })
        } else {
            None
        };
        let blocks = (0..geometry.text.layers)
            .map(|i| {
                let prefix = format!("clip.transformer.resblocks.{i}");
                Block::load(ops, weights, &prefix, geometry.text.heads, Numbers::Exact)
            })
            .collect::<Result<_, _>>()?;
        let mut tower = Self {
            inputs,
            blocks,
            prompts,
            final_norm: block::norm(ops, weights, "clip.ln_final", CLIP_EPSILON)?,
            projection: block::projection(ops, weights, "clip.text_projection")?,
            prefixes: Vec::new(),
        };
        tower.prefixes = tower.prefixes(ops, change_prompts)?;
        Ok(tower)
    }

    /// Runs the rows that depend on no image.
    fn prefixes(
        &self,
        ops: &O,
        change_prompts: &mut ChangePrompts<'_, O::Tensor>,
    ) -> Result<Vec<Prefix<O::Tensor>>, DeviceError> {
        let prompts = self.prompts.as_ref().map(|prompts| {
            let project = |rows| ops.linear(rows, &prompts.projection, After::Nothing);
            let rows: Vec<_> = prompts.rows.iter().map(project).collect();
            (rows, prompts.count)
        });
        let mut prefixes = Vec::with_capacity(self.inputs.groups.len());
        for group in &self.inputs.groups {
            let mut x = group.before.clone();
            let mut kept = Vec::with_capacity(self.blocks.len());
            for (index, block) in self.blocks.iter().enumerate() {
                if let Some((rows, count)) = &prompts {
                    let prompts = change_prompts(&rows[index], group.templates)?;
                    // The first block's prompts are inserted, those of the others overwrite
                    // them.
                    let skipped = if index == 0 { 0 } else { *count };
                    x = with_prompts(ops, &x, &prompts, skipped);
                }
                let (next, key_value) = block.forward_causal(ops, &x, None);
                kept.push(key_value);
                x = next;
            }
            prefixes.push(Prefix(kept));
        }
        Ok(prefixes)
    }

    /// Context vectors [batch, r, E] → normalised text features [batch, 2, E], normal first.
    pub fn forward(&self, ops: &O, context: &O::Tensor) -> O::Tensor {
        let features: Vec<_> = self
            .inputs
            .groups
            .iter()
            .zip(&self.prefixes)
            .map(|(group, prefix)| {
                // Batch index = image · templates + template.
                let context = ops.add(context, &group.context_positions);
                let context = ops.repeat_each(&context, group.templates);
                let after = ops.repeat_batch_as(&group.after, &context);
                let mut x = ops.concatenate_rows(&[&context, &after]);
                for (block, before) in self.blocks.iter().zip(&prefix.0) {
                    x = block.forward_causal(ops, &x, Some(before)).0;
                }
                let end = ops.slice_rows(&x, ops.rows(&x) - 1, 1);
                let end = match &self.prompts {
                    Some(prompts) => ops.layer_norm(&end, &prompts.norm),
                    None => end,
                };
                let end = ops.layer_norm(&end, &self.final_norm);
                let feature = ops.linear(&end, &self.projection, After::Nothing);
                // [batch · T, 1, E] → [batch, T, E].
                let feature = ops.reshape(&feature, group.templates, ops.channels(&feature));
                ops.l2_normalise(&feature)
            })
            .collect();
        let features = ops.concatenate_rows(&features.iter().collect::<Vec<_>>());
        ops.l2_normalise(&ops.matmul(&self.inputs.averaging, &features))
    }
}

/// Rows with prompts after the start mark, in place of the `skipped` rows that follow it.
fn with_prompts<O: Operations>(
    ops: &O,
    x: &O::Tensor,
    prompts: &O::Tensor,
    skipped: usize,
) -> O::Tensor {
    // Prompts that differ from image to image make all rows differ.
    let x = &ops.repeat_batch_as(x, prompts);
    let start = ops.slice_rows(x, 0, 1);
    let rest = ops.rows(x) - 1 - skipped;
    let mut parts = vec![&start, prompts];
    let words = (rest > 0).then(|| ops.slice_rows(x, 1 + skipped, rest));
    parts.extend(words.as_ref());
    ops.concatenate_rows(&parts)
}

/// The prompts that block i sees, [1, n, E] each.
fn prompt_rows<O: Operations>(
    ops: &O,
    weights: &Weights,
    n: usize,
    width: usize,
) -> Result<Vec<O::Tensor>, Error> {
    let first = weights.tensor("vcp.prompt_embeddings")?;
    let deep = weights.tensor("vcp.deep_prompt_embeddings")?;
    let count = deep.shape()[0];
    let first = ops.parameter(&first, [1, n, width])?;
    let mut rows = vec![first];
    // A tower of one block has none of them.
    if count > 0 {
        // One parameter for all later blocks: sliced, so that it also receives its gradient as
        // one tensor.
        let deep = ops.parameter(&deep, [1, count * n, width])?;
        rows.extend((0..count).map(|i| ops.slice_rows(&deep, i * n, n)));
    }
    Ok(rows)
}
