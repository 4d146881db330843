//! GPUs: which ones there are, and making one ready.

use burn_tensor::wgpu::WgpuInitError;
use burn_tensor::{Device, DeviceKind, DeviceType};

/// A graphics adapter that kernels can run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// What it is.
    pub kind: AdapterKind,
    selector: DeviceKind,
}

/// What an adapter is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A graphics card.
    Discrete,
    /// A GPU that is part of the processor.
    Integrated,
    /// A virtual machine's share of a card.
    Virtual,
    /// The driver does not say what kind of adapter it is.
    Other,
    /// No GPU: a driver that computes on the CPU, for tests.
    Software,
}

/// A device that is ready.
#[derive(Clone, Debug)]
pub struct Gpu {
    /// The device, for [`Burn::new`](crate::Burn::new) and [`Burn::training`](crate::Burn::training).
    pub device: Device,
    /// The driver's name for the device, and the graphics interface through which it is reached.
    pub name: String,
}

/// All adapters of this machine, real ones first. Those of the first graphics interface that has a real
/// one: none is there twice.
#[must_use]
pub fn adapters() -> Vec<Adapter> {
    let found = Device::enumerate(DeviceType::Wgpu);
    let mut adapters: Vec<Adapter> = found.iter().map(|it| adapter(it, found.len())).collect();
    adapters.sort_by_key(|adapter| adapter.kind);
    adapters
}

fn adapter(device: &Device, count: usize) -> Adapter {
    type Indexed = fn(usize) -> DeviceKind;
    let indexed: [(AdapterKind, Indexed); 3] = [
        (AdapterKind::Discrete, DeviceKind::DiscreteGpu),
        (AdapterKind::Integrated, DeviceKind::IntegratedGpu),
        (AdapterKind::Virtual, DeviceKind::VirtualGpu),
    ];
    let indexed = (0..count).flat_map(|index| indexed.map(|(kind, at)| (kind, at(index))));
    let (kind, selector) = indexed
        .chain([(AdapterKind::Software, DeviceKind::Cpu)])
        .find(|(_, selector)| Device::wgpu(selector.clone()) == *device)
        // Such an adapter has no selector of its own; where there is one, it is the only one.
        .unwrap_or((AdapterKind::Other, DeviceKind::DefaultDevice));
    Adapter { kind, selector }
}

impl Adapter {
    /// Makes it ready. Each adapter once in a process: clones of the [`Device`] share it.
    ///
    /// # Errors
    /// When the driver does not give it, or it has been made ready before.
    pub fn open(&self) -> Result<Gpu, WgpuInitError> {
        let options = Device::wgpu_options().device_kind(self.selector.clone());
        let (device, setup) = options.init_with_setup()?;
        let found = setup.adapter.get_info();
        let name = format!("{} ({:?})", found.name, found.backend);
        Ok(Gpu { device, name })
    }
}
