//! The lengths that fix the shape of every tensor.

use serde::{Deserialize, Serialize};

use crate::backbone::Backbone;
use crate::error::ErrorKind;

/// Width of one attention head in both towers.
const HEAD_WIDTH: usize = 64;
/// Rows of OpenAI's token embedding.
pub(crate) const CLIP_VOCABULARY: usize = 49_408;
/// Bounds that keep every product of lengths far from overflow; the largest CLIP has width 1,664
/// and 48 blocks.
const MAX_WIDTH: usize = 1 << 15;
const MAX_LAYERS: usize = 512;

/// Layers, width and heads of one transformer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TowerGeometry {
    /// Number of residual blocks.
    pub layers: usize,
    /// Channels of a row.
    pub width: usize,
    /// Attention heads: width / 64.
    pub heads: usize,
}

impl TowerGeometry {
    /// A tower of this depth and width, with heads of 64 channels as all of CLIP's.
    #[must_use]
    pub fn new(layers: usize, width: usize) -> Self {
        Self {
            layers,
            width,
            heads: width / HEAD_WIDTH,
        }
    }
}

/// The geometry of CLIP and of the learned parts. It is read from the shapes of the tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geometry {
    /// Channels of an image or text feature (E).
    pub embedding_width: usize,
    /// The vision tower; its width is D. Of a convolutional one these are the blocks of the neck, whose
    /// outputs are tapped.
    pub vision: TowerGeometry,
    /// The backbone, if the vision tower is a convolutional one. Files name it only where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<Backbone>,
    /// Side of a patch in pixels (p); for a convolutional tower, the stride of its grid, which is
    /// [`CONVOLUTIONAL_STRIDE`].
    pub patch_size: usize,
    /// Patches on a side of the image the tower was trained with. For CLIP, the square root of the rows of
    /// the position table after the first.
    pub native_grid: usize,
    /// The text tower. Its width equals the embedding width, because image features become rows of
    /// the text.
    pub text: TowerGeometry,
    /// Rows of the text position table.
    pub context_length: usize,
    /// Rows of the token embedding, the one of `<|class|>` included.
    pub vocabulary: usize,
    /// Context vectors that take the place of `<|class|>` (r).
    pub context_vectors: usize,
    /// Deep prompt rows per block (n).
    pub deep_prompts: usize,
    /// Whether the prompts stand in the text at all. A checkpoint trained without them (the official
    /// code's `--total_d_layer_len 0`) has no `deep_prompt_embeddings`; its other prompt tensors,
    /// `prompt_norm` too, take part in nothing. Files name it only where there are none.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub deep_prompting: bool,
    /// Tapped vision blocks, each with its own linear layer.
    pub tap_count: usize,
}

/// Pixels of the image to one cell of a convolutional tower's grid.
pub const CONVOLUTIONAL_STRIDE: usize = 8;

/// For settings that are on unless a file says otherwise.
pub(crate) fn yes() -> bool {
    true
}

// By reference, because that is how serde calls it.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(crate) fn is_yes(setting: &bool) -> bool {
    *setting
}

/// How many learned parts a model has: what CLIP's weights do not tell of a [`Geometry`]. The default
/// is that of the published checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LearnedGeometry {
    /// Context vectors that take the place of `<|class|>` (r).
    pub context_vectors: usize,
    /// Deep prompt rows per block (n).
    pub deep_prompts: usize,
    /// Whether they stand in the text; see [`Geometry::deep_prompting`].
    pub deep_prompting: bool,
    /// Tapped vision blocks.
    pub tap_count: usize,
}

impl Default for LearnedGeometry {
    fn default() -> Self {
        Self {
            context_vectors: 2,
            deep_prompts: 1,
            deep_prompting: true,
            tap_count: 4,
        }
    }
}

impl Geometry {
    /// OpenAI's ViT-L/14 at 336 pixels, the default of the published checkpoints.
    #[must_use]
    pub fn vit_l_14_336() -> Self {
        Self {
            native_grid: 24,
            ..Self::vit_l_14()
        }
    }

