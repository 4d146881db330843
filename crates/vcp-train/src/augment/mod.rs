//! Augmentation: the random changes of images and masks with which VCP-CLIP is trained.
//!
//! [`Augmentation`] says which changes there are, how likely each is and how far it goes; its
//! defaults are those of the official code, which makes them with albumentations
//! (<https://albumentations.ai>). Everything follows from a seed, and each change has random numbers of
//! its own: to make one of them impossible leaves the others as they were.

mod blur;
mod camera;
mod colour;
mod mosaic;
mod turn;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use vcp_image::{Photo, mask_from_photo, resize_mask};
use vcp_random::Random;

use self::colour::Jitter;
use crate::Error;

/// Which random changes an image and its mask go through.
///
/// They are made in the order of the fields, each with its own probability (0 never, 1 always).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Probability that an image is replaced by a mosaic of four anomalous images of its category,
    /// two across and two down, each at its full size: see [`Augmentation::mosaic_parts`].
    pub mosaic: f32,
    /// Probability of a rotation about the middle. What comes into the image from outside is its
    /// mirror image.
    pub rotation: f32,
    /// The largest angle of a rotation to either side, in degrees.
    pub rotation_degrees: f32,
    /// Probability of a rotation by 0, 1, 2 or 3 quarter turns, all equally likely.
    pub quarter_turns: f32,
    /// Probability of another brightness and contrast.
    pub brightness_contrast: f32,
    /// What is added at most to a value, or taken from it, as a share of 255.
    pub brightness_limit: f32,
    /// By how much the factor of all values differs from 1 at most.
    pub contrast_limit: f32,
    /// Probability of Gaussian noise, independent in each pixel and channel.
    pub noise: f32,
    /// The smallest and the largest variance of the noise, for values from 0 to 255.
    pub noise_variance: [f32; 2],
    /// Probability of one of three, all equally likely: a blur by the mean of 3 × 3 pixels, a jitter of
    /// the colours, a Gaussian blur of 3, 5 or 7 pixels.
    pub blur_or_jitter: f32,
    /// By how much the factors of brightness, contrast and saturation differ from 1 at most when
    /// colours are jittered.
    pub jitter_limit: f32,
    /// By how much of the colour circle hues turn at most when colours are jittered.
    pub jitter_hue: f32,
}

impl Default for Augmentation {
    /// What the official code does on every data set but MVTec-AD: no mosaic, everything else with a
    /// probability of one half.
    fn default() -> Self {
        Self {
            mosaic: 0.0,
            rotation: 0.5,
            rotation_degrees: 30.0,
            quarter_turns: 0.5,
            brightness_contrast: 0.5,
            brightness_limit: 0.2,
            contrast_limit: 0.2,
            noise: 0.5,
            noise_variance: [10.0, 50.0],
            blur_or_jitter: 0.5,
            jitter_limit: 0.2,
            jitter_hue: 0.2,
        }
    }
}

/// What must hold for a field, as part of a sentence.
const PROBABILITY: &str = "a probability from 0 to 1";
const SHARE: &str = "from 0 to 1";

impl Augmentation {
    /// What the official code does on MVTec-AD: every fifth image is a mosaic, the rest as by default.
    #[must_use]
    pub fn official_mvtec() -> Self {
        Self {
            mosaic: 0.2,
            ..Self::default()
        }
    }

    /// No change, ever.
    #[must_use]
    pub fn none() -> Self {
        Self {
            mosaic: 0.0,
            rotation: 0.0,
            quarter_turns: 0.0,
            brightness_contrast: 0.0,
            noise: 0.0,
            blur_or_jitter: 0.0,
            ..Self::default()
        }
    }

    /// Whether no image is ever changed.
    #[must_use]
    pub fn is_none(&self) -> bool {
        let probabilities = [
            self.mosaic,
            self.rotation,
            self.quarter_turns,
            self.brightness_contrast,
            self.noise,
            self.blur_or_jitter,
        ];
        probabilities.iter().all(|probability| *probability <= 0.0)
    }

