//! Examples from a data set.

use vcp_dataset::{Augmentation, Label, MaskSource, Sample};
use vcp_image::{DecodeOptions, Photo, normalise, resize_mask};

use crate::random::Random;
use crate::{Error, Example, Examples};

/// Samples of data sets, each once in an epoch, in an order that the seed and the epoch decide.
pub struct DatasetExamples {
    samples: Vec<Sample>,
    side: usize,
    decode: DecodeOptions,
    seed: u64,
    change: Box<Change>,
}

/// What is done to a photo and its mask before they are resized: augmentation. The number is the
/// example's own seed.
type Change = dyn Fn(Photo, Photo, u64) -> (Photo, Photo) + Send + Sync;

impl DatasetExamples {
    /// Of samples of which it is not known where their defects are, none are used.
    #[must_use]
    pub fn new(samples: Vec<Sample>, side: usize, decode: DecodeOptions, seed: u64) -> Self {
        let is_known =
            |sample: &Sample| sample.label == Label::Normal || sample.mask != MaskSource::None;
        Self {
            samples: samples.into_iter().filter(is_known).collect(),
            side,
            decode,
            seed,
            change: Box::new(|photo, mask, _| (photo, mask)),
        }
    }

    /// Changes photos and masks before they are resized.
    #[must_use]
    pub fn with_change(
        mut self,
        change: impl Fn(Photo, Photo, u64) -> (Photo, Photo) + Send + Sync + 'static,
    ) -> Self {
        self.change = Box::new(change);
        self
    }
}

impl Examples for DatasetExamples {
    fn count(&self) -> usize {
        self.samples.len()
    }

    fn example(&self, epoch: usize, index: usize) -> Result<Example, Error> {
        let mut order = Random::of(&[self.seed, epoch as u64]);
        let place = order.order(self.samples.len())[index];
        let sample = &self.samples[place];
        let photo = sample.load_image(&self.decode)?;
        let mask = sample.load_mask(photo.width(), photo.height(), &self.decode)?;
        let seed = Random::of(&[self.seed, epoch as u64, place as u64]).next();
        let (photo, mask) = (self.change)(photo, mask, seed);
        Ok(prepared(sample.id.clone(), &photo, &mask, self.side))
    }
}

/// Changes a photo and its mask as photos are taken anew: every other one is cut to a square, of half
/// the shorter side to all of it, and most are augmented as in the official training.
#[must_use]
pub fn varied(photo: Photo, mask: Photo, seed: u64) -> (Photo, Photo) {
    let mut random = Random::of(&[seed]);
    let mut share = || (random.next() >> 40) as f32 / (1_u32 << 24) as f32;
    let (photo, mask) = if share() < 0.5 {
        let side = photo.width().min(photo.height());
        let side = ((side as f32 * (0.5 + 0.5 * share())) as usize).max(1);
        let [left, top] = [photo.width(), photo.height()]
            .map(|length| (share() * (length - side + 1) as f32) as usize)
            .map(|start| start..start + side);
        let mask = if (mask.width(), mask.height()) == (photo.width(), photo.height()) {
            mask
        } else {
            resize_mask(&mask, photo.width(), photo.height())
        };
        (photo.crop(left.clone(), top.clone()), mask.crop(left, top))
    } else {
        (photo, mask)
    };
    Augmentation::default().apply(photo, &mask, seed)
}

/// Resized and normalised as the predictor does it, the mask as the evaluation does it.
pub(crate) fn prepared(name: String, photo: &Photo, mask: &Photo, side: usize) -> Example {
    let mask = resize_mask(mask, side, side);
    Example {
        name,
        pixels: normalise(&photo.resize_bicubic(side, side)),
        truth: mask
            .pixels()
            .iter()
            .map(|&value| f32::from(u8::from(value > 0)))
            .collect(),
    }
}
