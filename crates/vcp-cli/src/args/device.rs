//! Where the model runs, as typed.

use std::num::NonZeroUsize;

use clap::{Args, ValueEnum};
use vcp_checkpoint::Precision;
use vcp_clip::DeviceName;

use super::numbers;

/// Where the model runs.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Where the model runs: cpu; gpu; gpu:1, the second of several; or auto, a GPU if vcp-clip was
    /// built for them and finds one, else the CPU.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: DeviceName,
}

/// How a command runs its model, and what it says meanwhile.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) device: DeviceArgs,

    /// Threads that compute, from 1 to 256 [default: one per processor core].
    #[arg(long, value_name = "N", value_parser = numbers::threads())]
    pub(crate) threads: Option<NonZeroUsize>,

    #[command(flatten)]
    pub(crate) precision: PrecisionArgs,

    /// Print neither progress nor notes.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// The numbers that the model computes with.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PrecisionArgs {
    /// Numbers that the CPU computes the vision tower with: f32, exact; bf16, about twice as fast, on processors that have it;
    /// int8, up to three times as fast, on all with AVX2. What narrower numbers change for a model, `eval
    /// --compare-precision` says [default: the bundle's, else f32].
    #[arg(long, value_name = "NAME", value_enum, help_heading = "Model")]
    pub(crate) precision: Option<ComputingName>,
}

/// The numbers to compute with, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ComputingName {
    /// 32-bit floats.
    F32,
    /// bfloat16, with sums of 32 bits.
    Bf16,
    /// Integers of 8 bits, with sums of 32.
    Int8,
}

impl PrecisionArgs {
    /// What was asked for.
    pub(crate) fn precision(self) -> Option<Precision> {
        self.precision.map(|name| match name {
            ComputingName::F32 => Precision::F32,
            ComputingName::Bf16 => Precision::Bf16,
            ComputingName::Int8 => Precision::Int8,
        })
    }
}

/// Where training runs.
#[cfg(feature = "train")]
#[derive(Debug, Args)]
pub(crate) struct TrainDeviceArgs {
    #[command(flatten)]
    pub(crate) place: DeviceArgs,

    /// Compute matrix products with 16-bit floats, on GPUs that have them; losses, weights and the
    /// optimiser's moments stay 32-bit floats.
    #[arg(long)]
    pub(crate) mixed_precision: bool,
}
