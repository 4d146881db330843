//! eˣ, 2ˣ, the sigmoid, GELU and QuickGELU over a dense grid of all f32, in f64.

use super::{Expected, Random, assert_within, cases, each_set, on_threads};
use crate::elementwise;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{InstructionSet, Portable, Vector, math, vector_kernel};
use proptest::prelude::*;
use vcp_model::Activation;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Exp,
    /// For arguments up to 0.
    Exp2,
    Sigmoid,
    Activate(Activation),
}

vector_kernel! {
    /// # Safety
    /// `values` holds a whole number of 16 elements.
    unsafe fn evaluate_all(function: Function, values: &mut [f32]) = generic_evaluate_all;
}

#[inline(always)]
unsafe fn generic_evaluate_all<V: Vector>(function: Function, values: &mut [f32]) {
    for chunk in values.chunks_exact_mut(V::LANES) {
        // SAFETY: the chunk is one register long.
        unsafe {
            let x = V::load(chunk.as_ptr());
            let y = match function {
                Function::Exp => math::exp(x),
                Function::Exp2 => math::exp2_of_negative(x),
                Function::Sigmoid => math::sigmoid(x),
                Function::Activate(activation) => math::activate(activation, x),
            };
            y.store(chunk.as_mut_ptr());
        }
    }
}

fn evaluate(instruction_set: InstructionSet, function: Function, arguments: &[f32]) -> Vec<f32> {
    let mut values = arguments.to_vec();
    values.resize(arguments.len().next_multiple_of(16), 0.0);
    // SAFETY: just made a whole number of 16 elements.
    unsafe { evaluate_all(instruction_set, function, &mut values) };
    values.truncate(arguments.len());
    values
}

/// erf by its series 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1·3·5···(2n+1)), whose terms all have one
/// sign.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 * sum.abs() {
        term *= 2.0 * x * x / (2.0 * n + 3.0);
        sum += term;
        n += 1.0;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn exact(function: Function, x: f64) -> f64 {
    match function {
        Function::Exp => x.exp(),
        Function::Exp2 => x.exp2(),
        Function::Sigmoid => sigmoid(x),
        Function::Activate(Activation::Gelu) => {
            0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2))
        }
        Function::Activate(Activation::QuickGelu) => x * sigmoid(1.702 * x),
    }
}

/// How far a function's result may be from the exact one.
fn allowed(function: Function, x: f64) -> f64 {
    /// Where arguments or results are subnormal, products lose digits.
    const SUBNORMAL: f64 = 1e-40;
    let value = exact(function, x);
    match function {
        // A polynomial of degree 7; the argument is cut off at -87.3.
        Function::Exp => 1.5 * last_place(value) + 1.3e-38 * f64::from(x < -87.3),
        Function::Exp2 => 2.0 * last_place(value) + 1.2e-38 * f64::from(x < -126.0),
        Function::Sigmoid => 2.5 * last_place(value) + 6.2e-39 * f64::from(x < -88.0),
        // Far below 0, where it is 0, its exponent is cut off.
        Function::Activate(Activation::Gelu) => {
            1.2e-7 * x.abs().min(1.0) + 0.5 * last_place(value) + 1e-31 * x.abs() + SUBNORMAL
        }
        Function::Activate(Activation::QuickGelu) => 1.5e-7 * x.abs() + SUBNORMAL,
    }
}

/// The distance between the f32 next to `value` (a unit in the last place).
fn last_place(value: f64) -> f64 {
    let near = (value as f32).abs();
    f64::from(f32::from_bits(near.to_bits() + 1)) - f64::from(near)
}

const FUNCTIONS: [Function; 5] = [
    Function::Exp,
    Function::Exp2,
    Function::Sigmoid,
    Function::Activate(Activation::Gelu),
    Function::Activate(Activation::QuickGelu),
];

/// A million of all four thousand million f32, evenly over their bit patterns, and finer
/// where the functions bend.
fn grid() -> Vec<f32> {
    let all = (0..=u32::MAX).step_by(4093).map(f32::from_bits);
    let bends = (-100_000..=100_000).map(|i| i as f32 / 1024.0);
    all.filter(|x| x.is_finite()).chain(bends).collect()
}

#[test]
fn functions_are_as_exact_as_stated() {
    for function in FUNCTIONS {
        let mut arguments = grid();
        if function == Function::Exp2 {
            arguments.retain(|&x| x <= 0.0);
        }
        let expected: Vec<Expected> = arguments
            .iter()
            // Beyond 88, eˣ stays at e⁸⁸: see `exp_is_capped`.
            .map(|&x| {
                let x = f64::from(x);
                let x = if function == Function::Exp {
                    x.min(88.0)
                } else {
                    x
                };
                Expected {
                    value: exact(function, x),
                    allowed: allowed(function, x),
                }
            })
            .collect();
        each_set(|set| {
            let found = evaluate(set, function, &arguments);
            assert_within(&format!("{function:?} on {set:?}"), &found, &expected);
        });
    }
}

