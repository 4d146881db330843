//! Steps.

use vcp_burn::losses::{Losses, losses};
use vcp_burn::{Adam, AdamOptions, Burn, Device, Tensor};
use vcp_checkpoint::Weights;
use vcp_model::{Decoder, Model, Operations as _, VisionFeatures};
use vcp_predict::{Predictor, PredictorOptions};

use crate::{Batch, Error, Position, Recipe, Scope, State};

/// A model in training.
pub struct Trainer {
    recipe: Recipe,
    /// As it was in the beginning.
    weights: Weights,
    burn: Burn,
    adam: Adam,
    /// The vision tower, where it is not trained.
    tower: Option<Predictor>,
    batches_in_epoch: usize,
    position: Position,
    steps: u64,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps made, this one included.
    pub step: u64,
    /// Where it stood.
    pub position: Position,
    /// The loss before it.
    pub loss: f32,
    /// Branch 1's part.
    pub branch1: f32,
    /// Branch 2's part.
    pub branch2: f32,
    /// Length of the gradients, all together; only if they are clipped.
    pub gradient_norm: Option<f32>,
}

impl Trainer {
    /// A training that begins.
    ///
    /// # Errors
    /// When recipe or weights are not usable.
    pub fn new(
        weights: Weights,
        recipe: Recipe,
        examples: usize,
        device: Device,
        predictor: &PredictorOptions,
    ) -> Result<Self, Error> {
        recipe.check()?;
        let scope = recipe.scope;
        let burn = Burn::training(device, move |name| match scope {
            Scope::Learned => name.starts_with("vcp."),
            Scope::Everything => true,
        });
        let tower = match scope {
            Scope::Learned => Some(Predictor::new(&weights, predictor)?),
            Scope::Everything => None,
        };
        let adam = Adam::new(options(&recipe));
        let trainer = Self {
            batches_in_epoch: examples.div_ceil(recipe.batch_size),
            recipe,
            weights,
            burn,
            adam,
            tower,
            position: Position::default(),
            steps: 0,
        };
        // Parameters are made when they are first used; from here on they are there.
        trainer.load()?;
        Ok(trainer)
    }

    /// Goes on from a state of a training with the same recipe and start.
    ///
    /// # Errors
    /// [`Error::Recipe`] if it has other parameters.
    pub fn resume(&mut self, state: State) -> Result<(), Error> {
        let known = self.burn.trained_values();
        let missing: Vec<_> = known
            .keys()
            .filter(|name| !state.values.contains_key(*name))
            .cloned()
            .collect();
        let unknown = self.burn.set_trained_values(state.values);
        if let Some(name) = unknown.iter().chain(&missing).next() {
            return Err(Error::Recipe(format!(
                "The saved training is of another model: {name} differs. Start anew in another folder."
            )));
        }
        self.adam = Adam::from_state(options(&self.recipe), state.optimiser, &self.burn);
        (self.position, self.steps) = (state.position, state.steps);
        Ok(())
    }

    /// What has to be kept to go on.
    #[must_use]
    pub fn state(&self) -> State {
        State {
            position: self.position,
            steps: self.steps,
            values: self.burn.trained_values(),
            optimiser: self.adam.state(),
            extra: serde_json::Value::Null,
        }
    }

    /// The batch to come.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Steps of the whole training.
    #[must_use]
    pub fn all_steps(&self) -> u64 {
        (self.recipe.epochs * self.batches_in_epoch) as u64
    }

    /// The recipe.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Puts the values as they are now into weights that began as this training's did.
    ///
    /// # Errors
    /// If they are another model's.
    pub fn write_into(&self, weights: &mut Weights) -> Result<(), Error> {
        for (name, values) in self.burn.trained_values() {
            weights.replace(&name, values)?;
        }
        Ok(())
    }

