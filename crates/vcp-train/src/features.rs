//! What the frozen part of the model sees, kept for images that come again unchanged.

use std::collections::HashMap;

use vcp_burn::{Burn, Tensor};
use vcp_checkpoint::Weights;
use vcp_cpu::Cpu;
use vcp_model::{Backbone, Map, Operations as _, Renormalisation, Stages, VisionFeatures};
use vcp_predict::{Predictor, PredictorOptions};

use crate::{Batch, Error, Scope};

/// The part of the vision tower that is not trained.
pub(crate) enum Frozen {
    /// Nothing.
    Nothing,
    /// All of it.
    Tower(Box<Predictor>),
    /// The first blocks of a convolutional tower's backbone.
    Lower(Box<Lower>),
}

/// The first blocks of a convolutional tower's backbone, on the CPU.
pub(crate) struct Lower {
    cpu: Cpu,
    normalisation: Renormalisation<Cpu>,
    blocks: Backbone<Cpu>,
    /// The block that comes next.
    next: usize,
    /// Whether there is one, which goes on from the last features.
    is_continued: bool,
    side: usize,
}

/// What the frozen part saw in a batch, on the device that trains.
pub(crate) enum Seen {
    /// The tower's features.
    Features(VisionFeatures<Tensor>),
    /// Those of a convolutional tower, as far as its backbone is frozen.
    Stages {
        /// What it saw.
        stages: Stages<Tensor>,
        /// The block that comes next.
        next: usize,
    },
    /// Nothing is frozen.
    Images(Tensor),
}

impl Frozen {
    /// What a recipe of this scope leaves as it is. `tower` is the vision tower, if it has been loaded
    /// already.
    pub(crate) fn new(
        weights: &Weights,
        scope: Scope,
        tower: Option<Predictor>,
    ) -> Result<Self, Error> {
        match scope {
            Scope::Everything => Ok(Self::Nothing),
            Scope::Learned => {
                let loaded = || Predictor::new(weights, &PredictorOptions::default());
                Ok(Self::Tower(Box::new(tower.map_or_else(loaded, Ok)?)))
            }
            Scope::FromBlock(first) => {
                let Some(backbone) = weights.geometry().backbone else {
                    return Err(Error::Recipe(
                        "Training from a block of the backbone on needs a convolutional vision tower, and the model \
                         has a transformer."
                            .to_owned(),
                    ));
                };
                let cpu = Cpu::new(None).map_err(vcp_predict::Error::from)?;
                Ok(Self::Lower(Box::new(Lower {
                    normalisation: Renormalisation::load(&cpu, weights)?,
                    blocks: Backbone::load(&cpu, weights, 0..first.min(backbone.blocks))?,
                    next: first,
                    is_continued: first < backbone.blocks,
                    side: weights.settings().image_size,
                    cpu,
                })))
            }
        }
    }

    /// What the frozen part sees in a batch. A batch gives the bits of its images alone, so that it makes no
    /// difference which of them are kept.
    pub(crate) fn seen(
        &self,
        cache: &mut FeatureCache,
        burn: &Burn,
        batch: &Batch,
        side: usize,
    ) -> Result<Seen, Error> {
        match self {
            Self::Nothing => {
                let shape = [batch.names.len(), 3, side * side];
                Ok(Seen::Images(burn.constant(shape, &batch.pixels)?))
            }
            Self::Tower(tower) => {
                let mut parts = cache.seen(burn, batch, |pixels| {
                    let prepared = pixels.iter().map(|own| {
                        let prepared = tower.prepared_from_normalised(own.to_vec());
                        prepared.map_err(Error::from)
                    });
                    let prepared = prepared.collect::<Result<Vec<_>, Error>>()?;
                    let features = tower.vision(&prepared)?;
                    let mut parts = vec![features.image_feature];
                    parts.extend(features.taps);
                    Ok(parts)
                })?;
                let taps = parts.split_off(1);
                let image_feature = parts.swap_remove(0);
                Ok(Seen::Features(VisionFeatures {
                    image_feature,
                    taps,
                }))
            }
            Self::Lower(lower) => {
                let parts = cache.seen(burn, batch, |pixels| Ok(lower.parts(pixels)))?;
                let map = |values: Tensor| Map {
                    width: burn.rows(&values).isqrt(),
                    values,
                };
                let mut levels: Vec<_> = parts.into_iter().map(map).collect();
                let Some(last) = levels.last().cloned() else {
                    return Err(Error::NoExamples);
                };
                if lower.is_continued {
                    levels.pop();
                }
                Ok(Seen::Stages {
                    stages: Stages { levels, last },
                    next: lower.next,
                })
            }
        }
    }
}

