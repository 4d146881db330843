//! The suite for devices, with and without gradients.

#![allow(clippy::unwrap_used, reason = "tests")]

use vcp_burn::losses::{LossWeights, losses};
use vcp_burn::{Burn, Device};
use vcp_testing::device;
use vcp_testing::device::Trained;

/// The device that this build knows and that `VCP_CLIP_GPU=1` asks for.
fn place() -> Device {
    #[cfg(feature = "wgpu")]
    if std::env::var_os("VCP_CLIP_GPU").is_some() {
        return Device::wgpu(burn_tensor::DeviceKind::DefaultDevice);
    }
    Device::flex()
}

/// Runs a part of the suite on a device that only runs models, and on one that keeps gradients.
fn each(part: impl Fn(&str, &dyn Fn() -> Burn)) {
    part("Burn", &|| Burn::new(place()));
    part("Burn with gradients", &|| Burn::training(place(), |_| true));
}

vcp_testing::device_suite!(each);

#[test]
fn gradients() {
    // The official training: only what is not CLIP's changes.
    let make = || Burn::training(place(), |name| name.starts_with("vcp."));
    device::gradients("Burn", make, |burn, maps, logits, truth| {
        let weights = LossWeights::default();
        let loss = losses(burn, maps, logits, truth, weights, 1).unwrap().total;
        let gradients = burn.gradients(&loss).unwrap();
        let named = |name: &str| {
            let values = gradients.values(name).unwrap().unwrap();
            (name.to_owned(), values)
        };
        Trained {
            loss: loss.value().unwrap(),
            gradients: gradients.names().map(named).collect(),
        }
    });
}
