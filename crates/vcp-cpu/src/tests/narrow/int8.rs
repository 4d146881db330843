//! Products of whole numbers of 8 bits, against a plain statement in whole numbers: the same bits.

use super::super::product::plain_case;
use super::super::{Expected, ROUNDING, assert_same_bits, assert_within, cases, each_set};
use super::{After, Codes, NarrowCase, Stored, Supported, Values, any_narrow_case, each_int8};
use crate::product::{MOST_INPUTS, PackedMatrix};
use crate::units::NarrowUnit;
use proptest::prelude::*;

/// A row as whole numbers: `(code − zero) · scale`.
struct Row {
    codes: Vec<u8>,
    zero: i32,
    scale: f32,
}

/// The row's scale brings its smallest and largest value, and 0, to 0..=255.
fn quantised(row: &[f32]) -> Row {
    let low = row.iter().copied().fold(0.0_f32, f32::min);
    let high = row.iter().copied().fold(0.0_f32, f32::max);
    let (mut scale, mut zero) = (1.0, 0.0);
    if high - low >= 256.0 * f32::MIN_POSITIVE {
        scale = (high - low) / 255.0;
        zero = (-low / scale).round_ties_even();
    }
    let inverse = 1.0 / scale;
    let code = |value: &f32| (value * inverse + zero).clamp(0.0, 255.0).round_ties_even() as u8;
    Row {
        codes: row.iter().map(code).collect(),
        zero: zero as i32,
        scale,
    }
}

/// How far from 0 the unit's weights may be.
fn largest_weight(unit: NarrowUnit) -> i8 {
    match unit {
        NarrowUnit::Int8(unit) => unit.largest_weight(),
        NarrowUnit::Bf16(_) => unreachable!("a unit for whole numbers"),
    }
}

/// Weights as whole numbers, with a scale for each output.
fn codes_of(weights: &Stored, most: i8) -> Codes {
    if let (Some(codes), 127) = (&weights.codes, most) {
        return codes.clone();
    }
    let most = f32::from(most);
    let mut all = Codes {
        codes: Vec::new(),
        scales: Vec::new(),
    };
    for row in weights.values.chunks_exact(weights.inputs) {
        let largest = row
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        let scale = if largest > 0.0 { largest / most } else { 1.0 };
        all.scales.push(scale);
        let code = |value: &f32| (value / scale).round_ties_even().clamp(-most, most) as i8;
        all.codes.extend(row.iter().map(code));
    }
    all
}

impl NarrowCase {
    /// Sums with their bias: [rows, outputs].
    fn int8_sums(&self, set: Supported, values: &Values, weights: &Stored, most: i8) -> Vec<f32> {
        let inputs = self.case.inputs;
        let Codes { codes, scales } = codes_of(weights, most);
        let mut sums = Vec::with_capacity(self.case.rows() * self.case.outputs);
        for row in self.rows(set, values).chunks_exact(inputs) {
            let row = quantised(row);
            for (output, weight) in codes.chunks_exact(inputs).enumerate() {
                let terms = row.codes.iter().zip(weight);
                let whole: i64 = terms
                    .map(|(code, weight)| {
                        (i64::from(*code) - i64::from(row.zero)) * i64::from(*weight)
                    })
                    .sum();
                let whole = i32::try_from(whole).expect("sums fit 32 bits");
                let bias = values.bias.as_ref().map_or(0.0, |bias| bias[output]);
                sums.push(whole as f32 * (row.scale * scales[output]) + bias);
            }
        }
        sums
    }

    /// The same bits, but after an activation, where the values are within what is allowed for that.
    #[track_caller]
    fn check_int8(&self, values: &Values, weights: &Stored) {
        each_int8(|set, unit| {
            let what = format!("{self:?} with {}", unit.name());
            let found = self.run(set, unit, values, weights);
            let sums = self.int8_sums(set, values, weights, largest_weight(unit));
            let sum = |row: usize, output: usize| sums[row * self.case.outputs + output];
            if let After::Activate(_) = self.case.after {
                let exact = |row, output| Expected::exactly(f64::from(sum(row, output)));
                assert_within(&what, &found, &self.case.finished(values, exact));
                return;
            }
            let mut expected = vec![f32::NAN; sums.len()];
            for row in 0..self.case.rows() {
                for output in 0..self.case.outputs {
                    let (place, sum) = (self.case.place(row, output), sum(row, output));
                    expected[place] = match self.case.after {
                        After::Relu6 => sum.clamp(0.0, 6.0),
                        After::Residual => sum + values.residual[place],
                        After::Nothing | After::Activate(_) => sum,
                    };
                }
            }
            assert_same_bits(&what, &found, &expected);
        });
    }
}

/// Without activation, layer norm and stored codes: what the bound of exact products is for.
fn exact_case(mut case: NarrowCase) -> NarrowCase {
    case.codes = false;
    case.case.norm = false;
    if let After::Activate(_) = case.case.after {
        case.case.after = After::Nothing;
    }
    case
}

