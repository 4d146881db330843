//! Thresholds found on data, stored with a model.

use serde::{Deserialize, Serialize};

use crate::bounds;
use crate::error::{Error, ErrorKind};

/// Thresholds and the colour scale that were found for a model on some data.
///
/// All values are on the model's own absolute scales: probabilities of a pixel in a map, and image
/// scores, both 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Version of this record's meaning; [`Calibration::VERSION`].
    pub version: u32,
    /// Pixels with a value of at least this belong to a defect.
    pub pixel_threshold: f32,
    /// Images with a score of at least this are anomalous.
    pub score_threshold: f32,
    /// Images with a score of at least this, and below the score threshold, are to be looked at by a person. At
    /// most the score threshold. Not stored where there is none: images are anomalous or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_threshold: Option<f32>,
    /// Lowest and highest value of the colour scale.
    pub range: (f32, f32),
    /// The data it was found on, in words.
    pub data: String,
    /// When, as `YYYY-MM-DD`.
    pub date: String,
    /// Number of images it was found on.
    pub images: u64,
    /// Whether these were turned as their metadata say. Images that were turned, or were not, look
    /// otherwise to the model. Not stored where they were, as by default.
    #[serde(default = "applied", skip_serializing_if = "is_applied")]
    pub apply_orientation: bool,
    /// The windows in which these were looked at, if not whole. Not stored where they were looked at
    /// whole; a program that does not know of windows refuses a calibration that has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<CalibrationWindows>,
    /// How many bits of 16-bit samples were taken for brightness. Not stored where no image had such
    /// samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// What of these counted, as the SHA-256 of a mask in hexadecimal. Not stored where all of them did; a program
    /// that does not know of masks refuses a calibration that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_sha256: Option<String>,
    /// The memory of reference photos with which it was found, by its digest ([`References::digest`](crate::References::digest)). Not stored where
    /// there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
}

/// How images were cut into windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationWindows {
    /// Side of a window in pixels of the image.
    pub tile: usize,
    /// The least share of a side that neighbouring windows have in common, from 0 to below 1.
    pub overlap: f64,
    /// The share that one look at the whole image has in the result, from 0 to 1.
    pub global_weight: f32,
}

impl CalibrationWindows {
    /// Whether photos can be cut into such windows.
    pub(crate) fn is_sound(self) -> bool {
        bounds::TILE.contains(&self.tile)
            && bounds::OVERLAP.contains(&self.overlap)
            && bounds::GLOBAL_WEIGHT.contains(&self.global_weight)
    }
}

fn applied() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_applied(value: &bool) -> bool {
    *value
}

impl Calibration {
    /// The version this program writes and reads.
    pub const VERSION: u32 = 1;

    /// Refuses values that are no thresholds, colours, windows or words of a calibration.
    ///
    /// # Errors
    /// That say which value is wrong.
    pub fn check(&self) -> Result<(), Error> {
        self.validate().map_err(Error::new)
    }

    pub(crate) fn validate(&self) -> Result<(), ErrorKind> {
        let refuse = |problem: String| Err(ErrorKind::Calibration { problem });
        if self.version != Self::VERSION {
            return refuse(format!(
                "its version is {}, this program knows version {}",
                self.version,
                Self::VERSION
            ));
        }
        let (low, high) = self.range;
        let thresholds = [self.pixel_threshold, self.score_threshold, low, high];
        for value in thresholds.into_iter().chain(self.review_threshold) {
            // Not a number is in no range.
            if !bounds::VALUE.contains(&value) {
                return refuse(format!(
                    "{value} is not a number from {} to {}, but thresholds and colours are values of \
                     maps and scores, which are from 0 to 1",
                    bounds::VALUE.start(),
                    bounds::VALUE.end()
                ));
            }
        }
        if low >= high {
            return refuse(format!(
                "its range runs from {low} to {high}, which is empty"
            ));
        }
        if let Some(review) = self.review_threshold
            && review > self.score_threshold
        {
            return refuse(format!(
                "its review threshold {review} is above its score threshold {}",
                self.score_threshold
            ));
        }
        if let Some(digest) = &self.mask_sha256 {
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if digest.len() != 64 || !digest.bytes().all(is_digit) {
                return refuse(
                    "the digest of its mask is not 64 lower-case hexadecimal digits".to_owned(),
                );
            }
        }
        if let Some(bits) = self.bits
            && !bounds::BITS.contains(&bits)
        {
            return refuse(format!("its samples have {bits} bits, which cannot be"));
        }
        let references = self.references.as_ref().map(|it| ("memory", it));
        let texts = [("data", &self.data), ("date", &self.date)];
        for (what, words) in texts.into_iter().chain(references) {
            if !bounds::WORDS.contains(&words.len()) {
                return refuse(format!(
                    "its {what} has {} bytes, more than the {} supported",
                    words.len(),
                    bounds::WORDS.end()
                ));
            }
        }
        if !bounds::IMAGES.contains(&self.images) {
            return refuse(format!("it claims {} images", self.images));
        }
        if let Some(windows) = self.windows.filter(|windows| !windows.is_sound()) {
            return refuse(format!(
                "its windows have {} pixels a side, an overlap of {} and a global weight of {}, \
                 which cannot be",
                windows.tile, windows.overlap, windows.global_weight
            ));
        }
        Ok(())
    }
}
