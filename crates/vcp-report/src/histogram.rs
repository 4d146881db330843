//! Counts of scores.

/// Bars for few images and for many.
const BINS: std::ops::RangeInclusive<usize> = 10..=40;

/// How many normal and how many anomalous images score within each of some equal ranges.
#[derive(Debug, PartialEq)]
pub(crate) struct Histogram {
    /// Where the first range begins.
    pub(crate) low: f64,
    /// Where the last range ends.
    pub(crate) high: f64,
    pub(crate) normal: Vec<usize>,
    pub(crate) anomalous: Vec<usize>,
    /// Scores that are not finite, which are in no range.
    pub(crate) left_out: usize,
}

impl Histogram {
    /// `None` if there is no finite score. A `threshold` not far outside the scores widens the
    /// whole range, so that its line can be drawn.
    pub(crate) fn new(normal: &[f32], anomalous: &[f32], threshold: Option<f64>) -> Option<Self> {
        let finite = |scores: &[f32]| -> Vec<f64> {
            scores
                .iter()
                .copied()
                .filter(|score| score.is_finite())
                .map(f64::from)
                .collect()
        };
        let (normal_scores, anomalous_scores) = (finite(normal), finite(anomalous));
        let count = normal_scores.len() + anomalous_scores.len();
        let all = normal_scores.iter().chain(&anomalous_scores);
        let (mut low, mut high) = all
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &score| {
                (low.min(score), high.max(score))
            });
        if low > high {
            return None;
        }
        if low >= high {
            let margin = 0.5_f64.max(low.abs() * 1e-3);
            (low, high) = (low - margin, high + margin);
        }
        let span = high - low;
        if let Some(threshold) = threshold
            && threshold >= low - span / 2.0
            && threshold <= high + span / 2.0
        {
            (low, high) = (low.min(threshold), high.max(threshold));
        }
        let bins = ((count as f64).sqrt() * 2.0) as usize;
        let bins = bins.clamp(*BINS.start(), *BINS.end());
        let counts = |scores: &[f64]| {
            let mut counts = vec![0; bins];
            for score in scores {
                let bin = ((score - low) / (high - low) * bins as f64) as usize;
                counts[bin.min(bins - 1)] += 1;
            }
            counts
        };
        Some(Self {
            low,
            high,
            normal: counts(&normal_scores),
            anomalous: counts(&anomalous_scores),
            left_out: normal.len() + anomalous.len() - count,
        })
    }

    /// The ends of a range, in the unit of the scores.
    pub(crate) fn ends(&self, bin: usize) -> (f64, f64) {
        let width = (self.high - self.low) / self.normal.len() as f64;
        let start = self.low + width * bin as f64;
        (start, start + width)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_scores_no_histogram() {
        assert_eq!(Histogram::new(&[], &[], Some(1.0)), None);
        assert_eq!(Histogram::new(&[f32::NAN], &[f32::INFINITY], None), None);
    }

    #[test]
    fn equal_scores_fill_one_bar() {
        for score in [0.0, 7.25, -3e30, f32::MAX, f32::MIN_POSITIVE] {
            let histogram = Histogram::new(&[score; 5], &[score], None).unwrap();
            assert_eq!(histogram.normal.iter().max(), Some(&5), "{score}");
            assert!(histogram.low < histogram.high, "{score}");
        }
    }

    #[test]
    fn the_ends_count() {
        let histogram = Histogram::new(&[0.0, 1.0], &[0.5], None).unwrap();
        assert_eq!(histogram.normal.first(), Some(&1));
        assert_eq!(histogram.normal.last(), Some(&1));
        assert_eq!(histogram.anomalous[5], 1);
        let (start, end) = histogram.ends(9);
        assert!((start - 0.9).abs() < 1e-12 && (end - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_threshold_nearby_is_within() {
        let near = Histogram::new(&[0.0, 1.0], &[], Some(1.25)).unwrap();
        assert!((near.high - 1.25).abs() < 1e-12);
        let far = Histogram::new(&[0.0, 1.0], &[], Some(1e9)).unwrap();
        assert!((far.high - 1.0).abs() < 1e-12);
        let none = Histogram::new(&[0.0, 1.0], &[], Some(f64::NAN)).unwrap();
        assert!((none.high - 1.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn every_score_is_counted_once(
            normal in prop::collection::vec(any::<f32>(), 0..300),
            anomalous in prop::collection::vec(-1.0..1.0f32, 1..300),
            threshold in prop::option::of(any::<f64>()),
        ) {
            let histogram = Histogram::new(&normal, &anomalous, threshold).unwrap();
            let counted: usize = histogram.normal.iter().sum();
            let finite = normal.iter().filter(|score| score.is_finite()).count();
            prop_assert_eq!(counted, finite);
            prop_assert_eq!(histogram.left_out, normal.len() - finite);
            prop_assert_eq!(histogram.anomalous.iter().sum::<usize>(), anomalous.len());
        }
    }
}