impl Lower {
    /// The levels of these images, and the last features if more blocks follow.
    fn parts(&self, pixels: &[&[f32]]) -> Vec<vcp_cpu::Tensor> {
        let cpu = &self.cpu;
        let stages = cpu.run(|| {
            let shape = [pixels.len(), 3, self.side * self.side];
            let images = cpu.tensor(shape, &pixels.concat());
            let images = self.normalisation.apply(cpu, &images);
            let stages = self.blocks.begin(cpu, &images.values, images.width);
            self.blocks.forward(cpu, stages)
        });
        let levels = stages.levels.into_iter().map(|level| level.values);
        let mut parts: Vec<_> = levels.collect();
        if self.is_continued {
            parts.push(stages.last.values);
        }
        parts
    }
}

/// Features of images by their keys, as many as there is room for.
pub(crate) struct FeatureCache {
    room: u64,
    taken: u64,
    images: HashMap<u64, Features>,
}

/// One image's, in parts.
type Features = Vec<Part>;

/// A part of one image's features, [rows, channels].
struct Part {
    shape: [usize; 2],
    values: Vec<f32>,
}

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
        let size = 4 * features.iter().map(|it| it.values.len()).sum::<usize>() as u64;
        // An image may come twice in one batch.
        if self.taken + size <= self.room && !self.images.contains_key(&key) {
            self.taken += size;
            self.images.insert(key, features);
        }
    }

    /// What `look` sees in the pixels of a batch's images, in parts [count, rows, channels]; it is only given those
    /// that are not kept.
    fn seen(
        &mut self,
        burn: &Burn,
        batch: &Batch,
        look: impl Fn(&[&[f32]]) -> Result<Vec<vcp_cpu::Tensor>, Error>,
    ) -> Result<Vec<Tensor>, Error> {
        let count = batch.names.len();
        let size = (batch.pixels.len() / count.max(1)).max(1);
        let pixels = |image: usize| &batch.pixels[image * size..][..size];
        if self.room == 0 {
            let all: Vec<_> = (0..count).map(pixels).collect();
            let there = |x: &vcp_cpu::Tensor| Ok(burn.constant(x.shape(), x.as_slice())?);
            return look(&all)?.iter().map(there).collect();
        }
        let key = |image: usize| batch.keys.get(image).copied().flatten();
        let is_new = |image: &usize| key(*image).is_none_or(|key| !self.images.contains_key(&key));
        let new: Vec<usize> = (0..count).filter(is_new).collect();
        let mut looked: HashMap<usize, Features> = HashMap::new();
        if !new.is_empty() {
            let unseen: Vec<_> = new.iter().map(|image| pixels(*image)).collect();
            for part in look(&unseen)? {
                let [_, rows, channels] = part.shape();
                let each = part.as_slice().chunks_exact((rows * channels).max(1));
                for (image, values) in new.iter().zip(each) {
                    looked.entry(*image).or_default().push(Part {
                        shape: [rows, channels],
                        values: values.to_vec(),
                    });
                }
            }
        }
        let images: Vec<&Features> = (0..count)
            .filter_map(|image| {
                let looked = looked.get(&image);
                looked.or_else(|| self.images.get(&key(image)?))
            })
            .collect();
        let joined = |place: usize| {
            let [rows, channels] = images[0][place].shape;
            let values: Vec<&[f32]> = images.iter().map(|it| &it[place].values[..]).collect();
            Ok(burn.constant([images.len(), rows, channels], &values.concat())?)
        };
        let parts = images.first().map_or(0, |image| image.len());
        let parts = (0..parts).map(joined).collect::<Result<_, Error>>()?;
        for (image, features) in looked {
            if let Some(key) = key(image) {
                self.keep(key, features);
            }
        }
        Ok(parts)
    }
}
