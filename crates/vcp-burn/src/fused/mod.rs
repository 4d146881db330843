//! The operations that take the time of a training step, on the CPU: each one pass over slices, with
//! its gradient written by hand.
//!
//! Burn's own operations are correct and stay the statement of what these compute
//! (`operations.rs`); on other devices they are what runs. On the CPU each of them is a pass over
//! memory of its own, with scalar exponentials, which together takes three times as long as the
//! products. The tests hold both against each other.
//!
//! Nothing here depends on the number of threads: work is cut into pieces whose size depends on
//! shapes alone, and sums over pieces are taken in order.

#![expect(
    clippy::inline_always,
    reason = "what a kernel calls and is not inlined is compiled for the oldest machine"
)]

mod attention;
mod curve;
mod depthwise;
mod layer_norm;
mod length;
mod linear;
mod math;
mod pixel_loss;
mod product;
mod sigmoid;
mod standardise;
#[cfg(test)]
mod tests;

use std::fmt::Debug;

use burn_autodiff::Autodiff;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_backend::AutodiffBackend as _;
use burn_flex::{Flex, FlexTensor};
use burn_tensor::{BackendPrimitive, Float, Tensor, TensorData};

pub(crate) use attention::SelfAttention;
pub(crate) use curve::Curve;
pub(crate) use depthwise::DepthwiseLayer;
pub(crate) use layer_norm::LayerNorm;
pub(crate) use length::Normalise;
pub(crate) use linear::LinearLayer;
pub(crate) use pixel_loss::{Dice, Focal};
pub(crate) use sigmoid::Sigmoid;
pub(crate) use standardise::Standardise;

/// Elements of one piece of work that goes element by element.
const PIECE: usize = 1 << 14;

/// An operation with a gradient of its own.
pub(crate) trait Fused: Debug + Clone + Send + 'static {
    /// What the gradient needs of the inputs and of what has been computed.
    type Kept: Debug + Clone + Send + 'static;

    /// The result, and what to keep if there will be a gradient.
    fn forward(&self, inputs: Vec<FlexTensor>, keep: bool) -> (FlexTensor, Option<Self::Kept>);

    /// Gradients with respect to the inputs that `wanted` asks for, from the gradient with respect to
    /// the result.
    fn backward(
        &self,
        kept: Self::Kept,
        gradient: FlexTensor,
        wanted: &[bool],
    ) -> Vec<Option<FlexTensor>>;
}

/// A tensor of Burn's CPU backend that knows its graph.
type Tracked = <Float as BackendPrimitive<Autodiff<Flex>>>::Primitive;

/// An input of any number of dimensions.
pub(crate) enum Input {
    Constant(FlexTensor),
    Tracked(Tracked),
}

/// The tensor as an input, if it is on the CPU.
pub(crate) fn input<const D: usize>(x: &Tensor<D>) -> Option<Input> {
    let tracked = x.clone().try_into_primitive::<Autodiff<Flex>>();
    tracked.map(Input::Tracked).ok().or_else(|| {
        let constant = x.clone().try_into_primitive::<Flex>();
        constant.map(Input::Constant).ok()
    })
}

/// The operation on inputs that are on the CPU; nothing if one of them is not.
pub(crate) fn apply<F: Fused, const N: usize, const D: usize>(
    operation: &F,
    inputs: [Option<Input>; N],
) -> Option<Tensor<D>> {
    let mut present = Vec::with_capacity(N);
    for input in inputs {
        present.push(input?);
    }
    let is_constant = |input: &Input| matches!(input, Input::Constant(_));
    if present.iter().all(is_constant) {
        let inputs = present.into_iter().map(|input| match input {
            Input::Constant(tensor) => tensor,
            Input::Tracked(tensor) => tensor.into_primitive(),
        });
        let (result, _) = operation.forward(inputs.collect(), false);
        return Some(Tensor::from_primitive::<Flex>(result));
    }
    let tracked = present.into_iter().map(|input| match input {
        Input::Constant(tensor) => Autodiff::<Flex>::from_inner(tensor),
        Input::Tracked(tensor) => tensor,
    });
    let (tensors, nodes): (Vec<_>, Vec<_>) = tracked.map(Tracked::into_parts).unzip();
    let nodes: [_; N] = nodes.try_into().ok()?;
    let step = Step {
        operation: operation.clone(),
    };
    let prepared = Backward::<Flex, N>::prepare::<NoCheckpointing>(step, nodes);
    let result = match prepared.compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (result, kept) = operation.forward(tensors, true);
            prepared.finish(kept?, result)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(operation.forward(tensors, false).0),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(result))
}

/// An operation in the graph.
#[derive(Debug)]
struct Step<F> {
    operation: F,
}

impl<F: Fused, const N: usize> Backward<Flex, N> for Step<F> {
    type State = F::Kept;

    fn backward(
        self,
        step: Ops<F::Kept, N>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = gradients.consume::<Flex>(&step.node);
        let wanted = step.parents.each_ref().map(Option::is_some);
        let found = self.operation.backward(step.state, gradient, &wanted);
        for (parent, gradient) in step.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// A tensor of these values.
fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// A tensor of the shape of another one.
fn like(other: &FlexTensor, values: Vec<f32>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, other.layout().shape().clone()))
}

/// The values of a tensor that [`FlexTensor::to_contiguous`] gave.
fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("made contiguous, and f32")
}

fn dimensions<const D: usize>(x: &FlexTensor) -> [usize; D] {
    std::array::from_fn(|dimension| x.layout().shape()[dimension])
}
