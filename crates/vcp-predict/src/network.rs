//! The model on its device, whichever that is.

use std::any::Any;
use std::sync::Arc;

use vcp_checkpoint::Weights;
use vcp_cpu::{Cpu, Tensor};
use vcp_model::{DeviceError, Model, Operations, VisionFeatures};

use crate::logits::{Logits, LogitsShape};

/// A device that a [`Predictor`](crate::Predictor) can put its model on: one that many threads may use.
pub trait Device:
    Operations<Tensor: Send + Sync, Linear: Send + Sync, Norm: Send + Sync, Depthwise: Send + Sync>
    + Send
    + Sync
    + 'static
{
}

impl<O> Device for O where
    O: Operations<
            Tensor: Send + Sync,
            Linear: Send + Sync,
            Norm: Send + Sync,
            Depthwise: Send + Sync,
        > + Send
        + Sync
        + 'static
{
}

/// Images [count, 3, side·side] in, logits out.
pub(crate) trait Network: Send + Sync {
    /// All of it, without leaving the device in between.
    fn logits(&self, shape: [usize; 3], images: &[f32]) -> Result<Vec<Logits>, DeviceError>;

    /// The vision tower. The features end in the memory of `cpu`, wherever the tower ran.
    fn vision(
        &self,
        cpu: &Cpu,
        shape: [usize; 3],
        images: &[f32],
    ) -> Result<VisionFeatures<Tensor>, DeviceError>;

    /// As [`Network::vision`], and the features by which patches are compared, likewise in the CPU's memory.
    fn vision_with_patches(
        &self,
        cpu: &Cpu,
        shape: [usize; 3],
        images: &[f32],
    ) -> Result<(VisionFeatures<Tensor>, Vec<Tensor>), DeviceError>;

    /// All that comes after the tower.
    fn decode(
        &self,
        cpu: &Cpu,
        features: &VisionFeatures<Tensor>,
    ) -> Result<Vec<Logits>, DeviceError>;
}

/// A model and the device that it has been loaded on.
pub(crate) struct Loaded<O: Device> {
    device: Arc<O>,
    pub(crate) model: Model<O>,
}

impl<O: Device> Loaded<O> {
    pub(crate) fn new(device: Arc<O>, weights: &Weights) -> Result<Self, vcp_model::Error> {
        let model = Model::load(&*device, weights)?;
        Ok(Self { device, model })
    }
}

impl<O: Device> Loaded<O> {
    fn features(
        &self,
        shape: [usize; 3],
        images: &[f32],
    ) -> Result<VisionFeatures<O::Tensor>, DeviceError> {
        self.device.run(|| {
            let images = self.device.constant(shape, images)?;
            Ok(self.model.vision.forward(&*self.device, &images))
        })
    }

    fn branches(&self, features: &VisionFeatures<O::Tensor>) -> Result<Vec<Logits>, DeviceError> {
        let decoder = &self.model.decoder;
        let batch = self.device.batch(&features.image_feature);
        let size = decoder.grid() * decoder.grid();
        let [branch1, branch2] = self.device.run(|| {
            let grids = decoder.forward(&*self.device, features);
            [grids.branch1, grids.branch2].map(|taps| {
                let values = taps.iter().map(|tap| self.device.values(tap));
                values.collect::<Result<Vec<_>, _>>()
            })
        });
        let (branch1, branch2) = (branch1?, branch2?);
        let shape = LogitsShape {
            taps: [branch1.len(), branch2.len()],
            patches: size,
            has_references: false,
        };
        let image = |index: usize| {
            let taps = branch1.iter().chain(&branch2);
            let values: Vec<&[f32]> = taps.map(|tap| &tap[index * size..][..size]).collect();
            Logits::of(shape, values.concat())
        };
        Ok((0..batch).map(image).collect())
    }
}

impl<O: Device> Network for Loaded<O> {
    fn logits(&self, shape: [usize; 3], images: &[f32]) -> Result<Vec<Logits>, DeviceError> {
        self.branches(&self.features(shape, images)?)
    }

    fn vision(
        &self,
        cpu: &Cpu,
        shape: [usize; 3],
        images: &[f32],
    ) -> Result<VisionFeatures<Tensor>, DeviceError> {
        let features = self.features(shape, images)?;
        each(&features, |x| moved(&*self.device, x, cpu))
    }

    fn vision_with_patches(
        &self,
        cpu: &Cpu,
        shape: [usize; 3],
        images: &[f32],
    ) -> Result<(VisionFeatures<Tensor>, Vec<Tensor>), DeviceError> {
        let (features, patches) = self.device.run(|| {
            let images = self.device.constant(shape, images)?;
            let vision = &self.model.vision;
            Ok::<_, DeviceError>(vision.forward_with_patches(&*self.device, &images))
        })?;
        let to_cpu = |x: &O::Tensor| moved(&*self.device, x, cpu);
        let patches = patches.iter().map(to_cpu).collect::<Result<_, _>>()?;
        Ok((each(&features, to_cpu)?, patches))
    }

    fn decode(
        &self,
        cpu: &Cpu,
        features: &VisionFeatures<Tensor>,
    ) -> Result<Vec<Logits>, DeviceError> {
        self.branches(&each(features, |x| moved(cpu, x, &*self.device))?)
    }
}

fn each<A, B>(
    features: &VisionFeatures<A>,
    change: impl Fn(&A) -> Result<B, DeviceError>,
) -> Result<VisionFeatures<B>, DeviceError> {
    Ok(VisionFeatures {
        image_feature: change(&features.image_feature)?,
        taps: features.taps.iter().map(change).collect::<Result<_, _>>()?,
    })
}

/// The features of several batches as those of one.
pub(crate) fn joined(cpu: &Cpu, batches: &[VisionFeatures<Tensor>]) -> VisionFeatures<Tensor> {
    let join = |pick: &dyn Fn(&VisionFeatures<Tensor>) -> Option<&Tensor>| {
        let parts: Vec<&Tensor> = batches.iter().filter_map(pick).collect();
        let shapes = parts.iter().map(|part| part.shape());
        let shape =
            shapes.reduce(|[count, ..], [more, rows, channels]| [count + more, rows, channels]);
        let slices: Vec<&[f32]> = parts.iter().map(|part| part.as_slice()).collect();
        let values = slices.concat();
        cpu.tensor(shape.unwrap_or_default(), &values)
    };
    let taps = batches.first().map_or(0, |batch| batch.taps.len());
    VisionFeatures {
        image_feature: join(&|batch| Some(&batch.image_feature)),
        taps: (0..taps)
            .map(|tap| join(&|batch| batch.taps.get(tap)))
            .collect(),
    }
}

/// A tensor of one device on another: itself, not a copy, if both are the CPU.
fn moved<A: Device, B: Device>(from: &A, x: &A::Tensor, to: &B) -> Result<B::Tensor, DeviceError> {
    let is_cpu = |device: &dyn Any| device.is::<Cpu>();
    match (x as &dyn Any).downcast_ref::<B::Tensor>() {
        Some(same) if is_cpu(from) && is_cpu(to) => Ok(same.clone()),
        _ => to.constant(from.shape(x), &from.values(x)?),
    }
}
