//! Numbers as 8-bit codes with a scale for each row.

/// The largest code; the smallest is its negative, so that -128 is none.
pub(crate) const LARGEST: f32 = 127.0;

/// What follows a tensor's name in that of its scales.
const SUFFIX: &str = ".scale";

/// The name of the tensor that holds the scales of another one.
pub(crate) fn scale_name(tensor: &str) -> String {
    format!("{tensor}{SUFFIX}")
}

/// The tensor whose scales have this name.
pub(crate) fn scaled_name(scale: &str) -> &str {
    scale.strip_suffix(SUFFIX).unwrap_or(scale)
}

/// Whether a row can have this scale: every code times it is a finite number, and only code 0 is zero.
pub(crate) fn is_scale(scale: f32) -> bool {
    scale > 0.0 && (scale * LARGEST).is_finite()
}

/// The scale of a row: the largest magnitude is the code 127. A row of zeros has 1, as has one whose numbers are too
/// small for any scale.
pub(crate) fn scale_of(row: &[f32]) -> f32 {
    let largest = row
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    let scale = largest / LARGEST;
    if scale > 0.0 { scale } else { 1.0 }
}

/// The code of a value: the nearest, of two the even one.
pub(crate) fn code_of(value: f32, scale: f32) -> i8 {
    // Rounding can lead a step beyond where the scale is hardly a number.
    (value / scale).round_ties_even().clamp(-LARGEST, LARGEST) as i8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_are_within_half_a_step(
            row in prop::collection::vec(-1.0_f32..1.0, 1..40),
            exponent in -100_i32..100,
        ) {
            let row: Vec<f32> = row.iter().map(|value| value * 2_f32.powi(exponent)).collect();
            let scale = scale_of(&row);
            prop_assert!(is_scale(scale));
            let codes: Vec<i8> = row.iter().map(|value| code_of(*value, scale)).collect();
            for (value, code) in row.iter().zip(&codes) {
                prop_assert!((-127..=127).contains(code));
                let error = f64::from(*value) - f64::from(*code) * f64::from(scale);
                // The division rounds, so that a tie may go to either side.
                prop_assert!(error.abs() <= 0.5 * f64::from(scale) * (1.0 + 1e-5));
            }
            if row.iter().any(|value| *value != 0.0) {
                prop_assert_eq!(codes.iter().map(|code| code.unsigned_abs()).max(), Some(127));
            } else {
                prop_assert!(scale.to_bits() == 1_f32.to_bits());
            }
        }
    }

    #[test]
    fn ties_are_even_and_nothing_is_beyond_the_largest() {
        let codes = |row: &[f32]| {
            let scale = scale_of(row);
            row.iter().map(|it| code_of(*it, scale)).collect::<Vec<_>>()
        };
        assert_eq!(
            codes(&[127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -126.5]),
            [127, 0, 2, 2, 0, -2, -126]
        );
        assert_eq!(codes(&[0.0, -0.0]), [0, 0]);
        assert!(codes(&[]).is_empty());
        // The smallest numbers: no scale, or one that is rounded by a third.
        assert_eq!(codes(&[1e-45, -1e-45]), [0, 0]);
        assert_eq!(codes(&[f32::from_bits(190), f32::from_bits(1)]), [127, 1]);
    }

    #[test]
    fn scales_that_no_row_has() {
        for scale in [0.0, -0.0, -1.0, f32::NAN, f32::INFINITY, f32::MAX, 3e36] {
            assert!(!is_scale(scale), "{scale}");
        }
        for scale in [f32::from_bits(1), 1.0, 2e36] {
            assert!(is_scale(scale), "{scale}");
        }
    }
}
