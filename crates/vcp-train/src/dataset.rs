//! Examples from data sets.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use vcp_dataset::{Label, MaskFinding, MaskSource, Sample};
use vcp_image::{DecodeOptions, Photo, Warning, normalise, resize_mask};
use vcp_random::Random;

use crate::{Augmentation, Error, Example, Examples, mosaic};

/// Samples of data sets, each once in an epoch, in an order that the seed and the epoch decide.
pub struct DatasetExamples {
    entries: Vec<Entry>,
    /// How each set's images are changed.
    augmentations: Vec<Augmentation>,
    /// The anomalous images of each set and category, of which mosaics are made.
    anomalous: BTreeMap<(usize, String), Vec<usize>>,
    side: usize,
    decode: DecodeOptions,
    seed: u64,
    change: Option<Box<Change>>,
    notify: Option<Box<Notify>>,
    orders: Orders,
}

/// The orders of epochs, each made once while examples of it are asked for.
#[derive(Default)]
pub(crate) struct Orders {
    /// Of an even epoch and of an odd one: at the end of an epoch, examples of both are prepared.
    kept: [Mutex<Option<Order>>; 2],
}

struct Order {
    epoch: usize,
    places: Arc<[usize]>,
}

impl Orders {
    /// All numbers below `count` in the order of an epoch.
    pub(crate) fn of(&self, seed: u64, epoch: usize, count: usize) -> Arc<[usize]> {
        let kept = self.kept[epoch % 2].lock();
        let mut kept = kept.unwrap_or_else(PoisonError::into_inner);
        if let Some(order) = kept.as_ref().filter(|order| order.epoch == epoch) {
            return Arc::clone(&order.places);
        }
        let places: Arc<[usize]> = Random::of(&[seed, epoch as u64]).order(count).into();
        *kept = Some(Order {
            epoch,
            places: Arc::clone(&places),
        });
        places
    }
}

/// A sample and the set that it belongs to.
struct Entry {
    sample: Sample,
    set: usize,
}

/// What is done to a photo and its mask before they are resized. The number is the example's own seed.
type Change = dyn Fn(Photo, Photo, u64) -> (Photo, Photo) + Send + Sync;

