//! Where training runs.

use vcp_burn::{Burn, Device};
use vcp_checkpoint::Weights;
use vcp_predict::{Predictor, PredictorOptions};

use super::Place;
use crate::args::TrainDeviceArgs;
use crate::exit::{OrUsage, usage};

impl Place {
    /// As [`Place::find`], for training.
    ///
    /// # Errors
    /// As wrong usage, also when mixed precision was asked for where it is not possible or of no use.
    pub(crate) fn to_train(arguments: &TrainDeviceArgs, quiet: bool) -> anyhow::Result<Self> {
        let place = Self::find(arguments.place.device, quiet)?;
        match &place {
            Self::Cpu if arguments.mixed_precision => Err(usage(
                "--mixed-precision is for GPUs: on the CPU it would only be slower. Leave it out, or \
                 name a GPU with --device.",
            )),
            Self::Gpu(gpu)
                if arguments.mixed_precision && !Burn::has_mixed_precision(&gpu.burn()) =>
            {
                Err(usage(format!(
                    "--mixed-precision takes a GPU that computes with 16-bit floats, which {} or its \
                     driver does not. Leave it out.",
                    gpu.name()
                )))
            }
            _ => Ok(place),
        }
    }

    /// What the frozen vision tower runs in: in mixed precision if the training does.
    ///
    /// # Errors
    /// As [`Place::predictor`].
    pub(crate) fn tower(&self, weights: &Weights, is_mixed: bool) -> anyhow::Result<Predictor> {
        let options = PredictorOptions::default();
        match self {
            Self::Gpu(gpu) if is_mixed => gpu.mixed_predictor(weights, &options).or_usage(),
            _ => self.predictor(weights, &options),
        }
    }

    /// For what runs on Burn.
    pub(crate) fn burn(&self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
            Self::Gpu(gpu) => gpu.burn(),
        }
    }
}
