//! The functions of one variable that tensors are mapped by. How exact the functions are on registers is
//! tested where they are, in `vcp-simd`.

use super::{Expected, Random, assert_within, cases, each_set, on_threads};
use crate::elementwise::{self, Function};
use proptest::prelude::*;
use vcp_model::Activation;
use vcp_testing::exact::{self, last_place};

/// The activation of a sum that is itself not exact. No activation is steeper than 1.13.
pub(super) fn activated(activation: Activation, sum: Expected) -> Expected {
    let x = sum.value;
    let (value, allowed) = match activation {
        Activation::Gelu => {
            let value = exact::gelu(x);
            (value, 1.2e-7 * x.abs().min(1.0) + 0.5 * last_place(value))
        }
        Activation::QuickGelu => (exact::quick_gelu(x), 1.5e-7 * x.abs()),
    };
    // Below that, numbers are subnormal and lose digits.
    let allowed = 1.2 * sum.allowed + allowed + 1e-31 * x.abs() + 1e-40;
    Expected { value, allowed }
}

proptest! {
    #![proptest_config(cases(40))]

    /// In place, over any length: the elements after the last whole register too.
    #[test]
    fn map_reaches_every_element(length in prop_oneof![0_usize..=70, 16_300_usize..=50_000], seed: u64) {
        let values: Vec<f32> =
            Random(seed).fractions(length).iter().map(|x| 20.0 * x).collect();
        for function in [Function::Exp, Function::Sigmoid] {
            let expected: Vec<_> = values
                .iter()
                .map(|&x| {
                    let value = match function {
                        Function::Exp => f64::from(x).exp(),
                        Function::Sigmoid => exact::sigmoid(f64::from(x)),
                    };
                    Expected { value, allowed: 2.5 * last_place(value) }
                })
                .collect();
            each_set(|set| {
                let mut found = values.clone();
                on_threads(2, || elementwise::map(set, function, &mut found));
                assert_within(&format!("{function:?} on {set:?}"), &found, &expected);
            });
        }
    }
}
