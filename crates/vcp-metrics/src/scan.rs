//! The one walk, from the largest value to the smallest, that all curves come from.
//!
//! A walk sees [`Group`]s. A group of equal values is one vertex of every curve. A group of
//! *unequal* values (a bin) hides vertices: between its two ends the true curve is some staircase
//! inside the rectangle that the ends span. Everything here therefore sums a lowest and a highest
//! possible figure, which are the same number where all groups are of equal values.

use crate::curve::{Curve, CurvePoint};
use crate::outcome::{Figure, Outcome, Undefined};
use crate::totals::Totals;

/// Pixels (or images) that follow each other in the order of values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The smallest of the values.
    pub(crate) threshold: f32,
    /// How many are anomalous.
    pub(crate) positives: u64,
    /// How many are normal.
    pub(crate) negatives: u64,
    /// Sum over the anomalous pixels of 1 / area of the pixel's region.
    pub(crate) region_weight: f64,
    /// The values may differ, and anomalous and normal ones may stand in any order.
    pub(crate) mixed: bool,
}

/// Figures of one walk.
#[derive(Clone, Debug)]
pub(crate) struct Ranking {
    pub(crate) auroc: Outcome,
    pub(crate) average_precision: Outcome,
    /// The lowest and the highest that the largest F1 can be.
    pub(crate) f1: Result<BestF1, Undefined>,
    pub(crate) aupro: Outcome,
    pub(crate) curve: Vec<CurvePoint>,
}

/// The threshold with the largest F1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BestF1 {
    /// F1 at `threshold`, which is a value of the data.
    pub(crate) f1: f64,
    /// No threshold has a larger F1 than this.
    pub(crate) highest: f64,
    /// What reaches this value counts as anomalous.
    pub(crate) threshold: f32,
    /// Intersection over union of what is *above* the threshold, if its group was not mixed.
    pub(crate) iou_above: f64,
}

/// A walk under way.
pub(crate) struct Scan {
    totals: Totals,
    true_positives: u64,
    false_positives: u64,
    auroc: Wins,
    precision: PrecisionSum,
    f1: F1Search,
    overlap: Overlap,
    curve: Curve,
}

impl Scan {
    pub(crate) fn new(totals: Totals, fpr_limit: f64, curve_points: usize) -> Self {
        Self {
            totals,
            true_positives: 0,
            false_positives: 0,
            auroc: Wins::default(),
            precision: PrecisionSum::default(),
            f1: F1Search::default(),
            overlap: Overlap::new(fpr_limit),
            curve: Curve::new(curve_points),
        }
    }

    /// The next group, of smaller values than all before.
    pub(crate) fn push(&mut self, group: &Group) {
        let before = Counts {
            true_positives: self.true_positives,
            false_positives: self.false_positives,
        };
        self.auroc.push(before, group);
        if group.positives > 0 {
            self.precision.push(before, group);
            self.f1.push(self.totals.positives, before, group);
        }
        self.overlap.push(&self.totals, before, group);
        self.true_positives += group.positives;
        self.false_positives += group.negatives;
        self.curve.push(
            &self.totals,
            self.true_positives,
            self.false_positives,
            self.overlap.mean(&self.totals),
            group.threshold,
        );
    }

    pub(crate) fn finish(self) -> Ranking {
        let Totals {
            positives,
            negatives,
            regions,
        } = self.totals;
        let some_positives = if positives == 0 {
            Err(Undefined::NoAnomalousPixels)
        } else {
            Ok(())
        };
        let both = some_positives.and(if negatives == 0 {
            Err(Undefined::NoNormalPixels)
        } else {
            Ok(())
        });
        Ranking {
            auroc: both.map(|()| self.auroc.figure(positives, negatives)),
            average_precision: some_positives.map(|()| self.precision.figure(positives)),
            f1: some_positives.and(self.f1.best.ok_or(Undefined::NoAnomalousPixels)),
            aupro: both.and(if regions == 0 {
                Err(Undefined::NoAnomalousPixels)
            } else {
                Ok(self.overlap.figure())
            }),
            curve: self.curve.finish(),
        }
    }
}

/// What is above a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) true_positives: u64,
    pub(crate) false_positives: u64,
}

/// AUROC: the share of pairs of an anomalous and a normal pixel in which the anomalous one has the
/// larger value, equal values counting half.
#[derive(Default)]
struct Wins {
    /// Twice the number of wins, at least and at most.
    low: u128,
    high: u128,
}

impl Wins {
    fn push(&mut self, before: Counts, group: &Group) {
        let negatives = u128::from(group.negatives);
        let above = 2 * u128::from(before.true_positives);
        let beside = u128::from(group.positives);
        let (low, high) = if group.mixed {
            (above, above + 2 * beside)
        } else {
            (above + beside, above + beside)
        };
        self.low += negatives * low;
        self.high += negatives * high;
    }

