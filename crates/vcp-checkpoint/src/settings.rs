//! What a model needs to know that no tensor tells.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, shorten};
use crate::geometry::{is_yes, yes};
use crate::{Geometry, Precision, bounds};

/// The text that the context vectors take the place of.
const CLASS_PLACEHOLDER: &str = "<|class|>";
/// The official code's default for every CLIP.
const OFFICIAL_IMAGE_SIZE: usize = 518;

/// The activation within the towers' blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Exact GELU. The published checkpoints were trained with it, although OpenAI's weights were
    /// trained with [`Activation::QuickGelu`].
    #[default]
    Gelu,
    /// x · sigmoid(1.702 x), as OpenAI trained CLIP.
    QuickGelu,
}

/// How a model is to be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The tapped vision blocks, counted from 1, strictly ascending.
    pub taps: Vec<usize>,
    /// Side of the square image the model sees, in pixels, one patch at least. Patches cover what they
    /// can from the upper left: pixels beyond the last whole one are resized but not looked at, as in
    /// the official code, and maps have this side whatever the patches cover.
    pub image_size: usize,
    /// Texts for the normal side, each with `<|class|>` once.
    pub normal_templates: Vec<String>,
    /// Texts for the anomalous side, each with `<|class|>` once.
    pub anomalous_templates: Vec<String>,
    /// The activation of both towers.
    pub activation: Activation,
    /// Whether the context vectors depend on the image. Off, they are the learned queries alone (the
    /// official code's `--use_global`, which takes the global context away). No tensor tells. Files
    /// name it only where it is off.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub global_context: bool,
    /// Shares of branch 1 and branch 2 in the map. Files name it only where it is not the published
    /// models'.
    #[serde(default = "official_blend", skip_serializing_if = "is_official")]
    pub blend: [f32; 2],
    /// Fractions of a branch's largest pixels: the mean over each is taken, and the mean of these means is the branch's
    /// score. A small fraction notices small defects, a large one missing parts. Empty for the published models',
    /// 2000 of 518 × 518 pixels; files name it only where it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub score_fractions: Vec<f32>,
    /// The numbers that the products of the vision tower are computed with. Files name it only where it is not `f32`.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
}

fn official_blend() -> [f32; 2] {
    [0.2, 0.8]
}

// By reference, because that is how serde calls it.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_official(blend: &[f32; 2]) -> bool {
    blend.map(f32::to_bits) == official_blend().map(f32::to_bits)
}

impl Default for Settings {
    /// The settings of the published checkpoints (ViT-L-14-336 at 518 pixels).
    fn default() -> Self {
        Self {
            taps: vec![6, 12, 18, 24],
            image_size: OFFICIAL_IMAGE_SIZE,
            normal_templates: vec![format!("a photo of a good {CLASS_PLACEHOLDER}")],
            anomalous_templates: vec![format!("a photo of a damaged {CLASS_PLACEHOLDER}")],
            activation: Activation::Gelu,
            global_context: true,
            blend: official_blend(),
            score_fractions: Vec::new(),
            precision: Precision::F32,
        }
    }
}

impl Settings {
    /// The default texts and activation with taps spread evenly over the vision tower, the last one
    /// on its last block, and an image size of 518 pixels, or 37 patches where these are fewer, for any
    /// geometry. For ViT-L-14-336 this is [`Settings::default`].
    #[must_use]
    pub fn for_geometry(geometry: &Geometry) -> Self {
        let (layers, count) = (geometry.vision.layers, geometry.tap_count.max(1));
        Self {
            taps: (1..=count).map(|tap| tap * layers / count).collect(),
            image_size: (37 * geometry.patch_size).min(OFFICIAL_IMAGE_SIZE),
            ..Self::default()
        }
    }

    pub(crate) fn validate(&self, geometry: &Geometry) -> Result<(), ErrorKind> {
        let refuse = |problem: String| Err(ErrorKind::Settings { problem });
        if self.taps.len() != geometry.tap_count {
            return refuse(format!(
                "there are {} taps ({:?}), but the checkpoint has linear layers for {}",
                self.taps.len(),
                self.taps,
                geometry.tap_count
            ));
        }
        if !self.taps.is_sorted_by(|a, b| a < b) {
            return refuse(format!(
                "the taps {:?} are not strictly ascending",
                self.taps
            ));
        }
        let layers = geometry.vision.layers;
        if let Some(tap) = self.taps.iter().find(|tap| !(1..=layers).contains(*tap)) {
            return refuse(format!(
                "tap {tap} is not one of the vision blocks 1 to {layers}"
            ));
        }
        if !bounds::is_blend(self.blend) {
            return refuse(format!(
                "the branches' weights in the map are {:?}, expected two numbers from 0 to 1 whose sum \
                 is more than 0 and at most 1",
                self.blend
            ));
        }
        if !bounds::are_score_fractions(&self.score_fractions) {
            return refuse(format!(
                "the fractions of pixels that make the score are {:?}, expected at most {} numbers above 0 and at \
                 most 1",
                self.score_fractions,
                bounds::SCORE_FRACTIONS
            ));
        }
        let (size, least) = (self.image_size, geometry.smallest_image());
        if size < least || !bounds::IMAGE_SIZE.contains(&size) {
            let least_is = match geometry.backbone {
                None => "the size of a patch",
                Some(_) => "the stride of the backbone",
            };
            return refuse(format!(
                "the image size is {size}, expected {least}, {least_is}, to {}",
                bounds::IMAGE_SIZE.end()
            ));
        }
        for (side, templates) in [
            ("normal", &self.normal_templates),
            ("anomalous", &self.anomalous_templates),
        ] {
            if !bounds::TEMPLATES.contains(&templates.len()) {
                return refuse(format!(
                    "there are {} {side} templates, expected 1 to {}",
                    templates.len(),
                    bounds::TEMPLATES.end()
                ));
            }
            for template in templates {
                if !bounds::TEMPLATE_BYTES.contains(&template.len()) {
                    return refuse(format!(
                        "the {side} template \"{}\" has {} bytes, expected 1 to {}",
                        shorten(template),
                        template.len(),
                        bounds::TEMPLATE_BYTES.end()
                    ));
                }
                let count = template.matches(CLASS_PLACEHOLDER).count();
                if count != 1 {
                    return refuse(format!(
                        "the {side} template \"{}\" holds {CLASS_PLACEHOLDER} {count} times, \
                         expected once",
                        shorten(template)
                    ));
                }
            }
        }
        Ok(())
    }
}
