//! The numbers of a curve before it is drawn: smoothing, thinning, the ends of an axis.

use std::ops::Range;

/// A point of a curve: step and value.
pub(super) type Point = (f64, f64);

/// The exponential moving average `TensorBoard` shows: each point is `weight` of what was before and
/// the rest of its own value, divided by the share of the weights there has been so far, so that the
/// curve does not begin at zero.
pub(super) fn smooth(points: &[Point], weight: f64) -> Vec<Point> {
    let (mut sum, mut share) = (0.0, 0.0);
    points
        .iter()
        .map(|&(step, value)| {
            sum = weight * sum + (1.0 - weight) * value;
            share = weight * share + (1.0 - weight);
            (step, sum / share)
        })
        .collect()
}

/// At most `limit` points (two at the least) that look the same: of each run of neighbours the
/// lowest and the highest.
pub(super) fn thin(points: &[Point], limit: usize) -> Vec<Point> {
    if points.len() <= limit {
        return points.to_vec();
    }
    let run = points.len().div_ceil((limit / 2).max(1));
    let mut thinned = Vec::with_capacity(limit);
    for run in points.chunks(run) {
        let mut ends = [0, 0];
        for (index, point) in run.iter().enumerate() {
            if point.1 < run[ends[0]].1 {
                ends[0] = index;
            }
            if point.1 > run[ends[1]].1 {
                ends[1] = index;
            }
        }
        ends.sort_unstable();
        thinned.push(run[ends[0]]);
        if ends[0] != ends[1] {
            thinned.push(run[ends[1]]);
        }
    }
    thinned
}

/// From the lowest to the highest value and a twentieth of that beyond at both ends, but not beyond
/// `bounds` if all values are within them; 0 to 1 without values. Never empty, and never so narrow
/// beside its values that an axis' marks would fall together.
pub(super) fn axis(values: impl Iterator<Item = f64>, bounds: Range<f64>) -> Range<f64> {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return 0.0..1.0;
    }
    let narrowest = (low.abs().max(high.abs()) * 1e-3).max(1e-6);
    let margin = if high - low < narrowest {
        narrowest
    } else {
        (high - low) / 20.0
    };
    let range = low - margin..high + margin;
    if low >= bounds.start && high <= bounds.end {
        range.start.max(bounds.start)..range.end.min(bounds.end)
    } else {
        range
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn smoothing_is_the_weighted_mean_of_what_came_before() {
        let points: Vec<Point> = [4.0, 1.0, 3.0, 8.0]
            .iter()
            .enumerate()
            .map(|(step, value)| (step as f64, *value))
            .collect();
        for (index, (step, value)) in smooth(&points, 0.6).into_iter().enumerate() {
            let weights: Vec<f64> = (0..=index)
                .map(|other| 0.6_f64.powi((index - other) as i32))
                .collect();
            let sum: f64 = weights.iter().zip(&points).map(|(w, p)| w * p.1).sum();
            let expected = sum / weights.iter().sum::<f64>();
            assert!((value - expected).abs() < 1e-12, "{index}: {value}");
            assert!(step.to_bits() == points[index].0.to_bits());
        }
        assert_eq!(smooth(&points, 0.0), points);
    }

    proptest! {
        #[test]
        fn thinning_keeps_extremes_and_order(
            values in prop::collection::vec(-1e3..1e3_f64, 0..300),
            limit in 2..40_usize,
        ) {
            let points: Vec<Point> =
                values.iter().enumerate().map(|(i, v)| (i as f64, *v)).collect();
            let thinned = thin(&points, limit);
            prop_assert!(thinned.len() <= limit.max(2));
            prop_assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert!(thinned.iter().all(|point| points.contains(point)));
            let extremes = |points: &[Point]| {
                points.iter().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p.1), high.max(p.1)))
            };
            prop_assert_eq!(extremes(&thinned), extremes(&points));
        }

        #[test]
        fn an_axis_holds_its_values_and_is_not_empty(
            values in prop::collection::vec(-1e30..1e30_f64, 0..10),
        ) {
            let range = axis(values.iter().copied(), 0.0..1.0);
            prop_assert!(range.start < range.end);
            for value in values {
                prop_assert!(range.start <= value && value <= range.end);
            }
        }
    }

    #[test]
    fn an_axis_stays_within_bounds_its_values_keep() {
        assert_eq!(axis([0.0, 1.0].into_iter(), 0.0..1.0), 0.0..1.0);
        assert_eq!(axis([0.0, 2.0].into_iter(), 0.0..1.0), -0.1..2.1);
        assert_eq!(axis([0.0, 2.0].into_iter(), 0.0..f64::INFINITY), 0.0..2.1);
        assert_eq!(axis([].into_iter(), 0.0..1.0), 0.0..1.0);
        let one = axis([1.0].into_iter(), 0.0..1.0);
        assert!(one.start < 1.0 && one.end >= 1.0);
    }
}
