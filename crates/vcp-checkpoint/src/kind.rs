//! What a weight file holds, as far as the names and shapes of its tensors tell.

use std::fmt;

use serde::Serialize;

use crate::assemble::{self, VCP_TELLING};
use crate::backbone::TELLING as BACKBONE_TELLING;
use crate::error::{Error, ErrorKind};
use crate::naming::Naming;
use crate::wrapping::Unwrapped;
use crate::{Geometry, TensorFile};

/// The kinds of weight files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// A complete model, which [`Weights::open_bundle`](crate::Weights::open_bundle) opens.
    Bundle,
    /// CLIP's weights under any names that are known, also within dictionaries.
    Clip,
    /// The learned part of VCP-CLIP, likewise.
    Checkpoint,
    /// Pretrained weights of an EfficientNet. [`Backbone::read`](crate::Backbone::read) reads those of Lite0.
    Backbone,
    /// Tensors of no model that is known.
    Tensors,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Bundle => "a bundle",
            Self::Clip => "CLIP's weights",
            Self::Checkpoint => "a VCP-CLIP checkpoint",
            Self::Backbone => "an EfficientNet's weights",
            Self::Tensors => "tensors of no model that is known",
        })
    }
}

impl TensorFile {
    /// What the file holds. Weights are found where loading finds them; that they are complete is not
    /// said.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let is_ambiguous = |error: &Error| matches!(error.kind(), ErrorKind::Ambiguous { .. });
        if self.is_bundle() {
            return Kind::Bundle;
        }
        let is_checkpoint = match Unwrapped::of(self, &VCP_TELLING) {
            Ok(vcp) => vcp.found >= 2,
            Err(error) => is_ambiguous(&error),
        };
        if is_checkpoint {
            return Kind::Checkpoint;
        }
        let is_clip = match Naming::of(self) {
            Ok((_, clip)) => Naming::has_vision_tower(&clip),
            Err(error) => is_ambiguous(&error),
        };
        if is_clip {
            return Kind::Clip;
        }
        let is_backbone = match Unwrapped::of(self, &BACKBONE_TELLING) {
            Ok(backbone) => backbone.found >= 2,
            Err(error) => is_ambiguous(&error),
        };
        if is_backbone {
            Kind::Backbone
        } else {
            Kind::Tensors
        }
    }

    /// The lengths by name that the shapes of CLIP's weights or of a checkpoint tell, such as
    /// `vision_width`; less when tensors are missing, and none of other files.
    #[must_use]
    pub fn lengths(&self) -> Vec<(&'static str, usize)> {
        let lengths = match self.kind() {
            Kind::Clip => Naming::of(self).ok().map(|(naming, clip)| {
                let geometry = assemble::clip_geometry(&clip, &naming);
                let rows = naming
                    .pieces("token_embedding.weight")
                    .first()
                    .and_then(|piece| clip.layout(&piece.name)?.shape.first().copied());
                let mut lengths = vec![
                    ("vision_width", geometry.vision.width),
                    ("vision_layers", geometry.vision.layers),
                    ("patch_size", geometry.patch_size),
                    ("text_width", geometry.text.width),
                    ("text_layers", geometry.text.layers),
                    ("vocabulary", rows.unwrap_or(0)),
                ];
                lengths.retain(|(_, length)| *length > 0);
                lengths
            }),
            Kind::Checkpoint => Unwrapped::of(self, &VCP_TELLING).ok().map(|vcp| {
                let mut geometry = Geometry::vit_l_14();
                assemble::complete(&vcp, &mut geometry);
                let projection = vcp.layout("Zero_try.q_proj_pre.weight");
                let width = |axis: usize| {
                    projection
                        .and_then(|layout| layout.shape.get(axis).copied())
                        .unwrap_or(0)
                };
                let mut lengths = vec![
                    ("vision_width", width(0)),
                    ("embedding_width", width(1)),
                    ("tap_count", geometry.tap_count),
                    ("context_vectors", geometry.context_vectors),
                ];
                lengths.retain(|(_, length)| *length > 0);
                if geometry.deep_prompts > 0 {
                    // Without those of the later blocks, there are none in the text.
                    let in_text = usize::from(geometry.deep_prompting);
                    lengths.push(("deep_prompts", geometry.deep_prompts * in_text));
                }
                lengths
            }),
            Kind::Bundle | Kind::Backbone | Kind::Tensors => None,
        };
        lengths.unwrap_or_default()
    }
}
