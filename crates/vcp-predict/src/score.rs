//! The score of an image.

/// Pixels whose mean is a branch's score at 518 pixels a side, in the official code.
const PIXELS_AT_518: f64 = 2000.0;

/// How many of the largest values count at `side` pixels: 2000 at 518, the same share of the
/// image elsewhere, and at least one.
#[must_use]
pub fn pixels_for_score(side: usize) -> usize {
    let share = (side as f64 / 518.0).powi(2);
    (PIXELS_AT_518 * share).round().max(1.0) as usize
}

/// How many of the largest values count at `side` pixels, for each mean whose mean is the score: by the fractions of the
/// model's settings, or the official code's where it has none. At least one each.
pub(crate) fn score_counts(fractions: &[f32], side: usize) -> Vec<usize> {
    let pixels = (side * side) as f64;
    let count = |fraction: &f32| (f64::from(*fraction) * pixels).round().max(1.0) as usize;
    if fractions.is_empty() {
        vec![pixels_for_score(side)]
    } else {
        fractions.iter().map(count).collect()
    }
}

/// The largest value; −∞ of none, and a NaN counts for nothing.
pub(crate) fn largest_of(values: &[f32]) -> f32 {
    // Several at a time, which the compiler makes vectors of.
    let mut lanes = [f32::NEG_INFINITY; 32];
    let (groups, rest) = values.as_chunks::<32>();
    for group in groups {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    let all = lanes.iter().chain(rest);
    all.copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Whether all are numbers, and none is infinite.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    // To the end in any case: without branches it is vectors too.
    values
        .iter()
        .fold(true, |all, value| all & value.is_finite())
}

/// The mean of the means of so many largest values each.
pub(crate) fn mean_over(counts: &[usize], mean: impl Fn(usize) -> f32) -> f32 {
    let sum: f32 = counts.iter().map(|count| mean(*count)).sum();
    sum / counts.len() as f32
}

/// The mean of the `count` largest values (of all, if there are fewer; 0 of none).
#[must_use]
pub fn mean_of_largest(values: &[f32], count: usize) -> f32 {
    let count = count.min(values.len());
    if count == 0 {
        return 0.0;
    }
    let mut values = values.to_vec();
    let (larger, _, _) = values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    let rest = larger.len();
    let total: f64 = values[..=rest].iter().map(|&value| f64::from(value)).sum();
    (total / count as f64) as f32
}

/// As [`mean_of_largest`], of the values that count only, and of the same fraction of them as `count` is of all:
/// as much of what counts is averaged as of a whole image. At least one value is; 0 if none counts.
///
/// # Panics
/// If there are not as many `counts` as values.
#[must_use]
pub fn mean_of_largest_counting(values: &[f32], count: usize, counts: &[bool]) -> f32 {
    assert_eq!(values.len(), counts.len(), "what counts of the values");
    let counting: Vec<f32> = values
        .iter()
        .zip(counts)
        .filter_map(|(&value, &counts)| counts.then_some(value))
        .collect();
    let fraction = counting.len() as f64 / values.len().max(1) as f64;
    let count = (count as f64 * fraction).round().max(1.0) as usize;
    mean_of_largest(&counting, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_found_wherever_it_is() {
        let is = |values: &[f32], largest: f32| largest_of(values).to_bits() == largest.to_bits();
        assert!(is(&[], f32::NEG_INFINITY));
        for length in [1, 31, 32, 33, 100] {
            for place in 0..length {
                let mut values = vec![0.25; length];
                values[place] = 0.5;
                assert!(is(&values, 0.5), "{place} of {length}");
                assert!(all_finite(&values));
                values[place] = f32::NAN;
                assert!(!all_finite(&values), "{place} of {length}");
                values[place] = f32::INFINITY;
                assert!(!all_finite(&values), "{place} of {length}");
            }
        }
    }

    #[test]
    fn count_scales_with_the_area() {
        for (side, count) in [(518, 2000), (1036, 8000), (259, 500), (98, 72), (1, 1)] {
            assert_eq!(pixels_for_score(side), count, "side {side}");
        }
    }

    #[test]
    fn several_fractions_are_averaged_and_none_is_the_official_number() {
        assert_eq!(score_counts(&[], 518), [2000]);
        assert_eq!(score_counts(&[0.5, 0.1, 1e-9], 10), [50, 10, 1]);
        let values = [0.5, 0.25, 1.0, 0.75, 0.0];
        let score = |counts: &[usize]| mean_over(counts, |count| mean_of_largest(&values, count));
        for (counts, mean) in [(vec![1], 1.0), (vec![1, 5], 0.75), (vec![2, 2], 0.875)] {
            assert!((score(&counts) - mean).abs() < 1e-7, "{counts:?}");
        }
    }

    #[test]
    fn mean_is_over_the_largest() {
        let values = [0.5, 0.25, 1.0, 0.75, 0.0];
        for (count, mean) in [
            (1, 1.0),
            (2, 0.875),
            (3, 0.75),
            (5, 0.5),
            (9, 0.5),
            (0, 0.0),
        ] {
            assert!(
                (mean_of_largest(&values, count) - mean).abs() < 1e-7,
                "{count} largest"
            );
        }
        assert!(mean_of_largest(&[], 3).abs() < f32::EPSILON);
    }

    #[test]
    fn only_what_counts_is_averaged_and_as_much_of_it() {
        let values = [0.5, 0.25, 1.0, 0.75, 0.0, 0.125];
        for (count, counts, mean) in [
            (2, [true; 6], 0.875),
            // A third of three values is one.
            (2, [true, true, false, false, true, false], 0.5),
            (4, [true, true, false, false, true, false], 0.375),
            (6, [true, true, false, false, true, false], 0.25),
            // Less than half a value: the largest.
            (1, [false, true, false, false, false, true], 0.25),
            (3, [false; 6], 0.0),
        ] {
            let found = mean_of_largest_counting(&values, count, &counts);
            assert!(
                (found - mean).abs() < 1e-7,
                "{count} of {counts:?}: {found}"
            );
        }
    }
}
