//! The canonical names of a model's tensors and their shapes: the one table that loading, writing
//! and generating weights follow.

use crate::backbone::{Backbone, InvertedResidual, NECK_KERNEL};
use crate::{Geometry, TowerGeometry};

/// Prefix of CLIP's tensors; OpenAI's names follow.
pub(crate) const CLIP: &str = "clip.";
/// Prefix of the learned parts; the official checkpoint's names follow.
pub(crate) const VCP: &str = "vcp.";
/// Prefix of a convolutional tower's backbone; of the parts that pretraining leaves as they are.
pub(crate) const BACKBONE: &str = "clip.visual.backbone";
/// The one tensor that may be absent.
pub(crate) const LOGIT_SCALE: &str = "clip.logit_scale";
/// The one tensor that is extended when a file lacks its last row.
pub(crate) const TOKEN_EMBEDDING: &str = "clip.token_embedding.weight";

/// A tensor that a model of a given geometry has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Canonical name.
    pub name: String,
    /// Lengths of the dimensions.
    pub shape: Vec<usize>,
    /// Whether a model is complete without it.
    pub optional: bool,
}

/// Every tensor of a model: first CLIP's (`clip.` + OpenAI's names, as in
/// `openai/CLIP/clip/model.py`; a convolutional vision tower has `clip.visual.backbone…` and
/// `clip.visual.neck…` in place of the transformer's), then the learned ones (`vcp.` + the names of the official
/// checkpoint).
#[must_use]
pub fn tensor_specs(geometry: &Geometry) -> Vec<TensorSpec> {
    let mut specs = clip_specs(geometry);
    specs.extend(vcp_specs(geometry));
    specs
}

struct Table {
    prefix: &'static str,
    specs: Vec<TensorSpec>,
}

impl Table {
    fn add(&mut self, name: &str, shape: &[usize]) {
        let name = format!("{}{name}", self.prefix);
        self.specs.push(TensorSpec {
            optional: name == LOGIT_SCALE,
            name,
            shape: shape.to_vec(),
        });
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.add(&format!("{name}.weight"), &[width]);
        self.add(&format!("{name}.bias"), &[width]);
    }

    /// A layer with weight and bias.
    fn layer(&mut self, name: &str, shape: &[usize]) {
        self.add(&format!("{name}.weight"), shape);
        self.add(&format!("{name}.bias"), &shape[..1]);
    }

    fn backbone(&mut self, backbone: Backbone) {
        let prefix = BACKBONE.strip_prefix(CLIP).unwrap_or(BACKBONE);
        self.layer(
            &format!("{prefix}.stem"),
            &[backbone.architecture.stem(), 3, 3, 3],
        );
        for (number, block) in backbone.blocks().iter().enumerate() {
            self.inverted_residual(&format!("{prefix}.blocks.{number}"), block);
        }
    }

    fn inverted_residual(&mut self, prefix: &str, block: &InvertedResidual) {
        let (expanded, kernel) = (block.expanded(), block.kernel);
        if block.expansion > 1 {
            self.layer(&format!("{prefix}.expand"), &[expanded, block.inputs, 1, 1]);
        }
        self.layer(
            &format!("{prefix}.depthwise"),
            &[expanded, 1, kernel, kernel],
        );
        self.layer(
            &format!("{prefix}.project"),
            &[block.outputs, expanded, 1, 1],
        );
    }

    fn neck(&mut self, backbone: Backbone, tower: TowerGeometry) {
        let width = tower.width;
        for (number, level) in backbone.levels().iter().enumerate() {
            let prefix = format!("visual.neck.levels.{number}");
            self.layer(&format!("{prefix}.feature"), &[width, level.channels]);
            self.add(
                &format!("{prefix}.standardised.weight"),
                &[width, level.channels],
            );
        }
        for number in 0..tower.layers {
            let prefix = format!("visual.neck.blocks.{number}");
            self.norm(&format!("{prefix}.norm"), width);
            self.layer(&format!("{prefix}.mix"), &[width, width]);
            self.layer(
                &format!("{prefix}.convolution"),
                &[width, width, NECK_KERNEL, NECK_KERNEL],
            );
        }
    }

