//! What is kept of every photo: a few numbers, and the pixels only where masks are to be compared
//! with them.

use std::borrow::Cow;

use vcp_image::{Photo, resize_mask};
use vcp_metrics::{Collector, ImageMap, PixelOptions};

use super::listing::{Listing, PhotoIdentity};
use super::options::{Aim, FitOptions};
use super::statistics::{CalibrationError, PixelSummary};
use crate::inspection::Inspection;

/// What is known about a photo.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    /// It shows no defect.
    Normal,
    /// It shows a defect.
    Anomalous {
        /// Where, if that is known: not black at the defects, of the photo's size.
        mask: Option<Photo>,
    },
}

/// A photo that cannot be taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// A mask of another size.
    #[error(
        "The mask has {} × {} pixels, but its photo {} × {}; bring it to the photo's size.",
        found.0, found.1, size.0, size.1
    )]
    MaskSize {
        /// Width and height of the photo.
        size: (usize, usize),
        /// Width and height of the mask.
        found: (usize, usize),
    },
    /// Its map cannot be summed up.
    #[error(transparent)]
    Map(#[from] CalibrationError),
    /// Its map and mask cannot be collected.
    #[error(transparent)]
    Metrics(#[from] vcp_metrics::Error),
}

/// The numbers of all photos so far.
pub struct Measurements {
    /// Scores of normal photos.
    pub(super) normal: Vec<f32>,
    /// Pixels of normal photos.
    pub(super) pixels: Vec<PixelSummary>,
    /// Scores of anomalous photos.
    pub(super) anomalous: Vec<f32>,
    /// Values of the pixels that masks mark, if the aim is to find a fraction of them.
    pub(super) marked: Vec<f32>,
    /// All pixels with their masks, if the aim is the best F1.
    pub(super) collector: Option<Collector>,
    /// Anomalous photos with a mask.
    pub(super) masked: usize,
    failed: usize,
    copies: usize,
    uninspected: usize,
    listing: Listing,
    pub(super) options: FitOptions,
}

impl Measurements {
    /// Of no photo yet. `has_masks` says whether any photo will have a mask; without, no pixels are kept.
    ///
    /// # Errors
    /// When pixels cannot be collected, which with these constants does not happen.
    pub fn new(options: FitOptions, has_masks: bool) -> Result<Self, MeasureError> {
        let collector = if has_masks && options.aim == Aim::F1 {
            let options = PixelOptions {
                curve_points: 0,
                ..PixelOptions::default()
            };
            Some(Collector::new(options)?)
        } else {
            None
        };
        Ok(Self {
            normal: Vec::new(),
            pixels: Vec::new(),
            anomalous: Vec::new(),
            marked: Vec::new(),
            collector,
            masked: 0,
            failed: 0,
            copies: 0,
            uninspected: 0,
            listing: Listing::default(),
            options,
        })
    }

    /// Takes a photo in; one that was there before counts as a copy and for nothing else, since it says
    /// nothing new, though the statistics would take it so. An anomalous photo whose mask marks nothing in the part
    /// that is inspected is counted as such, and for nothing else either: nobody wants its defects to be found.
    ///
    /// # Errors
    /// When the numbers cannot be used or a mask is not of the photo's size. The photo does not count then;
    /// see [`Measurements::count_failure`].
    pub fn add(
        &mut self,
        identity: &PhotoIdentity,
        inspection: &Inspection,
        label: &Label,
    ) -> Result<(), MeasureError> {
        if self.listing.has(identity) {
            self.copies += 1;
            return Ok(());
        }
        let side = inspection.image_size();
        let mask = match label {
            Label::Anomalous { mask: Some(mask) } => {
                let (size, found) = (
                    (inspection.width(), inspection.height()),
                    (mask.width(), mask.height()),
                );
                if size != found {
                    return Err(MeasureError::MaskSize { size, found });
                }
                Some(resize_mask(mask, side, side).into_pixels())
            }
            _ => None,
        };
        // Only what counts; where it stands in the photo does not matter to any threshold.
        let (mut map, mut mask, mut size) = (inspection.model_map(), mask, (side, side));
        if let Some(counts) = inspection.model_counts() {
            map = Cow::Owned(those(&map, &counts));
            let inspected = mask.as_deref().map(|mask| those(mask, &counts));
            let marks = |mask: &Option<Vec<u8>>| mask.iter().flatten().any(|&value| value != 0);
            if marks(&mask) && !marks(&inspected) {
                self.uninspected += 1;
                return Ok(());
            }
            (mask, size) = (inspected, (map.len(), 1));
        }
        let is_normal = *label == Label::Normal;
        let summary = if is_normal {
            Some(PixelSummary::new(&map, self.options.allowed_pixels)?)
        } else {
            None
        };
        if let Some(collector) = &mut self.collector
            && (is_normal || mask.is_some())
        {
            collector.add(&ImageMap {
                map: &map,
                mask: mask.as_deref(),
                width: size.0,
                height: size.1,
            })?;
        }
        // Nothing fails from here on.
        self.listing.add(identity);
        if let Some(summary) = summary {
            self.pixels.push(summary);
            self.normal.push(inspection.score());
            return Ok(());
        }
        self.anomalous.push(inspection.score());
        if let Some(mask) = mask {
            self.masked += 1;
            if matches!(self.options.aim, Aim::Recall(_)) {
                let marked = map.iter().zip(&mask).filter(|&(_, &mask)| mask != 0);
                self.marked.extend(marked.map(|(&value, _)| value));
            }
        }
        Ok(())
    }

    /// Counts a photo that could not be used.
    pub fn count_failure(&mut self) {
        self.failed += 1;
    }

    /// Photos that could not be used.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Photos whose content was there before.
    #[must_use]
    pub fn copies(&self) -> usize {
        self.copies
    }

    /// Anomalous photos whose defects lie in the part of photos that is not inspected.
    #[must_use]
    pub fn uninspected(&self) -> usize {
        self.uninspected
    }

    /// Normal photos that count.
    #[must_use]
    pub fn normal(&self) -> usize {
        self.normal.len()
    }

    /// Anomalous photos that count.
    #[must_use]
    pub fn anomalous(&self) -> usize {
        self.anomalous.len()
    }

    /// Anomalous photos that count and have a mask.
    #[must_use]
    pub fn masked(&self) -> usize {
        self.masked
    }

    /// Photos that count.
    #[must_use]
    pub fn used(&self) -> usize {
        self.normal.len() + self.anomalous.len()
    }

    /// All photos that went by.
    #[must_use]
    pub fn seen(&self) -> usize {
        self.used() + self.failed + self.copies + self.uninspected
    }

    /// Which photos count.
    #[must_use]
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// How many normal and how many anomalous photos reach a score threshold.
    #[must_use]
    pub fn reached(&self, score_threshold: f32) -> (usize, usize) {
        let reach = |scores: &[f32]| {
            let reaching = scores.iter().filter(|&&score| score >= score_threshold);
            reaching.count()
        };
        (reach(&self.normal), reach(&self.anomalous))
    }
}

/// The values that count.
fn those<T: Copy>(values: &[T], counts: &[bool]) -> Vec<T> {
    let both = values.iter().zip(counts).filter(|(_, counts)| **counts);
    both.map(|(value, _)| *value).collect()
}
