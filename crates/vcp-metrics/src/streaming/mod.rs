//! All figures of a category in fixed memory, each with a proven bound of its error.
//!
//! Values from 0 to 1 are counted in about two million bins, finer where values are small. Between
//! bins the order of values is known, within a bin it is not; but a bin whose values are all equal
//! is as good as exact, and of every other one only the worst case has to be allowed for:
//!
//! - **AUROC.** A pair of an anomalous and a normal pixel in one bin counts between 0 and 1.
//! - **AUPRO.** Within a bin the curve rises from one known point to another, somewhere inside the
//!   rectangle between them. The area is at least that under the rectangle's lower edge and at most
//!   that under its upper edge. Over evenly spaced thresholds see [`steps`](crate::steps).
//! - **AP.** The precision at an anomalous pixel is at least what it is if all normal pixels of the
//!   bin come before it, and at most what it is if all anomalous ones do.
//! - **F1-max.** The ends of bins are thresholds of the data, so the best of them is a lower bound;
//!   within a bin no F1 is larger than with all of its anomalous and none of its normal pixels.
//! - **`IoU`** at the best threshold. Wherever that may be, given the bounds of F1, the intersection
//!   and the union are between those of the bin's ends.
//! - **AUPIMO** (the mean over the images). As AUPRO, over the logarithm of the rate.
//!
//! Every figure is the middle of what is possible and states the distance to the ends (F1-max is
//! that of the threshold reported). One that cannot be told to within [`ERROR_BOUND`] is reported as
//! undefined, so no figure is ever further off than that. No fixed number of bins can promise more:
//! any two values may fall into one bin.

mod bins;
#[cfg(test)]
mod tests;
mod walks;

use crate::error::Error;
use crate::key;
use crate::outcome::{Figure, Outcome, Undefined};
use crate::regions;
use crate::report::{ImageMap, PixelOptions, PixelReport};
use crate::scan::{BestF1, Group, Scan};
use crate::totals::Totals;
use bins::{Bin, Binning, MANTISSA_BITS};
use walks::{PerImage, Steps};

/// No figure of a [`StreamingCollector`] is further than this from the exact one.
pub const ERROR_BOUND: f64 = 1e-4;

/// Collects the images of one category in 101 MB, however many there are (and what one of them needs
/// while it is added).
///
/// Maps must have values from 0 to 1. See the figures' [`error_bound`](Figure::error_bound), and
/// [`Undefined::TooCoarse`] for figures whose bound would exceed [`ERROR_BOUND`]. The figures of
/// single images are not kept.
#[derive(Clone, Debug)]
pub struct StreamingCollector {
    options: PixelOptions,
    binning: Binning,
    bins: Vec<Bin>,
    images: usize,
    normal_images: usize,
    /// Images with anomalous pixels.
    marked_images: usize,
    totals: Totals,
}

impl StreamingCollector {
    /// An empty category.
    ///
    /// # Errors
    /// If an option is outside its range.
    pub fn new(options: PixelOptions) -> Result<Self, Error> {
        Self::with_binning(options, Binning::new(MANTISSA_BITS))
    }

    fn with_binning(options: PixelOptions, binning: Binning) -> Result<Self, Error> {
        options.check()?;
        Ok(Self {
            options,
            binning,
            bins: vec![Bin::EMPTY; binning.bins()],
            images: 0,
            normal_images: 0,
            marked_images: 0,
            totals: Totals {
                positives: 0,
                negatives: 0,
                regions: 0,
            },
        })
    }

