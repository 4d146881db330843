//! What is trained on.

use std::sync::Arc;

use vcp_random::Random;

use crate::Error;

/// An image and the truth about it, as the model takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// What to call it when something is wrong with it.
    pub name: String,
    /// Normalised, [3, side, side].
    pub pixels: Vec<f32>,
    /// 1 where there is a defect, 0 elsewhere: [side, side].
    pub truth: Vec<f32>,
    /// The same for all examples of a source that have the very same pixels; none where no other has.
    pub key: Option<u64>,
}

/// A source of examples.
pub trait Examples: Send + Sync {
    /// Examples in an epoch.
    fn count(&self) -> usize;

    /// Example number `index` of an epoch, in that epoch's own order: always the same one, whatever
    /// else has been asked for.
    ///
    /// # Errors
    /// When an image or mask cannot be read.
    fn example(&self, epoch: usize, index: usize) -> Result<Example, Error>;
}

/// Two sources, mixed: of every hundred examples about `share` come from the second.
pub struct Mixture {
    first: Arc<dyn Examples>,
    second: Arc<dyn Examples>,
    share: f64,
    seed: u64,
}

impl Mixture {
    /// An epoch has as many examples as one of `first`.
    #[must_use]
    pub fn new(first: Arc<dyn Examples>, second: Arc<dyn Examples>, share: f64, seed: u64) -> Self {
        Self {
            first,
            second,
            share,
            seed,
        }
    }
}

impl Examples for Mixture {
    fn count(&self) -> usize {
        self.first.count()
    }

    fn example(&self, epoch: usize, index: usize) -> Result<Example, Error> {
        let mut random = Random::of(&[self.seed, epoch as u64, index as u64, 0x6d69_7874]);
        let count = self.second.count();
        let is_second = random.unit_f64() <= self.share;
        if is_second && count > 0 && self.share > 0.0 {
            // Its own epochs go by as it is drawn from.
            let drawn = random.next_u64() as usize % (count * 4096);
            let epoch = epoch * 4096 + drawn / count;
            // Keys of two sources have nothing to do with each other.
            let mut example = self.second.example(epoch, drawn % count)?;
            example.key = None;
            Ok(example)
        } else {
            self.first.example(epoch, index)
        }
    }
}