    /// One step.
    ///
    /// # Errors
    /// [`Error::NotFinite`] with the batch's images; nothing has changed then.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport, Error> {
        let losses = self.losses(batch)?;
        let [loss, branch1, branch2] =
            [&losses.total, &losses.branch1, &losses.branch2].map(|loss| self.value(loss));
        let mut gradients = self.burn.gradients(&losses.total);
        drop(losses);
        let mut gradient_norm = None;
        if let Some(limit) = self.recipe.clip_norm {
            let norm = gradients.norm();
            if norm > limit {
                gradients.scale(limit / norm);
            }
            gradient_norm = Some(norm);
        }
        if !loss.is_finite() || gradient_norm.is_some_and(|norm| !norm.is_finite()) {
            return Err(Error::NotFinite {
                loss,
                step: self.steps,
                epoch: batch.position.epoch,
                images: batch.names.join(", "),
            });
        }
        let share = self.recipe.share(self.steps, self.all_steps());
        let rate = |name: &str| {
            if name.contains("prompt_temp") {
                self.recipe.temperature_learning_rate * share
            } else {
                self.recipe.learning_rate * share
            }
        };
        let is_matrix = |name: &str| {
            let shape = self.weights.tensor(name).map(|tensor| tensor.shape().len());
            shape.is_ok_and(|dimensions| dimensions >= 2)
        };
        self.adam.step(&self.burn, &gradients, rate, is_matrix);
        self.steps += 1;
        self.position = after(batch.position, self.batches_in_epoch);
        Ok(StepReport {
            step: self.steps,
            position: batch.position,
            loss,
            branch1,
            branch2,
            gradient_norm,
        })
    }

    fn value(&self, x: &Tensor<1>) -> f32 {
        let x = x.clone().reshape([1, 1, 1]);
        self.burn.values(&x).first().copied().unwrap_or(f32::NAN)
    }

    fn losses(&self, batch: &Batch) -> Result<Losses, Error> {
        let side = self.weights.settings().image_size;
        let count = batch.names.len();
        let truth = self.burn.constant([count, side, side], &batch.truth);
        let (decoder, logits) = if let Some(tower) = &self.tower {
            let features = self.seen(tower, batch)?;
            let decoder = Decoder::load(&self.burn, &self.weights)?;
            let logits = decoder.forward(&self.burn, &features);
            (decoder, logits)
        } else {
            let model = Model::load(&self.burn, &self.weights)?;
            let images = self.burn.constant([count, 3, side * side], &batch.pixels);
            let logits = model.forward(&self.burn, &images);
            (model.decoder, logits)
        };
        let weights = self.recipe.loss_at(self.steps, self.all_steps());
        let weights = vcp_burn::losses::LossWeights {
            focal: weights.focal,
            dice: weights.dice,
            grid: weights.grid,
            defect: weights.defect,
        };
        Ok(losses(&self.burn, &decoder, &logits, &truth, weights))
    }

    /// What the frozen vision tower sees, in the fast engine.
    fn seen(&self, tower: &Predictor, batch: &Batch) -> Result<VisionFeatures<Tensor<3>>, Error> {
        let size = batch.pixels.len() / batch.names.len().max(1);
        let images = batch.pixels.chunks_exact(size.max(1));
        let prepared: Vec<_> = images
            .map(|image| tower.prepared_from_normalised(image.to_vec()))
            .collect::<Result<_, _>>()?;
        let features = tower.vision(&prepared)?;
        let there = |x: &vcp_cpu::Tensor| self.burn.constant(tower.cpu().shape(x), x.as_slice());
        Ok(VisionFeatures {
            image_feature: there(&features.image_feature),
            taps: features.taps.iter().map(there).collect(),
        })
    }

    fn load(&self) -> Result<(), Error> {
        if self.tower.is_some() {
            drop(Decoder::load(&self.burn, &self.weights)?);
        } else {
            drop(Model::load(&self.burn, &self.weights)?);
        }
        Ok(())
    }
}

fn after(position: Position, batches_in_epoch: usize) -> Position {
    if position.batch + 1 < batches_in_epoch {
        Position {
            batch: position.batch + 1,
            ..position
        }
    } else {
        Position {
            epoch: position.epoch + 1,
            batch: 0,
        }
    }
}

fn options(recipe: &Recipe) -> AdamOptions {
    AdamOptions {
        betas: (recipe.beta1, recipe.beta2),
        epsilon: recipe.epsilon,
        weight_decay: recipe.weight_decay,
    }
}
