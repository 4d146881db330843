//! AUPRO over evenly spaced thresholds, as the official code computes it.

use crate::key;
use crate::outcome::{Figure, Outcome, Undefined};

/// The official thresholds between the smallest and the largest value, smallest first: `NumPy`'s
/// `arange(min, max, (max - min) / steps)` of single-precision numbers, rounding included. Empty if
/// all values are equal.
pub(crate) fn thresholds(smallest: f32, largest: f32, steps: usize) -> Vec<f64> {
    let step = (largest - smallest) / steps as f32;
    let count = ((largest - smallest) / step).ceil();
    // Not a number if the step is 0; one more than `steps` at most, by rounding.
    if count.is_nan() || count < 1.0 || step <= 0.0 {
        return Vec::new();
    }
    let count = (count as usize).min(steps + 1);
    // The second number is computed in single precision, the others from the first two in double.
    let second = smallest + step;
    let first = f64::from(smallest);
    let step = f64::from(second) - first;
    (0..count)
        .map(|index| first + index as f64 * step)
        .collect()
}

/// The keys of [`thresholds`]: a value is above a threshold if its key is above the threshold's.
pub(crate) fn keys(smallest: f32, largest: f32, steps: usize) -> Vec<u32> {
    let thresholds = thresholds(smallest, largest, steps);
    thresholds.into_iter().map(key::of_limit).collect()
}

/// What is known of one threshold: both rates lie between their two numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// False-positive rate.
    pub(crate) rate: (f64, f64),
    /// Mean recall of the regions.
    pub(crate) overlap: (f64, f64),
}

/// Area under the thresholds whose rate is below `limit`, their rates stretched to 0..1.
///
/// The figure is a mean of overlaps, weighted by shares of the rate. With rates known to within e,
/// overlaps to within h and rates spanning D, it is known to within h + 2e / (D − 2e): a changed
/// overlap changes the mean by no more than itself; changed rates move weight between overlaps, and
/// summing by parts bounds the effect by 2e times the variation of the overlaps, which is at most 1.
pub(crate) fn area(steps: &[Step], limit: f64) -> Outcome {
    let mut kept: Vec<(f64, f64)> = Vec::with_capacity(steps.len());
    let (mut rate_error, mut overlap_error) = (0.0_f64, 0.0_f64);
    for step in steps {
        let Step { rate, overlap } = step;
        if rate.0 >= limit {
            continue;
        }
        if rate.1 >= limit {
            // It is not known whether this one belongs to the curve.
            return Err(Undefined::TooCoarse { error_bound: 1.0 });
        }
        rate_error = rate_error.max((rate.1 - rate.0) / 2.0);
        overlap_error = overlap_error.max((overlap.1 - overlap.0) / 2.0);
        kept.push((
            f64::midpoint(rate.0, rate.1),
            f64::midpoint(overlap.0, overlap.1),
        ));
    }
    // Rates fall as thresholds rise.
    let span = match (kept.first(), kept.last()) {
        (Some(first), Some(last)) => first.0 - last.0,
        _ => 0.0,
    };
    if span <= 2.0 * rate_error {
        return Err(if rate_error > 0.0 {
            Undefined::TooCoarse { error_bound: 1.0 }
        } else {
            Undefined::TooFewThresholds { limit }
        });
    }
    let area: f64 = kept
        .windows(2)
        .map(|pair| (pair[0].0 - pair[1].0) * f64::midpoint(pair[0].1, pair[1].1))
        .sum();
    Ok(Figure {
        value: area / span,
        error_bound: overlap_error + 2.0 * rate_error / (span - 2.0 * rate_error),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)] // exact on purpose

    use super::*;

    #[test]
    fn thresholds_are_those_of_numpy() {
        // numpy.arange(numpy.float32(0.1), numpy.float32(0.9), (float32(0.9) - float32(0.1)) / 200)
        let found = thresholds(0.1, 0.9, 200);
        assert_eq!(found.len(), 200);
        assert_eq!(found[1], 0.104_000_002_145_767_21);
        assert_eq!(found[199], 0.896_000_131_964_683_5);
        assert_eq!(thresholds(0.25, 0.25, 200), Vec::<f64>::new());
        assert_eq!(thresholds(0.0, 1.0, 4), [0.0, 0.25, 0.5, 0.75]);
        // So close together that a step is no number of its own.
        assert_eq!(thresholds(0.0, f32::from_bits(1), 200), Vec::<f64>::new());
    }
}
