//! What looking at a photo takes, before anything is begun.

use std::time::Duration;

use vcp_checkpoint::{
    Backbone, ElementType, Geometry, InvertedResidual, NECK_KERNEL, NarrowMatrix, Precision,
    Weights,
};

/// What one look at a photo, or at a window of one, takes on the CPU: an estimate from the model's
/// geometry, its image size and the number of its templates. Photos themselves, as they are decoded and
/// written, come on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Multiplications and additions.
    pub operations: u64,
    /// Bytes of memory, the model's own included.
    pub memory: u64,
}

/// Operations per second of one thread, as kernels for AVX2 reach on common processors.
const OPERATIONS_PER_SECOND: u64 = 50_000_000_000;

impl Cost {
    /// Of a model with its settings.
    #[must_use]
    pub fn of(weights: &Weights) -> Self {
        let (geometry, settings) = (weights.geometry(), weights.settings());
        let side = settings.image_size as u64;
        let grid = side / geometry.patch_size as u64;
        let rows = grid * grid + 1;
        let templates = settings.normal_templates.len() + settings.anomalous_templates.len();
        Self {
            operations: tower_operations(geometry, settings.image_size)
                + branch_operations(geometry, rows)
                + text_operations(geometry, templates as u64),
            memory: model_memory(weights)
                + tower_memory(geometry, settings.image_size)
                + text_memory(geometry, templates as u64)
                + side * side * BYTES_PER_PIXEL,
        }
    }

    /// How long it takes with so many threads.
    #[must_use]
    pub fn duration(&self, threads: usize) -> Duration {
        let per_second = OPERATIONS_PER_SECOND.saturating_mul(threads.max(1) as u64);
        Duration::from_secs_f64(self.operations as f64 / per_second as f64)
    }
}

/// Bytes per pixel of the model's square: what the model is given, and maps while they are made.
const BYTES_PER_PIXEL: u64 = 3 * 4 * 2 + 6 * 4;
const FLOAT: u64 = 4;

/// The linear layers of both branches over the patches; attention of two texts is little beside them.
fn branch_operations(geometry: &Geometry, rows: u64) -> u64 {
    let (vision, embedding) = (geometry.vision.width, geometry.embedding_width);
    2 * rows * (vision * (embedding + 8) * geometry.tap_count) as u64
}

/// The rows of each template that depend on the photo: context vectors and what follows them.
fn text_rows(geometry: &Geometry) -> u64 {
    (geometry.context_vectors + geometry.deep_prompts + 1) as u64
}

fn text_operations(geometry: &Geometry, templates: u64) -> u64 {
    let width = geometry.text.width as u64;
    templates * text_rows(geometry) * geometry.text.layers as u64 * 24 * width * width
}

/// What a vision tower takes for an image of this side, in pixels.
///
/// Of a transformer: patch embedding, and for each block the products with weights (12·width² for each row) and the
/// attention (queries by keys, weights by values). Of a convolutional one: its convolutions.
pub(crate) fn tower_operations(geometry: &Geometry, side: usize) -> u64 {
    let width = geometry.vision.width as u64;
    let grid = geometry.grid(side) as u64;
    let layers = geometry.vision.layers as u64;
    if let Some(backbone) = geometry.backbone {
        let blocks: u64 = backbone_blocks(backbone, side)
            .map(|(block, [before, after])| residual_operations(block, before, after))
            .sum();
        let pixels = square(side / 2);
        let stem = 2 * 27 * backbone.architecture.stem() as u64 * pixels;
        let levels = backbone.levels().into_iter();
        let levels =
            levels.map(|level| 4 * level.channels as u64 * width * square(side / level.stride));
        let neck = 2 * grid * grid * width * width * (2 + square(NECK_KERNEL));
        return stem + blocks + levels.sum::<u64>() + layers * neck;
    }
    let rows = grid * grid + 1;
    let patch = 3 * (geometry.patch_size as u64).pow(2);
    let block = 2 * rows * 12 * width * width + 4 * rows * rows * width;
    2 * (rows - 1) * patch * width + layers * block
}

/// The blocks of a backbone, each with the pixels of its maps before and after.
fn backbone_blocks(
    backbone: Backbone,
    side: usize,
) -> impl Iterator<Item = (&'static InvertedResidual, [u64; 2])> {
    let mut side = side / 2;
    backbone.blocks().iter().map(move |block| {
        let before = side;
        side /= block.stride;
        (block, [square(before), square(side)])
    })
}

fn square(side: usize) -> u64 {
    (side as u64).pow(2)
}

/// Of an inverted residual block on maps of so many pixels before and after it.
fn residual_operations(block: &InvertedResidual, before: u64, after: u64) -> u64 {
    let (inputs, outputs) = (block.inputs as u64, block.outputs as u64);
    let (expanded, kernel) = (block.expanded() as u64, (block.kernel as u64).pow(2));
    let expansion = u64::from(block.expansion > 1) * before * inputs;
    2 * expanded * (expansion + after * (kernel + outputs))
}

