//! The optimiser: Adam (Kingma and Ba, 2015), with decoupled weight decay on request (Loshchilov and
//! Hutter, 2019).

use std::collections::BTreeMap;

use burn_tensor::Tensor;
use vcp_model::DeviceError;

use crate::burn::{Burn, Gradients};
use crate::parameters::leaf;
use crate::tensor::{guarded, read};

/// Constants of the optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamOptions {
    /// Decay rates β₁ and β₂ of the running means of gradients and of squared gradients.
    pub betas: (f32, f32),
    /// ε, added to the root of the mean of squared gradients.
    pub epsilon: f32,
    /// Fraction of a matrix, times its learning rate, that is subtracted from it in every step. Vectors are
    /// not decayed.
    pub weight_decay: f32,
}

impl Default for AdamOptions {
    /// The constants of the official training: 0.5 and 0.999, 1e-8, no decay.
    fn default() -> Self {
        Self {
            betas: (0.5, 0.999),
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// The optimiser and what it remembers.
pub struct Adam {
    options: AdamOptions,
    steps: u32,
    moments: BTreeMap<String, Moments>,
}

struct Moments {
    first: Tensor<1>,
    second: Tensor<1>,
}

/// What the optimiser remembers, in memory: enough to go on as if it had not been interrupted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdamState {
    /// Number of steps that the optimiser has made.
    pub steps: u32,
    /// Mean of gradients and of squared gradients, by canonical name.
    pub moments: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
}

impl Adam {
    /// An optimiser that has seen nothing.
    #[must_use]
    pub fn new(options: AdamOptions) -> Self {
        Self {
            options,
            steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// Changes every parameter that has a gradient. `learning_rate` is asked for each name, `is_matrix`
    /// whether weight decay is for it.
    ///
    /// # Errors
    /// When the device fails. Then some parameters may have been changed and others not: neither they nor
    /// the optimiser are of use any more.
    pub fn step(
        &mut self,
        burn: &Burn,
        gradients: &Gradients,
        learning_rate: impl Fn(&str) -> f32,
        is_matrix: impl Fn(&str) -> bool,
    ) -> Result<(), DeviceError> {
        guarded(|| self.held_step(burn, gradients, learning_rate, is_matrix))
    }

    fn held_step(
        &mut self,
        burn: &Burn,
        gradients: &Gradients,
        learning_rate: impl Fn(&str) -> f32,
        is_matrix: impl Fn(&str) -> bool,
    ) {
        self.steps += 1;
        let AdamOptions {
            betas: (beta1, beta2),
            epsilon,
            weight_decay,
        } = self.options;
        let power = |beta: f32| (1.0 - f64::from(beta).powi(self.steps.cast_signed())) as f32;
        let (correction1, correction2) = (power(beta1), power(beta2));
        let mut parameters = burn.parameters();
        for (name, parameter) in parameters.trained_mut() {
            let Some(gradient) = gradients.get(name) else {
                continue;
            };
            let zeros = || Moments {
                first: gradient.zeros_like(),
                second: gradient.zeros_like(),
            };
            let Moments { first, second } = self.moments.remove(name).unwrap_or_else(zeros);
            let first = first * beta1 + gradient.clone() * (1.0 - beta1);
            let second = second * beta2 + gradient.clone().square() * (1.0 - beta2);
            let root = (second.clone() / correction2).sqrt() + epsilon;
            let rate = learning_rate(name);
            let change = first.clone() / root * (rate / correction1);
            let mut value = parameter.clone().inner();
            if weight_decay > 0.0 && is_matrix(name) {
                value = value * (1.0 - rate * weight_decay);
            }
            *parameter = Tensor::from_inner(value - change).require_grad();
            self.moments
                .insert(name.to_owned(), Moments { first, second });
        }
    }

    /// What the optimiser remembers.
    ///
    /// # Errors
    /// When the device fails.
    pub fn state(&self) -> Result<AdamState, DeviceError> {
        let moments = self.moments.iter().map(|(name, moments)| {
            let values = (read(moments.first.clone())?, read(moments.second.clone())?);
            Ok((name.clone(), values))
        });
        Ok(AdamState {
            steps: self.steps,
            moments: moments.collect::<Result<_, _>>()?,
        })
    }

    /// An optimiser that goes on from what another remembered, on the device of `burn`.
    ///
    /// # Errors
    /// When the device fails.
    pub fn from_state(
        options: AdamOptions,
        state: AdamState,
        burn: &Burn,
    ) -> Result<Self, DeviceError> {
        let moments = state.moments.into_iter().map(|(name, (first, second))| {
            let leaf = |values| guarded(|| leaf(values, burn.device(), false).inner());
            let (first, second) = (leaf(first)?, leaf(second)?);
            Ok((name, Moments { first, second }))
        });
        Ok(Self {
            options,
            steps: state.steps,
            moments: moments.collect::<Result<_, _>>()?,
        })
    }
}
