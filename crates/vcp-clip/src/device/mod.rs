//! Where the model runs.

use std::str::FromStr;

use vcp_checkpoint::{Precision, Weights};
use vcp_predict::{Predictor, PredictorOptions};

#[cfg(not(feature = "wgpu"))]
mod without_gpu;
#[cfg(not(feature = "wgpu"))]
use without_gpu as gpu;

#[cfg(feature = "wgpu")]
mod gpu;

#[cfg(feature = "train")]
mod training;

/// What `--device` can name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The best GPU if this crate was built for GPUs and finds one, else the CPU: `auto`.
    #[default]
    Auto,
    /// The CPU: `cpu`.
    Cpu,
    /// The best GPU, `gpu`, or this one, counted from 0: `gpu:1`.
    Gpu(Option<usize>),
}

impl FromStr for DeviceName {
    type Err = NoDeviceName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "gpu" => Ok(Self::Gpu(None)),
            _ => {
                let number = name.strip_prefix("gpu:").ok_or(NoDeviceName)?;
                // `parse` would also take a sign.
                let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
                let number = number.parse().ok().filter(|_| is_number);
                number.map(|at| Self::Gpu(Some(at))).ok_or(NoDeviceName)
            }
        }
    }
}

/// A text that names no device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a device is auto, cpu, gpu, or one of several GPUs as gpu:0, gpu:1, …")]
pub struct NoDeviceName;

/// A device that is there.
#[derive(Debug)]
pub struct Device {
    place: Place,
    note: Option<String>,
}

#[derive(Debug)]
enum Place {
    Cpu,
    Gpu(gpu::Gpu),
}

/// A GPU was asked for and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// This crate was built without support for GPUs.
    #[error(
        "This vcp-clip was built without support for GPUs. Build one that has it with `cargo build \
         --release -p vcp-cli --features wgpu`, or leave out --device."
    )]
    NotBuilt,
    /// There is no such GPU, as a sentence that says which there are.
    #[error("{0}")]
    Missing(String),
    /// The GPU is there and does not work, as a sentence.
    #[error("{0}")]
    Unusable(String),
    /// The GPU does not compute with 16-bit floats.
    #[error("{device} or its driver does not compute with 16-bit floats.")]
    NoMixedPrecision {
        /// Its name.
        device: String,
    },
}

impl Device {
    /// The CPU.
    #[must_use]
    pub fn cpu() -> Self {
        Self {
            place: Place::Cpu,
            note: None,
        }
    }

    /// What a name comes to on this machine.
    ///
    /// # Errors
    /// When a GPU was asked for and cannot be used.
    pub fn find(name: DeviceName) -> Result<Self, DeviceError> {
        let on = |gpu: gpu::Gpu| Self {
            note: Some(format!("The model runs on {}.", gpu.name())),
            place: Place::Gpu(gpu),
        };
        match name {
            DeviceName::Cpu => Ok(Self::cpu()),
            DeviceName::Gpu(number) => gpu::named(number).map(on),
            DeviceName::Auto => Ok(match gpu::best() {
                None => Self::cpu(),
                Some(Ok(gpu)) => on(gpu),
                Some(Err(error)) => Self {
                    note: Some(format!("{error} The model runs on the CPU.")),
                    ..Self::cpu()
                },
            }),
        }
    }

    /// As [`Device::find`], for a model that is computed in this precision: [`DeviceName::Auto`] is the CPU for narrower
    /// numbers than `f32`, in which other devices do not compute.
    ///
    /// # Errors
    /// As [`Device::find`].
    pub fn find_for(name: DeviceName, precision: Precision) -> Result<Self, DeviceError> {
        match (name, precision) {
            (DeviceName::Auto, Precision::Bf16 | Precision::Int8) => Ok(Self::cpu()),
            _ => Self::find(name),
        }
    }

    /// What a user should know of where the model runs, as sentences; nothing of the CPU that was asked
    /// for or is all there is.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Its name, for people and for results.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.place {
            Place::Cpu => "CPU",
            Place::Gpu(gpu) => gpu.name(),
        }
    }

    /// Whether it is the CPU, of which it is known what a photo will cost ([`crate::cost`]).
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        matches!(self.place, Place::Cpu)
    }

    /// A predictor with its model there.
    ///
    /// # Errors
    /// When the model cannot be made of these weights, or the device fails.
    pub fn predictor(
        &self,
        weights: &Weights,
        options: &PredictorOptions,
    ) -> Result<Predictor, vcp_predict::Error> {
        match &self.place {
            Place::Cpu => Predictor::new(weights, options),
            Place::Gpu(gpu) => gpu.predictor(weights, options),
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