/// A little more than half a step: also the factor of a row is rounded, and what is multiplied with it, at most 255.
const HALF: f64 = 0.5 + 1e-4;

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn equals_whole_numbers(case in any_narrow_case()) {
        let (values, weights) = case.values();
        case.check_int8(&values, &weights);
    }

    /// Of exact products: a value is at most half a step of its row off, a weight half a step of its output, so that the
    /// sum is at most Σ (|x| · step of w / 2 + |w| · step of x / 2 + step of x · step of w / 4) off, beside four
    /// roundings of what comes out.
    #[test]
    fn is_close_to_exact_products(case in any_narrow_case()) {
        let case = exact_case(case);
        let inputs = case.case.inputs;
        let (values, weights) = case.values();
        let steps: Vec<f32> =
            values.x.chunks_exact(inputs).map(|row| quantised(row).scale).collect();
        let expected = |most| {
            let Codes { scales, .. } = codes_of(&weights, most);
            case.case.finished(&values, |row, output| {
            let (step, scale) = (HALF * f64::from(steps[row]), HALF * f64::from(scales[output]));
            let bias = values.bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
            let (mut value, mut allowed, mut magnitude) = (bias, 0.0, bias.abs());
            for (x, w) in values.x[row * inputs..][..inputs].iter().zip(weights.row(output)) {
                let (x, w) = (f64::from(*x), f64::from(*w));
                value += x * w;
                magnitude += (x * w).abs();
                allowed += x.abs() * scale + w.abs() * step + step * scale;
            }
            Expected { value, allowed: allowed + 4.0 * ROUNDING * (magnitude + allowed) }
            })
        };
        let (exact, coarse) = (expected(127), expected(64));
        each_int8(|set, unit| {
            let found = case.run(set, unit, &values, &weights);
            let expected = if largest_weight(unit) == 127 { &exact } else { &coarse };
            assert_within(&format!("{case:?} with {}", unit.name()), &found, expected);
        });
    }

    /// Weights that are stored as whole numbers, computed in f32: the product of the numbers that they stand for, to the bit.
    #[test]
    fn stored_codes_in_f32_are_their_values(case in any_narrow_case()) {
        let case = NarrowCase { codes: true, ..case };
        let (values, weights) = case.values();
        let sizes = [case.case.outputs, case.case.inputs];
        let numbers = Stored { codes: None, ..weights.clone() };
        each_set(|set| {
            let run = |weights: &Stored| {
                let matrix = PackedMatrix::pack(set, sizes, values.bias.as_deref(), weights);
                let all = 0..case.case.images;
                case.case.run_with(set, case.case.threads, &matrix, &values, all)
            };
            assert_same_bits(&format!("{case:?} on {set:?}"), &run(&weights), &run(&numbers));
        });
    }
}

/// The deepest sums, of the largest products of either sign, and of nothing but zeros: all fit 32 bits.
#[test]
fn the_deepest_sums_fit() {
    let case = NarrowCase {
        case: super::Case {
            rows_per_image: 4,
            inputs: MOST_INPUTS,
            outputs: 3,
            ..plain_case()
        },
        codes: true,
    };
    let (mut values, _) = case.values();
    for (row, fill) in [1.0, -1.0, 0.0, 3.0].into_iter().enumerate() {
        values.x[row * MOST_INPUTS..][..MOST_INPUTS].fill(fill);
    }
    let codes: Vec<i8> = [127, -128, -127]
        .into_iter()
        .flat_map(|code| std::iter::repeat_n(code, MOST_INPUTS))
        .collect();
    let scales = vec![0.01, 0.02, 0.5];
    let values_of = |(at, code): (usize, &i8)| f32::from(*code) * scales[at / MOST_INPUTS];
    let weights = Stored {
        inputs: MOST_INPUTS,
        values: codes.iter().enumerate().map(values_of).collect(),
        codes: Some(Codes { codes, scales }),
    };
    case.check_int8(&values, &weights);
}

/// A row that is not finite gives nothing finite, and spoils no other row.
#[test]
fn what_is_not_finite_stays_in_its_row() {
    let case = NarrowCase {
        case: plain_case(),
        codes: false,
    };
    let (clean, weights) = case.values();
    let bad_row = case.case.rows() - 2;
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let (mut values, _) = case.values();
        values.x[bad_row * case.case.inputs + 3] = bad;
        each_int8(|set, unit| {
            let found = case.run(set, unit, &values, &weights);
            let expected = case.run(set, unit, &clean, &weights);
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                if index / case.case.outputs == bad_row {
                    assert!(!found.is_finite(), "{bad}: {found} with {}", unit.name());
                } else {
                    assert_same_bits(unit.name(), &[*found], &[*expected]);
                }
            }
        });
    }
}

/// Rows and outputs of zeros, and outputs without a weight.
#[test]
fn zeros_are_exact() {
    let case = NarrowCase {
        case: plain_case(),
        codes: false,
    };
    let (mut values, mut weights) = case.values();
    values.x[..2 * case.case.inputs].fill(0.0);
    weights.values[..3 * case.case.inputs].fill(0.0);
    case.check_int8(&values, &weights);
}
