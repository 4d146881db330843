//! CLIP's towers with the deep prompts, stated plainly in f64: every row of every layer, one
//! image at a time, nothing kept, nothing left out.

use vcp_checkpoint::{Activation, Weights};
use vcp_model::{CLASS, END, START, Tokenizer};
use vcp_testing::exact;

/// Rows of one width.
pub(crate) type Rows = Vec<Vec<f64>>;

/// A stored tensor as numbers.
pub(crate) fn read(weights: &Weights, name: &str) -> Vec<f64> {
    let stored = weights.tensor(name).expect("a tensor of the model");
    stored.to_f32().iter().map(|&x| f64::from(x)).collect()
}

fn rows(values: &[f64], width: usize) -> Rows {
    values.chunks_exact(width).map(<[f64]>::to_vec).collect()
}

fn plus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `x` divided by its length.
pub(crate) fn normalised(x: &[f64]) -> Vec<f64> {
    let length = dot(x, x).sqrt();
    x.iter().map(|x| x / length).collect()
}

/// The layer norm `{name}.weight`, `{name}.bias`.
fn layer_norm(weights: &Weights, name: &str, epsilon: f64, x: &[f64]) -> Vec<f64> {
    let weight = read(weights, &format!("{name}.weight"));
    let bias = read(weights, &format!("{name}.bias"));
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let each = x.iter().zip(weight).zip(bias);
    each.map(|((x, weight), bias)| (x - mean) / (variance + epsilon).sqrt() * weight + bias)
        .collect()
}

/// x·Wᵀ + b on every row, with W stored [outputs, inputs].
fn linear(weights: &Weights, weight: &str, bias: &str, x: &[Vec<f64>]) -> Rows {
    let weight = rows(&read(weights, weight), x[0].len());
    let bias = read(weights, bias);
    x.iter()
        .map(|x| {
            let each = weight.iter().zip(&bias);
            each.map(|(weight, bias)| dot(weight, x) + bias).collect()
        })
        .collect()
}

/// x·W, with W stored [inputs, outputs].
fn projected(weights: &Weights, name: &str, x: &[f64]) -> Vec<f64> {
    let matrix = read(weights, name);
    let outputs = matrix.len() / x.len();
    (0..outputs)
        .map(|o| {
            x.iter()
                .enumerate()
                .map(|(i, x)| x * matrix[i * outputs + o])
                .sum()
        })
        .collect()
}

fn activate(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Gelu => exact::gelu(x),
        Activation::QuickGelu => exact::quick_gelu(x),
    }
}

/// Multi-head attention with heads of 64 channels; row i sees rows 0..=i if `causal`.
fn attention(query: &[Vec<f64>], key: &[Vec<f64>], value: &[Vec<f64>], causal: bool) -> Rows {
    let width = query[0].len();
    let mut out = vec![vec![0.0; width]; query.len()];
    for head in 0..width / 64 {
        let part = head * 64..(head + 1) * 64;
        for (i, query) in query.iter().enumerate() {
            let visible = if causal { i + 1 } else { key.len() };
            let scores: Vec<f64> = key[..visible]
                .iter()
                .map(|key| (dot(&query[part.clone()], &key[part.clone()]) / 8.0).exp())
                .collect();
            let total: f64 = scores.iter().sum();
            for (score, value) in scores.iter().zip(value) {
                for channel in part.clone() {
                    out[i][channel] += score / total * value[channel];
                }
            }
        }
    }
    out
}

/// `x += attn(ln_1 x); x += mlp(ln_2 x)`.
pub(crate) fn block(weights: &Weights, prefix: &str, causal: bool, x: &[Vec<f64>]) -> Rows {
    let norm = |name: &str, x: &[Vec<f64>]| -> Rows {
        let name = format!("{prefix}.{name}");
        x.iter()
            .map(|x| layer_norm(weights, &name, 1e-5, x))
            .collect()
    };
    let layer = |name: &str, x: &[Vec<f64>]| {
        let [weight, bias] = ["weight", "bias"].map(|part| format!("{prefix}.{name}{part}"));
        linear(weights, &weight, &bias, x)
    };
    let sum = |a: &[Vec<f64>], b: &[Vec<f64>]| -> Rows {
        a.iter().zip(b).map(|(a, b)| plus(a, b)).collect()
    };
    let width = x[0].len();
    let joint = layer("attn.in_proj_", &norm("ln_1", x));
    let [query, key, value] = [0, 1, 2].map(|part| -> Rows {
        let part = part * width..(part + 1) * width;
        joint.iter().map(|row| row[part.clone()].to_vec()).collect()
    });
    let attended = attention(&query, &key, &value, causal);
    let x = sum(x, &layer("attn.out_proj.", &attended));
    let mut hidden = layer("mlp.c_fc.", &norm("ln_2", &x));
    for value in hidden.iter_mut().flatten() {
        *value = activate(weights.settings().activation, *value);
    }
    sum(&x, &layer("mlp.c_proj.", &hidden))
}

