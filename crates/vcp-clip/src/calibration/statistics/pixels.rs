//! What is kept of an image's pixels for a calibration.

use super::CalibrationError;

/// Two numbers of a normal image's map.
///
/// Pixels of one image depend on each other: a hundred thousand of them say little more than a few
/// do. Statements about new images therefore need one number for each image, as
/// [`NormalThreshold`](super::NormalThreshold) takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelSummary {
    /// The smallest value of the map that at most the allowed share of its pixels lies above: a
    /// threshold above it marks no more than that share of this image.
    pub peak: f32,
    /// The median.
    pub typical: f32,
}

impl PixelSummary {
    /// Of a map in which `allowed` of the pixels may be marked, 0 for none at all.
    ///
    /// # Errors
    /// If the map is empty or holds values that are not finite, or the share is not at least 0 and
    /// below 1.
    pub fn new(map: &[f32], allowed: f64) -> Result<Self, CalibrationError> {
        if !(0.0..1.0).contains(&allowed) {
            return Err(CalibrationError::InvalidShare {
                what: "rate of false alarms per pixel",
                found: allowed,
                expected: "at least 0 and below 1",
            });
        }
        super::check_values(map)?;
        if map.is_empty() {
            return Err(CalibrationError::EmptyMap);
        }
        let mut values = map.to_vec();
        let above = (allowed * values.len() as f64) as usize;
        let (_, &mut peak, _) = values.select_nth_unstable_by(above, |a, b| b.total_cmp(a));
        let middle = values.len() / 2;
        let (_, &mut typical, _) = values.select_nth_unstable_by(middle, |a, b| b.total_cmp(a));
        Ok(Self { peak, typical })
    }
}

/// Ends of a colour scale for maps of probabilities on which normal pixels (of about the value
/// `typical`) look calm and the threshold stands in the middle, or above the middle where the scale
/// would reach beyond 1.
///
/// Differences below 0.01 never fill half of the scale: what is that small is better not seen.
#[must_use]
pub fn colour_range(typical: f32, threshold: f32) -> (f32, f32) {
    const SMALLEST_HALF: f32 = 0.01;
    let half = (threshold - typical).max(SMALLEST_HALF);
    let (low, high) = ((threshold - half).max(0.0), (threshold + half).min(1.0));
    if low < high { (low, high) } else { (0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn colours_have_the_threshold_in_the_middle_where_they_can() {
        for (typical, threshold, expected) in [
            (0.1, 0.3, (0.1, 0.5)),
            (0.1, 0.9, (0.1, 1.0)),
            (0.5, 0.5, (0.49, 0.51)),
            (0.6, 0.2, (0.19, 0.21)),
            (0.0, 0.0, (0.0, 0.01)),
            (1.0, 1.000_000_1, (0.99, 1.0)),
        ] {
            let found = colour_range(typical, threshold);
            let close = |a: f32, b: f32| (a - b).abs() < 1e-6;
            assert!(
                close(found.0, expected.0) && close(found.1, expected.1),
                "{typical} {threshold}: {found:?}"
            );
        }
    }

    #[test]
    fn unusable_maps_are_refused() {
        assert!(PixelSummary::new(&[], 0.0).is_err());
        assert!(PixelSummary::new(&[0.5, f32::NAN], 0.0).is_err());
        assert!(PixelSummary::new(&[0.5], 1.0).is_err());
        assert!(PixelSummary::new(&[0.5], -0.1).is_err());
    }

    proptest! {
        #[test]
        fn a_threshold_above_the_peak_marks_no_more_than_allowed(
            map in proptest::collection::vec((0_u8..40).prop_map(|v| f32::from(v) / 40.0), 1..300),
            allowed in 0.0_f64..0.99,
        ) {
            let summary = PixelSummary::new(&map, allowed).unwrap();
            let share = |threshold: f32| {
                map.iter().filter(|&&v| v >= threshold).count() as f64 / map.len() as f64
            };
            prop_assert!(share(summary.peak.next_up()) <= allowed);
            prop_assert!(share(summary.peak) > allowed, "no smaller one will do");
            let mut sorted = map.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            prop_assert_eq!(summary.typical.to_bits(), sorted[map.len() / 2].to_bits());
        }
    }
}
