//! Examples that are made up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use vcp_image::Photo;
use vcp_random::Random;
use vcp_synthetic::sample;

use crate::dataset::{Orders, prepared};
use crate::{Error, Example, Examples, augment};

/// Pictures from [`vcp_synthetic`]; no two epochs have the same, unless they are
/// [repeated](SyntheticExamples::repeated).
pub struct SyntheticExamples {
    count: usize,
    side: usize,
    seed: u64,
    disturbed: Option<f32>,
    repeated: Option<Repeated>,
}

/// Pictures that come again in every epoch.
#[derive(Default)]
struct Repeated {
    orders: Orders,
    kept: Mutex<HashMap<usize, Arc<Drawn>>>,
}

struct Drawn {
    name: String,
    image: Photo,
    mask: Photo,
}

/// Bytes of repeated pictures that are kept; those beyond are drawn again.
const ROOM: usize = 2 << 30;

impl SyntheticExamples {
    /// `count` pictures in an epoch.
    #[must_use]
    pub fn new(count: usize, side: usize, seed: u64) -> Self {
        Self {
            count,
            side,
            seed,
            disturbed: None,
            repeated: None,
        }
    }

    /// Pictures as other cameras take them (cut, mirrored, of other brightness and sharpness), this fraction of them without colour.
    #[must_use]
    pub fn disturbed(mut self, grey: f32) -> Self {
        self.disturbed = Some(grey);
        self
    }

    /// Every epoch has the same pictures, in an order of its own. They have keys, so that what a frozen vision
    /// tower sees in them can be kept.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        self.repeated = Some(Repeated::default());
        self
    }

    fn drawn(&self, seed: u64) -> Result<Drawn, Error> {
        let made = sample(seed, self.side);
        let mask = Photo::from_grey(made.image.width(), made.image.height(), made.mask);
        let mask = mask.map_err(vcp_dataset::Error::from)?;
        let (image, mask) = match self.disturbed {
            Some(grey) => augment::disturbed(made.image, mask, grey, seed),
            None => (made.image, mask),
        };
        Ok(Drawn {
            name: format!("synthetic {seed}: {}", made.what),
            image,
            mask,
        })
    }
}

impl Examples for SyntheticExamples {
    fn count(&self) -> usize {
        self.count
    }

    fn example(&self, epoch: usize, index: usize) -> Result<Example, Error> {
        let seed = |epoch: usize, index: usize| {
            Random::of(&[self.seed, epoch as u64, index as u64]).next_u64()
        };
        let prepared = |it: &Drawn| prepared(it.name.clone(), &it.image, &it.mask, self.side);
        let Some(repeated) = &self.repeated else {
            return Ok(prepared(&self.drawn(seed(epoch, index))?));
        };
        let place = repeated.orders.of(self.seed, epoch, self.count)[index];
        let kept = || repeated.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept().get(&place).cloned();
        let drawn = if let Some(drawn) = found {
            drawn
        } else {
            let drawn = Arc::new(self.drawn(seed(0, place))?);
            let mut kept = kept();
            if kept.len() < ROOM / (4 * self.side * self.side).max(1) {
                kept.insert(place, Arc::clone(&drawn));
            }
            drawn
        };
        let mut example = prepared(&drawn);
        example.key = Some(place as u64);
        Ok(example)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_pictures_come_once_in_every_epoch() {
        let examples = SyntheticExamples::new(5, 32, 3).repeated();
        let epoch = |epoch: usize| {
            let all = (0..5).map(|index| examples.example(epoch, index).unwrap());
            let mut all: Vec<Example> = all.collect();
            let order: Vec<_> = all.iter().map(|it| it.key).collect();
            all.sort_by_key(|it| it.key);
            (order, all)
        };
        let ((first, of_first), (second, of_second)) = (epoch(0), epoch(1));
        assert_ne!(first, second);
        assert_eq!(of_first, of_second);
        assert!(of_first.iter().all(|it| it.key.is_some()));
        let fresh = SyntheticExamples::new(5, 32, 3);
        assert_ne!(fresh.example(0, 0).unwrap(), fresh.example(1, 0).unwrap());
        assert_eq!(fresh.example(0, 0).unwrap().key, None);
    }
}
