//! In a build without GPUs.

use std::convert::Infallible;

use vcp_checkpoint::Weights;
use vcp_predict::{Error, Predictor, PredictorOptions};

use crate::exit::usage;

/// There is none.
#[derive(Debug)]
pub(crate) struct Gpu(Infallible);

pub(super) fn best(_quiet: bool) -> Option<Gpu> {
    None
}

pub(super) fn named(_number: Option<usize>, _quiet: bool) -> anyhow::Result<Gpu> {
    Err(usage(
        "This vcp-clip was built without support for GPUs. Build one that has it with \
         `cargo build --release -p vcp-cli --features wgpu`, or leave out --device.",
    ))
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
