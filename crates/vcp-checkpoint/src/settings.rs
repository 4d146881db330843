//! What a model needs to know that no tensor tells.

use serde::{Deserialize, Serialize};

use crate::Geometry;
use crate::error::{ErrorKind, shorten};
use crate::geometry::{is_yes, yes};

/// The text that the context vectors take the place of.
const CLASS_PLACEHOLDER: &str = "<|class|>";
/// The model needs gigabytes for images larger than this, whatever file asks for them.
const MAX_IMAGE_SIZE: usize = 1 << 12;
/// The official code's default for every CLIP.
const OFFICIAL_IMAGE_SIZE: usize = 518;
const MAX_TEMPLATES: usize = 1 << 10;

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
}

fn official_blend() -> [f32; 2] {
    [0.2, 0.8]
}

// By reference, because that is how serde calls it.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_official(blend: &[f32; 2]) -> bool {
    blend.map(f32::to_bits) == official_blend().map(f32::to_bits)
}

/// Whether maps can be made with these shares of the branches: numbers from 0 to
/// [`MOST_SHARE`](Settings::MOST_SHARE) that are not both 0.
fn is_blend(blend: [f32; 2]) -> bool {
    let is_share = |share: f32| (0.0..=Settings::MOST_SHARE).contains(&share);
    blend.into_iter().all(is_share) && blend[0] + blend[1] > 0.0
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
        }
    }
}

impl Settings {
    /// The largest share of a branch in the map. Only the proportion of the two matters to figures, and
    /// with large ones maps would hold no numbers any more.
    pub const MOST_SHARE: f32 = 1000.0;

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
        if !is_blend(self.blend) {
            return refuse(format!(
                "the branches' shares in the map are {:?}, expected two numbers from 0 to {} that are \
                 not both 0",
                self.blend,
                Self::MOST_SHARE
            ));
        }
        let (size, patch) = (self.image_size, geometry.patch_size);
        if !(patch..=MAX_IMAGE_SIZE).contains(&size) {
            return refuse(format!(
                "the image size is {size}, expected {patch}, the size of a patch, to {MAX_IMAGE_SIZE}"
            ));
        }
        for (side, templates) in [
            ("normal", &self.normal_templates),
            ("anomalous", &self.anomalous_templates),
        ] {
            if templates.is_empty() || templates.len() > MAX_TEMPLATES {
                return refuse(format!(
                    "there are {} {side} templates, expected 1 to {MAX_TEMPLATES}",
                    templates.len()
                ));
            }
            for template in templates {
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
