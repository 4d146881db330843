//! CLIP's text tower with deep prompts (`CLIP.encode_text` of the official
//! `models/model_CLIP.py`).
//!
//! Only what can influence the result is computed. Nothing after the end mark is read, so
//! the sequence ends there; and with a causal mask the rows before `<|class|>` depend on no
//! image, so their keys and values are computed once. For an image there remain the context
//! vectors, the words after them and the end mark.

use crate::block::{self, Block, CLIP_EPSILON, KeyValue};
use crate::error::Error;
use crate::operations::{After, Operations};
use crate::tokenizer::{CLASS, END, START, Tokenizer};
use std::collections::BTreeMap;
use vcp_checkpoint::{Tensor, Weights};

/// Epsilon of `prompt_norm`, unlike CLIP's own norms.
const PROMPT_EPSILON: f32 = 1e-6;

/// Bytes of a template: more than fit in a text tower, and few enough for the tokenizer,
/// whose time grows faster than the length of a word.
const LONGEST_TEMPLATE: usize = 4096;

/// The text transformer, its prompts and the prepared templates.
pub struct TextTower<O: Operations> {
    groups: Vec<Group<O::Tensor>>,
    /// [1, 2, templates]: row 0 averages the normal templates, row 1 the anomalous ones.
    averaging: O::Tensor,
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

/// Templates of equal lengths, which run as one batch of T.
struct Group<T> {
    /// Start mark and the words before `<|class|>`, with positions: [T, before, E].
    before: T,
    /// Positions of the context vectors: [1, r, E].
    context_positions: T,
    /// The words after and the end mark, with positions: [T, after, E].
    after: T,
    templates: usize,
}

/// Keys and values of one group's rows before `<|class|>`, for each block.
pub struct Prefix<T>(Vec<KeyValue<T>>);

/// One template as token ids: start and words before the class mark, words after and end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tokens {
    before: Vec<u32>,
    after: Vec<u32>,
}

impl<O: Operations> TextTower<O> {
    pub(crate) fn load(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let (geometry, settings) = (weights.geometry(), weights.settings());
        let (groups, averaging) = load_groups(ops, weights)?;
        let (n, width) = (geometry.deep_prompts, geometry.text.width);
        let prompts = if geometry.deep_prompting {
            Some(Prompts {
                rows: prompt_rows(ops, weights, n, width)?,
                projection: block::linear(ops, weights, "vcp.prompt_proj")?,
                norm: block::norm(ops, weights, "vcp.prompt_norm", PROMPT_EPSILON)?,
                count: n,
            })
        } else {
            None
        };
        let blocks = (0..geometry.text.layers)
            .map(|i| {
                let prefix = format!("clip.transformer.resblocks.{i}");
                Block::load(ops, weights, &prefix, geometry.text.heads)
            })
            .collect::<Result<_, _>>()?;
        let mut tower = Self {
            groups,
            averaging: ops.constant(
                [
                    1,
                    2,
                    settings.normal_templates.len() + settings.anomalous_templates.len(),
                ],
                &averaging,
            ),
            blocks,
            prompts,
            final_norm: block::norm(ops, weights, "clip.ln_final", CLIP_EPSILON)?,
            projection: block::projection(ops, weights, "clip.text_projection")?,
            prefixes: Vec::new(),
        };
        tower.prefixes = tower.prefixes(ops);
        Ok(tower)
    }

    /// Runs the rows that depend on no image.
    pub fn prefixes(&self, ops: &O) -> Vec<Prefix<O::Tensor>> {
        let prompts = self.prompts.as_ref().map(|prompts| {
            let project = |rows| ops.linear(rows, &prompts.projection, After::Nothing);
            let rows: Vec<_> = prompts.rows.iter().map(project).collect();
            (rows, prompts.count)
        });
        self.groups
            .iter()
            .map(|group| {
                let mut x = group.before.clone();
                let mut kept = Vec::with_capacity(self.blocks.len());
                for (index, block) in self.blocks.iter().enumerate() {
                    if let Some((rows, count)) = &prompts {
                        // The first block's prompts are inserted, those of the others overwrite
                        // them.
                        let skipped = if index == 0 { 0 } else { *count };
                        x = with_prompts(ops, &x, &rows[index], skipped);
                    }
                    let (next, key_value) = block.forward_causal(ops, &x, None);
                    kept.push(key_value);
                    x = next;
                }
                Prefix(kept)
            })
            .collect()
    }

    /// Context vectors [batch, r, E] → normalised text features [batch, 2, E], normal first.
    pub fn forward(&self, ops: &O, context: &O::Tensor) -> O::Tensor {
        self.forward_from(ops, &self.prefixes, context)
    }

    /// As [`TextTower::forward`], from prefixes given by the caller.
    pub fn forward_from(
        &self,
        ops: &O,
        prefixes: &[Prefix<O::Tensor>],
        context: &O::Tensor,
    ) -> O::Tensor {
        let batch = ops.shape(context)[0];
        let features: Vec<_> = self
            .groups
            .iter()
            .zip(prefixes)
            .map(|(group, prefix)| {
                // Batch index = image · templates + template.
                let context = ops.add(context, &group.context_positions);
                let context = ops.repeat_each(&context, group.templates);
                let after = ops.repeat_batch(&group.after, batch);
                let mut x = ops.concatenate_rows(&[&context, &after]);
                for (block, before) in self.blocks.iter().zip(&prefix.0) {
                    x = block.forward_causal(ops, &x, Some(before)).0;
                }
                let end = ops.slice_rows(&x, ops.shape(&x)[1] - 1, 1);
                let end = match &self.prompts {
                    Some(prompts) => ops.layer_norm(&end, &prompts.norm),
                    None => end,
                };
                let end = ops.layer_norm(&end, &self.final_norm);
                let feature = ops.linear(&end, &self.projection, After::Nothing);
                let width = ops.shape(&feature)[2];
                let feature = ops.reshape(&feature, [batch, group.templates, width]);
                ops.l2_normalise(&feature)
            })
            .collect();
        let features = ops.concatenate_rows(&features.iter().collect::<Vec<_>>());
        ops.l2_normalise(&ops.matmul(&self.averaging, &features))
    }
}

