//! Counting and checking.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde::Serialize;
use vcp_image::{DecodeOptions, is_turned};

use crate::{
    Coverage, Dataset, Error, Label, MaskFinding, MaskFindings, MaskSource, Mismatch, Problem,
    Problems, Sample, Split, mask,
};

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
    /// decoding found. Of each kind the first [`Problems::KEPT`].
    pub problems: Problems,
    /// Number of problems, with those that are not among `problems`.
    pub problem_count: usize,
}

/// The images of a category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CategoryCounts {
    /// The category's name.
    pub category: String,
    /// Counts of the category's splits: training, validation, test, unassigned; splits without images are
    /// omitted.
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
/// any defect for anomalous images and with some for normal ones, categories whose masks cover nearly
/// all of their images. `done` is called after each sample, from any thread.
#[must_use]
pub fn check_deeply(
    dataset: &Dataset,
    options: &DecodeOptions,
    done: &(dyn Fn() + Sync),
) -> Report {
    let mut report = count(dataset);
    report.deep = true;
    let looked: Vec<Looked> = dataset
        .samples
        .par_iter()
        .map(|sample| {
            let looked = look(sample, options);
            done();
            looked
        })
        .collect();
    let mut findings = MaskFindings::default();
    let mut covered: BTreeMap<&str, Coverage> = BTreeMap::new();
    let mut turned = dataset.samples.iter().zip(&looked);
    let first_turned = turned.find(|(_, looked)| looked.is_turned);
    for (sample, looked) in dataset.samples.iter().zip(&looked) {
        for finding in &looked.findings {
            findings.add(finding);
        }
        if let Some(share) = looked.covered {
            covered
                .entry(&sample.category)
                .or_default()
                .add(sample, share);
        }
    }
    report.notes.extend(findings.sentences());
    if let Some((sample, _)) = first_turned {
        let count = looked.iter().filter(|looked| looked.is_turned).count();
        report.notes.push(format!(
            "The EXIF data of {count} of the images ask for them to be turned, such as {}. They are \
             taken as they are stored, as in the official code; --orientation turns them.",
            sample.image.display()
        ));
    }
    let problems = looked.into_iter().filter_map(|looked| looked.problem);
    report.problems.extend(problems);
    let covered = covered.values();
    report
        .problems
        .extend(covered.filter_map(Coverage::problem));
    report.problem_count = report.problems.count();
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
        problem_count: dataset.problems.count(),
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

/// What decoding an image and its mask found.
#[derive(Default)]
struct Looked {
    /// At most one: after an image cannot be decoded, or its mask has the wrong size, nothing more can
    /// be said.
    problem: Option<Problem>,
    findings: Vec<MaskFinding>,
    /// How much of an anomalous image is defect, from 0 to 1.
    covered: Option<f64>,
    /// Whether the image's metadata ask for it to be turned, and that was not done.
    is_turned: bool,
}

fn look(sample: &Sample, options: &DecodeOptions) -> Looked {
    let mut looked = Looked::default();
    looked.problem = look_at(sample, options, &mut looked).err();
    looked
}

fn look_at(sample: &Sample, options: &DecodeOptions, looked: &mut Looked) -> Result<(), Problem> {
    let image = || sample.image.clone();
    let size = sample
        .load_image(options)
        .map(|photo| (photo.width(), photo.height()))
        .map_err(|error| Problem::UnreadableImage {
            image: image(),
            reason: error.to_string(),
        })?;
    looked.is_turned = !options.apply_orientation && is_turned(&sample.image);
    let Some(path) = sample.mask.path() else {
        return Ok(());
    };
    let mask = || path.to_owned();
    let loaded =
        mask::load(&sample.mask, &sample.image, size, options).map_err(|error| match error {
            Error::MaskSize {
                mask_size,
                mismatch,
                ..
            } => Problem::MaskSize {
                image: image(),
                image_size: size,
                mask: mask(),
                mask_size,
                mismatch,
            },
            error => Problem::UnreadableMask {
                image: image(),
                mask: mask(),
                reason: error.to_string(),
            },
        })?;
    let (mut resized, mut others) = (None, Vec::new());
    for finding in loaded.findings() {
        match finding {
            // Said of each mask, as other problems are.
            MaskFinding::Resized {
                mask, mask_size, ..
            } => resized = Some((mask.clone(), *mask_size)),
            other => others.push(other.clone()),
        }
    }
    looked.findings = others;
    let all = loaded.photo().pixels();
    let pixels = all.iter().filter(|&&pixel| pixel > 0).count();
    match (sample.label, pixels) {
        (Label::Anomalous, 0) => {
            return Err(Problem::EmptyMask {
                image: image(),
                mask: mask(),
            });
        }
        (Label::Anomalous, _) => looked.covered = Some(pixels as f64 / all.len() as f64),
        (Label::Normal, 0) => {}
        (Label::Normal, _) => {
            return Err(Problem::DefectInNormal {
                image: image(),
                mask: mask(),
                pixels,
            });
        }
    }
    match resized {
        Some((mask, mask_size)) => Err(Problem::MaskSize {
            image: image(),
            image_size: size,
            mask,
            mask_size,
            mismatch: Mismatch::Resized,
        }),
        None => Ok(()),
    }
}
