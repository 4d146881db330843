//! Where the model runs, as typed.

use std::str::FromStr;

use clap::Args;

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

/// What `--device` can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceName {
    /// The best there is.
    Auto,
    Cpu,
    /// The best GPU, or this one.
    Gpu(Option<usize>),
}

impl FromStr for DeviceName {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str =
            "a device is auto, cpu, gpu, or one of several GPUs as gpu:0, gpu:1, …";
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu(None)),
            _ => {
                let number = name.strip_prefix("gpu:").ok_or(EXPECTED)?;
                // `parse` would also take a sign.
                let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
                let number = number.parse().ok().filter(|_| is_number);
                number.map(|at| Self::Gpu(Some(at))).ok_or(EXPECTED)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DeviceName::{self, Auto, Cpu, Gpu};

    #[test]
    fn names() {
        for (name, expected) in [
            ("auto", Auto),
            ("cpu", Cpu),
            ("gpu", Gpu(None)),
            ("gpu:0", Gpu(Some(0))),
            ("gpu:12", Gpu(Some(12))),
        ] {
            assert_eq!(name.parse(), Ok(expected), "{name}");
        }
        for name in [
            "",
            "CPU",
            "cpu:0",
            "gpu:",
            "gpu:+1",
            "gpu:-1",
            "gpu: 1",
            "gpu:1.0",
            "gpu:x",
            "gpu0",
            "cuda",
            "gpu:99999999999999999999",
        ] {
            assert!(name.parse::<DeviceName>().is_err(), "{name}");
        }
    }
}