    fn figure(&self, positives: u64, negatives: u64) -> Figure {
        let pairs = 2.0 * positives as f64 * negatives as f64;
        Figure::between(self.low as f64 / pairs, self.high as f64 / pairs)
    }
}

/// Average precision: the mean over the anomalous pixels of the precision at their own value, which
/// is the step-wise sum of precision times gain in recall.
#[derive(Default)]
struct PrecisionSum {
    low: f64,
    high: f64,
}

impl PrecisionSum {
    fn push(&mut self, before: Counts, group: &Group) {
        let positives = group.positives as f64;
        let (tp, fp) = (before.true_positives as f64, before.false_positives as f64);
        let last = tp + positives;
        if group.mixed {
            // The i-th anomalous pixel of the bin comes after at most all of its normal ones, so
            // its precision is at least g(i) = (tp + i) / (tp + i + fp + negatives). g is concave:
            // its mean over 1..=positives is at least that of its ends.
            let worst = fp + group.negatives as f64;
            let ends = (tp + 1.0) / (tp + 1.0 + worst) + last / (last + worst);
            self.low += positives * ends / 2.0;
            self.high += positives * last / (last + fp);
        } else {
            let precision = last / (last + fp + group.negatives as f64);
            self.low += positives * precision;
            self.high += positives * precision;
        }
    }

    fn figure(&self, positives: u64) -> Figure {
        Figure::between(self.low / positives as f64, self.high / positives as f64)
    }
}

/// The largest F1. Thresholds at values that only normal pixels have are never better than the
/// next larger value of an anomalous one.
#[derive(Default)]
struct F1Search {
    best: Option<BestF1>,
    /// F1 of the best threshold, with the small number of the official code.
    rank: f64,
}

impl F1Search {
    /// `group` has anomalous pixels.
    fn push(&mut self, positives: u64, before: Counts, group: &Group) {
        let all = positives as f64;
        let tp = (before.true_positives + group.positives) as f64;
        let fp = (before.false_positives + group.negatives) as f64;
        let highest = if group.mixed {
            2.0 * tp / (tp + before.false_positives as f64 + all)
        } else {
            0.0
        };
        let f1_so_far = self.best.map_or(0.0, |best| best.f1);
        // Far from the best, and that is nearly everywhere, no division is needed.
        let hopeless = 2.0 * tp < f1_so_far * (1.0 - 1e-7) * (tp + fp + all);
        if !hopeless {
            // The official code takes the first, that is the lowest, threshold where this is
            // largest. Its 1e-8 prefers the larger of precision plus recall among equal F1.
            let (precision, recall) = (tp / (tp + fp), tp / all);
            let rank = (2.0 * precision * recall) / (precision + recall + 1e-8);
            if rank >= self.rank {
                self.rank = rank;
                let f1 = 2.0 * tp / (tp + fp + all);
                self.best = Some(BestF1 {
                    f1,
                    highest: self.best.map_or(0.0, |best| best.highest).max(f1),
                    threshold: group.threshold,
                    iou_above: before.true_positives as f64 / (before.false_positives as f64 + all),
                });
            }
        }
        if let Some(best) = &mut self.best {
            best.highest = best.highest.max(highest);
        }
    }
}

/// Per-region overlap: the mean over the regions of their recall, integrated over the
/// false-positive rate from 0 to a limit.
struct Overlap {
    limit: f64,
    /// Sum over the regions of the recall of what was seen.
    recalls: f64,
    low: f64,
    high: f64,
}

impl Overlap {
    fn new(limit: f64) -> Self {
        Self {
            limit,
            recalls: 0.0,
            low: 0.0,
            high: 0.0,
        }
    }

    fn mean(&self, totals: &Totals) -> f64 {
        // Adding shares of regions leaves rounding errors of 1e-12, which must not exceed 1.
        (self.recalls / totals.regions.max(1) as f64).min(1.0)
    }

    fn push(&mut self, totals: &Totals, before: Counts, group: &Group) {
        let start = self.mean(totals);
        self.recalls += group.region_weight;
        let end = self.mean(totals);
        if group.negatives == 0 {
            return;
        }
        let negatives = totals.negatives as f64;
        let from = before.false_positives as f64 / negatives;
        let whole = group.negatives as f64 / negatives;
        let part = (self.limit - from).min(whole);
        if part <= 0.0 {
            return;
        }
        if group.mixed {
            self.low += start * part;
            self.high += end * part;
        } else {
            let area = part * (start + (end - start) * (part / whole) / 2.0);
            self.low += area;
            self.high += area;
        }
    }

    fn figure(&self) -> Figure {
        Figure::between(self.low / self.limit, self.high / self.limit)
    }
}
