//! Examples that are made up.

use vcp_image::Photo;
use vcp_random::Random;
use vcp_synthetic::sample;

use crate::dataset::prepared;
use crate::{Error, Example, Examples};

/// Pictures from [`vcp_synthetic`]; no two epochs have the same.
pub struct SyntheticExamples {
    count: usize,
    side: usize,
    seed: u64,
}

impl SyntheticExamples {
    /// `count` pictures in an epoch.
    #[must_use]
    pub fn new(count: usize, side: usize, seed: u64) -> Self {
        Self { count, side, seed }
    }
}

impl Examples for SyntheticExamples {
    fn count(&self) -> usize {
        self.count
    }

    fn example(&self, epoch: usize, index: usize) -> Result<Example, Error> {
        let seed = Random::of(&[self.seed, epoch as u64, index as u64]).next_u64();
        let made = sample(seed, self.side);
        let name = format!("synthetic {seed}: {}", made.what);
        let mask = Photo::from_grey(made.image.width(), made.image.height(), made.mask);
        let mask = mask.map_err(vcp_dataset::Error::from)?;
        Ok(prepared(name, &made.image, &mask, self.side))
    }
}
