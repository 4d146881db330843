//! How to train.

use serde::{Deserialize, Serialize};
use vcp_burn::AdamOptions;
use vcp_burn::losses::LossWeights;

use crate::Error;

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// What the official training trains: all that is not CLIP's. The vision tower runs without
    /// gradients.
    Learned,
    /// Every parameter, CLIP's too.
    Everything,
    /// Every parameter but the stem of a convolutional tower's backbone and its blocks before this one,
    /// counted from 0. They run without gradients. With the number of blocks, all of the backbone does.
    FromBlock(usize),
}

impl Scope {
    /// Whether the parameter of this canonical name is trained.
    #[must_use]
    pub fn trains(self, name: &str) -> bool {
        match self {
            Self::Learned => name.starts_with("vcp."),
            Self::Everything => true,
            Self::FromBlock(first) => match name.strip_prefix("clip.visual.backbone.") {
                None => true,
                Some(rest) => {
                    let block = rest.strip_prefix("blocks.");
                    let number = block.and_then(|rest| rest.split('.').next()?.parse().ok());
                    number.is_some_and(|number: usize| number >= first)
                }
            },
        }
    }
}

/// How the learning rate changes over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The learning rate stays what it is.
    Constant,
    /// After warming up, the learning rate falls to a fiftieth along half a cosine.
    Cosine,
}

// By reference, because that is how serde calls it.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_off(option: &bool) -> bool {
    !option
}

/// Everything that a training depends on but the model it starts from, the data and the device. The
/// defaults are the official ones for VisA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// What is trained.
    pub scope: Scope,
    /// Number of times that all examples are trained on.
    pub epochs: usize,
    /// Number of examples in a step.
    pub batch_size: usize,
    /// Learning rate of every trained parameter but the temperatures.
    pub learning_rate: f32,
    /// Learning rate of both temperatures; 0 leaves them as they are.
    pub temperature_learning_rate: f32,
    /// How the learning rates change over the steps.
    pub schedule: Schedule,
    /// Number of first steps in which the learning rates rise from 0.
    pub warm_up: u64,
    /// Adam's β₁: decay rate of the running mean of gradients.
    pub beta1: f32,
    /// Adam's β₂: decay rate of the running mean of squared gradients.
    pub beta2: f32,
    /// Adam's ε, added to the root of the mean of squared gradients.
    pub epsilon: f32,
    /// Fraction of a matrix, times the learning rate, that is subtracted from it in every step.
    pub weight_decay: f32,
    /// Gradients longer than this, all together, are shortened to it.
    pub clip_norm: Option<f32>,
    /// Weights of the loss's parts.
    pub loss: LossWeights,
    /// Fraction of the prompts' channels that is dropped in each step, anew for every image, template and
    /// block; the rest is scaled up to make up for it.
    pub dropout: f32,
    /// Whether the branches' shares in the map are those that would have made the focal and dice loss of
    /// the blended map least over the images of an epoch, instead of the model's own. No step depends on it;
    /// which epoch is the best, and when patience ends a run, may. Named only where it is asked for, so
    /// that runs begun before there was such a choice resume.
    #[serde(skip_serializing_if = "is_off")]
    pub learned_blend: bool,
    /// Whether products of matrices are of 16-bit floats, on devices that compute with such: mixed
    /// precision. Named only where it is asked for, as `learned_blend` is.
    #[serde(skip_serializing_if = "is_off")]
    pub mixed_precision: bool,
    /// Fraction of the steps after which the losses on pixels (focal and dice) and on image scores join.
    pub pixels_from: f32,
    /// The seed from which the order of examples, augmentation and start values follow.
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        let adam = AdamOptions::default();
        Self {
            scope: Scope::Learned,
            epochs: 10,
            batch_size: 32,
            learning_rate: 4e-5,
            temperature_learning_rate: 0.01,
            schedule: Schedule::Constant,
            warm_up: 0,
            beta1: adam.betas.0,
            beta2: adam.betas.1,
            epsilon: adam.epsilon,
            weight_decay: adam.weight_decay,
            clip_norm: None,
            loss: LossWeights::default(),
            dropout: 0.1,
            learned_blend: false,
            mixed_precision: false,
            pixels_from: 0.0,
            seed: 333,
        }
    }
}

impl Recipe {
    /// The largest batch.
    pub const MOST_BATCH: usize = 4096;

    /// Most epochs.
    pub const MOST_EPOCHS: usize = 100_000;

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Recipe`] with a sentence about the first such value.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |sentence: String| Err(Error::Recipe(sentence));
        for (name, found, most) in [
            ("number of epochs", self.epochs, Self::MOST_EPOCHS),
            (
                "number of images in a batch",
                self.batch_size,
                Self::MOST_BATCH,
            ),
        ] {
            if !(1..=most).contains(&found) {
                return refuse(format!("The {name} is {found}; expected 1 to {most}."));
            }
        }
        let positive = [
            ("learning rate", self.learning_rate),
            (
                "temperatures' learning rate",
                self.temperature_learning_rate,
            ),
            ("weight decay", self.weight_decay),
            ("weight of the focal loss", self.loss.focal),
            ("weight of the dice loss", self.loss.dice),
            ("weight of the loss on the grid", self.loss.grid),
            ("weight of defects", self.loss.defect),
            ("weight of the loss on image scores", self.loss.image),
        ];
        for (name, value) in positive {
            if !(value.is_finite() && value >= 0.0) {
                return refuse(format!("The {name} is {value}; expected a number from 0."));
            }
        }
        if !(0.0..=1.0).contains(&self.pixels_from) {
            let found = self.pixels_from;
            return refuse(format!(
                "Losses on pixels join at {found}; expected a fraction from 0 to 1."
            ));
        }
        for (name, value) in [
            ("Adam's beta1", self.beta1),
            ("Adam's beta2", self.beta2),
            ("The fraction dropped of prompts", self.dropout),
        ] {
            if !(0.0..1.0).contains(&value) {
                return refuse(format!(
                    "{name} is {value}; expected 0 or more and less than 1."
                ));
            }
        }
        if self.learned_blend && self.loss.focal + self.loss.dice == 0.0 {
            return refuse(
                "The branches' weights in the map are learned by the focal and dice loss, and both have weight 0."
                    .to_owned(),
            );
        }
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            let found = self.epsilon;
            return refuse(format!(
                "Adam's epsilon is {found}; expected a number above 0."
            ));
        }
        if self
            .clip_norm
            .is_some_and(|norm| norm.is_nan() || norm <= 0.0)
        {
            return refuse("The norm at which gradients are clipped has to be above 0.".to_owned());
        }
        Ok(())
    }

    /// The loss's parts in step number `step` of `steps`.
    #[must_use]
    pub fn loss_at(&self, step: u64, steps: u64) -> LossWeights {
        if (step as f32) < self.pixels_from * steps as f32 {
            return LossWeights {
                focal: 0.0,
                dice: 0.0,
                image: 0.0,
                ..self.loss
            };
        }
        self.loss
    }

    /// The share of the learning rate that step number `step` of `steps` is made with.
    #[must_use]
    pub fn share(&self, step: u64, steps: u64) -> f32 {
        if step < self.warm_up {
            return (step + 1) as f32 / self.warm_up as f32;
        }
        match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                const LAST: f32 = 0.02;
                let done = (step - self.warm_up) as f32;
                let all = steps.saturating_sub(self.warm_up).max(1) as f32;
                let cosine = (std::f32::consts::PI * (done / all).min(1.0)).cos();
                LAST + (1.0 - LAST) * 0.5 * (1.0 + cosine)
            }
        }
    }
}
