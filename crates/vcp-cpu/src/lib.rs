//! The operations of [`vcp_model`] on the CPU, made for speed.
//!
//! Numbers do not depend on the number of threads or on the size of a batch: every element
//! of every result is computed by one chain of operations in a fixed order, whichever thread
//! or tile it falls into.
//!
//! # Example
//!
//! ```
//! use vcp_cpu::Cpu;
//! use vcp_model::Operations as _;
//!
//! let cpu = Cpu::new(None)?; // with as many threads as there are processors
//! let x = cpu.constant([1, 2, 2], &[1.0, 2.0, 3.0, 4.0])?; // [batch, rows, channels]
//! let sum = cpu.add(&x, &x);
//! assert_eq!(cpu.values(&sum)?, [2.0, 4.0, 6.0, 8.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![allow(
    clippy::inline_always,
    reason = "kernels must be compiled inside the function that enables their instructions"
)]

mod attention;
mod blocking;
mod buffer;
mod cpu;
mod depthwise;
mod elementwise;
mod finish;
mod observe;
mod pack;
mod patches;
mod peak;
mod pointer;
mod product;
mod record;
mod resize;
mod small;
mod standardise;
#[cfg(test)]
mod tests;
mod tile;
mod units;

pub use cpu::{Cpu, Depthwise, Linear, Norm, PrecisionError, Tensor, ThreadsError};
pub use observe::Ranges;
pub use peak::fma_peak_gflops;
pub use record::Timing;
pub use vcp_simd::InstructionSet;
