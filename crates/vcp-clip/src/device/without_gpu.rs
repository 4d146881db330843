//! In a build without GPUs.

use std::convert::Infallible;

use vcp_checkpoint::Weights;
use vcp_predict::{Error, Predictor, PredictorOptions};

use super::DeviceError;

/// There is none.
#[derive(Debug)]
pub(super) struct Gpu(Infallible);

pub(super) fn best() -> Option<Result<Gpu, DeviceError>> {
    None
}

pub(super) fn named(_number: Option<usize>) -> Result<Gpu, DeviceError> {
    Err(DeviceError::NotBuilt)
}

impl Gpu {
    pub(super) fn name(&self) -> &str {
        match self.0 {}
    }

    pub(super) fn predictor(&self, _: &Weights, _: &PredictorOptions) -> Result<Predictor, Error> {
        match self.0 {}
    }

    #[cfg(feature = "train")]
    pub(super) fn mixed_predictor(
        &self,
        _: &Weights,
        _: &PredictorOptions,
    ) -> Result<Predictor, Error> {
        match self.0 {}
    }

    #[cfg(feature = "train")]
    pub(super) fn burn(&self) -> vcp_burn::Device {
        match self.0 {}
    }
}
