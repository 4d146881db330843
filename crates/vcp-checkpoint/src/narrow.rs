//! Which matrices are narrow: the linear layers of blocks, which bundles can store as bfloat16 or as 8-bit integers.

use crate::names::CLIP;

/// A matrix that bundles can store narrow, [outputs, inputs]: the weight of a linear layer in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NarrowMatrix {
    /// In the vision tower, whose products can be computed with narrow numbers too ([`Precision`](crate::Precision)).
    /// Of a convolutional tower: the neck's layers; its 3×3 convolutions too, a row of which is [inputs, 3, 3]. Not the
    /// backbone's: its channels have very different ranges, and maps of the built-in model suffered in 8 bits.
    Vision,
    /// In the text tower, which is always computed in `f32`.
    Text,
}

impl NarrowMatrix {
    /// Whether the tensor of this canonical name is one. Norms, depthwise kernels, the stem, embeddings and
    /// projections are not, nor are the learned parts.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(CLIP)?;
        let is_vision = in_transformer(rest.strip_prefix("visual."))
            || in_neck(rest.strip_prefix("visual.neck."));
        if is_vision {
            Some(Self::Vision)
        } else {
            in_transformer(Some(rest)).then_some(Self::Text)
        }
    }
}

/// What follows `prefix` and a number.
fn numbered<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (number, rest) = name.strip_prefix(prefix)?.split_once('.')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(rest)
}

fn in_transformer(name: Option<&str>) -> bool {
    let part = name.and_then(|name| numbered(name, "transformer.resblocks."));
    matches!(
        part,
        Some(
            "attn.in_proj_weight"
                | "attn.out_proj.weight"
                | "mlp.c_fc.weight"
                | "mlp.c_proj.weight"
        )
    )
}

fn in_neck(name: Option<&str>) -> bool {
    let part = |prefix| name.and_then(|name| numbered(name, prefix));
    matches!(
        part("levels."),
        Some("feature.weight" | "standardised.weight")
    ) || matches!(part("blocks."), Some("mix.weight" | "convolution.weight"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backbone, CONVOLUTIONAL_STRIDE, Geometry, TowerGeometry, tensor_specs};

    #[test]
    fn every_block_has_its_matrices() {
        let transformer = Geometry::vit_b_16();
        let backbone = Backbone::efficientnet_lite0();
        let convolutional = Geometry {
            vision: TowerGeometry::new(2, 128),
            backbone: Some(backbone),
            patch_size: CONVOLUTIONAL_STRIDE,
            ..transformer
        };
        // Two matrices in each level and block.
        let of_neck = 2 * backbone.levels().len() + 2 * 2;
        for (geometry, vision) in [
            (transformer, 4 * transformer.vision.layers),
            (convolutional, of_neck),
        ] {
            let specs = tensor_specs(&geometry);
            let count = |kind| {
                let specs = specs.iter();
                specs
                    .filter(|spec| NarrowMatrix::of(&spec.name) == Some(kind))
                    .count()
            };
            assert_eq!(count(NarrowMatrix::Vision), vision);
            assert_eq!(count(NarrowMatrix::Text), 4 * geometry.text.layers);
            let mut narrow = specs
                .iter()
                .filter(|spec| NarrowMatrix::of(&spec.name).is_some());
            assert!(narrow.all(|spec| spec.shape.len() >= 2));
        }
        for name in [
            "transformer.resblocks.0.mlp.c_fc.weight",
            "clip.transformer.resblocks..mlp.c_fc.weight",
            "clip.transformer.resblocks.+1.mlp.c_fc.weight",
            "clip.visual.backbone.stem.weight",
            "clip.visual.backbone.blocks.3.depthwise.weight",
            "clip.visual.backbone.blocks.3.expand.weight",
            "clip.visual.neck.blocks.0.norm.weight",
            "clip.visual.proj",
            "vcp.prompt_proj.weight",
            "",
        ] {
            assert_eq!(NarrowMatrix::of(name), None, "{name}");
        }
    }
}
