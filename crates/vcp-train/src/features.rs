//! What the frozen vision tower saw, kept for images that come again unchanged.

use std::collections::HashMap;

use vcp_burn::{Burn, Tensor};
use vcp_model::{Operations as _, VisionFeatures};
use vcp_predict::Predictor;

use crate::{Batch, Error};

/// Features of images by their keys, as many as there is room for.
pub(crate) struct FeatureCache {
    room: u64,
    taken: u64,
    images: HashMap<u64, Features>,
}

/// One image's: the image feature, then each tap.
type Features = Vec<Vec<f32>>;

impl FeatureCache {
    /// With room for so many bytes.
    pub(crate) fn new(room: u64) -> Self {
        Self {
            room,
            taken: 0,
            images: HashMap::new(),
        }
    }

    fn keep(&mut self, key: u64, features: Features) {
        let size = 4 * features.iter().map(Vec::len).sum::<usize>() as u64;
        // An image may come twice in one batch.
        if self.taken + size <= self.room && !self.images.contains_key(&key) {
            self.taken += size;
            self.images.insert(key, features);
        }
    }
}

/// What the tower sees in a batch, on the device that trains. `widths` are those of the image feature
/// and of the tower. A batch gives the bits of its images alone, so that it makes no difference which
/// of them are kept.
pub(crate) fn seen(
    tower: &Predictor,
    cache: &mut FeatureCache,
    burn: &Burn,
    batch: &Batch,
    widths: [usize; 2],
) -> Result<VisionFeatures<Tensor>, Error> {
    let count = batch.names.len();
    let size = (batch.pixels.len() / count.max(1)).max(1);
    let prepare = |image: usize| {
        let pixels = batch.pixels[image * size..][..size].to_vec();
        tower.prepared_from_normalised(pixels)
    };
    if cache.room == 0 {
        let prepared: Vec<_> = (0..count).map(prepare).collect::<Result<_, _>>()?;
        let features = tower.vision(&prepared)?;
        let there = |x: &vcp_cpu::Tensor| burn.constant(x.shape(), x.as_slice());
        return Ok(VisionFeatures {
            image_feature: there(&features.image_feature)?,
            taps: features.taps.iter().map(there).collect::<Result<_, _>>()?,
        });
    }
    let key = |image: usize| batch.keys.get(image).copied().flatten();
    let is_new = |image: &usize| key(*image).is_none_or(|key| !cache.images.contains_key(&key));
    let new: Vec<usize> = (0..count).filter(is_new).collect();
    let mut looked = HashMap::new();
    if !new.is_empty() {
        let prepared: Vec<_> = new
            .iter()
            .map(|image| prepare(*image))
            .collect::<Result<_, _>>()?;
        let features = tower.vision(&prepared)?;
        for (at, image) in new.iter().enumerate() {
            let all = std::iter::once(&features.image_feature).chain(&features.taps);
            let own = all.map(|x| {
                let size = x.as_slice().len() / new.len();
                x.as_slice()[at * size..][..size].to_vec()
            });
            looked.insert(*image, own.collect::<Features>());
        }
    }
    let parts: Vec<&Features> = (0..count)
        .filter_map(|image| {
            let looked = looked.get(&image);
            looked.or_else(|| cache.images.get(&key(image)?))
        })
        .collect();
    let joined = |place: usize| {
        let values: Vec<f32> = parts
            .iter()
            .flat_map(|part| part[place].iter().copied())
            .collect();
        let width = widths[place.min(1)];
        burn.constant([count, values.len() / (count * width), width], &values)
    };
    let features = VisionFeatures {
        image_feature: joined(0)?,
        taps: (1..parts.first().map_or(0, |part| part.len()))
            .map(joined)
            .collect::<Result<_, _>>()?,
    };
    for (image, features) in looked {
        if let Some(key) = key(image) {
            cache.keep(key, features);
        }
    }
    Ok(features)
}