    /// Checks every field, for settings that come from a person.
    ///
    /// # Errors
    /// [`Error::Setting`] for the first that is not in its range, or not a number.
    pub fn check(&self) -> Result<(), Error> {
        let [least, most] = self.noise_variance;
        let fields = [
            ("mosaic", self.mosaic, 0.0..=1.0, PROBABILITY),
            ("rotation", self.rotation, 0.0..=1.0, PROBABILITY),
            (
                "rotation_degrees",
                self.rotation_degrees,
                0.0..=180.0,
                "from 0 to 180",
            ),
            ("quarter_turns", self.quarter_turns, 0.0..=1.0, PROBABILITY),
            (
                "brightness_contrast",
                self.brightness_contrast,
                0.0..=1.0,
                PROBABILITY,
            ),
            ("brightness_limit", self.brightness_limit, 0.0..=1.0, SHARE),
            ("contrast_limit", self.contrast_limit, 0.0..=1.0, SHARE),
            ("noise", self.noise, 0.0..=1.0, PROBABILITY),
            (
                "noise_variance",
                least,
                0.0..=most,
                "from 0 to its second number",
            ),
            (
                "noise_variance",
                most,
                0.0..=65025.0,
                "from 0 to 65025, the square of 255",
            ),
            (
                "blur_or_jitter",
                self.blur_or_jitter,
                0.0..=1.0,
                PROBABILITY,
            ),
            ("jitter_limit", self.jitter_limit, 0.0..=1.0, SHARE),
            (
                "jitter_hue",
                self.jitter_hue,
                0.0..=0.5,
                "from 0 to 0.5, half the circle",
            ),
        ];
        for (name, found, range, expected) in fields {
            // Nothing that is not a number is in a range.
            if !range.contains(&found) {
                return Err(Error::Setting {
                    name,
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// Decides whether the image with this seed becomes a mosaic. If so, these are the four of
    /// `anomalous` images (numbered from 0; one may come several times) to hand to [`mosaic`], in
    /// reading order. The result then goes through [`Augmentation::apply`] like any other image. No
    /// mosaic comes from no images.
    #[must_use]
    pub fn mosaic_parts(&self, seed: u64, anomalous: usize) -> Option<[usize; 4]> {
        let mut random = Random::new(seed ^ MOSAIC_STREAM).fork();
        let wanted = random.chance(self.mosaic) && anomalous > 0;
        wanted.then(|| std::array::from_fn(|_| random.below(anomalous)))
    }

    /// Changes an image and its mask, both in the same way. Of the mask, everything above 0 is defect;
    /// what comes back has the new image's size, 255 for defects and 0 elsewhere. A mask of another
    /// size than the image is brought to the image's size before. Grey images stay grey.
    ///
    /// The same seed makes the same change. Fields outside of their ranges count as the nearest end.
    #[must_use]
    pub fn apply(&self, image: Photo, mask: &Photo, seed: u64) -> (Photo, Photo) {
        let same_size = (mask.width(), mask.height()) == (image.width(), image.height());
        let mut mask = if same_size {
            mask_from_photo(mask)
        } else {
            resize_mask(mask, image.width(), image.height())
        };
        let mut image = image;
        let mut streams = Random::new(seed ^ CHANGE_STREAM);
        // Every stream is made, whether it is used or not: none depends on another's use.
        let [
            mut rotation,
            mut quarter_turns,
            mut brightness,
            mut noise,
            mut last,
        ] = std::array::from_fn(|_| streams.fork());

        if rotation.chance(self.rotation) {
            let limit = within(self.rotation_degrees, 0.0..=180.0);
            let angle = f64::from(rotation.between(-limit, limit)).to_radians();
            image = turn::rotated(&image, angle);
            mask = turn::rotated_mask(&mask, angle);
        }
        if quarter_turns.chance(self.quarter_turns) {
            let turns = quarter_turns.below(4);
            image = turn::quarter_turns(image, turns);
            mask = turn::quarter_turns(mask, turns);
        }
        if brightness.chance(self.brightness_contrast) {
            let limit = within(self.contrast_limit, 0.0..=1.0);
            let factor = 1.0 + brightness.between(-limit, limit);
            let limit = within(self.brightness_limit, 0.0..=1.0);
            let shift = 255.0 * brightness.between(-limit, limit);
            image = colour::scaled(image, factor, shift);
        }
        if noise.chance(self.noise) {
            let [least, most] = self.noise_variance;
            let variance = noise.between(within(least, 0.0..=65025.0), within(most, 0.0..=65025.0));
            image = colour::noisy(image, variance.sqrt(), &mut noise);
        }
        if last.chance(self.blur_or_jitter) {
            image = match last.below(3) {
                0 => blur::mean_of_three(&image),
                1 => {
                    let limit = within(self.jitter_limit, 0.0..=1.0);
                    let hue = within(self.jitter_hue, 0.0..=0.5);
                    colour::jittered(image, &Jitter::new(limit, hue, &mut last))
                }
                _ => blur::gaussian(&image, last.pick(&[3, 5, 7])),
            };
        }
        (image, mask)
    }
}

pub(crate) use self::camera::disturbed;
pub use self::mosaic::mosaic;

/// Mixed into seeds, so that a mosaic's choice and its changes have nothing in common.
const MOSAIC_STREAM: u64 = 0x6d6f_7361_6963_0000;
const CHANGE_STREAM: u64 = 0x6368_616e_6765_0000;

/// The nearest value of a range; its start for what is not a number.
fn within(value: f32, range: RangeInclusive<f32>) -> f32 {
    if value.is_nan() {
        *range.start()
    } else {
        value.clamp(*range.start(), *range.end())
    }
}

/// An image like `like`, of this size and from these bytes.
fn photo(like: &Photo, width: usize, height: usize, pixels: Vec<u8>) -> Photo {
    let made = if like.is_grey() {
        Photo::from_grey(width, height, pixels)
    } else {
        Photo::from_rgb(width, height, pixels)
    };
    // There is no other number of bytes here; what cannot happen leaves the image as it is.
    made.unwrap_or_else(|_| like.clone())
}

/// The nearest byte.
fn byte(value: f32) -> u8 {
    // The cast cuts at both ends.
    (value + 0.5) as u8
}

/// A place on a line of `count` pixels, mirrored at the middles of the outermost ones: … 2 1 0 1 2 ….
fn mirrored(at: i64, count: usize) -> usize {
    let last = count as i64 - 1;
    if (0..=last).contains(&at) {
        return at as usize;
    }
    if last == 0 {
        return 0;
    }
    let at = at.rem_euclid(2 * last);
    at.min(2 * last - at) as usize
}

#[cfg(test)]
mod tests;
