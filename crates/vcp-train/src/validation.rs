//! How good a model in training is, on images that it is not trained on.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use vcp_dataset::{Label, Sample};
use vcp_image::{DecodeOptions, resize_mask};
use vcp_metrics::{
    Collector, ImageMap, ImageReport, Outcome, PixelOptions, PixelReport, StreamingCollector,
};
use vcp_predict::Predictor;

use crate::Error;
use crate::dataset::has_known_truth;

/// Figures from 0 to 1, each the mean over the categories for which it is defined; none where it is
/// undefined for all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Validation {
    /// Pixel average precision of branch 1's map.
    pub branch1: Option<f64>,
    /// Pixel average precision of branch 2's map.
    pub branch2: Option<f64>,
    /// Pixel average precision of the map that blends both branches.
    pub blend: Option<f64>,
    /// Image AUROC.
    pub image_auroc: Option<f64>,
}

/// Pixels of a category up to which its maps are kept to be sorted; more are counted in fixed memory.
const MOST_SORTED: usize = 1 << 24;

/// Looks at samples, which are judged by category, the first of each pair. Those of which it is not
/// known where their defects are are left out. `watch` is told before every image how many have been
/// looked at, and may end the work; then nothing is returned.
///
/// # Errors
/// When the model gives something that is no number, its device fails, or an image or mask cannot be
/// read.
pub fn validate(
    predictor: &Predictor,
    samples: &[(String, Sample)],
    decode: &DecodeOptions,
    mut watch: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Validation>, Error> {
    let side = predictor.image_size();
    let mut categories: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for (category, sample) in samples {
        if has_known_truth(sample) {
            categories.entry(category).or_default().push(sample);
        }
    }
    let mut done = 0;
    let mut figures: [Vec<Outcome>; 4] = Default::default();
    for samples in categories.into_values() {
        let is_small = samples.len() * side * side <= MOST_SORTED;
        let mut maps = [(); 3]
            .map(|()| Pixels::new(is_small))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let (mut scores, mut labels) = (Vec::new(), Vec::new());
        for sample in samples {
            if watch(done).is_break() {
                return Ok(None);
            }
            done += 1;
            let photo = sample.load_image(decode)?;
            let is_anomalous = sample.label == Label::Anomalous;
            let mask = if is_anomalous {
                let mask = sample.read_mask(photo.width(), photo.height(), decode)?;
                Some(resize_mask(mask.photo(), side, side))
            } else {
                None
            };
            let mask = mask.as_ref().map(vcp_image::Photo::pixels);
            let (_, prediction) = predictor.predict_whole(&predictor.prepare(&photo))?;
            let each = [
                &prediction.branch1,
                &prediction.branch2,
                &prediction.blended,
            ];
            for (maps, map) in maps.iter_mut().zip(each) {
                maps.add(map, mask, side)?;
            }
            scores.push(prediction.score);
            labels.push(is_anomalous);
        }
        for (figures, maps) in figures.iter_mut().zip(&maps) {
            figures.push(maps.report().average_precision);
        }
        figures[3].push(ImageReport::new(&scores, &labels)?.auroc);
    }
    let [branch1, branch2, blend, image_auroc] = figures.map(|outcomes| {
        let mean = vcp_metrics::Mean::of(&outcomes).figure;
        mean.ok().map(|figure| figure.value)
    });
    Ok(Some(Validation {
        branch1,
        branch2,
        blend,
        image_auroc,
    }))
}

/// The maps of a category.
enum Pixels {
    Sorted(Box<Collector>),
    Counted(Box<StreamingCollector>),
}

impl Pixels {
    fn new(is_small: bool) -> Result<Self, Error> {
        let options = PixelOptions {
            curve_points: 0,
            ..PixelOptions::default()
        };
        Ok(if is_small {
            Self::Sorted(Box::new(Collector::new(options)?))
        } else {
            Self::Counted(Box::new(StreamingCollector::new(options)?))
        })
    }

    fn add(&mut self, map: &[f32], mask: Option<&[u8]>, side: usize) -> Result<(), Error> {
        let image = ImageMap {
            map,
            mask,
            width: side,
            height: side,
        };
        match self {
            Self::Sorted(collector) => collector.add(&image)?,
            Self::Counted(collector) => collector.add(&image)?,
        }
        Ok(())
    }

    fn report(&self) -> PixelReport {
        match self {
            Self::Sorted(collector) => collector.report(),
            Self::Counted(collector) => collector.report(),
        }
    }
}