    /// OpenAI's ViT-L/14.
    #[must_use]
    pub fn vit_l_14() -> Self {
        Self {
            embedding_width: 768,
            vision: TowerGeometry::new(24, 1024),
            backbone: None,
            patch_size: 14,
            native_grid: 16,
            text: TowerGeometry::new(12, 768),
            context_length: 77,
            vocabulary: CLIP_VOCABULARY + 1,
            context_vectors: 2,
            deep_prompts: 1,
            deep_prompting: true,
            tap_count: 4,
        }
    }

    /// OpenAI's ViT-B/16.
    #[must_use]
    pub fn vit_b_16() -> Self {
        Self {
            embedding_width: 512,
            vision: TowerGeometry::new(12, 768),
            patch_size: 16,
            native_grid: 14,
            text: TowerGeometry::new(12, 512),
            ..Self::vit_l_14()
        }
    }

    /// Patches along a side of an image of this side, in pixels. What remains beyond the last whole
    /// patch is not looked at.
    #[must_use]
    pub fn grid(&self, image_size: usize) -> usize {
        image_size / self.patch_size.max(1)
    }

    /// The smallest image that every part of the vision tower sees something of, in pixels a side.
    #[must_use]
    pub fn smallest_image(&self) -> usize {
        let levels = self.backbone.into_iter().flat_map(Backbone::levels);
        let coarsest = levels.map(|level| level.stride).max();
        coarsest.unwrap_or(self.patch_size).max(self.patch_size)
    }

    pub(crate) fn validate(&self) -> Result<(), ErrorKind> {
        let refuse = |problem: String| Err(ErrorKind::Geometry { problem });
        let lengths = [
            ("embedding width", self.embedding_width, MAX_WIDTH),
            ("vision width", self.vision.width, MAX_WIDTH),
            ("vision layers", self.vision.layers, MAX_LAYERS),
            ("text width", self.text.width, MAX_WIDTH),
            ("text layers", self.text.layers, MAX_LAYERS),
            ("patch size", self.patch_size, 1 << 10),
            ("native grid", self.native_grid, 1 << 10),
            ("context length", self.context_length, 1 << 12),
            ("vocabulary", self.vocabulary, 1 << 20),
            ("number of context vectors", self.context_vectors, 1 << 10),
            ("number of deep prompts", self.deep_prompts, 1 << 10),
            ("number of taps", self.tap_count, MAX_LAYERS),
        ];
        for (name, length, limit) in lengths {
            if !(1..=limit).contains(&length) {
                return refuse(format!("the {name} is {length}, expected 1 to {limit}"));
            }
        }
        for (name, tower) in [("vision", self.vision), ("text", self.text)] {
            if tower.width % HEAD_WIDTH != 0 || tower.heads != tower.width / HEAD_WIDTH {
                return refuse(format!(
                    "the {name} width is {} with {} heads, expected heads of {HEAD_WIDTH} channels",
                    tower.width, tower.heads
                ));
            }
        }
        if self.text.width != self.embedding_width {
            return refuse(format!(
                "the text width is {} and the embedding width {}, but visual context prompting puts \
                 image features into the text and needs them equal",
                self.text.width, self.embedding_width
            ));
        }
        if let Some(backbone) = self.backbone {
            let most = backbone.architecture.blocks().len();
            let levels = backbone.levels().len();
            if backbone.blocks > most || levels == 0 {
                return refuse(format!(
                    "the backbone has {} blocks, expected those down to a quarter of the image's resolution, to {most}",
                    backbone.blocks
                ));
            }
            if self.patch_size != CONVOLUTIONAL_STRIDE {
                return refuse(format!(
                    "the patch size is {}, expected {CONVOLUTIONAL_STRIDE}, the stride of a convolutional tower's \
                     grid",
                    self.patch_size
                ));
            }
        }
        if self.tap_count > self.vision.layers {
            return refuse(format!(
                "there are {} taps for {} vision layers",
                self.tap_count, self.vision.layers
            ));
        }
        Ok(())
    }
}
