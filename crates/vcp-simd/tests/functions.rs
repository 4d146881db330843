//! eˣ, 2ˣ, the sigmoid, GELU, QuickGELU, `ReLU6` and the normal distribution's tails over a dense grid of all f32,
//! in f64: on the registers of every instruction set that this machine has, and on single numbers.

#![allow(clippy::float_cmp, reason = "bounds are exact")]

use vcp_simd::{Lanes, Register as _, Supported, kernel, math};
use vcp_testing::exact::{self, last_place};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Exp,
    /// For arguments up to 0.
    Exp2,
    Exp2ToBf16,
    Sigmoid,
    Gelu,
    GeluToBf16,
    QuickGelu,
    Relu6,
    NormalTails,
}

impl Function {
    #[expect(clippy::inline_always, reason = "part of a kernel")]
    #[inline(always)]
    fn of<V: Lanes>(self, x: V) -> V {
        match self {
            Self::Exp => math::exp(x),
            Self::Exp2 => math::exp2(x),
            Self::Exp2ToBf16 => math::exp2_to_bf16(x),
            Self::Sigmoid => math::sigmoid(x),
            Self::Gelu => math::gelu(x),
            Self::GeluToBf16 => math::gelu_to_bf16(x),
            Self::QuickGelu => math::quick_gelu(x),
            Self::Relu6 => math::relu6(x),
            Self::NormalTails => math::normal_tails(x),
        }
    }
}

kernel! {
    /// `values` holds whole registers.
    fn on_registers<S: Simd>(simd: S, function: Function, values: &mut [f32]) {
        for values in values.chunks_exact_mut(S::LANES) {
            function.of(simd.read(values)).write(values);
        }
    }
}

kernel! {
    fn on_single_numbers<S: Simd>(_simd: S, function: Function, values: &mut [f32]) {
        for value in values {
            *value = function.of(*value);
        }
    }
}

/// How numbers are held.
#[derive(Clone, Copy, Debug)]
enum How {
    Registers(Supported),
    SingleNumbers(Supported),
}

impl How {
    /// Whether a multiply-add rounds once.
    fn is_fused(self) -> bool {
        let is_fused_in_rust = cfg!(any(target_arch = "aarch64", target_feature = "fma"));
        match self {
            Self::Registers(set) => {
                set.name() != vcp_simd::InstructionSet::Portable || is_fused_in_rust
            }
            Self::SingleNumbers(_) => is_fused_in_rust,
        }
    }
}

fn each_way(check: impl Fn(How)) {
    for set in Supported::all() {
        check(How::Registers(set));
        check(How::SingleNumbers(set));
    }
}

fn evaluate(how: How, function: Function, arguments: &[f32]) -> Vec<f32> {
    let mut values = arguments.to_vec();
    values.resize(arguments.len().next_multiple_of(vcp_simd::MOST_LANES), 0.0);
    match how {
        How::Registers(set) => on_registers(set, function, &mut values),
        How::SingleNumbers(set) => on_single_numbers(set, function, &mut values),
    }
    values.truncate(arguments.len());
    values
}

fn exactly(function: Function, x: f64) -> f64 {
    match function {
        Function::Exp => x.exp(),
        Function::Exp2 | Function::Exp2ToBf16 => x.exp2(),
        Function::Sigmoid => exact::sigmoid(x),
        Function::Gelu | Function::GeluToBf16 => exact::gelu(x),
        Function::QuickGelu => exact::quick_gelu(x),
        Function::Relu6 => x.clamp(0.0, 6.0),
        Function::NormalTails => 2.0 * exact::normal_below(-x.abs()),
    }
}

/// How far a function's result may be from the exact one.
fn allowed(how: How, function: Function, x: f64) -> f64 {
    /// Where arguments or results are subnormal, products lose digits.
    const SUBNORMAL: f64 = 1e-40;
    let value = exactly(function, x);
    match function {
        // A polynomial of degree 7; the argument is cut off at -87.3.
        Function::Exp => {
            let units = if how.is_fused() { 1.5 } else { 2.0 };
            units * last_place(value) + 1.3e-38 * f64::from(x < -87.3)
        }
        Function::Exp2 => 2.0 * last_place(value) + 1.2e-38 * f64::from(x < -126.0),
        Function::Exp2ToBf16 => 7.6e-5 * value + 1.2e-38 * f64::from(x < -126.0),
        Function::Sigmoid => 2.5 * last_place(value) + 6.2e-39 * f64::from(x < -88.0),
        // Far below 0, where it is 0, its exponent is cut off.
        Function::Gelu => {
            1.2e-7 * x.abs().min(1.0) + 0.5 * last_place(value) + 1e-31 * x.abs() + SUBNORMAL
        }
        Function::GeluToBf16 => {
            let tail = x.abs() * exact::normal_below(-x.abs());
            1e-4 * tail + 2e-7 + 1e-24 * x.abs() + 0.5 * last_place(value)
        }
        Function::QuickGelu => 1.5e-7 * x.abs() + SUBNORMAL,
        Function::Relu6 => 0.0,
        Function::NormalTails => 2.4e-7 * (1.0 / x.abs()).min(1.0) + 1.4e-32,
    }
}

