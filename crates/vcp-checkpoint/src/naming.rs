//! How different programs name CLIP's tensors: OpenAI's own names, `open_clip`'s variations of them,
//! and Hugging Face's.

use crate::TensorFile;
use crate::error::Error;
use crate::names::CLIP;
use crate::wrapping::{Telling, Unwrapped};

/// CLIP within a file.
pub(crate) type Clip<'a> = Unwrapped<'a, Convention>;

/// The conventions known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Convention {
    /// `visual.conv1.weight`, `transformer.resblocks.0…`; `open_clip`'s `CLIP` has the same.
    OpenAi,
    /// `open_clip`'s `CustomTextCLIP`: the text tower's names begin with `text.`.
    OpenClipTextTower,
    /// `vision_model.encoder.layers.0.self_attn.q_proj…`.
    HuggingFace,
}

/// A convention as one file follows it.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    convention: Convention,
    /// The text projection is a linear layer's weight, transposed against OpenAI's matrix.
    linear_text_projection: bool,
}

/// A tensor in the file that makes up a canonical tensor or some of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) name: String,
    /// The two dimensions are swapped in the file.
    pub(crate) transposed: bool,
}

/// The tensors that tell which convention a file follows.
const TELLING: [Telling<Convention>; 3] = [
    Telling {
        convention: Convention::OpenAi,
        names: [
            "visual.conv1.weight",
            "visual.class_embedding",
            "token_embedding.weight",
            "ln_final.weight",
        ],
    },
    Telling {
        convention: Convention::OpenClipTextTower,
        names: [
            "visual.conv1.weight",
            "visual.class_embedding",
            "text.token_embedding.weight",
            "text.ln_final.weight",
        ],
    },
    Telling {
        convention: Convention::HuggingFace,
        names: [
            "vision_model.embeddings.patch_embedding.weight",
            "vision_model.embeddings.class_embedding",
            "text_model.embeddings.token_embedding.weight",
            "text_model.final_layer_norm.weight",
        ],
    },
];

impl Naming {
    /// Finds CLIP in a file and which convention it follows there; OpenAI's if it is not found.
    ///
    /// # Errors
    /// If there is more than one CLIP.
    pub(crate) fn of(file: &TensorFile) -> Result<(Self, Clip<'_>), Error> {
        let clip = Unwrapped::of(file, &TELLING)?;
        let linear = match clip.convention {
            Convention::OpenAi => "text_projection.weight",
            Convention::OpenClipTextTower => "text.text_projection.weight",
            Convention::HuggingFace => "",
        };
        let naming = Self {
            convention: clip.convention,
            linear_text_projection: clip.convention == Convention::HuggingFace
                || clip.layout(linear).is_some(),
        };
        Ok((naming, clip))
    }

    /// The tensors that tell of the vision tower.
    pub(crate) fn has_vision_tower(clip: &Clip<'_>) -> bool {
        let mut telling = TELLING.iter().map(|telling| telling.names[0]);
        telling.any(|name| clip.layout(name).is_some())
    }

    /// The tensors in the file that make up the canonical tensor `name` (with its `clip.`), one
    /// below the other.
    pub(crate) fn pieces(&self, name: &str) -> Vec<Piece> {
        let name = name.strip_prefix(CLIP).unwrap_or(name);
        let (names, transposed) = match self.convention {
            Convention::HuggingFace => hugging_face(name),
            Convention::OpenAi | Convention::OpenClipTextTower => {
                let linear = name == "text_projection" && self.linear_text_projection;
                let in_text_tower = self.convention == Convention::OpenClipTextTower
                    && !name.starts_with("visual.")
                    && name != "logit_scale";
                let tower = if in_text_tower { "text." } else { "" };
                let suffix = if linear { ".weight" } else { "" };
                (vec![format!("{tower}{name}{suffix}")], linear)
            }
        };
        names
            .into_iter()
            .map(|name| Piece { name, transposed })
            .collect()
    }

    /// What stands in front of the number of a block, for the vision or the text tower.
    pub(crate) fn block_prefix(&self, vision: bool) -> &'static str {
        match (self.convention, vision) {
            (Convention::HuggingFace, true) => "vision_model.encoder.layers.",
            (Convention::HuggingFace, false) => "text_model.encoder.layers.",
            (_, true) => "visual.transformer.resblocks.",
            (Convention::OpenClipTextTower, false) => "text.transformer.resblocks.",
            (Convention::OpenAi, false) => "transformer.resblocks.",
        }
    }

    /// Whether a tensor of CLIP is no weight: constants and buffers that some programs save.
    pub(crate) fn is_ignored(name: &str) -> bool {
        matches!(
            name,
            // Integer buffers of OpenAI's archives.
            "input_resolution" | "context_length" | "vocab_size"
            // The same, made by a newer PyTorch, which renames what is also a method.
            | "input_resolution_" | "context_length_" | "vocab_size_"
            // Index tables of older Hugging Face files.
            | "vision_model.embeddings.position_ids" | "text_model.embeddings.position_ids"
            // A bias of similarities in some open_clip files; similarities are not used.
            | "logit_bias"
        )
        // The causal mask, which some programs save with the text tower or with each of its blocks.
        || name.rsplit('.').next() == Some("attn_mask")
    }
}

/// Hugging Face's names (`transformers`, `CLIPModel`) for OpenAI's, and whether they are
/// transposed. Queries, keys and values are three tensors where OpenAI has one.
fn hugging_face(name: &str) -> (Vec<String>, bool) {
    let one = |name: &str| (vec![name.to_owned()], false);
    let (model, rest) = match name.strip_prefix("visual.") {
        Some(rest) => ("vision_model", rest),
        None => ("text_model", name),
    };
    match name {
        "logit_scale" => return one("logit_scale"),
        "visual.proj" => return (vec!["visual_projection.weight".to_owned()], true),
        "text_projection" => return (vec!["text_projection.weight".to_owned()], true),
        "visual.conv1.weight" => return one("vision_model.embeddings.patch_embedding.weight"),
        _ => {}
    }
    if let Some((layer, part)) = rest
        .strip_prefix("transformer.resblocks.")
        .and_then(|rest| rest.split_once('.'))
    {
        let block = format!("{model}.encoder.layers.{layer}");
        if let Some(kind) = part.strip_prefix("attn.in_proj_") {
            let names = ["q", "k", "v"].map(|part| format!("{block}.self_attn.{part}_proj.{kind}"));
            return (names.to_vec(), false);
        }
        let part = part
            .replace("attn.out_proj", "self_attn.out_proj")
            .replace("ln_1", "layer_norm1")
            .replace("ln_2", "layer_norm2")
            .replace("mlp.c_fc", "mlp.fc1")
            .replace("mlp.c_proj", "mlp.fc2");
        return (vec![format!("{block}.{part}")], false);
    }
    let rest = rest
        .replace("class_embedding", "embeddings.class_embedding")
        .replace(
            "positional_embedding",
            "embeddings.position_embedding.weight",
        )
        .replace("token_embedding", "embeddings.token_embedding")
        // The spelling is theirs.
        .replace("ln_pre", "pre_layrnorm")
        .replace("ln_post", "post_layernorm")
        .replace("ln_final", "final_layer_norm");
    (vec![format!("{model}.{rest}")], false)
}
