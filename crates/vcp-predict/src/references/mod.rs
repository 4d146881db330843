//! Good photos that a photo is compared with.
//!
//! A model that has never seen a product says what looks like a defect anywhere. A few photos of good ones say what this
//! product looks like: whatever has nothing like it in them stands out. The features of patches, which the vision tower
//! computes anyway, are compared with those of the good photos, as `WinCLIP+` (arXiv 2303.14814) and `APRIL-GAN` (arXiv
//! 2305.17382) do it on CLIP's tower, with the local averaging and the coreset of `PatchCore` (arXiv 2106.08265):
//!
//! - Features of each level (the taps of a transformer; the levels of a convolutional backbone) are averaged over 3 × 3
//!   patches and brought to length 1. The distance of two patches is 1 less their cosine.
//! - The photos of a memory are shared out among at most [`GROUPS`] groups, each photo being its own while they are few.
//!   A patch's distance to a group is that to the nearest patch in it, divided by the level's scale and averaged over
//!   the levels. Its distance to the memory is the soft minimum over the groups,
//!   −ln(mean of exp(−[`SHARPNESS`]·distance)) / [`SHARPNESS`]: near the mean where groups agree, so that a patch
//!   which happens to look like something in one photo of many does not pass for good, and near the least where the
//!   photos show different things.
//! - If asked for ([`Copies`]), mirror images and half turns of a photo are remembered with it, in its group.
//! - Scales come from the good photos: each is compared with the groups it is not in, and all but one in a thousand of its
//!   patches have a distance of at most 1. A single photo is compared with its own turned copies, and other photos are
//!   taken to be one and a half times as far as the nearest of these; of several photos, a quarter of that copy's distance
//!   is the least, since shots of one part in one fixture hardly differ.
//! - A distance d becomes r = d⁶ / (1 + d⁶), from 0 to 1 and 0.5 where good photos end, so that values of different photos
//!   and days mean the same.
//! - With the model's own value m it becomes √(r · (m + [`FLOOR`]) / (1 + [`FLOOR`])), of each pixel and of the score. Their
//!   geometric mean was more accurate than their arithmetic one, on photos that the model judges well without references
//!   and on those that it judges badly: what only one of the two sees has to be seen clearly. The floor keeps what the
//!   model knows nothing of from being lost.
//!
//! A memory holds at most [`MOST_ROWS`] patches: of more, each group keeps a coreset.

mod builder;
mod coreset;
mod memory;
mod patches;
#[cfg(test)]
mod tests;

pub(crate) use builder::Window;
pub use builder::{MemoryBuilder, MemoryDetails};
pub use memory::{Comparison, ReferenceMemory};
pub(crate) use patches::PatchFeatures;

/// What is remembered of each good photo beside itself: for parts that may lie either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Copies {
    /// Nothing.
    #[default]
    None,
    /// Its mirror image, left to right.
    Mirrored,
    /// Its mirror image, the same upside down, and the photo turned by half a turn.
    Turned,
}

impl Copies {
    /// As it is written: `none`, `mirrored` or `turned`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Mirrored => "mirrored",
            Self::Turned => "turned",
        }
    }
}

/// Most groups that photos are shared out among.
pub const GROUPS: usize = 8;

/// Most patches that a memory keeps.
pub const MOST_ROWS: usize = 8192;

/// How sharply the nearest groups count most, per unit of distance.
pub const SHARPNESS: f32 = 9.0;

/// What is added to the model's own values before they are joined with the comparison.
pub const FLOOR: f32 = 0.1;

/// The model's own value and that of the comparison as one, 0 to 1.
pub(crate) fn agreed(own: f32, reference: f32) -> f32 {
    (reference * (own + FLOOR) / (1.0 + FLOOR)).sqrt()
}

/// Of a distance in units of what good photos reach: 0 to 1, and 0.5 at 1.
fn strangeness(distance: f32) -> f32 {
    let power = distance.max(0.0).powi(6);
    // Beyond what a float holds there is no doubt.
    if power.is_finite() {
        power / (1.0 + power)
    } else {
        1.0
    }
}
