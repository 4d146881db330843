//! What values settings and calibrations may have, wherever they come from: a bundle, a calibration
//! file, a configuration or an argument. Far beyond anything useful, and short of what takes a machine
//! down or makes results that are no results.

use std::ops::RangeInclusive;

/// Side of the square image that the model sees, in pixels.
pub const IMAGE_SIZE: RangeInclusive<usize> = 1..=4096;
/// The share of a branch in the map. Both together are more than 0 and at most 1, so that maps stay
/// probabilities.
pub const SHARE: RangeInclusive<f32> = 0.0..=1.0;
/// Fractions of pixels that make a score.
pub const SCORE_FRACTIONS: usize = 8;
/// Texts for the normal side, and for the anomalous side.
pub const TEMPLATES: RangeInclusive<usize> = 1..=1024;
/// Bytes of a text; the model reads at most its context length of tokens, 77 in CLIP.
pub const TEMPLATE_BYTES: RangeInclusive<usize> = 1..=2000;
/// Thresholds and ends of the colour scale. Maps and scores are from 0 to 1; a threshold may lie just
/// beyond, so that nothing reaches it or everything does.
pub const VALUE: RangeInclusive<f32> = -1.0..=2.0;
/// Side of a window in pixels of the photo.
pub const TILE: RangeInclusive<usize> = 16..=262_144;
/// The least share of a side that neighbouring windows have in common.
pub const OVERLAP: RangeInclusive<f64> = 0.0..=0.95;
/// The share that one look at the whole photo has beside windows.
pub const GLOBAL_WEIGHT: RangeInclusive<f32> = 0.0..=1.0;
/// Bits of a photo's samples.
pub const BITS: RangeInclusive<u32> = 8..=16;
/// Images that a calibration was found on.
pub const IMAGES: RangeInclusive<u64> = 0..=1_000_000_000;
/// Levels of a memory of reference photos: taps of a transformer, resolutions of a convolutional tower.
pub const REFERENCE_LEVELS: RangeInclusive<usize> = 1..=64;
/// Groups of photos in such a memory.
pub const REFERENCE_GROUPS: RangeInclusive<usize> = 1..=64;
/// Rows of such a memory, in a group and in all groups together.
pub const REFERENCE_ROWS: RangeInclusive<usize> = 1..=65_536;
/// Channels of a row.
pub const REFERENCE_CHANNELS: RangeInclusive<usize> = 1..=16_384;
/// Photos that such a memory was made of.
pub const REFERENCE_PHOTOS: RangeInclusive<usize> = 1..=100_000;
/// The usual distance between patches of good photos. Distances are from 0 to 2; a scale of 0 would make every
/// difference infinite.
pub const REFERENCE_SCALE: RangeInclusive<f32> = 1e-6..=2.0;
/// Bytes of the words that say where a calibration is from.
pub const WORDS: RangeInclusive<usize> = 0..=10_000;

/// Whether scores can be made of the largest pixels' means over these fractions.
#[must_use]
pub fn are_score_fractions(fractions: &[f32]) -> bool {
    fractions.len() <= SCORE_FRACTIONS && fractions.iter().all(|it| *it > 0.0 && *it <= 1.0)
}

/// Whether maps can be made with these shares of branch 1 and branch 2: each within [`SHARE`], and
/// together more than 0 and at most 1.
#[must_use]
pub fn is_blend(shares: [f32; 2]) -> bool {
    // Shares that were rounded may sum to a little more.
    const MOST: f32 = 1.0 + 1e-3;
    let sum = shares[0] + shares[1];
    shares.iter().all(|share| SHARE.contains(share)) && sum > 0.0 && sum <= MOST
}
