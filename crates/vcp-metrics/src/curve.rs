//! Points for drawing the ROC, precision-recall and per-region-overlap curves.

use crate::totals::Totals;

/// One threshold: what reaches it counts as anomalous.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The threshold; infinite for the first point, where nothing counts as anomalous.
    pub threshold: f32,
    /// Share of the anomalous pixels that reach it (recall); 0 if there are none.
    pub true_positive_rate: f64,
    /// Share of the normal pixels that reach it; 0 if there are none.
    pub false_positive_rate: f64,
    /// Share of what reaches it that is anomalous; 1 for the first point.
    pub precision: f64,
    /// Mean over the regions of the share that reaches it; 0 if there are no regions.
    pub region_overlap: f64,
}

/// Keeps points so that none that is left out is further than a step from one that is kept.
pub(crate) struct Curve {
    step: f64,
    kept: Vec<CurvePoint>,
    last: Option<CurvePoint>,
}

impl Curve {
    /// For about `points` points to each unit of a rate; none at all for 0.
    pub(crate) fn new(points: usize) -> Self {
        Self {
            step: if points == 0 {
                f64::INFINITY
            } else {
                1.0 / points as f64
            },
            kept: Vec::new(),
            last: None,
        }
    }

    pub(crate) fn push(
        &mut self,
        totals: &Totals,
        true_positives: u64,
        false_positives: u64,
        region_overlap: f64,
        threshold: f32,
    ) {
        if self.step.is_infinite() {
            return;
        }
        let point = CurvePoint {
            threshold,
            true_positive_rate: true_positives as f64 / totals.positives.max(1) as f64,
            false_positive_rate: false_positives as f64 / totals.negatives.max(1) as f64,
            precision: true_positives as f64 / (true_positives + false_positives).max(1) as f64,
            region_overlap,
        };
        let start = CurvePoint {
            threshold: f32::INFINITY,
            true_positive_rate: 0.0,
            false_positive_rate: 0.0,
            precision: 1.0,
            region_overlap: 0.0,
        };
        if self.kept.is_empty() {
            self.kept.push(start);
        }
        let kept = self.kept.last().unwrap_or(&start);
        let far = |a: f64, b: f64| (a - b).abs() >= self.step;
        if far(point.true_positive_rate, kept.true_positive_rate)
            || far(point.false_positive_rate, kept.false_positive_rate)
            || far(point.region_overlap, kept.region_overlap)
        {
            // The curve turns where a long step begins, so that corner is kept too.
            self.kept.extend(self.last.take());
            self.kept.push(point);
            self.last = None;
        } else {
            self.last = Some(point);
        }
    }

    /// Points from the largest threshold to the smallest.
    pub(crate) fn finish(mut self) -> Vec<CurvePoint> {
        self.kept.extend(self.last.take());
        self.kept
    }
}