const FUNCTIONS: [Function; 9] = [
    Function::Exp,
    Function::Exp2,
    Function::Exp2ToBf16,
    Function::GeluToBf16,
    Function::Sigmoid,
    Function::Gelu,
    Function::QuickGelu,
    Function::Relu6,
    Function::NormalTails,
];

#[derive(Clone, Copy, Debug)]
struct Expected {
    value: f64,
    allowed: f64,
}

#[track_caller]
fn assert_within(what: &str, arguments: &[f32], found: &[f32], expected: &[Expected]) {
    for ((x, &found), expected) in arguments.iter().zip(found).zip(expected) {
        let difference = (f64::from(found) - expected.value).abs();
        assert!(
            difference <= expected.allowed,
            "{what} of {x} is {found} instead of {}, {difference:e} off where {:e} is allowed",
            expected.value,
            expected.allowed,
        );
    }
}

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
        if matches!(function, Function::Exp2 | Function::Exp2ToBf16) {
            arguments.retain(|&x| x <= 0.0);
        }
        each_way(|how| {
            let expected: Vec<Expected> = arguments
                .iter()
                .map(|&x| {
                    let x = f64::from(x);
                    let x = match function {
                        // Beyond 88, eˣ stays at e⁸⁸: see `exp_is_capped`.
                        Function::Exp => x.min(88.0),
                        _ => x,
                    };
                    Expected {
                        value: exactly(function, x),
                        allowed: allowed(how, function, x),
                    }
                })
                .collect();
            let found = evaluate(how, function, &arguments);
            assert_within(
                &format!("{function:?} on {how:?}"),
                &arguments,
                &found,
                &expected,
            );
        });
    }
}

/// The errors of GELU cancel out: what is left of them on average adds up over the blocks of a tower and
/// shifts whole maps. Written with an erf that ends below 1, it was 4e-7 too low far from 0.
#[test]
fn gelu_is_not_shifted() {
    const STEPS: i16 = 4096;
    each_way(|how| {
        for unit in -16_i16..16 {
            let arguments: Vec<f32> = (0..STEPS)
                .map(|i| f32::from(unit) + f32::from(i) / f32::from(STEPS))
                .collect();
            let found = evaluate(how, Function::Gelu, &arguments);
            let errors = arguments
                .iter()
                .zip(&found)
                .map(|(&x, &found)| f64::from(found) - exact::gelu(f64::from(x)));
            let shift = errors.sum::<f64>() / f64::from(STEPS);
            assert!(shift.abs() < 5e-8, "{shift:e} from {unit} on {how:?}");
        }
    });
}

/// Whatever lane it is in, and on both sides of it.
#[test]
fn nan_comes_out_as_nan_and_alone() {
    each_way(|how| {
        for function in FUNCTIONS {
            for lane in 0..16 {
                let mut arguments = [-0.25; 16];
                arguments[lane] = f32::NAN;
                let found = evaluate(how, function, &arguments);
                for (index, value) in found.iter().enumerate() {
                    assert_eq!(
                        value.is_nan(),
                        index == lane,
                        "lane {index}, {function:?}, {how:?}"
                    );
                }
            }
        }
    });
}

/// eˣ neither overflows nor becomes subnormal, so that no sum of a few of them is infinite.
#[test]
fn exp_is_capped() {
    each_way(|how| {
        let far = [88.0, 88.5, 100.0, f32::MAX, f32::INFINITY];
        let found = evaluate(how, Function::Exp, &far);
        assert!(found.iter().all(|&value| value == found[0]), "{found:?}");
        assert!((1.6e38..1.7e38).contains(&found[0]), "{found:?}");
        let near = [-87.3, -88.0, -1000.0, f32::MIN, f32::NEG_INFINITY];
        let found = evaluate(how, Function::Exp, &near);
        assert!(found.iter().all(|&value| value == found[0]), "{found:?}");
        assert!((1.17e-38..1.3e-38).contains(&found[0]), "{found:?}");
        let found = evaluate(how, Function::Exp2, &[-126.0, -127.0, f32::NEG_INFINITY]);
        assert_eq!(found, [f32::MIN_POSITIVE; 3], "{how:?}");
        for function in [Function::Exp, Function::Exp2] {
            let found = evaluate(how, function, &[0.0, -0.0]);
            assert_eq!(found, [1.0, 1.0], "{function:?} on {how:?}");
        }
    });
}

/// What the infinities become. GELU of −∞ is 0 · ∞ in its definition.
#[test]
fn infinities() {
    each_way(|how| {
        let ends = [f32::INFINITY, f32::NEG_INFINITY];
        let of = |function| evaluate(how, function, &ends);
        let sigmoid = of(Function::Sigmoid);
        assert!(sigmoid[0] == 1.0 && sigmoid[1] < 1e-37, "{sigmoid:?}");
        for activation in [Function::Gelu, Function::QuickGelu] {
            let found = of(activation);
            assert_eq!(found[0], f32::INFINITY, "{activation:?} on {how:?}");
            assert!(!found[1].is_finite(), "{activation:?} on {how:?}");
        }
        let tails = of(Function::NormalTails);
        assert!(
            tails.iter().all(|tail| (0.0..1e-30).contains(tail)),
            "{tails:?} on {how:?}"
        );
    });
}
