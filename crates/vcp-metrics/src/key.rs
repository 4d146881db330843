//! Values as whole numbers of the same order, which are quicker to sort, count and compare.

const SIGN: u32 = 1 << 31;

/// A number for a finite value, larger for larger values; the two zeros are one.
pub(crate) fn from_value(value: f32) -> u32 {
    // Adding zero turns −0 into +0 and leaves everything else alone.
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The value that [`from_value`] made `key` of.
pub(crate) fn to_value(key: u32) -> f32 {
    f32::from_bits(if key & SIGN == 0 { !key } else { key & !SIGN })
}

/// The key of the largest value that is not above `limit`: a value is above the limit if, and only
/// if, its key is above this one.
pub(crate) fn of_limit(limit: f64) -> u32 {
    let nearest = limit as f32;
    let floor = if f64::from(nearest) > limit {
        nearest.next_down()
    } else {
        nearest
    };
    from_value(floor)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)] // exact on purpose

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_two_zeros_are_one() {
        assert_eq!(from_value(-0.0), from_value(0.0));
        assert!(to_value(from_value(-0.0)).is_sign_positive());
    }

    proptest! {
        #[test]
        fn keys_order_as_values(a in -1e30_f32..1e30, b in -1.0_f32..1.0) {
            prop_assert_eq!(from_value(a).cmp(&from_value(b)), a.total_cmp(&b));
            prop_assert_eq!(to_value(from_value(a)), a);
        }

        #[test]
        fn limits_part_values_as_they_do_in_double_precision(
            limit in -2.0_f64..2.0, steps in -3_i32..=3
        ) {
            let mut value = limit as f32;
            for _ in 0..steps.abs() {
                value = if steps < 0 { value.next_down() } else { value.next_up() };
            }
            prop_assert_eq!(from_value(value) > of_limit(limit), f64::from(value) > limit);
        }
    }
}