    /// Adds an image.
    ///
    /// # Errors
    /// If sizes do not fit, or a value is not a number from 0 to 1; nothing is added then.
    pub fn add(&mut self, image: &ImageMap<'_>) -> Result<(), Error> {
        image.check(self.images)?;
        let map = image.map;
        let inside = |value: f32| (0.0..=1.0).contains(&value);
        if let Some(at) = map.iter().position(|&value| !inside(value)) {
            return Err(Error::OutOfRange {
                image: self.images,
                x: at % image.width,
                y: at / image.width,
                value: map[at],
            });
        }
        let regions = image
            .mask
            .map(|mask| regions::find(mask, image.width))
            .unwrap_or_default();
        let area = regions.area();
        let normal_weight = if image.mask.is_none() {
            1.0 / map.len() as f64
        } else {
            0.0
        };
        regions.for_each_gap(map.len(), |start, end| {
            for &value in &map[start..end] {
                let bin = &mut self.bins[self.binning.bin_of(value)];
                bin.extend_to(value);
                bin.negatives += 1;
                bin.normal_weight += normal_weight;
            }
        });
        for run in &regions.runs {
            let region_weight = 1.0 / regions.areas[run.region as usize] as f64;
            for &value in &map[run.start..run.end] {
                let bin = &mut self.bins[self.binning.bin_of(value)];
                bin.extend_to(value);
                bin.positives += 1;
                bin.region_weight += region_weight;
                bin.image_weight += 1.0 / area as f64;
            }
        }
        self.images += 1;
        self.normal_images += usize::from(image.mask.is_none());
        self.marked_images += usize::from(area > 0);
        self.totals.positives += area;
        self.totals.negatives += map.len() as u64 - area;
        self.totals.regions += regions.areas.len() as u64;
        Ok(())
    }

    /// The figures of all images added so far.
    #[must_use]
    pub fn report(&self) -> PixelReport {
        self.report_within(ERROR_BOUND)
    }

    /// The figures that can be told to within `bound`.
    fn report_within(&self, bound: f64) -> PixelReport {
        let told_closely = |outcome: Outcome| match outcome {
            Ok(Figure { error_bound, .. }) if error_bound > bound => {
                Err(Undefined::TooCoarse { error_bound })
            }
            other => other,
        };
        let totals = self.totals;
        let mut scan = Scan::new(totals, self.options.fpr_limit, self.options.curve_points);
        let mut per_image = PerImage::new(self);
        let mut steps = Steps::new(self);
        for (index, bin) in self.filled() {
            steps.walk(index, bin);
            per_image.walk(bin);
            scan.push(&Group {
                threshold: key::to_value(bin.smallest),
                positives: bin.positives,
                negatives: bin.negatives,
                region_weight: bin.region_weight,
                mixed: bin.is_mixed(),
            });
        }
        let ranking = scan.finish();
        let f1 = ranking.f1.map(|best| Figure {
            value: best.f1,
            error_bound: best.highest - best.f1,
        });
        let f1_max = told_closely(f1);
        let threshold = ranking.f1.map(|best| f64::from(best.threshold));
        PixelReport {
            images: self.images,
            normal_images: self.normal_images,
            pixels: totals.positives + totals.negatives,
            anomalous_pixels: totals.positives,
            regions: totals.regions,
            auroc: told_closely(ranking.auroc),
            average_precision: told_closely(ranking.average_precision),
            f1_max,
            threshold: f1_max.and(threshold.map(Figure::exact)),
            iou: told_closely(ranking.f1.map(|best| self.iou(&best))),
            aupro_steps: told_closely(steps.finish()),
            aupro: told_closely(ranking.aupro),
            aupimo: told_closely(per_image.finish()),
            aupimo_by_image: Vec::new(),
            curve: ranking.curve,
        }
    }

    /// Bins that are not empty, from the largest values to the smallest.
    fn filled(&self) -> impl Iterator<Item = (usize, &Bin)> {
        let bins = self.bins.iter().enumerate().rev();
        bins.filter(|(_, bin)| !bin.is_empty())
    }

    /// Intersection over union above the best threshold, which is in one of the bins in which F1
    /// may reach the best of the bins' ends.
    fn iou(&self, best: &BestF1) -> Figure {
        let all = self.totals.positives as f64;
        let (mut low, mut high) = (best.iou_above, best.iou_above);
        let (mut true_positives, mut false_positives) = (0, 0);
        for (_, bin) in self.filled() {
            let (tp, fp) = (true_positives as f64, false_positives as f64);
            true_positives += bin.positives;
            false_positives += bin.negatives;
            let (last_tp, last_fp) = (true_positives as f64, false_positives as f64);
            let highest = 2.0 * last_tp / (last_tp + fp + all);
            // The official code's choice may be 1e-8 worse than the best.
            if bin.positives > 0 && bin.is_mixed() && highest >= best.f1 - 1e-8 {
                low = low.min(tp / (last_fp + all));
                high = high.max(last_tp / (fp + all));
            }
        }
        Figure::between(low, high)
    }
}
