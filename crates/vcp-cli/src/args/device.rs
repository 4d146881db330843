//! Where the model runs, as typed.

use std::num::NonZeroUsize;

use clap::Args;
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

    /// Print neither progress nor notes.
    #[arg(long, short)]
    pub(crate) quiet: bool,
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
