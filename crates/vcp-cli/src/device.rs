//! Where the model runs.

use std::num::NonZeroUsize;

use vcp_checkpoint::Weights;
use vcp_predict::{Predictor, PredictorOptions};

use crate::args::DeviceName;
use crate::exit::OrUsage;
use crate::model::Choice;

#[cfg(not(feature = "wgpu"))]
mod without_gpu;
#[cfg(not(feature = "wgpu"))]
use without_gpu as gpu;

#[cfg(feature = "wgpu")]
mod gpu;

#[cfg(feature = "train")]
mod training;

/// A device that is there.
#[derive(Debug)]
pub(crate) enum Place {
    Cpu,
    Gpu(gpu::Gpu),
}

impl Place {
    /// What `--device` comes to on this machine. Says so where that is not the CPU, unless `quiet`.
    ///
    /// # Errors
    /// As wrong usage, when a GPU was asked for and cannot be used.
    pub(crate) fn find(name: DeviceName, quiet: bool) -> anyhow::Result<Self> {
        match name {
            DeviceName::Cpu => Ok(Self::Cpu),
            DeviceName::Auto => Ok(gpu::best(quiet).map_or(Self::Cpu, Self::Gpu)),
            DeviceName::Gpu(number) => gpu::named(number, quiet).map(Self::Gpu),
        }
    }

    /// For people, and for results.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Cpu => "CPU",
            Self::Gpu(gpu) => gpu.name(),
        }
    }

    /// Says what a photo will cost, if that is much and known: of GPUs it is not.
    ///
    /// # Errors
    /// As [`Choice::settle_cost`].
    pub(crate) fn settle_cost(
        &self,
        choice: &Choice,
        weights: &Weights,
        threads: Option<NonZeroUsize>,
        quiet: bool,
    ) -> anyhow::Result<()> {
        match self {
            Self::Cpu => choice.settle_cost(weights, threads, quiet),
            Self::Gpu(_) => Ok(()),
        }
    }

    /// A predictor with its model there, before work begins.
    ///
    /// # Errors
    /// As wrong usage.
    pub(crate) fn predictor(
        &self,
        weights: &Weights,
        options: &PredictorOptions,
    ) -> anyhow::Result<Predictor> {
        self.predictor_amid_work(weights, options).or_usage()
    }

    /// The same when work has begun: that the device fails then is no wrong usage.
    pub(crate) fn predictor_amid_work(
        &self,
        weights: &Weights,
        options: &PredictorOptions,
    ) -> Result<Predictor, vcp_predict::Error> {
        match self {
            Self::Cpu => Predictor::new(weights, options),
            Self::Gpu(gpu) => gpu.predictor(weights, options),
        }
    }
}