/// Rows with prompts after the start mark, in place of the `skipped` rows that follow it.
fn with_prompts<O: Operations>(
    ops: &O,
    x: &O::Tensor,
    prompts: &O::Tensor,
    skipped: usize,
) -> O::Tensor {
    let start = ops.slice_rows(x, 0, 1);
    let rest = ops.shape(x)[1] - 1 - skipped;
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
    let first = ops.parameter(&first, [1, n, width]);
    let mut rows = vec![first];
    // A tower of one block has none of them.
    if count > 0 {
        // One parameter for all later blocks: sliced, so that it also receives its gradient as
        // one tensor.
        let deep = ops.parameter(&deep, [1, count * n, width]);
        rows.extend((0..count).map(|i| ops.slice_rows(&deep, i * n, n)));
    }
    Ok(rows)
}

/// Groups of templates of equal lengths, and the averaging matrix in their order.
type Groups<T> = (Vec<Group<T>>, Vec<f32>);

fn load_groups<O: Operations>(ops: &O, weights: &Weights) -> Result<Groups<O::Tensor>, Error> {
    let (geometry, settings) = (weights.geometry(), weights.settings());
    let tokenizer = Tokenizer::shared();
    let sides = [&settings.normal_templates, &settings.anomalous_templates];
    let mut by_length: BTreeMap<(usize, usize), Vec<(usize, Tokens)>> = BTreeMap::new();
    for (side, templates) in sides.iter().enumerate() {
        if templates.is_empty() {
            return Err(Error::NoTemplate {
                side: ["normal", "anomalous"][side],
            });
        }
        for template in *templates {
            if template.len() > LONGEST_TEMPLATE {
                return Err(Error::TooManyBytes {
                    found: template.len(),
                    limit: LONGEST_TEMPLATE,
                });
            }
            let tokens = split_template(tokenizer, template)?;
            let rows = tokens.before.len() + geometry.context_vectors + tokens.after.len();
            if rows > geometry.context_length {
                return Err(Error::TooLong {
                    template: template.clone(),
                    found: rows,
                    limit: geometry.context_length,
                });
            }
            let all = tokens.before.iter().chain(&tokens.after);
            if let Some(&token) = all
                .max()
                .filter(|&&token| token as usize >= geometry.vocabulary)
            {
                return Err(Error::UnknownToken {
                    template: template.clone(),
                    token,
                    vocabulary: geometry.vocabulary,
                });
            }
            let lengths = (tokens.before.len(), tokens.after.len());
            by_length.entry(lengths).or_default().push((side, tokens));
        }
    }

    let total = sides.iter().map(|templates| templates.len()).sum::<usize>();
    let mut averaging = vec![0.0; 2 * total];
    let (r, width) = (geometry.context_vectors, geometry.text.width);
    let embedding = weights.tensor("clip.token_embedding.weight")?;
    let positions = weights.tensor("clip.positional_embedding")?.to_f32();
    let mut column = 0;
    let mut groups = Vec::with_capacity(by_length.len());
    for ((before, after), members) in by_length {
        for (side, _) in &members {
            averaging[side * total + column] = 1.0 / sides[*side].len() as f32;
            column += 1;
        }
        let embed = |pick: fn(&Tokens) -> &[u32], first: usize, count: usize| {
            let mut rows = Vec::with_capacity(members.len() * count * width);
            for (_, tokens) in &members {
                rows.extend(embed(&embedding, pick(tokens), &positions[first * width..]));
            }
            ops.constant([members.len(), count, width], &rows)
        };
        groups.push(Group {
            before: embed(|tokens| &tokens.before, 0, before),
            context_positions: ops.constant(
                [1, r, width],
                &positions[before * width..(before + r) * width],
            ),
            after: embed(|tokens| &tokens.after, before + r, after),
            templates: members.len(),
        });
    }
    embedding.release();
    Ok((groups, averaging))
}

/// Embeddings of `tokens` plus the first positions of `positions`.
fn embed(embedding: &Tensor<'_>, tokens: &[u32], positions: &[f32]) -> Vec<f32> {
    let width = embedding.shape()[1];
    let mut rows = vec![0.0; tokens.len() * width];
    for (row, &token) in rows.chunks_exact_mut(width).zip(tokens) {
        embedding.read_rows(token as usize..token as usize + 1, row);
    }
    for (value, position) in rows.iter_mut().zip(positions) {
        *value += position;
    }
    rows
}

fn split_template(tokenizer: &Tokenizer, template: &str) -> Result<Tokens, Error> {
    let ids = tokenizer.encode(template);
    let found = ids.iter().filter(|&&id| id == CLASS).count();
    let Some(at) = ids
        .iter()
        .position(|&id| id == CLASS)
        .filter(|_| found == 1)
    else {
        return Err(Error::ClassMark {
            template: template.to_owned(),
            found,
        });
    };
    let mut before = vec![START];
    before.extend(&ids[..at]);
    let mut after = ids[at + 1..].to_vec();
    after.push(END);
    Ok(Tokens { before, after })
}
