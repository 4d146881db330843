//! AUPIMO: the area under the per-image overlap, Bertoldo et al., *AUPIMO: Redefining Anomaly
//! Localization Benchmarks with High Speed and Low Tolerance*, BMVC 2024.
//!
//! For every anomalous image the recall of its own anomalous pixels is averaged over the thresholds
//! at which the *normal images* have a false-positive rate from 1e-5 to 1e-4, evenly in the
//! logarithm of that rate. The rate is the mean over the normal images of each image's share of
//! pixels that reach the threshold; normal pixels of anomalous images play no part. Nor does an
//! anomalous image without anomalous pixels: it has no recall, and is not normal.
//!
//! Every value of the data is a threshold here. The authors' code and anomalib sample thresholds
//! evenly (300,000 of them) and take the nearest ones for the bounds; they come to this figure as
//! their samples grow dense.

use crate::outcome::Undefined;

/// The rates integrated over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateRange {
    /// Lower bound.
    lower: f64,
    /// Logarithms of both bounds.
    start: f64,
    end: f64,
}

/// The integral that a pixel contributes, if it is the last, evenly placed or the first among its
/// group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coverage {
    pub(crate) low: f64,
    pub(crate) even: f64,
    pub(crate) high: f64,
}

impl RateRange {
    pub(crate) fn new([lower, upper]: [f64; 2]) -> Self {
        Self {
            lower,
            start: lower.ln(),
            end: upper.ln(),
        }
    }

    /// The share of the range, from 0 to 1, over which a pixel counts as found whose group takes
    /// the rate from `before` to `after`. Between those two, recall rises evenly with the logarithm.
    pub(crate) fn coverage(&self, before: f64, after: f64) -> Coverage {
        let width = self.end - self.start;
        let (from, to) = (before.ln(), after.ln());
        // The logarithm of no rate at all is −∞ and ends up at the start.
        let entry = from.clamp(self.start, self.end);
        let exit = to.clamp(self.start, self.end);
        let low = (self.end - exit) / width;
        let high = (self.end - entry) / width;
        let even = if exit > entry {
            let rise = ((exit - from).powi(2) - (entry - from).powi(2)) / (2.0 * (to - from));
            low + rise / width
        } else {
            low
        };
        Coverage { low, even, high }
    }

    /// Whether the smallest rate above 0 is small enough to say what happens at the lower bound.
    pub(crate) fn check_smallest(&self, smallest: f64) -> Result<(), Undefined> {
        // A rate that is a sum of shares may miss the bound by its rounding.
        if smallest > self.lower * (1.0 + 1e-9) {
            return Err(Undefined::UnresolvedRate {
                smallest,
                bound: self.lower,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_integrates_over_the_logarithm() {
        let range = RateRange::new([1e-5, 1e-4]);
        for (before, after, low, even, high) in [
            (0.0, 0.0, 1.0, 1.0, 1.0),
            (0.0, 1e-6, 1.0, 1.0, 1.0),
            (1e-5, 1e-4, 0.0, 0.5, 1.0),
            (1e-4, 1e-3, 0.0, 0.0, 0.0),
            (0.5, 1.0, 0.0, 0.0, 0.0),
            // From a decade below to a decade above: only the middle third of the rise counts.
            (1e-6, 1e-3, 0.0, 0.5, 1.0),
            // The upper half of the range, and half of that again.
            (10_f64.powf(-4.5), 1e-4, 0.0, 0.25, 0.5),
            (10_f64.powf(-4.5), 10_f64.powf(-4.5), 0.5, 0.5, 0.5),
        ] {
            let found = range.coverage(before, after);
            for (found, expected) in [(found.low, low), (found.even, even), (found.high, high)] {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{before} to {after}: {found}, not {expected}"
                );
            }
        }
    }
}
