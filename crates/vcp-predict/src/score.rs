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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_scales_with_the_area() {
        for (side, count) in [(518, 2000), (1036, 8000), (259, 500), (98, 72), (1, 1)] {
            assert_eq!(pixels_for_score(side), count, "side {side}");
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
}
