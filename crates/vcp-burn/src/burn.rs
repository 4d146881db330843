//! Burn as a device.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn_tensor::{Device, FloatDType, Tensor};
use vcp_checkpoint::Tensor as Stored;
use vcp_model::DeviceError;

use crate::losses::Loss;
use crate::parameters::{Parameters, leaf};
use crate::tensor::{guarded, read};

/// A device of Burn with the parameters of one model on it.
pub struct Burn {
    device: Device,
    is_trained: Box<dyn Fn(&str) -> bool + Send + Sync>,
    parameters: Mutex<Parameters>,
    /// Whether operations written for the CPU are used where they can be.
    is_fused: bool,
    /// Whether products of matrices are of 16-bit floats.
    is_mixed: bool,
}

/// What a loss changes by, per trained parameter.
pub struct Gradients {
    by_name: BTreeMap<String, Tensor<1>>,
}

impl Burn {
    /// For running a model: nothing is trained.
    #[must_use]
    pub fn new(device: Device) -> Self {
        Self {
            device,
            is_trained: Box::new(|_| false),
            parameters: Mutex::default(),
            is_fused: true,
            is_mixed: false,
        }
    }

    /// For training: gradients are kept for the parameters whose canonical names `is_trained` says so
    /// of.
    #[must_use]
    pub fn training(
        device: Device,
        is_trained: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            device: device.autodiff(),
            is_trained: Box::new(is_trained),
            parameters: Mutex::default(),
            is_fused: true,
            is_mixed: false,
        }
    }

    /// Whether a device computes with 16-bit floats.
    #[must_use]
    pub fn has_mixed_precision(device: &Device) -> bool {
        device.supports_dtype(FloatDType::F16)
    }

    /// The same in mixed precision (Micikevicius et al., 2018), before a model is loaded: factors and
    /// results of the model's products of matrices are 16-bit floats. What a GPU sums up within a product,
    /// and all else, parameters, resizing and losses too, stay `f32`. Gradients pass through 16-bit floats
    /// as well: small ones are lost unless the loss is scaled up, and what exceeds 65,504 becomes
    /// infinite. Nothing if the device does not compute with such floats.
    #[must_use]
    pub fn mixed_precision(self) -> Option<Self> {
        Self::has_mixed_precision(&self.device).then_some(Self {
            is_fused: false,
            is_mixed: true,
            ..self
        })
    }

    /// A factor of a product as the product takes it.
    pub(crate) fn factor<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        if self.is_mixed {
            x.cast(FloatDType::F16)
        } else {
            x
        }
    }

    /// The product of matrices, in the precision that was asked for; `f32` in any case.
    pub(crate) fn product<const D: usize>(&self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        self.factor(a).matmul(self.factor(b)).cast(FloatDType::F32)
    }

    /// The same with Burn's own operations only, to test the others against.
    #[cfg(test)]
    pub(crate) fn plain(self) -> Self {
        Self {
            is_fused: false,
            ..self
        }
    }

    /// What `fused` gives, on devices that have it.
    pub(crate) fn if_fused<T>(&self, fused: impl FnOnce() -> Option<T>) -> Option<T> {
        self.is_fused.then(fused).flatten()
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    pub(crate) fn parameters(&self) -> MutexGuard<'_, Parameters> {
        // Nothing panics between two changes that belong together, but for a step of Adam, whose error says that
        // the training is of no use any more.
        self.parameters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn flat_parameter(&self, stored: &Stored<'_>) -> Tensor<1> {
        self.parameters()
            .get(stored, &self.device, &*self.is_trained)
    }

    /// A parameter that is only multiplied by: in mixed precision a 16-bit copy, which is kept if it is
    /// not trained.
    pub(crate) fn flat_factor(&self, stored: &Stored<'_>) -> Tensor<1> {
        if !self.is_mixed || (self.is_trained)(stored.name()) {
            return self.factor(self.flat_parameter(stored));
        }
        self.parameters().frozen_factor(stored, |values| {
            self.factor(leaf(values, &self.device, false))
        })
    }

    /// Gradients of a loss. Parameters that it does not depend on have none.
    ///
    /// # Errors
    /// When the device fails.
    pub fn gradients(&self, loss: &Loss) -> Result<Gradients, DeviceError> {
        guarded(|| self.held_gradients(&loss.0))
    }

    /// Gradients of a loss, computed from the loss times `factor` and divided by it in the end: in mixed
    /// precision, small gradients are lost on the way otherwise.
    ///
    /// # Errors
    /// When the device fails.
    pub fn gradients_scaled(&self, loss: &Loss, factor: f32) -> Result<Gradients, DeviceError> {
        let mut gradients = guarded(|| self.held_gradients(&(loss.0.clone() * factor)))?;
        gradients.scale(1.0 / factor)?;
        Ok(gradients)
    }

    fn held_gradients(&self, loss: &Tensor<1>) -> Gradients {
        let mut gradients = loss.backward();
        let parameters = self.parameters();
        let by_name = parameters.trained().filter_map(|(name, leaf)| {
            let gradient = leaf.grad_remove(&mut gradients)?;
            Some((name.to_owned(), gradient))
        });
        Gradients {
            by_name: by_name.collect(),
        }
    }

    /// Canonical names of the trained parameters that a model was loaded with.
    #[must_use]
    pub fn trained_names(&self) -> Vec<String> {
        let parameters = self.parameters();
        parameters
            .trained()
            .map(|(name, _)| name.to_owned())
            .collect()
    }

    /// The trained parameters' values in row-major order, by canonical name.
    ///
    /// # Errors
    /// When the device fails.
    pub fn trained_values(&self) -> Result<BTreeMap<String, Vec<f32>>, DeviceError> {
        let parameters = self.parameters();
        let values = parameters.trained().map(|(name, leaf)| {
            let values = read(guarded(|| leaf.clone().detach())?)?;
            Ok((name.to_owned(), values))
        });
        values.collect()
    }

    /// Sets trained parameters that a model was loaded with. Returns the names that are not among them
    /// or have another length; those are left alone.
    ///
    /// # Errors
    /// When the device fails; some of the parameters may have been set.
    pub fn set_trained_values(
        &self,
        mut values: BTreeMap<String, Vec<f32>>,
    ) -> Result<Vec<String>, DeviceError> {
        let mut parameters = self.parameters();
        for (name, tensor) in parameters.trained_mut() {
            if let Some(new) = values.remove(name) {
                if new.len() == tensor.dims()[0] {
                    *tensor = guarded(|| leaf(new, &self.device, true))?;
                } else {
                    values.insert(name.to_owned(), new);
                }
            }
        }
        Ok(values.into_keys().collect())
    }
}

impl Gradients {
    /// The gradient of the parameter of this canonical name, flat.
    pub(crate) fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.by_name.get(name)
    }

    /// The gradient of the parameter of this canonical name, in row-major order; none if the loss does
    /// not depend on it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn values(&self, name: &str) -> Result<Option<Vec<f32>>, DeviceError> {
        let gradient = self.get(name).cloned();
        gradient.map(read).transpose()
    }

    /// Canonical names of the parameters that the loss depends on.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The Euclidean length of all gradients together.
    ///
    /// # Errors
    /// When the device fails.
    pub fn norm(&self) -> Result<f32, DeviceError> {
        let mut squares = 0.0;
        for gradient in self.by_name.values() {
            let square = read(guarded(|| gradient.clone().square().sum())?)?;
            squares += f64::from(square.first().copied().unwrap_or(0.0));
        }
        Ok(squares.sqrt() as f32)
    }

    /// Multiplies every gradient.
    ///
    /// # Errors
    /// When the device fails; some of the gradients may have been multiplied.
    pub fn scale(&mut self, factor: f32) -> Result<(), DeviceError> {
        guarded(|| {
            for gradient in self.by_name.values_mut() {
                *gradient = gradient.clone() * factor;
            }
        })
    }
}