/// Of a transformer: the residual stream and its panels, queries, keys and values, what attention gives, the hidden
/// layer of the perceptron, and the taps. Of a convolutional one: the largest maps around a depthwise convolution,
/// and what stays of the others.
fn tower_memory(geometry: &Geometry, side: usize) -> u64 {
    if let Some(backbone) = geometry.backbone {
        let largest = backbone_blocks(backbone, side)
            .map(|(block, [before, after])| block.expanded() as u64 * (before + after))
            .max();
        let width = geometry.vision.width;
        let grid = square(geometry.grid(side));
        // Windows of the convolution, and what stands around them.
        let rows = width * (5 + NECK_KERNEL * NECK_KERNEL + geometry.tap_count);
        let neck = grid * rows as u64;
        let stem = 27 * square(side / 2);
        let levels = backbone.levels().into_iter();
        let levels =
            levels.map(|level| (2 * width + level.channels) as u64 * square(side / level.stride));
        // Buffers of one size are kept for the next, while those of other sizes are in use.
        return FLOAT * (3 * largest.unwrap_or(0) + stem + levels.sum::<u64>() + neck);
    }
    let rows = square(geometry.grid(side)) + 1;
    let kept = 2 + 3 + 1 + 4 + geometry.tap_count as u64;
    rows * geometry.vision.width as u64 * kept * FLOAT
}

/// The same of the text tower, and the keys and values of the rows before the context.
fn text_memory(geometry: &Geometry, templates: u64) -> u64 {
    let width = geometry.text.width as u64;
    let before = 2 * geometry.context_length as u64 * geometry.text.layers as u64;
    templates * width * FLOAT * (10 * text_rows(geometry) + before)
}

/// Matrices that are computed with narrow numbers are stored with these; others stay f16 or codes where they are, and all
/// else is in 32 bits.
fn model_memory(weights: &Weights) -> u64 {
    let bytes = weights.tensors().map(|tensor| {
        let is_vision = NarrowMatrix::of(tensor.name()) == Some(NarrowMatrix::Vision);
        let size = match (weights.settings().precision, is_vision) {
            (Precision::Int8, true) => 1,
            (Precision::Bf16, true) => 2,
            _ => match tensor.element_type() {
                ElementType::I8 => 1,
                ElementType::F16 => 2,
                _ => 4,
            },
        };
        (tensor.len() * size) as u64
    });
    bytes.sum()
}

#[cfg(test)]
mod tests {
    use vcp_checkpoint::Settings;

    use super::*;

    fn cost(geometry: Geometry, image_size: usize) -> Cost {
        let settings = Settings {
            image_size,
            ..Settings::for_geometry(&geometry)
        };
        Cost::of(&Weights::random(geometry, settings, 1).expect("a sensible geometry"))
    }

    /// Of the published model's vision tower, a weight takes two bytes, in int8 one.
    #[test]
    fn narrow_numbers_take_less_memory() {
        let geometry = Geometry::vit_l_14_336();
        let memory = |precision| {
            let settings = Settings {
                precision,
                ..Settings::for_geometry(&geometry)
            };
            Cost::of(&Weights::random(geometry, settings, 1).expect("a sensible geometry")).memory
        };
        let [exact, bf16, int8] = Precision::ALL.map(memory);
        assert_eq!(exact, bf16, "random matrices are f16");
        let weights = 24 * 12 * 1024 * 1024;
        assert_eq!(exact - int8, weights);
    }

    /// 1.01 TFLOP in the vision tower at 518 pixels, and less than a gigabyte beside the weights.
    #[test]
    fn the_published_model_costs_what_is_known_of_it() {
        let found = cost(Geometry::vit_l_14_336(), 518);
        let operations = found.operations as f64 / 1e12;
        assert!((1.0..1.06).contains(&operations), "{operations}");
        let memory = found.memory as f64 / 1e9;
        assert!((0.8..1.5).contains(&memory), "{memory}");
        // About ten seconds on two threads.
        let seconds = found.duration(2).as_secs_f64();
        assert!((8.0..12.0).contains(&seconds), "{seconds}");
    }

    #[test]
    fn large_images_cost_more_than_in_proportion() {
        let [small, large] = [518, 4088].map(|side| cost(Geometry::vit_l_14_336(), side));
        let times = large.operations / small.operations;
        assert!(times > 500, "{times}");
        assert!(large.memory > 4 << 30, "{}", large.memory);
    }

    /// EfficientNet-Lite0 takes 407 million multiply-adds at 224 pixels, its head and last block included.
    #[test]
    fn a_convolutional_tower_costs_what_is_known_of_it() {
        let geometry = Geometry {
            backbone: Some(Backbone::efficientnet_lite0()),
            vision: vcp_checkpoint::TowerGeometry::new(1, 64),
            patch_size: vcp_checkpoint::CONVOLUTIONAL_STRIDE,
            tap_count: 1,
            ..Geometry::vit_b_16()
        };
        let million = tower_operations(&geometry, 224) as f64 / 2e6;
        assert!((330.0..407.0).contains(&million), "{million}");
        let ratio = tower_operations(&geometry, 448) as f64 / 1e6 / million;
        assert!((7.9..8.1).contains(&ratio), "{ratio}");
        assert!(cost(geometry, 288).memory < 200 << 20);
        // 2.0 and 7.5 GiB were in use at the peak, the program's own among them.
        let gibibytes = |side: usize| cost(geometry, side).memory as f64 / (1_u64 << 30) as f64;
        assert!((1.7..2.4).contains(&gibibytes(2048)), "{}", gibibytes(2048));
        assert!((6.5..9.0).contains(&gibibytes(4096)), "{}", gibibytes(4096));
    }

    #[test]
    fn templates_count() {
        let geometry = Geometry::vit_b_16();
        let settings = Settings {
            normal_templates: vec!["a <|class|>".to_owned(); 1000],
            ..Settings::for_geometry(&geometry)
        };
        let many = Weights::random(geometry, settings, 1).expect("a sensible geometry");
        let few = cost(geometry, many.settings().image_size);
        assert!(Cost::of(&many).operations > few.operations + few.operations / 2);
        assert!(Cost::of(&many).memory > few.memory);
    }
}
