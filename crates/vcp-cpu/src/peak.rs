//! What this machine can do at best, measured.

use crate::blocking::Blocked;
use std::time::{Duration, Instant};
use vcp_simd::{InstructionSet, Lanes as _, MOST_LANES, Register as _, Supported, kernel};

/// Multiply-adds per second times two, in GFLOP/s, that `threads` threads reach together on
/// registers alone: the ceiling for every matrix product. Takes about a third of a second;
/// the best of several short runs counts.
#[must_use]
pub fn fma_peak_gflops(instruction_set: InstructionSet, threads: usize) -> f64 {
    const ROUNDS: usize = 200_000;
    let instruction_set = instruction_set
        .supported()
        .unwrap_or_else(Supported::detect);
    let each = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                scope.spawn(|| {
                    let begin = Instant::now();
                    let mut best = 0.0_f64;
                    while begin.elapsed() < Duration::from_millis(300) {
                        let start = Instant::now();
                        let operations = chains(instruction_set, ROUNDS);
                        best = best.max(operations / start.elapsed().as_secs_f64());
                    }
                    best
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or(0.0))
            .sum::<f64>()
    });
    each / 1e9
}

kernel! {
    /// Runs independent chains of multiply-adds and gives the number of operations.
    fn chains(rounds: usize) -> f64 = for<Set> generic_chains::<Set, { Set::CHAINS }>;
}

#[inline(always)]
fn generic_chains<S: Blocked, const N: usize>(simd: S, rounds: usize) -> f64 {
    const { assert!(S::LANES <= MOST_LANES) };
    let factor = simd.splat(core::hint::black_box(0.999_9));
    let mut sums = [simd.splat(core::hint::black_box(1.0)); N];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = factor.mul_add(*sum, factor);
        }
    }
    let mut kept = [0.0; MOST_LANES];
    for sum in sums {
        sum.write(&mut kept);
        core::hint::black_box(&kept);
    }
    (rounds * N * S::LANES * 2) as f64
}