/// The outputs of all blocks of the vision tower for one image [3, side·side], whose side is
/// the one that CLIP was trained with, so that no position is resampled.
pub(crate) fn vision_blocks(weights: &Weights, image: &[f32]) -> Vec<Rows> {
    let geometry = weights.geometry();
    let (width, patch, grid) = (
        geometry.vision.width,
        geometry.patch_size,
        geometry.native_grid,
    );
    let side = patch * grid;
    let kernels = rows(
        &read(weights, "clip.visual.conv1.weight"),
        3 * patch * patch,
    );
    let positions = rows(&read(weights, "clip.visual.positional_embedding"), width);
    let mut x = vec![read(weights, "clip.visual.class_embedding")];
    for square in 0..grid * grid {
        let (top, left) = (square / grid * patch, square % grid * patch);
        let mut pixels = Vec::with_capacity(3 * patch * patch);
        for colour in 0..3 {
            for row in top..top + patch {
                for column in left..left + patch {
                    pixels.push(f64::from(image[(colour * side + row) * side + column]));
                }
            }
        }
        x.push(kernels.iter().map(|kernel| dot(kernel, &pixels)).collect());
    }
    let mut x: Rows = x
        .iter()
        .zip(&positions)
        .map(|(x, position)| layer_norm(weights, "clip.visual.ln_pre", 1e-5, &plus(x, position)))
        .collect();
    (0..geometry.vision.layers)
        .map(|i| {
            let prefix = format!("clip.visual.transformer.resblocks.{i}");
            x = block(weights, &prefix, false, &x);
            x.clone()
        })
        .collect()
}

/// One template's normalised text feature: the whole sequence of as many rows as there are
/// positions, padded with zeros after the end mark as the official tokenizer does, and the
/// prompts, through every block.
fn text_feature(weights: &Weights, template: &str, context: &[Vec<f64>]) -> Vec<f64> {
    let geometry = weights.geometry();
    let (width, n) = (geometry.text.width, geometry.deep_prompts);
    let embedding = weights
        .tensor("clip.token_embedding.weight")
        .expect("present");
    let mut tokens = vec![START];
    tokens.extend(Tokenizer::new().encode(template));
    tokens.push(END);
    // The context vectors take more rows than the mark they replace.
    tokens.resize(geometry.context_length + 1 - context.len(), 0);

    let mut x: Rows = Vec::new();
    let mut end = 0;
    for token in tokens {
        if token == CLASS {
            x.extend_from_slice(context);
            continue;
        }
        if token == END {
            end = x.len();
        }
        let mut row = vec![0.0_f32; width];
        embedding.read_rows(token as usize..token as usize + 1, &mut row);
        x.push(row.iter().map(|&x| f64::from(x)).collect());
    }
    let positions = rows(&read(weights, "clip.positional_embedding"), width);
    assert_eq!(x.len(), positions.len(), "a position for every row");
    for (row, position) in x.iter_mut().zip(&positions) {
        *row = plus(row, position);
    }

    let prompting = geometry.deep_prompting;
    let prompts = |values: &[f64]| {
        let [weight, bias] = ["vcp.prompt_proj.weight", "vcp.prompt_proj.bias"];
        linear(weights, weight, bias, &rows(values, width))
    };
    let mut deep = Vec::new();
    if prompting {
        x.splice(1..1, prompts(&read(weights, "vcp.prompt_embeddings")));
        deep = read(weights, "vcp.deep_prompt_embeddings");
    }
    for i in 0..geometry.text.layers {
        if prompting && i > 0 {
            let own = &deep[(i - 1) * n * width..i * n * width];
            x.splice(1..=n, prompts(own));
        }
        let prefix = format!("clip.transformer.resblocks.{i}");
        x = block(weights, &prefix, true, &x);
    }
    let mut end = x[if prompting { end + n } else { end }].clone();
    if prompting {
        end = layer_norm(weights, "vcp.prompt_norm", 1e-6, &end);
    }
    let end = layer_norm(weights, "clip.ln_final", 1e-5, &end);
    normalised(&projected(weights, "clip.text_projection", &end))
}

/// The text features of one image, normal first: [2, E].
pub(crate) fn text(weights: &Weights, context: &[Vec<f64>]) -> Rows {
    let settings = weights.settings();
    let sides = [&settings.normal_templates, &settings.anomalous_templates];
    sides
        .iter()
        .map(|templates| {
            let features = templates
                .iter()
                .map(|template| text_feature(weights, template, context));
            let sum = features.reduce(|a, b| plus(&a, &b)).expect("a template");
            normalised(&sum)
        })
        .collect()
}
