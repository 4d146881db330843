//! Products of bf16, against sums in f64 of the rounded operands.

use super::super::product::plain_case;
use super::super::{Numbers, assert_within, cases, sum_of_products};
use super::{NarrowCase, any_narrow_case, each_bf16};
use crate::units::NarrowUnit;
use half::bf16;
use proptest::prelude::*;

fn rounded(values: &[f32]) -> Vec<f32> {
    let nearest = |value: &f32| bf16::from_f32(*value).to_f32();
    values.iter().map(nearest).collect()
}

impl NarrowCase {
    /// Products of two bf16 are exact in f32, so what is rounded are sums, as in f32; whole numbers are exact.
    #[track_caller]
    fn check_bf16(&self) {
        let inputs = self.case.inputs;
        let (values, weights) = self.values();
        let weight = rounded(&weights.values);
        let numbers = if self.case.norm || self.codes {
            Numbers::Fractions
        } else {
            self.case.numbers
        };
        each_bf16(|set, unit| {
            let rows = rounded(&self.rows(set, &values));
            let expected = self.case.finished(&values, |row, output| {
                let row = &rows[row * inputs..][..inputs];
                let weight = &weight[output * inputs..][..inputs];
                let bias = values.bias.as_ref().map_or(0.0, |bias| bias[output]);
                let terms = row.iter().zip(weight).map(|(x, w)| (*x, *w));
                sum_of_products(numbers, terms.chain([(bias, 1.0)]))
            });
            let found = self.run(set, NarrowUnit::Bf16(unit), &values, &weights);
            assert_within(&format!("{self:?} with {}", unit.name()), &found, &expected);
        });
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn equals_three_loops(case in any_narrow_case()) {
        case.check_bf16();
    }
}

/// Deeper than two blocks, exactly: each term counts once.
#[test]
fn deep_sums_are_complete() {
    for inputs in [4097, 4500] {
        let case = super::Case {
            rows_per_image: 15,
            inputs,
            outputs: 33,
            numbers: Numbers::Whole,
            ..plain_case()
        };
        NarrowCase { case, codes: false }.check_bf16();
    }
}

/// What is no number in one row stays in that row, and in one column in that column.
#[test]
fn nan_stays_where_it_is() {
    let case = NarrowCase {
        case: plain_case(),
        codes: false,
    };
    let (mut values, mut weights) = case.values();
    let (inputs, outputs) = (case.case.inputs, case.case.outputs);
    let (bad_row, bad_output) = (case.case.rows() - 1, outputs - 1);
    values.x[bad_row * inputs + 3] = f32::NAN;
    weights.values[bad_output * inputs + 5] = f32::NAN;
    each_bf16(|set, unit| {
        let found = case.run(set, NarrowUnit::Bf16(unit), &values, &weights);
        for (index, value) in found.iter().enumerate() {
            let bad = index / outputs == bad_row || index % outputs == bad_output;
            assert_eq!(value.is_nan(), bad, "value {index} with {}", unit.name());
        }
    });
}
