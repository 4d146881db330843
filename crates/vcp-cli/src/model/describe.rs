//! What a weight file holds, as far as its tensors tell.

use std::collections::BTreeSet;

use serde::Serialize;
use vcp_checkpoint::TensorFile;

/// What a bundle's description is stored under.
const BUNDLE_KEY: &str = "vcp_clip";

/// What kind of model file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Bundle,
    Clip,
    Checkpoint,
    Tensors,
}

impl Kind {
    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Bundle => "a bundle, a complete model; --model takes it",
            Self::Clip => "CLIP's weights; --clip takes it",
            Self::Checkpoint => "a VCP-CLIP checkpoint; --checkpoint takes it",
            Self::Tensors => "tensors of no model that vcp-clip knows",
        }
    }

    /// Judged by the bundle's description, and by the names of a few tensors that each such file
    /// has.
    pub(crate) fn of(file: &TensorFile) -> Self {
        let has = |name| file.tensor(name).is_some();
        if file.metadata(BUNDLE_KEY).is_some() {
            Self::Bundle
        } else if has("Zero_try.q_proj_pre.weight") && has("prompt_proj.weight") {
            Self::Checkpoint
        } else if has("visual.conv1.weight")
            || has("vision_model.embeddings.patch_embedding.weight")
        {
            Self::Clip
        } else {
            Self::Tensors
        }
    }
}

/// A length with a name, for instance a number of layers.
pub(crate) type Length = (&'static str, usize);

/// The lengths that the shapes of a file of this kind give; less when tensors are missing.
pub(crate) fn lengths(file: &TensorFile, kind: Kind) -> Vec<Length> {
    let shape = |name: &str, axis: usize| file.tensor(name)?.shape().get(axis).copied();
    let either = |one: &str, other: &str, axis| shape(one, axis).or_else(|| shape(other, axis));
    let found = match kind {
        Kind::Bundle | Kind::Tensors => Vec::new(),
        Kind::Clip => {
            let patches = "vision_model.embeddings.patch_embedding.weight";
            let tokens = "text_model.embeddings.token_embedding.weight";
            vec![
                ("vision_width", either("visual.conv1.weight", patches, 0)),
                (
                    "vision_layers",
                    layers(
                        file,
                        &[
                            "visual.transformer.resblocks.",
                            "vision_model.encoder.layers.",
                        ],
                    ),
                ),
                ("patch_size", either("visual.conv1.weight", patches, 3)),
                ("text_width", either("token_embedding.weight", tokens, 1)),
                (
                    "text_layers",
                    layers(
                        file,
                        &["transformer.resblocks.", "text_model.encoder.layers."],
                    ),
                ),
                ("vocabulary", either("token_embedding.weight", tokens, 0)),
            ]
        }
        Kind::Checkpoint => vec![
            ("vision_width", shape("Zero_try.q_proj_pre.weight", 0)),
            ("embedding_width", shape("Zero_try.q_proj_pre.weight", 1)),
            ("tap_count", layers(file, &["trainable_linearlayer.fc."])),
            ("context_vectors", shape("New_Lan_Embed.prompt_query", 1)),
            // Without those of the later blocks, there are none in the text.
            (
                "deep_prompts",
                shape("prompt_embeddings", 1).map(|count| {
                    if file.tensor("deep_prompt_embeddings").is_some() {
                        count
                    } else {
                        0
                    }
                }),
            ),
        ],
    };
    found
        .into_iter()
        .filter_map(|(name, length)| Some((name, length?)))
        .collect()
}

/// How many different numbers follow one of these beginnings.
fn layers(file: &TensorFile, beginnings: &[&str]) -> Option<usize> {
    let numbers: BTreeSet<&str> = file
        .names()
        .filter_map(|name| {
            beginnings
                .iter()
                .find_map(|beginning| name.strip_prefix(beginning))
        })
        .filter_map(|rest| Some(rest.split_once('.')?.0))
        .collect();
    (!numbers.is_empty()).then_some(numbers.len())
}
