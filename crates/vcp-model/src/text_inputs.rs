//! What the text tower reads: templates as embedded tokens.

use crate::error::Error;
use crate::operations::Operations;
use crate::tokenizer::{CLASS, END, START, Tokenizer};
use std::collections::BTreeMap;
use vcp_checkpoint::{Tensor, Weights};

/// Bytes of a template: more than fit in a text tower, and few enough for the tokenizer,
/// whose time grows faster than the length of a word.
const LONGEST_TEMPLATE: usize = 4096;

/// The templates of a model as embedded tokens on a device. They depend on nothing that is trained, so
/// that a training makes them once.
#[derive(Clone)]
pub struct TextInputs<T> {
    pub(crate) groups: Vec<Group<T>>,
    /// [1, 2, templates]: row 0 averages the normal templates, row 1 the anomalous ones.
    pub(crate) averaging: T,
}

/// Templates of equal lengths, which run as one batch of T.
#[derive(Clone)]
pub(crate) struct Group<T> {
    /// Start mark and the words before `<|class|>`, with positions: [T, before, E].
    pub(crate) before: T,
    /// Positions of the context vectors: [1, r, E].
    pub(crate) context_positions: T,
    /// The words after and the end mark, with positions: [T, after, E].
    pub(crate) after: T,
    pub(crate) templates: usize,
}

/// One template as token ids: start and words before the class mark, words after and end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tokens {
    before: Vec<u32>,
    after: Vec<u32>,
}

/// Templates by the lengths of their two parts, each with its side: 0 for normal, 1 for anomalous.
type ByLengths = BTreeMap<(usize, usize), Vec<(usize, Tokens)>>;

impl<T> TextInputs<T> {
    /// Tokenises the templates of the settings, looks their tokens up and adds their positions.
    ///
    /// # Errors
    /// When a template cannot be used, a tensor cannot be read, or the device fails.
    pub fn new<O: Operations<Tensor = T>>(ops: &O, weights: &Weights) -> Result<Self, Error> {
        let (geometry, settings) = (weights.geometry(), weights.settings());
        let sides = [&settings.normal_templates, &settings.anomalous_templates];
        let total = sides.iter().map(|templates| templates.len()).sum::<usize>();
        let mut averaging = vec![0.0; 2 * total];
        let (r, width) = (geometry.context_vectors, geometry.text.width);
        let by_lengths = tokens(weights)?;
        let embedding = weights.tensor("clip.token_embedding.weight")?;
        let positions = weights.tensor("clip.positional_embedding")?.to_f32();
        let mut column = 0;
        let mut groups = Vec::with_capacity(by_lengths.len());
        for ((before, after), members) in by_lengths {
            for (side, _) in &members {
                averaging[side * total + column] = 1.0 / sides[*side].len() as f32;
                column += 1;
            }
            let embed = |pick: fn(&Tokens) -> &[u32], first: usize, count: usize| {
                let mut rows = Vec::with_capacity(members.len() * count * width);
                for (_, tokens) in &members {
                    rows.extend(embedded(
                        &embedding,
                        pick(tokens),
                        &positions[first * width..],
                    ));
                }
                ops.constant([members.len(), count, width], &rows)
            };
            let positions_of_context = &positions[before * width..(before + r) * width];
            groups.push(Group {
                before: embed(|tokens| &tokens.before, 0, before)?,
                context_positions: ops.constant([1, r, width], positions_of_context)?,
                after: embed(|tokens| &tokens.after, before + r, after)?,
                templates: members.len(),
            });
        }
        embedding.release();
        Ok(Self {
            groups,
            averaging: ops.constant([1, 2, total], &averaging)?,
        })
    }
}

/// The templates of the settings as tokens.
fn tokens(weights: &Weights) -> Result<ByLengths, Error> {
    let (geometry, settings) = (weights.geometry(), weights.settings());
    let tokenizer = Tokenizer::shared();
    let sides = [&settings.normal_templates, &settings.anomalous_templates];
    let mut by_lengths = ByLengths::new();
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
            by_lengths.entry(lengths).or_default().push((side, tokens));
        }
    }
    Ok(by_lengths)
}

/// Embeddings of `tokens` plus the first positions of `positions`.
fn embedded(embedding: &Tensor<'_>, tokens: &[u32], positions: &[f32]) -> Vec<f32> {
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
