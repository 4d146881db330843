//! Every kernel against a plain, obviously right statement of it, on random shapes and on
//! every instruction set that this machine has.
//!
//! In these tests all memory that a pool hands out is filled with NaN first (see
//! [`crate::buffer::Pool::take`]): a kernel that reads what it has not written shows it.
//!
//! Sums of products are checked twice. With small whole numbers everything is exact in f32,
//! so results must be equal and a single wrong index shows, however long the sum. With
//! fractions, rounding must stay within what the textbook bound allows for the sum.
#![allow(clippy::float_cmp, reason = "results are often exact")]

mod attention;
mod buffers;
mod depthwise;
mod functions;
mod narrow;
mod packing;
mod product;
mod rows;
mod same_bits;
mod small;
mod standardise;

#[cfg(target_arch = "x86_64")]
pub(crate) use narrow::PlainTiles;

use crate::buffer::Pool;
use proptest::prelude::*;
use std::sync::Arc;
use vcp_simd::Supported;

/// Half the distance from 1 to the next f32: the largest relative error of one operation.
const ROUNDING: f64 = 1.0 / (1 << 24) as f64;

/// What random numbers look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// -8..=8: sums of up to 2^17 products of two are exact.
    Whole,
    /// Fractions in -1..1.
    Fractions,
}

/// Random numbers that depend on the seed alone (the generator is `SplitMix64`).
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Uniform in -1..1.
    fn fraction(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound as u64) as usize
    }

    fn number(&mut self, numbers: Numbers) -> f32 {
        match numbers {
            Numbers::Whole => self.below(17) as f32 - 8.0,
            Numbers::Fractions => self.fraction(),
        }
    }

    fn numbers(&mut self, count: usize, numbers: Numbers) -> Vec<f32> {
        (0..count).map(|_| self.number(numbers)).collect()
    }

    fn fractions(&mut self, count: usize) -> Vec<f32> {
        self.numbers(count, Numbers::Fractions)
    }
}

fn any_numbers() -> impl Strategy<Value = Numbers> {
    prop_oneof![Just(Numbers::Whole), Just(Numbers::Fractions)]
}

fn pool() -> Arc<Pool> {
    Arc::default()
}

/// Runs `work` on `threads` threads.
fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads start")
        .install(work)
}

/// Fewer cases than proptest's 256: each goes through every instruction set.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        cases: count,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// An expected value and how far from it the found one may be.
#[derive(Clone, Copy, Debug)]
struct Expected {
    value: f64,
    allowed: f64,
}

impl Expected {
    fn exactly(value: f64) -> Self {
        Self {
            value,
            allowed: 0.0,
        }
    }
}

/// A sum of products, in any order, with or without fused multiply-adds: exact for whole
/// numbers, otherwise within Σ|terms| · (number of terms) · rounding (Higham, Accuracy and
/// Stability of Numerical Algorithms, section 3.1).
fn sum_of_products(numbers: Numbers, terms: impl Iterator<Item = (f32, f32)>) -> Expected {
    let (mut value, mut magnitude, mut count) = (0.0, 0.0, 0.0);
    for (a, b) in terms {
        let product = f64::from(a) * f64::from(b);
        value += product;
        magnitude += product.abs();
        count += 1.0;
    }
    match numbers {
        Numbers::Whole => Expected::exactly(value),
        Numbers::Fractions => Expected {
            value,
            allowed: magnitude * (count + 1.0) * ROUNDING,
        },
    }
}

#[track_caller]
fn assert_within(what: &str, found: &[f32], expected: &[Expected]) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    for (index, (&found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(found) - expected.value).abs();
        assert!(
            difference <= expected.allowed,
            "{what}: value {index} is {found} instead of {}, {difference:e} off where {:e} is \
             allowed",
            expected.value,
            expected.allowed,
        );
    }
}

/// Asserts the same bits, which `==` does not: it takes -0 for 0 and no NaN for another.
#[track_caller]
fn assert_same_bits(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            found.to_bits() == expected.to_bits(),
            "{what}: value {index} is {found:e} instead of {expected:e}"
        );
    }
}

fn each_set(check: impl Fn(Supported)) {
    for instruction_set in Supported::all() {
        check(instruction_set);
    }
}
