//! One suite for all devices: what an implementation of [`vcp_model::Operations`] has to do, and
//! [`Probe`], a device to test the users of devices with.
//!
//! A crate that implements the operations calls each of these in a test. They take a name for messages
//! and a function that makes a device, because a device may hold the parameters of one model only.
//!
//! ```
//! use std::num::NonZero;
//! use vcp_cpu::Cpu;
//! use vcp_testing::device;
//!
//! let make = || Cpu::new(NonZero::new(2)).expect("threads start");
//! // Every operation against a plain statement of it, on shapes drawn at random.
//! device::broadcasting("CPU", make);
//! device::movements("CPU", make);
//! device::functions("CPU", make);
//! device::layers("CPU", make);
//! // What does not fit is refused.
//! device::refusals("CPU", make);
//! // The model on it, against the numbers of the official code.
//! device::stages("CPU", make);
//! device::batches("CPU", make);
//! ```

mod gradients;
mod layers;
mod operations;
mod plain;
mod probe;
mod refusals;
mod stages;

pub use gradients::{Trained, WITHOUT_EFFECT, distance, features, gradients};
pub use layers::{layers, small_weights};
pub use operations::{broadcasting, functions, movements};
pub use plain::Plain;
pub use probe::{Probe, ProbeTensor};
pub use refusals::refusals;
pub use stages::{batches, stages};