    fn blocks(&mut self, name: &str, layers: usize, width: usize) {
        for layer in 0..layers {
            let block = format!("{name}.resblocks.{layer}");
            self.norm(&format!("{block}.ln_1"), width);
            self.add(&format!("{block}.attn.in_proj_weight"), &[3 * width, width]);
            self.add(&format!("{block}.attn.in_proj_bias"), &[3 * width]);
            self.add(&format!("{block}.attn.out_proj.weight"), &[width, width]);
            self.add(&format!("{block}.attn.out_proj.bias"), &[width]);
            self.norm(&format!("{block}.ln_2"), width);
            self.add(&format!("{block}.mlp.c_fc.weight"), &[4 * width, width]);
            self.add(&format!("{block}.mlp.c_fc.bias"), &[4 * width]);
            self.add(&format!("{block}.mlp.c_proj.weight"), &[width, 4 * width]);
            self.add(&format!("{block}.mlp.c_proj.bias"), &[width]);
        }
    }
}

/// CLIP's part of [`tensor_specs`].
pub(crate) fn clip_specs(geometry: &Geometry) -> Vec<TensorSpec> {
    let mut table = Table {
        prefix: CLIP,
        specs: Vec::new(),
    };
    let (embedding, patch) = (geometry.embedding_width, geometry.patch_size);
    let (vision, text) = (geometry.vision, geometry.text);
    // A grid that is not known leaves the number of rows unknown too.
    let rows = match geometry.native_grid {
        0 => 0,
        grid => grid * grid + 1,
    };
    if let Some(backbone) = geometry.backbone {
        table.backbone(backbone);
        table.neck(backbone, vision);
    } else {
        table.add("visual.class_embedding", &[vision.width]);
        table.add("visual.positional_embedding", &[rows, vision.width]);
        table.add("visual.conv1.weight", &[vision.width, 3, patch, patch]);
        table.norm("visual.ln_pre", vision.width);
        table.blocks("visual.transformer", vision.layers, vision.width);
    }
    table.norm("visual.ln_post", vision.width);
    table.add("visual.proj", &[vision.width, embedding]);
    table.add("token_embedding.weight", &[geometry.vocabulary, text.width]);
    table.add(
        "positional_embedding",
        &[geometry.context_length, text.width],
    );
    table.blocks("transformer", text.layers, text.width);
    table.norm("ln_final", text.width);
    table.add("text_projection", &[text.width, embedding]);
    table.add("logit_scale", &[]);
    table.specs
}

/// The learned part of [`tensor_specs`].
pub(crate) fn vcp_specs(geometry: &Geometry) -> Vec<TensorSpec> {
    let mut table = Table {
        prefix: VCP,
        specs: Vec::new(),
    };
    let (embedding, width) = (geometry.embedding_width, geometry.vision.width);
    let (vectors, prompts) = (geometry.context_vectors, geometry.deep_prompts);
    for tap in 0..geometry.tap_count {
        table.add(
            &format!("trainable_linearlayer.fc.{tap}.weight"),
            &[embedding, width],
        );
        table.add(
            &format!("trainable_linearlayer.fc.{tap}.bias"),
            &[embedding],
        );
    }
    table.add("New_Lan_Embed.prompt_query", &[1, vectors, embedding]);
    table.add("New_Lan_Embed.prompt_temp", &[]);
    table.add("New_Lan_Embed.prompt_linear1.fc.weight", &[vectors, 1, 3]);
    table.add("New_Lan_Embed.prompt_linear1.fc.bias", &[vectors]);
    table.add("Zero_try.prompt_temp_l1", &[]);
    for (name, inputs) in [
        ("q_proj_pre", embedding),
        ("k_proj_pre_1", width),
        ("v_proj_pre_1", width),
        ("proj_post_t", width),
    ] {
        table.add(&format!("Zero_try.{name}.weight"), &[width, inputs, 1]);
        table.add(&format!("Zero_try.{name}.bias"), &[width]);
    }
    table.add("prompt_text_projection", &[embedding, embedding]);
    table.add("prompt_embeddings", &[1, prompts, embedding]);
    if geometry.deep_prompting {
        table.add(
            "deep_prompt_embeddings",
            &[geometry.text.layers.saturating_sub(1), prompts, embedding],
        );
    }
    table.add("prompt_proj.weight", &[embedding, embedding]);
    table.add("prompt_proj.bias", &[embedding]);
    table.norm("prompt_norm", embedding);
    table.specs
}
