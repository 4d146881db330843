//! Registers lane by lane against single numbers, on every instruction set that this machine has.

#![allow(clippy::float_cmp, reason = "results are exact")]

use vcp_simd::{InstructionSet, Lanes, MOST_LANES, PAIRS, Register as _, Supported, kernel};

#[derive(Clone, Copy, Debug)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Max,
    Min,
    MultiplyAdd,
    NearestWhole,
    PowerOfNearestWhole,
    All,
}

const OPERATIONS: [Operation; 10] = [
    Operation::Add,
    Operation::Subtract,
    Operation::Multiply,
    Operation::Divide,
    Operation::Max,
    Operation::Min,
    Operation::MultiplyAdd,
    Operation::NearestWhole,
    Operation::PowerOfNearestWhole,
    Operation::All,
];

impl Operation {
    #[expect(clippy::inline_always, reason = "part of a kernel")]
    #[inline(always)]
    fn of<V: Lanes>(self, x: V, y: V) -> V {
        match self {
            Self::Add => x + y,
            Self::Subtract => x - y,
            Self::Multiply => x * y,
            Self::Divide => x / y,
            Self::Max => x.max(y),
            Self::Min => x.min(y),
            Self::MultiplyAdd => x.mul_add(y, x),
            Self::NearestWhole => x.nearest_whole().0,
            Self::PowerOfNearestWhole => x.nearest_whole().1,
            Self::All => x.all(0.75),
        }
    }
}

kernel! {
    /// What the operation makes of registers of x and y, in place of x.
    fn apply<S: Simd>(simd: S, operation: Operation, x: &mut [f32], y: &[f32]) {
        for (x, y) in x.chunks_exact_mut(S::LANES).zip(y.chunks_exact(S::LANES)) {
            operation.of(simd.read(x), simd.read(y)).write(x);
        }
    }
}

kernel! {
    fn add_pair_products<S: Simd>(
        simd: S,
        sums: &mut [i32; PAIRS],
        pairs: &[[i16; 2]; PAIRS],
        factors: [i16; 2],
    ) {
        simd.add_pair_products(sums, pairs, factors);
    }
}

kernel! {
    fn sum_of_first<S: Simd>(simd: S, values: &[f32]) -> (f32, usize) {
        (simd.read(values).sum(), S::LANES)
    }
}

kernel! {
    fn write_one<S: Simd>(simd: S, to: &mut [f32]) {
        simd.splat(1.0).write(to);
    }
}

/// Multiples of 1/8 for which all operations but the quotient are exact in f32, so that it does not
/// matter how often a multiply-add is rounded. Ties of the nearest whole number are among them.
fn numbers(count: usize, factor: usize) -> Vec<f32> {
    let eighths = |index: usize| (index * factor % 1999) as f32 - 999.0;
    (0..count).map(|index| eighths(index) / 8.0).collect()
}

#[test]
fn lanes_are_computed_as_single_numbers_are() {
    let x = numbers(2000 * MOST_LANES, 7);
    let y = numbers(2000 * MOST_LANES, 11);
    for set in Supported::all() {
        for operation in OPERATIONS {
            let mut found = x.clone();
            apply(set, operation, &mut found, &y);
            for ((&x, &y), &found) in x.iter().zip(&y).zip(&found) {
                let expected = operation.of(x, y);
                let same = found == expected || found.is_nan() && expected.is_nan();
                assert!(
                    same,
                    "{operation:?} of {x} and {y} is {found} on {set:?}, not {expected}"
                );
            }
        }
    }
}

