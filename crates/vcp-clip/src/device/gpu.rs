//! GPUs, through Burn.

use vcp_burn::Burn;
use vcp_burn::gpu::{Adapter, AdapterKind, adapters};
use vcp_checkpoint::Weights;
use vcp_predict::{Error, Predictor, PredictorOptions};

use super::DeviceError;

/// A GPU that is ready.
#[derive(Debug)]
pub(super) struct Gpu(vcp_burn::gpu::Gpu);

/// The best GPU, if there is one.
pub(super) fn best() -> Option<Result<Gpu, DeviceError>> {
    let adapter = adapters().into_iter().find(is_real)?;
    Some(open(&adapter))
}

/// The one of this number, or the best one.
pub(super) fn named(number: Option<usize>) -> Result<Gpu, DeviceError> {
    let all = adapters();
    let found = match number {
        None => all.iter().find(|adapter| is_real(adapter)),
        Some(number) => all.get(number),
    };
    match found {
        Some(adapter) => open(adapter),
        None => Err(DeviceError::Missing(missing(number, &all))),
    }
}

/// A driver that computes on the CPU is slower than the CPU itself: it is for tests.
fn is_real(adapter: &Adapter) -> bool {
    adapter.kind != AdapterKind::Software
}

fn open(adapter: &Adapter) -> Result<Gpu, DeviceError> {
    let gpu = adapter.open().map_err(|error| {
        let kind = words(adapter.kind);
        DeviceError::Unusable(format!(
            "The {kind} of this machine cannot be used: {error}. Its driver may be too old; \
             --device cpu does without."
        ))
    })?;
    Ok(Gpu(gpu))
}

fn missing(number: Option<usize>, all: &[Adapter]) -> String {
    let listed: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(at, adapter)| format!("gpu:{at} is a {}", words(adapter.kind)))
        .collect();
    let asked = match number {
        None => "There is no GPU here that can be used".to_owned(),
        Some(number) => format!("There is no gpu:{number} here"),
    };
    if all.is_empty() {
        format!(
            "{asked}: no driver for Vulkan, Metal or Direct3D 12 names one. Install the driver of your \
             GPU, or take --device cpu."
        )
    } else {
        format!("{asked}: {}.", listed.join(", "))
    }
}

fn words(kind: AdapterKind) -> &'static str {
    match kind {
        AdapterKind::Discrete => "graphics card",
        AdapterKind::Integrated => "GPU in the processor",
        AdapterKind::Virtual => "virtual GPU",
        AdapterKind::Other => "GPU of unknown kind",
        AdapterKind::Software => "driver that computes on the CPU, slower than --device cpu",
    }
}

impl Gpu {
    pub(super) fn name(&self) -> &str {
        &self.0.name
    }

    pub(super) fn predictor(
        &self,
        weights: &Weights,
        options: &PredictorOptions,
    ) -> Result<Predictor, Error> {
        Predictor::on(Burn::new(self.0.device.clone()), weights, options)
    }

    /// As [`Gpu::predictor`], in mixed precision if the GPU has it.
    #[cfg(feature = "train")]
    pub(super) fn mixed_predictor(
        &self,
        weights: &Weights,
        options: &PredictorOptions,
    ) -> Result<Predictor, Error> {
        let device = || Burn::new(self.0.device.clone());
        let mixed = device().mixed_precision().unwrap_or_else(device);
        Predictor::on(mixed, weights, options)
    }

    #[cfg(feature = "train")]
    pub(super) fn burn(&self) -> vcp_burn::Device {
        self.0.device.clone()
    }
}
