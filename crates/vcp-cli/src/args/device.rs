//! Where the model runs, as typed.

use clap::Args;
use vcp_clip::DeviceName;

/// Where the model runs.
#[derive(Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Where the model runs: cpu; gpu; gpu:1, the second of several; or auto, a GPU if vcp-clip was
    /// built for them and finds one, else the CPU.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: DeviceName,
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