/// The reference itself, against tabulated values (Abramowitz and Stegun, table 7.1).
#[test]
fn reference_erf_is_right() {
    let table = [
        (0.0, 0.0),
        (0.5, 0.520_499_877_8),
        (1.0, 0.842_700_792_9),
        (2.0, 0.995_322_265_0),
        (3.0, 0.999_977_909_5),
        (7.0, 1.0),
    ];
    for (x, value) in table {
        assert!((erf(x) - value).abs() < 1e-10, "{x}");
        assert!((erf(-x) + value).abs() < 1e-10, "-{x}");
    }
}

/// The errors of GELU cancel out: what is left of them on average adds up over the blocks of a tower and
/// shifts whole maps. Written with an erf that ends below 1, it was 4e-7 too low far from 0.
#[test]
fn gelu_is_not_shifted() {
    const STEPS: i16 = 4096;
    each_set(|set| {
        for unit in -16_i16..16 {
            let arguments: Vec<f32> = (0..STEPS)
                .map(|i| f32::from(unit) + f32::from(i) / f32::from(STEPS))
                .collect();
            let found = evaluate(set, Function::Activate(Activation::Gelu), &arguments);
            let errors = arguments.iter().zip(&found).map(|(&x, &found)| {
                f64::from(found) - exact(Function::Activate(Activation::Gelu), f64::from(x))
            });
            let shift = errors.sum::<f64>() / f64::from(STEPS);
            assert!(shift.abs() < 5e-8, "{shift:e} from {unit} on {set:?}");
        }
    });
}

/// Whatever lane it is in, and on both sides of it.
#[test]
fn nan_comes_out_as_nan_and_alone() {
    each_set(|set| {
        for function in FUNCTIONS {
            for lane in 0..16 {
                let mut arguments = [-0.25; 16];
                arguments[lane] = f32::NAN;
                let found = evaluate(set, function, &arguments);
                for (index, value) in found.iter().enumerate() {
                    assert_eq!(
                        value.is_nan(),
                        index == lane,
                        "lane {index}, {function:?}, {set:?}"
                    );
                }
            }
        }
    });
}

/// eˣ neither overflows nor becomes subnormal, so that no sum of a few of them is infinite.
#[test]
fn exp_is_capped() {
    each_set(|set| {
        let far = [88.0, 88.5, 100.0, f32::MAX, f32::INFINITY];
        let found = evaluate(set, Function::Exp, &far);
        assert!(found.iter().all(|&value| value == found[0]), "{found:?}");
        assert!((1.6e38..1.7e38).contains(&found[0]), "{found:?}");
        let near = [-87.3, -88.0, -1000.0, f32::MIN, f32::NEG_INFINITY];
        let found = evaluate(set, Function::Exp, &near);
        assert!(found.iter().all(|&value| value == found[0]), "{found:?}");
        assert!((1.17e-38..1.3e-38).contains(&found[0]), "{found:?}");
        let found = evaluate(set, Function::Exp2, &[-126.0, -127.0, f32::NEG_INFINITY]);
        assert_eq!(found, [f32::MIN_POSITIVE; 3], "{set:?}");
        for function in [Function::Exp, Function::Exp2] {
            let found = evaluate(set, function, &[0.0, -0.0]);
            assert_eq!(found, [1.0, 1.0], "{function:?} on {set:?}");
        }
    });
}

/// What the infinities become. GELU of −∞ is 0 · ∞ in its definition.
#[test]
fn infinities() {
    each_set(|set| {
        let ends = [f32::INFINITY, f32::NEG_INFINITY];
        let of = |function| evaluate(set, function, &ends);
        let sigmoid = of(Function::Sigmoid);
        assert!(sigmoid[0] == 1.0 && sigmoid[1] < 1e-37, "{sigmoid:?}");
        for activation in [Activation::Gelu, Activation::QuickGelu] {
            let found = of(Function::Activate(activation));
            assert_eq!(found[0], f32::INFINITY, "{activation:?} on {set:?}");
            assert!(!found[1].is_finite(), "{activation:?} on {set:?}");
        }
    });
}

/// The activation of a sum that is itself not exact. No activation is steeper than 1.13.
pub(super) fn activated(activation: Activation, sum: Expected) -> Expected {
    let function = Function::Activate(activation);
    Expected {
        value: exact(function, sum.value),
        allowed: 1.2 * sum.allowed + allowed(function, sum.value),
    }
}

proptest! {
    #![proptest_config(cases(40))]

    /// In place, over any length: the elements after the last whole register too.
    #[test]
    fn map_reaches_every_element(length in prop_oneof![0_usize..=70, 16_300_usize..=50_000], seed: u64) {
        let values: Vec<f32> =
            Random(seed).fractions(length).iter().map(|x| 20.0 * x).collect();
        let functions = [
            (elementwise::Function::Exp, Function::Exp),
            (elementwise::Function::Sigmoid, Function::Sigmoid),
        ];
        for (kernel, function) in functions {
            let expected: Vec<_> = values
                .iter()
                .map(|&x| Expected {
                    value: exact(function, f64::from(x)),
                    allowed: allowed(function, f64::from(x)),
                })
                .collect();
            each_set(|set| {
                let mut found = values.clone();
                on_threads(2, || elementwise::map(set, kernel, &mut found));
                assert_within(&format!("{function:?} on {set:?}"), &found, &expected);
            });
        }
    }
}