#[test]
fn ties_go_to_the_even_number() {
    for (x, n, power) in [
        (0.5, 0.0, 1.0),
        (1.5, 2.0, 4.0),
        (-2.5, -2.0, 0.25),
        (-126.0, -126.0, f32::MIN_POSITIVE),
    ] {
        for set in Supported::all() {
            let mut found = [x; MOST_LANES];
            apply(set, Operation::NearestWhole, &mut found, &[0.0; MOST_LANES]);
            assert_eq!(found, [n; MOST_LANES], "{x} on {set:?}");
            let mut found = [x; MOST_LANES];
            apply(
                set,
                Operation::PowerOfNearestWhole,
                &mut found,
                &[0.0; MOST_LANES],
            );
            assert_eq!(found, [power; MOST_LANES], "{x} on {set:?}");
        }
    }
}

#[test]
fn products_of_pairs_are_added_modulo_two_to_the_32() {
    let mut state = 1_u64;
    let mut word = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 32) as i32
    };
    for round in 0..10_000 {
        // The most that there is, too.
        let mut narrow = || match word() {
            word if round % 3 == 0 && word % 2 == 0 => i16::MIN,
            word => word as i16,
        };
        let factors = [narrow(), narrow()];
        let pairs: [[i16; 2]; PAIRS] = std::array::from_fn(|_| [narrow(), narrow()]);
        let sums: [i32; PAIRS] = std::array::from_fn(|_| word());
        let expected: [i32; PAIRS] = std::array::from_fn(|lane| {
            let product = |place: usize| i64::from(pairs[lane][place]) * i64::from(factors[place]);
            (i64::from(sums[lane]) + product(0) + product(1)) as i32
        });
        for set in Supported::all() {
            let mut found = sums;
            add_pair_products(set, &mut found, &pairs, factors);
            assert_eq!(found, expected, "{pairs:?} and {factors:?} on {set:?}");
        }
    }
}

/// A NaN on either side gives the second argument.
#[test]
fn the_second_argument_comes_out_beside_nan() {
    for set in Supported::all() {
        for operation in [Operation::Max, Operation::Min] {
            let mut found = [f32::NAN; MOST_LANES];
            apply(set, operation, &mut found, &[3.0; MOST_LANES]);
            assert_eq!(found, [3.0; MOST_LANES], "{operation:?} on {set:?}");
            let mut found = [3.0; MOST_LANES];
            apply(set, operation, &mut found, &[f32::NAN; MOST_LANES]);
            assert!(
                found.iter().all(|value| value.is_nan()),
                "{operation:?} on {set:?}"
            );
        }
    }
}

/// Halves are added until one lane is left: numbers of such different sizes that any other order shows.
#[test]
fn sums_have_one_order() {
    let values: Vec<f32> = (0..MOST_LANES)
        .map(|lane| (1.0 + lane as f32 / 7.0) * 10.0_f32.powi((lane * 5 % 8) as i32))
        .collect();
    for set in Supported::all() {
        let (found, lanes) = sum_of_first(set, &values);
        let mut parts = values[..lanes].to_vec();
        while parts.len() > 1 {
            let (low, high) = parts.split_at(parts.len() / 2);
            parts = low.iter().zip(high).map(|(low, high)| low + high).collect();
        }
        assert_eq!(found, parts[0], "{set:?}");
    }
}

#[test]
fn short_slices_are_refused() {
    for set in Supported::all() {
        let short = [0.0; 7];
        let read = std::panic::catch_unwind(|| sum_of_first(set, &short));
        assert!(read.is_err(), "reading on {set:?}");
        let write = std::panic::catch_unwind(|| write_one(set, &mut [0.0; 7]));
        assert!(write.is_err(), "writing on {set:?}");
    }
}

#[test]
fn names_and_tokens_agree() {
    let all = Supported::all();
    assert_eq!(all.first(), Some(&Supported::detect()));
    assert_eq!(
        all.last().map(|set| set.name()),
        Some(InstructionSet::Portable)
    );
    for name in InstructionSet::ALL {
        let supported = name.supported();
        assert_eq!(
            supported.is_some(),
            InstructionSet::available().contains(&name)
        );
        assert!(supported.is_none_or(|set| set.name() == name && all.contains(&set)));
    }
}
