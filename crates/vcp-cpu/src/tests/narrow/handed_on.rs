//! Results as bf16, and products of them: the same as rounding what comes out as `f32`.

use super::super::product::{self, After, Case};
use super::super::{Numbers, assert_same_bits, cases, each_set};
use super::{NarrowCase, any_narrow_case, each_bf16, each_int8, multiply};
use crate::pack::narrow::Activations;
use crate::product::{Form, HEAD, Layout, Numbers as Stored};
use crate::units::NarrowUnit;
use proptest::prelude::*;
use vcp_model::Activation;
use vcp_simd::{Supported, to_bf16};

fn each_unit(check: impl Fn(Supported, NarrowUnit)) {
    each_int8(&check);
    each_bf16(|set, unit| check(set, NarrowUnit::Bf16(unit)));
}

/// The numbers that lie two in a word.
fn halves(words: &[f32], count: usize) -> Vec<u16> {
    let bits = words.iter().map(|word| word.to_bits());
    let halves = bits.flat_map(|bits| [bits as u16, (bits >> 16) as u16]);
    halves.take(count).collect()
}

fn widened(halves: &[u16]) -> Vec<f32> {
    let widen = |half: &u16| f32::from_bits(u32::from(*half) << 16);
    halves.iter().map(widen).collect()
}

proptest! {
    #![proptest_config(cases(40))]

    /// Every number is that of the result in `f32`, rounded; GELU, which is less exact for such results, is the number
    /// beside it, or 4e-6 off.
    #[test]
    fn results_are_rounded(case in any_narrow_case()) {
        let (values, weights) = case.values();
        each_unit(|set, unit| {
            let matrix = case.pack(unit, &values, &weights);
            let mut arguments = case.case.arguments(&values, 0..case.case.images);
            let x = Activations::F32(arguments.x);
            let exact = multiply(set, 2, &matrix, x, &arguments);
            arguments.form.numbers = Stored::Bf16;
            let found = multiply(set, 2, &matrix, x, &arguments);
            let found = widened(&halves(&found, exact.len()));
            for (index, (found, exact)) in found.iter().zip(&exact).enumerate() {
                let nearest = widened(&[to_bf16(*exact)])[0];
                let what = format!("{case:?}, {}, {index}: {found} for {exact}", unit.name());
                if case.case.after == After::Activate(Activation::Gelu) {
                    let next = exact.abs() / 128.0 + 4e-6;
                    assert!((found - nearest).abs() <= next, "{what}");
                } else {
                    assert_eq!(found.to_bits(), nearest.to_bits(), "{what}");
                }
            }
        });
    }

    /// A product of rounded numbers is that of the same numbers as `f32`, to the bit.
    #[test]
    fn rounded_numbers_are_multiplied_as_they_are(case in any_narrow_case()) {
        let case = NarrowCase { case: Case { norm: false, ..case.case }, ..case };
        let (values, weights) = case.values();
        let narrow: Vec<u16> = values.x.iter().map(|value| to_bf16(*value)).collect();
        let wide = widened(&narrow);
        each_unit(|set, unit| {
            let matrix = case.pack(unit, &values, &weights);
            let arguments = case.case.arguments(&values, 0..case.case.images);
            let expected = multiply(set, 1, &matrix, Activations::F32(&wide), &arguments);
            let found = multiply(set, 2, &matrix, Activations::Bf16(&narrow), &arguments);
            assert_same_bits(&format!("{case:?}, {}", unit.name()), &found, &expected);
        });
    }

    /// The first third of the outputs, and nothing else, is multiplied with the softmax's scale.
    #[test]
    fn queries_are_scaled(
        rows_per_image in 1_usize..=40,
        images in 1_usize..=3,
        inputs in 1_usize..=70,
        heads in 1_usize..=2,
        seed: u64,
    ) {
        let case = NarrowCase {
            case: Case {
                images,
                rows_per_image,
                inputs,
                outputs: 3 * heads * HEAD,
                heads: true,
                half: false,
                bias: true,
                norm: true,
                after: After::Nothing,
                numbers: Numbers::Fractions,
                threads: 2,
                seed,
            },
            codes: false,
        };
        let (values, weights) = case.values();
        let queries = heads * rows_per_image * HEAD;
        let layout = Layout::Heads { rows_per_image, query_scale: 0.375 };
        let scaled = |plain: &[f32]| -> Vec<f32> {
            let factor = |index: usize| if (index / queries).is_multiple_of(3) { 0.375 } else { 1.0 };
            plain.iter().enumerate().map(|(index, value)| value * factor(index)).collect()
        };
        each_unit(|set, unit| {
            let matrix = case.pack(unit, &values, &weights);
            let mut arguments = case.case.arguments(&values, 0..images);
            let x = Activations::F32(arguments.x);
            let plain = multiply(set, 2, &matrix, x, &arguments);
            arguments.form = Form { layout, ..Form::ROWS };
            let found = multiply(set, 2, &matrix, x, &arguments);
            assert_same_bits(unit.name(), &found, &scaled(&plain));
        });
        each_set(|set| {
            let values = case.case.values();
            let exact = case.case.pack(set, &values);
            let mut arguments = case.case.arguments(&values, 0..images);
            let plain = product::multiply(set, 2, &exact, &arguments);
            arguments.form = Form { layout, ..Form::ROWS };
            let found = product::multiply(set, 2, &exact, &arguments);
            assert_same_bits(&format!("f32 on {set:?}"), &found, &scaled(&plain));
        });
    }
}
