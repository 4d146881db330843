//! Where training runs.

use vcp_burn::Burn;
use vcp_checkpoint::Weights;
use vcp_predict::{Error, Predictor, PredictorOptions};

use super::{Device, DeviceError, Place};

impl Device {
    /// Makes sure that training in mixed precision is possible here.
    ///
    /// # Errors
    /// [`DeviceError::NoMixedPrecision`] on the CPU, where it would only be slower, and on GPUs that do not
    /// compute with 16-bit floats.
    pub fn require_mixed_precision(&self) -> Result<(), DeviceError> {
        match &self.place {
            Place::Gpu(gpu) if Burn::has_mixed_precision(&gpu.burn()) => Ok(()),
            _ => Err(DeviceError::NoMixedPrecision {
                device: self.name().to_owned(),
            }),
        }
    }

    /// What the frozen vision tower runs in: in mixed precision if the training does.
    ///
    /// # Errors
    /// As [`Device::predictor`].
    pub fn tower(&self, weights: &Weights, is_mixed: bool) -> Result<Predictor, Error> {
        let options = PredictorOptions::default();
        match &self.place {
            Place::Gpu(gpu) if is_mixed => gpu.mixed_predictor(weights, &options),
            _ => self.predictor(weights, &options),
        }
    }

    /// The same device for what runs on Burn.
    #[must_use]
    pub fn burn(&self) -> vcp_burn::Device {
        match &self.place {
            Place::Cpu => vcp_burn::Device::flex(),
            Place::Gpu(gpu) => gpu.burn(),
        }
    }
}
