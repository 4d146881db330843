//! What weights are before training.

use crate::Geometry;
use crate::generated::Distribution;

/// How a tensor is distributed before training.
pub(crate) fn distribution(name: &str, shape: &[usize], geometry: &Geometry) -> Distribution {
    match (name.strip_prefix("vcp."), name.strip_prefix("clip.")) {
        (Some(name), _) => learned(name, shape, geometry),
        (None, name) => clip(name.unwrap_or_default(), shape, geometry),
    }
}

/// CLIP's start, `initialize_parameters` of `openai/CLIP/clip/model.py`, with norms and biases that
/// differ a little, so that random weights use every one of them.
fn clip(name: &str, shape: &[usize], geometry: &Geometry) -> Distribution {
    let inputs: usize = shape.iter().skip(1).product();
    let last = shape.last().copied().unwrap_or(1);
    let layers = if name.starts_with("visual.") {
        geometry.vision.layers
    } else {
        geometry.text.layers
    };
    match name {
        "logit_scale" => Distribution::Constant(START_TEMPERATURE.ln()),
        "token_embedding.weight" => Distribution::spread(0.02),
        "positional_embedding" => Distribution::spread(0.01),
        "visual.class_embedding" | "visual.positional_embedding" => {
            Distribution::spread(1.0 / root(last))
        }
        _ if name.starts_with("visual.neck.levels.") && name.ends_with(".weight") => {
            // Four levels, each twice, are summed up.
            Distribution::spread(1.0 / (root(inputs) * 8_f32.sqrt()))
        }
        _ if name.starts_with("visual.neck.") && name.ends_with(".norm.weight") => {
            Distribution::Constant(1.0)
        }
        _ if name.starts_with("visual.neck.") && name.ends_with(".convolution.weight") => {
            Distribution::spread(1.0 / (root(inputs) * root(layers)))
        }
        // Behind ReLU6, half of a signal's power is left.
        _ if name.starts_with("visual.backbone.") && name.ends_with(".weight") => {
            Distribution::spread((2.0 / inputs.max(1) as f32).sqrt())
        }
        "visual.proj" | "text_projection" => Distribution::spread(1.0 / root(shape[0])),
        _ if name.contains("ln_") && name.ends_with(".weight") => Distribution::Uniform {
            centre: 1.0,
            bound: 0.1,
        },
        _ if name.ends_with("bias") => Distribution::spread(0.01),
        // What adds to the residual stream shrinks with depth, so that the stream does not grow.
        _ if name.ends_with("attn.out_proj.weight") || name.ends_with("mlp.c_proj.weight") => {
            Distribution::spread(1.0 / (root(inputs) * root(2 * layers)))
        }
        _ => Distribution::spread(1.0 / root(inputs)),
    }
}

/// The learned parts' start, as the official `models/` have it (`pre_vcp.py`, `post_vcp.py`, `CLIP` of
/// `model_CLIP.py`, `LinearLayer` of `train.py`): where those say nothing else, what PyTorch's layers do.
fn learned(name: &str, shape: &[usize], geometry: &Geometry) -> Distribution {
    // Weights and bias of a layer: uniform up to 1 / √inputs.
    let layer = |inputs: usize| Distribution::Uniform {
        centre: 0.0,
        bound: 1.0 / root(inputs),
    };
    let embedding = geometry.embedding_width;
    match name {
        "New_Lan_Embed.prompt_temp" | "Zero_try.prompt_temp_l1" => {
            Distribution::Constant(START_TEMPERATURE.ln())
        }
        "New_Lan_Embed.prompt_query" => Distribution::Normal {
            deviation: 1.0,
            truncated: true,
        },
        "prompt_embeddings" | "deep_prompt_embeddings" => Distribution::Uniform {
            centre: 0.0,
            bound: 1.0,
        },
        // Kaiming normal with the fan of the outputs.
        "prompt_proj.weight" => Distribution::Normal {
            deviation: (2.0 / shape[0] as f32).sqrt(),
            truncated: false,
        },
        "prompt_norm.weight" => Distribution::Constant(1.0),
        "prompt_norm.bias" => Distribution::Constant(0.0),
        "prompt_text_projection" => Distribution::spread(1.0 / root(embedding)),
        "New_Lan_Embed.prompt_linear1.fc.bias" => layer(3),
        "prompt_proj.bias" | "Zero_try.q_proj_pre.bias" => layer(embedding),
        _ if name.ends_with("bias") => layer(geometry.vision.width),
        _ => layer(shape.iter().skip(1).product()),
    }
}

const START_TEMPERATURE: f32 = 1.0 / 0.07;

fn root(value: usize) -> f32 {
    (value.max(1) as f32).sqrt()
}
