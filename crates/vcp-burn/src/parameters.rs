//! The parameters of a model, by name.

use std::collections::BTreeMap;

use burn_tensor::{Device, Tensor, TensorData};
use vcp_checkpoint::Tensor as Stored;

/// Parameters as flat tensors, taken from their files when they are first asked for.
#[derive(Default)]
pub(crate) struct Parameters {
    by_name: BTreeMap<String, Parameter>,
    /// What is not trained and only multiplied by, as products take it.
    frozen_factors: BTreeMap<String, Tensor<1>>,
}

pub(crate) struct Parameter {
    /// On the device that keeps gradients if it has one; a leaf of the graph if it is trained.
    pub(crate) leaf: Tensor<1>,
    pub(crate) is_trained: bool,
}

impl Parameters {
    /// The tensor of this name, flat.
    pub(crate) fn get(
        &mut self,
        stored: &Stored<'_>,
        device: &Device,
        is_trained: impl Fn(&str) -> bool,
    ) -> Tensor<1> {
        if let Some(parameter) = self.by_name.get(stored.name()) {
            return parameter.leaf.clone();
        }
        let is_trained = is_trained(stored.name());
        let leaf = leaf(stored.to_f32(), device, is_trained);
        let parameter = Parameter {
            leaf: leaf.clone(),
            is_trained,
        };
        self.by_name.insert(stored.name().to_owned(), parameter);
        leaf
    }

    /// The tensor of this name as `rounded` makes it when it is first asked for.
    pub(crate) fn frozen_factor(
        &mut self,
        stored: &Stored<'_>,
        rounded: impl FnOnce(Vec<f32>) -> Tensor<1>,
    ) -> Tensor<1> {
        if let Some(factor) = self.frozen_factors.get(stored.name()) {
            return factor.clone();
        }
        let factor = rounded(stored.to_f32());
        self.frozen_factors
            .insert(stored.name().to_owned(), factor.clone());
        factor
    }

    pub(crate) fn trained(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.by_name
            .iter()
            .filter(|(_, parameter)| parameter.is_trained)
            .map(|(name, parameter)| (name.as_str(), &parameter.leaf))
    }

    pub(crate) fn trained_mut(&mut self) -> impl Iterator<Item = (&str, &mut Tensor<1>)> {
        self.by_name
            .iter_mut()
            .filter(|(_, parameter)| parameter.is_trained)
            .map(|(name, parameter)| (name.as_str(), &mut parameter.leaf))
    }
}

/// A flat tensor, the beginning of a graph if it is trained.
pub(crate) fn leaf(values: Vec<f32>, device: &Device, is_trained: bool) -> Tensor<1> {
    let length = values.len();
    let tensor = Tensor::from_data(TensorData::new(values, [length]), device);
    if is_trained {
        tensor.require_grad()
    } else {
        tensor
    }
}
