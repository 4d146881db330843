//! Counting and checking.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde::Serialize;
use vcp_image::{DecodeOptions, Photo};

use crate::{Dataset, Error, Label, MaskSource, Problem, Sample, Split, mask};

/// What is in a data set, and what is wrong with it. Plain data, to be printed or written as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The data set's name.
    pub dataset: String,
    /// Whether images and masks were decoded.
    pub deep: bool,
    /// Number of images.
    pub images: usize,
    /// Number of normal images.
    pub normal: usize,
    /// Number of anomalous images.
    pub anomalous: usize,
    /// Number of anomalous images without a mask.
    pub without_mask: usize,
    /// [`Dataset::weak_masks`].
    pub weak_masks: bool,
    /// [`Dataset::notes`].
    pub notes: Vec<String>,
    /// The categories, in the data set's order.
    pub categories: Vec<CategoryCounts>,
    /// Everything that is wrong: first what reading found, then, if deep, image by image what
    /// decoding found.
    pub problems: Vec<Problem>,
}

/// The images of a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CategoryCounts {
    /// The category's name.
    pub category: String,
    /// Its splits: training, validation, test, unassigned; those without images are left out.
    pub splits: Vec<SplitCounts>,
}

/// The images of a category and split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SplitCounts {
    /// The split.
    pub split: Split,
    /// Number of images.
    pub images: usize,
    /// Number of normal images.
    pub normal: usize,
    /// Number of anomalous images.
    pub anomalous: usize,
    /// Number of anomalous images without a mask.
    pub without_mask: usize,
    /// The anomalous images by defect type, sorted by its name.
    pub defects: Vec<DefectCount>,
}

/// The images of a defect type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DefectCount {
    /// The defect type.
    pub defect: String,
    /// Number of images.
    pub images: usize,
}

/// Counts the samples and gathers the problems. `deep` also decodes every image and mask, with the
/// usual options; [`check_deeply`] does so with others and tells how far it is.
#[must_use]
pub fn check(dataset: &Dataset, deep: bool) -> Report {
    if deep {
        check_deeply(dataset, &DecodeOptions::default(), &|| ())
    } else {
        count(dataset)
    }
}

/// Counts the samples, gathers the problems, and decodes every image and mask, several at once:
/// images and masks that cannot be decoded, masks of another size than their image, masks without
/// any defect for anomalous images and with some for normal ones. `done` is called after each sample,
/// from any thread.
#[must_use]
pub fn check_deeply(
    dataset: &Dataset,
    options: &DecodeOptions,
    done: &(dyn Fn() + Sync),
) -> Report {
    let mut report = count(dataset);
    report.deep = true;
    let found: Vec<Option<Problem>> = dataset
        .samples
        .par_iter()
        .map(|sample| {
            let problem = check_sample(sample, options).err();
            done();
            problem
        })
        .collect();
    report.problems.extend(found.into_iter().flatten());
    report
}

fn count(dataset: &Dataset) -> Report {
    let mut samples: HashMap<&str, BTreeMap<Split, Vec<&Sample>>> = HashMap::new();
    for sample in &dataset.samples {
        let splits = samples.entry(&sample.category).or_default();
        splits.entry(sample.split).or_default().push(sample);
    }
    let categories: Vec<CategoryCounts> = dataset
        .categories()
        .into_iter()
        .map(|category| {
            let splits = samples.remove(category.as_str()).unwrap_or_default();
            let splits = splits
                .into_iter()
                .map(|(split, samples)| count_split(split, &samples));
            CategoryCounts {
                splits: splits.collect(),
                category,
            }
        })
        .collect();
    let splits = || categories.iter().flat_map(|category| &category.splits);
    Report {
        dataset: dataset.name.clone(),
        deep: false,
        images: dataset.samples.len(),
        normal: splits().map(|split| split.normal).sum(),
        anomalous: splits().map(|split| split.anomalous).sum(),
        without_mask: splits().map(|split| split.without_mask).sum(),
        weak_masks: dataset.weak_masks,
        notes: dataset.notes.clone(),
        problems: dataset.problems.clone(),
        categories,
    }
}

fn count_split(split: Split, samples: &[&Sample]) -> SplitCounts {
    let mut defects: BTreeMap<&str, usize> = BTreeMap::new();
    let mut without_mask = 0;
    for sample in samples {
        if sample.label == Label::Anomalous {
            *defects.entry(&sample.defect).or_default() += 1;
            without_mask += usize::from(sample.mask == MaskSource::Unknown);
        }
    }
    let anomalous = defects.values().sum();
    SplitCounts {
        split,
        images: samples.len(),
        normal: samples.len() - anomalous,
        anomalous,
        without_mask,
        defects: defects
            .into_iter()
            .map(|(defect, images)| DefectCount {
                defect: defect.to_owned(),
                images,
            })
            .collect(),
    }
}

/// At most one problem per sample: after an image cannot be decoded, or its mask has the wrong size,
/// nothing more can be said.
fn check_sample(sample: &Sample, options: &DecodeOptions) -> Result<(), Problem> {
    let image = || sample.image.clone();
    let size = sample
        .load_image(options)
        .map(|photo| (photo.width(), photo.height()))
        .map_err(|error| Problem::UnreadableImage {
            image: image(),
            reason: error.to_string(),
        })?;
    let Some(path) = sample.mask.path() else {
        return Ok(());
    };
    let mask = || path.to_owned();
    let photo: Photo =
        mask::load(&sample.mask, &sample.image, size, options).map_err(|error| match error {
            Error::MaskSize { mask_size, .. } => Problem::MaskSize {
                image: image(),
                image_size: size,
                mask: mask(),
                mask_size,
            },
            error => Problem::UnreadableMask {
                image: image(),
                mask: mask(),
                reason: error.to_string(),
            },
        })?;
    let pixels = photo.pixels().iter().filter(|&&pixel| pixel > 0).count();
    match (sample.label, pixels) {
        (Label::Anomalous, 0) => Err(Problem::EmptyMask {
            image: image(),
            mask: mask(),
        }),
        (Label::Normal, 1..) => Err(Problem::DefectInNormal {
            image: image(),
            mask: mask(),
            pixels,
        }),
        _ => Ok(()),
    }
}
