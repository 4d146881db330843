//! What is added up from bin to bin, from the largest values to the smallest, beside the common walk.

use super::StreamingCollector;
use super::bins::Bin;
use crate::key;
use crate::outcome::{Figure, Outcome, Undefined};
use crate::per_image::RateRange;
use crate::steps::{self, Step};

/// What is known at each of the evenly spaced thresholds.
pub(super) struct Steps<'a> {
    collector: &'a StreamingCollector,
    /// Keys of thresholds not walked past yet, the smallest first.
    left: Vec<u32>,
    /// From the largest threshold to the smallest.
    found: Vec<Step>,
    constant: bool,
    false_positives: u64,
    recalls: f64,
}

impl<'a> Steps<'a> {
    pub(super) fn new(collector: &'a StreamingCollector) -> Self {
        let largest = collector.filled().next().map(|(_, bin)| bin.largest);
        let smallest = collector.bins.iter().find(|bin| !bin.is_empty());
        let left = match (smallest, largest) {
            (Some(smallest), Some(largest)) => steps::keys(
                key::to_value(smallest.smallest),
                key::to_value(largest),
                collector.options.aupro_steps,
            ),
            _ => Vec::new(),
        };
        Self {
            collector,
            constant: left.is_empty(),
            left,
            found: Vec::new(),
            false_positives: 0,
            recalls: 0.0,
        }
    }

    pub(super) fn walk(&mut self, index: usize, bin: &Bin) {
        let start = (self.false_positives, self.recalls);
        let end = (start.0 + bin.negatives, start.1 + bin.region_weight);
        while let Some(&threshold) = self.left.last() {
            let threshold_bin = self.collector.binning.bin_of(key::to_value(threshold));
            if threshold_bin < index || (threshold_bin == index && threshold < bin.smallest) {
                break;
            }
            // Above the threshold is everything before this bin, and an unknown part of it if the
            // threshold lies between its values.
            let inside = threshold_bin == index && threshold < bin.largest;
            self.record(start, if inside { end } else { start });
            self.left.pop();
        }
        (self.false_positives, self.recalls) = end;
    }

    fn record(&mut self, least: (u64, f64), most: (u64, f64)) {
        let totals = &self.collector.totals;
        let (negatives, regions) = (totals.negatives as f64, totals.regions as f64);
        self.found.push(Step {
            rate: (least.0 as f64 / negatives, most.0 as f64 / negatives),
            overlap: (least.1 / regions, most.1 / regions),
        });
    }

    pub(super) fn finish(mut self) -> Outcome {
        let totals = &self.collector.totals;
        if totals.positives == 0 {
            return Err(Undefined::NoAnomalousPixels);
        }
        if totals.negatives == 0 {
            return Err(Undefined::NoNormalPixels);
        }
        if self.constant {
            return Err(Undefined::ConstantMaps);
        }
        let all = (self.false_positives, self.recalls);
        while self.left.pop().is_some() {
            self.record(all, all);
        }
        self.found.reverse();
        steps::area(&self.found, self.collector.options.fpr_limit)
    }
}

/// AUPIMO of all images together.
pub(super) struct PerImage<'a> {
    collector: &'a StreamingCollector,
    range: RateRange,
    rate: f64,
    /// Whether the smallest rate above 0 can tell rates near the lower bound from 0.
    resolved: Result<(), Undefined>,
    low: f64,
    high: f64,
}

impl<'a> PerImage<'a> {
    pub(super) fn new(collector: &'a StreamingCollector) -> Self {
        Self {
            collector,
            range: RateRange::new(collector.options.aupimo_bounds),
            rate: 0.0,
            resolved: Ok(()),
            low: 0.0,
            high: 0.0,
        }
    }

    pub(super) fn walk(&mut self, bin: &Bin) {
        let before = self.rate;
        let after = before + bin.normal_weight / self.collector.normal_images.max(1) as f64;
        self.rate = after;
        if before <= 0.0 && after > 0.0 {
            self.resolved = self.range.check_smallest(after).map_err(|reason| {
                if bin.is_mixed() {
                    // The largest value alone may be rare enough.
                    Undefined::TooCoarse { error_bound: 1.0 }
                } else {
                    reason
                }
            });
        }
        if bin.positives == 0 || self.resolved.is_err() {
            return;
        }
        let coverage = self.range.coverage(before, after);
        if bin.is_mixed() {
            self.low += bin.image_weight * coverage.low;
            self.high += bin.image_weight * coverage.high;
        } else {
            self.low += bin.image_weight * coverage.even;
            self.high += bin.image_weight * coverage.even;
        }
    }

    pub(super) fn finish(self) -> Outcome {
        let anomalous = self.collector.marked_images;
        if anomalous == 0 {
            return Err(Undefined::NoAnomalousPixels);
        }
        if self.collector.normal_images == 0 {
            return Err(Undefined::NoNormalImages);
        }
        self.resolved?;
        let share = |sum: f64| (sum / anomalous as f64).min(1.0);
        Ok(Figure::between(share(self.low), share(self.high)))
    }
}
