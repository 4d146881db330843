//! Kernels that are written once and compiled for every instruction set: registers of `f32`,
//! elementary functions on them, and the choice of the instruction set when the program runs.
//!
//! A program for x86-64 may only assume the instructions of 2003. Those that came later make a loop
//! over numbers several times as fast, but a processor that lacks them stops the program. So each
//! kernel is compiled several times, and which copy runs is decided on the machine. This crate makes
//! that safe:
//!
//! - An instruction set that this machine has is a value: a token such as [`Avx2`], which only detection
//!   makes. Who holds one may use the instructions; [`Supported`] holds whichever there is.
//!   [`InstructionSet`] is only the name.
//! - Registers are made by a token ([`Simd::splat`], [`Simd::read`]), so a register is a proof too, and
//!   arithmetic on it is safe. `unsafe` is needed for pointers alone.
//! - [`kernel!`] makes a function out of a generic one. Its first argument is the [`Supported`] set whose
//!   copy is to run.
//!
//! Results are reproducible: [`Register::sum`] adds up lanes in a fixed order, and nothing is
//! reassociated. Instruction sets differ in the number of lanes, and in that some round once where
//! others round twice ([`Lanes::mul_add`]).
//!
//! ```
//! use vcp_simd::{Lanes as _, Register as _, Supported, kernel};
//!
//! kernel! {
//!     /// Adds `factor · x` to `y`, element by element.
//!     fn add_scaled<S: Simd>(simd: S, factor: f32, x: &[f32], y: &mut [f32]) {
//!         let factors = simd.splat(factor);
//!         let (mut from, mut to) = (x.chunks_exact(S::LANES), y.chunks_exact_mut(S::LANES));
//!         for (x, y) in from.by_ref().zip(to.by_ref()) {
//!             factors.mul_add(simd.read(x), simd.read(y)).write(y);
//!         }
//!         for (x, y) in from.remainder().iter().zip(to.into_remainder()) {
//!             *y += factor * x;
//!         }
//!     }
//! }
//!
//! let x: Vec<f32> = (0..20_u8).map(f32::from).collect();
//! let mut y = vec![1.0; 20];
//! add_scaled(Supported::detect(), 2.0, &x, &mut y);
//! assert_eq!(y[19], 39.0);
//! ```
//!
//! A loop that the compiler turns into vector instructions by itself needs no registers, only to be
//! compiled for the instruction set: a kernel that ignores its token. [`math`] works there too, since
//! `f32` is a register of one lane ([`Lanes`]).
//!
//! Whatever a kernel calls has to be `#[inline(always)]`: what is not inlined is compiled for the
//! oldest machine, correct but slow.
//!
//! To add an instruction set, add a file like `avx2.rs` with its token, its register and both traits,
//! and a line wherever [`Supported`] is matched: in `supported.rs` and `kernel.rs`.

#![allow(
    clippy::inline_always,
    reason = "kernels must be compiled inside the function that enables their instructions"
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod dot;
#[cfg(target_arch = "x86_64")]
mod features;
mod kernel;
pub mod math;
mod portable;
mod scalar;
mod simd;
mod supported;

#[cfg(target_arch = "x86_64")]
pub use avx2::{Avx2, F32x8};
#[cfg(target_arch = "x86_64")]
pub use avx512::{Avx512, F32x16};
pub use dot::{Dot, Exact, FloatDot, IntegerDot, bf16_pair, to_bf16};
pub use kernel::Kernel;
pub use portable::{Portable, PortableF32};
pub use simd::{Lanes, MOST_LANES, PAIRS, Register, Simd};
pub use supported::{InstructionSet, Supported};

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
