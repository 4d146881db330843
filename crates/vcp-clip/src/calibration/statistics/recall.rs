//! A threshold that most anomalous values reach.

use super::{CalibrationError, check_values};

/// The largest threshold that at least this share of the anomalous values reaches.
///
/// # Errors
/// Without values, with values that are not finite, or a share that is not above 0 and at most 1.
pub fn threshold_for_recall(anomalous: &[f32], recall: f64) -> Result<f32, CalibrationError> {
    if !(recall > 0.0 && recall <= 1.0) {
        return Err(CalibrationError::InvalidShare {
            what: "target recall",
            found: recall,
            expected: "above 0 and at most 1",
        });
    }
    check_values(anomalous)?;
    let all = anomalous.len();
    if all == 0 {
        return Err(CalibrationError::NothingAnomalous);
    }
    let enough = |count: usize| count as f64 / all as f64 >= recall;
    // The product may be off by a rounding error, in either direction.
    let mut count = ((recall * all as f64) as usize).clamp(1, all);
    while count < all && !enough(count) {
        count += 1;
    }
    while count > 1 && enough(count - 1) {
        count -= 1;
    }
    let mut values = anomalous.to_vec();
    let (_, &mut threshold, _) = values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    Ok(threshold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_mean_what_they_say() {
        let hundred: Vec<f32> = (1..=100_u8).map(f32::from).collect();
        for (recall, threshold) in [
            (1.0, 1.0),
            (0.99, 2.0),
            (0.985, 2.0),
            (0.07, 94.0),
            (0.29, 72.0),
            (1e-9, 100.0),
        ] {
            let found = threshold_for_recall(&hundred, recall).unwrap();
            assert!((found - threshold).abs() < 1e-6, "{recall}: {found}");
        }
        assert_eq!(
            threshold_for_recall(&[], 0.5),
            Err(CalibrationError::NothingAnomalous)
        );
        for recall in [0.0, 1.1, f64::NAN] {
            assert!(threshold_for_recall(&hundred, recall).is_err());
        }
    }

    proptest! {
        #[test]
        fn enough_reach_it_and_too_few_reach_the_next(
            values in proptest::collection::vec((0_u8..30).prop_map(f32::from), 1..200),
            recall in 0.001_f64..=1.0,
        ) {
            let threshold = threshold_for_recall(&values, recall).unwrap();
            let share = |threshold: f32| {
                values.iter().filter(|&&v| v >= threshold).count() as f64 / values.len() as f64
            };
            prop_assert!(share(threshold) >= recall);
            prop_assert!(share(threshold.next_up()) < recall);
        }
    }
}
