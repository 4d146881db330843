//! Rows as whole numbers: their limits, scales and codes.

use super::super::{Numbers, Random, cases, each_set};
use crate::pack::narrow::{Scale, code, limits};
use proptest::prelude::*;

/// The limits on every instruction set, which are the same.
fn limits_of(row: &[f32]) -> [f32; 2] {
    let all = std::cell::RefCell::new(Vec::new());
    each_set(|set| all.borrow_mut().push(limits(set, row)));
    let all = all.into_inner();
    for limits in &all {
        assert_eq!(
            limits.map(f32::to_bits),
            all[0].map(f32::to_bits),
            "{row:?}"
        );
    }
    all[0]
}

/// What the whole number of a value stands for.
fn back(value: f32, Scale { scale, zero }: Scale) -> f64 {
    let code = code(value, 1.0 / scale, zero as f32);
    (f64::from(code) - f64::from(zero)) * f64::from(scale)
}

proptest! {
    #![proptest_config(cases(200))]

    /// Zero is always a code of its own, and no value is further off than half a step.
    #[test]
    fn a_row_comes_back_within_half_a_step(
        length in 1_usize..=100,
        offset in prop_oneof![Just(0.0_f32), Just(2.0), Just(-2.0), -1.0_f32..1.0],
        exponent in -100_i32..=100,
        seed: u64,
    ) {
        let factor = 2.0_f32.powi(exponent);
        let row: Vec<f32> = Random(seed)
            .numbers(length, Numbers::Fractions)
            .iter()
            .map(|value| (value + offset) * factor)
            .collect();
        let [low, high] = limits_of(&row);
        assert_eq!(low, row.iter().copied().fold(0.0, f32::min));
        assert_eq!(high, row.iter().copied().fold(0.0, f32::max));
        let scale = Scale::of([low, high]);
        assert!((0..=255).contains(&scale.zero), "{scale:?}");
        assert_eq!(back(0.0, scale), 0.0, "{scale:?}");
        for value in row {
            let off = (back(value, scale) - f64::from(value)).abs();
            assert!(off <= (0.5 + 1e-4) * f64::from(scale.scale), "{value:e}, {scale:?}");
        }
    }
}

#[test]
fn limits_and_scales_of_special_rows() {
    let nothing = Scale {
        scale: 1.0,
        zero: 0,
    };
    assert_eq!(limits_of(&[]), [0.0, 0.0]);
    for length in [1, 7, 8, 16, 33] {
        assert_eq!(limits_of(&vec![0.0; length]), [0.0, 0.0]);
        // One value, on either side of zero.
        assert_eq!(limits_of(&vec![2.55; length]), [0.0, 2.55]);
        assert_eq!(limits_of(&vec![-2.55; length]), [-2.55, 0.0]);
        let tiny = f32::from_bits(1);
        assert_eq!(limits_of(&vec![tiny; length]), [0.0, tiny]);
        let huge = limits_of(&vec![f32::MAX; length]);
        assert_eq!(huge, [0.0, f32::MAX]);
    }
    assert_eq!(Scale::of([0.0, 0.0]), nothing);
    assert_eq!(Scale::of([0.0, f32::from_bits(1)]), nothing);
    assert_eq!(Scale::of([-f32::MIN_POSITIVE, f32::MIN_POSITIVE]), nothing);
    assert_eq!(Scale::of([0.0, 255.0]), nothing);
    let all_negative = Scale {
        scale: 1.0,
        zero: 255,
    };
    assert_eq!(Scale::of([-255.0, 0.0]), all_negative);
    // The smallest range that is divided by, and the largest.
    for high in [256.0 * f32::MIN_POSITIVE, f32::MAX] {
        let scale = Scale::of([0.0, high]);
        assert!(
            (1.0 / scale.scale).is_normal() || high == f32::MAX,
            "{scale:?}"
        );
        let off = (back(high, scale) - f64::from(high)).abs();
        assert!(
            off <= (0.5 + 1e-4) * f64::from(scale.scale),
            "{high:e}, {scale:?}"
        );
    }
}

/// Wherever in the row it is: neither the limits nor the scale are finite numbers.
#[test]
fn a_value_that_is_not_finite_shows_in_the_scale() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for length in [1, 8, 16, 37] {
            for place in 0..length {
                let mut row = vec![1.0; length];
                row[place] = bad;
                each_set(|set| {
                    let limits = limits(set, &row);
                    assert!(limits.iter().all(|limit| !limit.is_finite()), "{limits:?}");
                    let scale = Scale::of(limits);
                    assert!(!scale.scale.is_finite(), "{bad}, {place}: {scale:?}");
                });
            }
        }
    }
    // Finite values whose range is not.
    assert!(!Scale::of([f32::MIN, f32::MAX]).scale.is_finite());
}

/// To the nearest, ties to even, and never beyond 0..=255.
#[test]
fn codes_are_the_nearest_whole_numbers() {
    for quarter in -8..=1040 {
        let value = quarter as f32 / 4.0;
        let expected = value.round_ties_even().clamp(0.0, 255.0) as u8;
        assert_eq!(code(value, 1.0, 0.0), expected, "{value}");
        assert_eq!(code(value - 100.0, 1.0, 100.0), expected, "{value}");
    }
    for value in [f32::MAX, f32::INFINITY, 1e9] {
        assert_eq!(code(value, 1.0, 0.0), 255);
        assert_eq!(code(-value, 1.0, 0.0), 0);
    }
}
