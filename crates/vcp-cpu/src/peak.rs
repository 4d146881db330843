//! What this machine can do at best, measured.

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{InstructionSet, Portable, Vector, kernel};
use std::time::{Duration, Instant};

/// Multiply-adds per second times two, in GFLOP/s, that `threads` threads reach together on
/// registers alone: the ceiling for every matrix product. Takes about a third of a second;
/// the best of several short runs counts.
#[must_use]
pub fn fma_peak_gflops(instruction_set: InstructionSet, threads: usize) -> f64 {
    const ROUNDS: usize = 200_000;
    let instruction_set = if InstructionSet::available().contains(&instruction_set) {
        instruction_set
    } else {
        InstructionSet::detect()
    };
    let each = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|_| {
                scope.spawn(|| {
                    let begin = Instant::now();
                    let mut best = 0.0_f64;
                    while begin.elapsed() < Duration::from_millis(300) {
                        let start = Instant::now();
                        // SAFETY: registers only.
                        let operations = unsafe { chains(instruction_set, ROUNDS) };
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
    ///
    /// # Safety
    /// None beyond the instruction set.
    unsafe fn chains(rounds: usize) -> f64 = generic_chains;
    avx512 (Avx512 24), avx2 (Avx2 12), portable (Portable 8)
}

#[inline(always)]
unsafe fn generic_chains<V: Vector, const N: usize>(rounds: usize) -> f64 {
    // SAFETY: register arithmetic, and one store into an array of 16.
    unsafe {
        let factor = V::splat(core::hint::black_box(0.999_9));
        let mut sums = [V::splat(core::hint::black_box(1.0)); N];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = factor.mul_add(*sum, factor);
            }
        }
        let mut kept = [0.0; 16];
        for sum in sums {
            sum.store(kept.as_mut_ptr());
            core::hint::black_box(&kept);
        }
        (rounds * N * V::LANES * 2) as f64
    }
}