/// Who is told what should be known of a photo or a mask.
type Notify = dyn Fn(Notice<'_>) + Send + Sync;

/// What should be known of a photo or a mask that was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Notice<'a> {
    /// A photo was read, but perhaps not as its owner thinks.
    Photo {
        /// The sample's id.
        id: &'a str,
        /// What there is to say.
        warning: &'a Warning,
    },
    /// A mask was made to fit.
    Mask(&'a MaskFinding),
}

impl DatasetExamples {
    /// Examples of these samples, unchanged. Defective samples without a mask are skipped.
    #[must_use]
    pub fn new(samples: Vec<Sample>, side: usize, decode: DecodeOptions, seed: u64) -> Self {
        Self::augmented([(samples, Augmentation::none())], side, decode, seed)
    }

    /// Several sets of samples, each with its own augmentation. A mosaic is made of anomalous images of
    /// the same set and category.
    #[must_use]
    pub fn augmented(
        sets: impl IntoIterator<Item = (Vec<Sample>, Augmentation)>,
        side: usize,
        decode: DecodeOptions,
        seed: u64,
    ) -> Self {
        let (mut entries, mut augmentations) = (Vec::new(), Vec::new());
        for (set, (samples, augmentation)) in sets.into_iter().enumerate() {
            let known = samples.into_iter().filter(has_known_truth);
            entries.extend(known.map(|sample| Entry { sample, set }));
            augmentations.push(augmentation);
        }
        let mut anomalous: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (place, Entry { sample, set }) in entries.iter().enumerate() {
            if sample.label == Label::Anomalous {
                let category = (*set, sample.category.clone());
                anomalous.entry(category).or_default().push(place);
            }
        }
        Self {
            entries,
            augmentations,
            anomalous,
            side,
            decode,
            seed,
            change: None,
            notify: None,
            orders: Orders::default(),
        }
    }

    /// Tells what should be known of photos and masks, each time one is read, from whatever thread reads it.
    #[must_use]
    pub fn with_notices(mut self, notify: impl Fn(Notice<'_>) + Send + Sync + 'static) -> Self {
        self.notify = Some(Box::new(notify));
        self
    }

    /// Changes photos and masks before they are resized, after their set's augmentation.
    #[must_use]
    pub fn with_change(
        mut self,
        change: impl Fn(Photo, Photo, u64) -> (Photo, Photo) + Send + Sync + 'static,
    ) -> Self {
        self.change = Some(Box::new(change));
        self
    }

    /// The images that a mosaic in place of this one is made of, in reading order.
    fn mosaic_parts(&self, entry: &Entry, seed: u64) -> Option<[usize; 4]> {
        let augmentation = &self.augmentations[entry.set];
        let category = (entry.set, entry.sample.category.clone());
        let anomalous = self.anomalous.get(&category)?;
        let parts = augmentation.mosaic_parts(seed, anomalous.len())?;
        Some(parts.map(|part| anomalous[part]))
    }

    fn load(&self, place: usize) -> Result<(Photo, Photo), Error> {
        let sample = &self.entries[place].sample;
        let photo = sample.load_image(&self.decode)?;
        let mask = sample.read_mask(photo.width(), photo.height(), &self.decode)?;
        if let Some(notify) = &self.notify {
            for warning in photo.warnings() {
                let id = &sample.id;
                notify(Notice::Photo { id, warning });
            }
            for finding in mask.findings() {
                notify(Notice::Mask(finding));
            }
        }
        Ok((photo, mask.fitted()))
    }
}

impl Examples for DatasetExamples {
    fn count(&self) -> usize {
        self.entries.len()
    }

    fn example(&self, epoch: usize, index: usize) -> Result<Example, Error> {
        let place = self.orders.of(self.seed, epoch, self.entries.len())[index];
        let entry = &self.entries[place];
        let seed = Random::of(&[self.seed, epoch as u64, place as u64]).next_u64();
        let augmentation = &self.augmentations[entry.set];
        let (mut photo, mut mask) = match self.mosaic_parts(entry, seed) {
            Some([a, b, c, d]) => {
                mosaic(&[self.load(a)?, self.load(b)?, self.load(c)?, self.load(d)?])
            }
            None => self.load(place)?,
        };
        if !augmentation.is_none() {
            (photo, mask) = augmentation.apply(photo, &mask, seed);
        }
        if let Some(change) = &self.change {
            (photo, mask) = change(photo, mask, seed);
        }
        let mut example = prepared(entry.sample.id.clone(), &photo, &mask, self.side);
        let is_unchanged = augmentation.is_none() && self.change.is_none();
        example.key = is_unchanged.then_some(place as u64);
        Ok(example)
    }
}

/// Whether it is known where the sample's defects are, or that it has none.
pub(crate) fn has_known_truth(sample: &Sample) -> bool {
    sample.label == Label::Normal || !matches!(sample.mask, MaskSource::None | MaskSource::Unknown)
}

/// Takes about this share of the samples away to judge by, and gives them back: of every category
/// the same share of normal and of anomalous objects, chosen by the seed. Images of one object
/// ([`Sample::group`]) stay on one side.
pub fn hold_out(samples: &mut Vec<Sample>, share: f64, seed: u64) -> Vec<Sample> {
    let mut objects: BTreeMap<(String, String), (bool, Vec<usize>)> = BTreeMap::new();
    for (place, sample) in samples.iter().enumerate() {
        let object = sample.group.clone().map_or_else(
            || format!("image {}", sample.id),
            |group| format!("object {group}"),
        );
        let object = objects
            .entry((sample.category.clone(), object))
            .or_default();
        object.0 |= sample.label == Label::Anomalous;
        object.1.push(place);
    }
    let mut strata: BTreeMap<(String, bool), Vec<Vec<usize>>> = BTreeMap::new();
    for ((category, _), (is_anomalous, places)) in objects {
        let stratum = strata.entry((category, is_anomalous)).or_default();
        stratum.push(places);
    }
    let mut is_held_out = vec![false; samples.len()];
    for (number, objects) in strata.into_values().enumerate() {
        let count = (share.clamp(0.0, 1.0) * objects.len() as f64).round() as usize;
        let order = Random::of(&[seed, number as u64, 0x686f_6c64]).order(objects.len());
        for place in order.into_iter().take(count).flat_map(|at| &objects[at]) {
            is_held_out[*place] = true;
        }
    }
    let mut held_out = Vec::new();
    let mut places = is_held_out.into_iter();
    samples.retain(|sample| {
        let is_held_out = places.next().unwrap_or(false);
        if is_held_out {
            held_out.push(sample.clone());
        }
        !is_held_out
    });
    held_out
}

/// Changes a photo and its mask as photos are taken anew: every other one is cut to a square, of half
/// the shorter side to all of it, and most are augmented as in the official training.
#[must_use]
pub fn varied(photo: Photo, mask: Photo, seed: u64) -> (Photo, Photo) {
    let mut random = Random::of(&[seed]);
    let mut share = || random.unit();
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
        key: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_an_epoch_is_made_once_and_is_its_own() {
        let orders = Orders::default();
        for epoch in [0, 1, 0, 1, 2, 1, 3, 2, 0] {
            let expected = Random::of(&[7, epoch as u64]).order(50);
            let order = orders.of(7, epoch, 50);
            assert_eq!(order[..], expected, "epoch {epoch}");
            assert!(Arc::ptr_eq(&order, &orders.of(7, epoch, 50)));
        }
        // The end of one epoch and the beginning of the next are prepared at the same time.
        let (first, second) = (orders.of(7, 4, 50), orders.of(7, 5, 50));
        assert!(Arc::ptr_eq(&first, &orders.of(7, 4, 50)));
        assert!(Arc::ptr_eq(&second, &orders.of(7, 5, 50)));
    }
}
