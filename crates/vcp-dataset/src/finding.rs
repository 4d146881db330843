//! What there is to say about masks that can be used: not problems, but the reason for other figures
//! than one may expect.

use std::path::PathBuf;

use crate::{Problem, Sample};

/// Something about one mask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MaskFinding {
    /// The mask has another size than its image, in the same proportion within 2 %, and was resized.
    Resized {
        /// The mask.
        mask: PathBuf,
        /// The mask's width and height.
        mask_size: (usize, usize),
        /// The image's width and height.
        image_size: (usize, usize),
    },
    /// Beside values above 127 the mask has fainter ones that count as defect too.
    Soft {
        /// The mask.
        mask: PathBuf,
        /// The largest value that is no defect.
        limit: u8,
        /// Number of pixels that count as defect.
        defect: usize,
        /// Number of pixels above 127.
        strong: usize,
    },
}

impl MaskFinding {
    /// The finding as one or two full sentences.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut alone = MaskFindings::default();
        alone.add(self);
        alone.sentences().concat()
    }
}

/// Findings counted, so that each kind is said once, however many masks it concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MaskFindings {
    resized: usize,
    first_resized: Option<MaskFinding>,
    soft: usize,
    first_soft: Option<MaskFinding>,
    defect: usize,
    strong: usize,
}

impl MaskFindings {
    /// Counts one more.
    pub fn add(&mut self, finding: &MaskFinding) {
        match finding {
            MaskFinding::Resized { .. } => {
                self.resized += 1;
                self.first_resized.get_or_insert_with(|| finding.clone());
            }
            MaskFinding::Soft { defect, strong, .. } => {
                self.soft += 1;
                self.first_soft.get_or_insert_with(|| finding.clone());
                self.defect = self.defect.saturating_add(*defect);
                self.strong = self.strong.saturating_add(*strong);
            }
        }
    }

    /// One full sentence or two for each kind that was found.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        [self.about_resized(), self.about_soft()]
            .into_iter()
            .flatten()
            .collect()
    }

    /// About masks that were resized, if there are any.
    fn about_resized(&self) -> Option<String> {
        let Some(MaskFinding::Resized {
            mask,
            mask_size,
            image_size,
        }) = &self.first_resized
        else {
            return None;
        };
        Some(format!(
            "{} another size than {}, in the same proportion within 2 %, and {} resized to it, as in \
             the official code: {}{} has {} × {} pixels, its image {} × {}.",
            counted(self.resized, "mask has", "masks have"),
            if self.resized == 1 {
                "its image"
            } else {
                "their images"
            },
            if self.resized == 1 { "is" } else { "are" },
            first(self.resized),
            mask.display(),
            mask_size.0,
            mask_size.1,
            image_size.0,
            image_size.1
        ))
    }

    /// About masks with soft edges, if there are any.
    fn about_soft(&self) -> Option<String> {
        let Some(MaskFinding::Soft { mask, limit, .. }) = &self.first_soft else {
            return None;
        };
        let larger = 100.0 * (self.defect as f64 / self.strong.max(1) as f64 - 1.0);
        Some(format!(
            "{} more than two values, as soft edges or JPEG give them: {}{}. Every value above {limit} \
             counts as defect, which makes the defects {larger:.0} % larger than values above 127 alone \
             would; --mask-threshold 127 takes those alone.",
            counted(self.soft, "mask has", "masks have"),
            first(self.soft),
            mask.display(),
        ))
    }
}

/// How much of its images the masks of a category say is defect.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// The first sample.
    first: Option<(String, PathBuf)>,
    masks: usize,
    least: Option<f64>,
    sum: f64,
}

impl Coverage {
    /// Counts one more mask: that of an anomalous sample of the category, and how much of the image it
    /// says is defect, from 0 to 1. Outlines that somebody drew are passed over: they are not inverted.
    pub fn add(&mut self, sample: &Sample, share: f64) {
        let (Some(_), Some(path)) = (sample.mask.rule(), sample.mask.path()) else {
            return;
        };
        self.first
            .get_or_insert_with(|| (sample.category.clone(), path.to_owned()));
        self.masks += 1;
        self.least = Some(self.least.map_or(share, |least| least.min(share)));
        self.sum += share;
    }

    /// The problem if defects fill three quarters of the images on average and never less than half of
    /// one. No data set is known to have such, but masks are like this that are inverted, or white under
    /// what should have been transparent, or have a coloured background.
    #[must_use]
    pub fn problem(&self) -> Option<Problem> {
        let (category, mask) = self.first.clone()?;
        let mean = self.sum / self.masks.max(1) as f64;
        let covers = mean >= 0.75 && self.least.is_some_and(|least| least >= 0.5);
        covers.then(|| Problem::MasksCoverImages {
            category,
            masks: self.masks,
            percent: (100.0 * mean).round() as u8,
            mask,
        })
    }
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

fn first(count: usize) -> &'static str {
    if count == 1 { "" } else { "the first, " }
}
