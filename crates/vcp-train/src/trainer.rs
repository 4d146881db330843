//! Steps.

use vcp_burn::losses::{Losses, losses};
use vcp_burn::{Adam, AdamOptions, Burn, Device, Gradients, Tensor};
use vcp_checkpoint::Weights;
use vcp_model::{
    Backbone, ChangePrompts, ConvolutionalHead, Decoder, GridLogits, MapMaker, Operations as _,
    TextInputs, VisionTower,
};
use vcp_predict::{Predictor, pixels_for_score};
use vcp_random::Random;

use crate::blend::BlendSearch;
use crate::dropout::Dropout;
use crate::features::{FeatureCache, Frozen, Seen};
use crate::{Batch, Error, LossScale, Position, Recipe, Scope, State};

/// A model in training.
pub struct Trainer {
    recipe: Recipe,
    /// As it was in the beginning.
    weights: Weights,
    burn: Burn,
    /// The templates, which nothing that is trained changes.
    text_inputs: TextInputs<Tensor>,
    maps: MapMaker,
    adam: Adam,
    /// What of the vision tower is not trained.
    frozen: Frozen,
    /// What it saw in images that come again.
    features: FeatureCache,
    /// Over the images of the epoch so far, where the recipe asks for it.
    blend: Option<BlendSearch>,
    /// In mixed precision.
    loss_scale: Option<LossScale>,
    batches_in_epoch: usize,
    position: Position,
    steps: u64,
    extra: serde_json::Value,
}

/// What a batch comes to before a step is made.
struct Evaluated {
    /// In all, and of each branch.
    losses: [f32; 3],
    gradients: Gradients,
    gradient_norm: f32,
    blend: Option<BlendSearch>,
    /// With which the gradients were taken.
    loss_scale: Option<LossScale>,
}

/// Mixed into the seeds of dropout.
const DROPOUT_STREAM: u64 = 0x6472_6f70_6f75_7400;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// Steps made, this one included.
    pub step: u64,
    /// Where it stood.
    pub position: Position,
    /// Images in its batch.
    pub images: usize,
    /// The loss before it.
    pub loss: f32,
    /// Branch 1's part.
    pub branch1: f32,
    /// Branch 2's part.
    pub branch2: f32,
    /// Length of the gradients, all together, before they are clipped.
    pub gradient_norm: f32,
}

impl Trainer {
    /// A training that begins. What is trained is on `device`. A vision tower that is not trained runs
    /// in `tower`, made of the same weights; on the CPU if none is given.
    ///
    /// # Errors
    /// When recipe or weights are not usable, or the device cannot do what the recipe asks for.
    pub fn new(
        weights: Weights,
        recipe: Recipe,
        examples: usize,
        device: Device,
        tower: Option<Predictor>,
    ) -> Result<Self, Error> {
        recipe.check()?;
        let scope = recipe.scope;
        let mut burn = Burn::training(device, move |name| scope.trains(name));
        if recipe.mixed_precision {
            burn = burn.mixed_precision().ok_or_else(|| {
                Error::Recipe(
                    "Mixed precision needs a device that computes with 16-bit floats, and this one \
                     does not. Train without it."
                        .to_owned(),
                )
            })?;
        }
        let frozen = Frozen::new(&weights, scope, tower)?;
        let adam = Adam::new(options(&recipe));
        let side = weights.settings().image_size;
        let trainer = Self {
            batches_in_epoch: examples.div_ceil(recipe.batch_size),
            blend: recipe.learned_blend.then(BlendSearch::new),
            loss_scale: recipe.mixed_precision.then(LossScale::default),
            text_inputs: TextInputs::new(&burn, &weights)?,
            maps: MapMaker::new(weights.geometry().grid(side), side),
            recipe,
            weights,
            burn,
            adam,
            frozen,
            features: FeatureCache::new(0),
            position: Position::default(),
            steps: 0,
            extra: serde_json::Value::Null,
        };
        // Parameters are made when they are first used; from here on they are there.
        match scope {
            Scope::Learned => {}
            Scope::Everything => drop(VisionTower::load(&trainer.burn, &trainer.weights)?),
            Scope::FromBlock(first) => drop(trainer.upper(first)?),
        }
        drop(trainer.decoder(&mut |prompts, _| Ok(prompts.clone()))?);
        Ok(trainer)
    }

    /// Goes on from a state of a training with the same recipe and start.
    ///
    /// # Errors
    /// [`Error::Recipe`] if it has other parameters, [`Error::Device`] if the device fails.
    pub fn resume(&mut self, state: State) -> Result<(), Error> {
        let refuse = |sentence: &str| Err(Error::Recipe(sentence.to_owned()));
        let (mut blend, mut loss_scale) = (None, None);
        if self.blend.is_some() {
            blend = BlendSearch::from_sums(&state.blend);
            if blend.is_none() {
                return refuse(
                    "The saved training knows nothing of the branches' weights in the map. Start anew in another \
                     folder.",
                );
            }
        }
        if self.loss_scale.is_some() {
            loss_scale = state.loss_scale.filter(|scale| scale.is_possible());
            if loss_scale.is_none() {
                return refuse(
                    "The saved training was not one in mixed precision, or is damaged. Start anew in \
                     another folder.",
                );
            }
        } else if state.loss_scale.is_some() {
            return refuse(
                "The saved training was one in mixed precision. Go on with it, or start anew in another \
                 folder.",
            );
        }
        let known = self.burn.trained_names();
        let missing: Vec<_> = known
            .into_iter()
            .filter(|name| !state.values.contains_key(name))
            .collect();
        let unknown = self.burn.set_trained_values(state.values)?;
        if let Some(name) = unknown.iter().chain(&missing).next() {
            return Err(Error::Recipe(format!(
                "The saved training is of another model: {name} differs. Start anew in another folder."
            )));
        }
        (self.blend, self.loss_scale) = (blend, loss_scale);
        self.adam = Adam::from_state(options(&self.recipe), state.optimiser, &self.burn)?;
        (self.position, self.steps) = (state.position, state.steps);
        self.extra = state.extra;
        Ok(())
    }

    /// What has to be kept to resume the training.
    ///
    /// # Errors
    /// When the device fails.
    pub fn state(&self) -> Result<State, Error> {
        Ok(State {
            position: self.position,
            steps: self.steps,
            values: self.burn.trained_values()?,
            optimiser: self.adam.state()?,
            blend: self
                .blend
                .iter()
                .flat_map(BlendSearch::sums)
                .copied()
                .collect(),
            loss_scale: self.loss_scale,
            extra: self.extra.clone(),
        })
    }

    /// What the state holds besides, for whoever trains.
    #[must_use]
    pub fn extra(&self) -> &serde_json::Value {
        &self.extra
    }

    /// Sets what the state holds besides.
    pub fn set_extra(&mut self, extra: serde_json::Value) {
        self.extra = extra;
    }

    /// Keeps what the frozen vision tower sees in images that come again unchanged, in at most so many
    /// bytes of memory. On the CPU, no bit of the training changes by that.
    pub fn keep_features(&mut self, bytes: u64) {
        self.features = FeatureCache::new(bytes);
    }

    /// Steps made.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Canonical names of what is trained.
    #[must_use]
    pub fn trained_names(&self) -> Vec<String> {
        self.burn.trained_names()
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
    /// If they are another model's, or the device fails.
    pub fn write_into(&self, weights: &mut Weights) -> Result<(), Error> {
        for (name, values) in self.burn.trained_values()? {
            weights.replace(&name, values)?;
        }
        if let Some(blend) = self.blend() {
            weights.set_blend(blend)?;
        }
        Ok(())
    }

    /// The shares of branch 1 and branch 2 in the map that suit the images of the last epoch, or of the
    /// one that goes on, best, if the recipe asks for them and there was one.
    #[must_use]
    pub fn blend(&self) -> Option<[f32; 2]> {
        self.blend.as_ref().and_then(BlendSearch::best)
    }

    /// One step.
    ///
    /// # Errors
    /// [`Error::NotFinite`] with the batch's images; nothing has changed then. [`Error::Device`], after
    /// which this training is of no use: resume it from its last state.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport, Error> {
        let Evaluated {
            losses: [loss, branch1, branch2],
            mut gradients,
            gradient_norm,
            blend,
            loss_scale,
        } = self.evaluated(batch)?;
        let checked = [("loss", loss), ("length of the gradients", gradient_norm)];
        if let Some((what, value)) = checked.into_iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::NotFinite {
                what,
                value,
                step: self.steps + 1,
                epoch: batch.position.epoch + 1,
                images: batch.names.join(", "),
                advice: if loss_scale.is_some() {
                    "Without mixed precision, numbers have a wider range."
                } else {
                    "A lower learning rate, or gradients clipped at a norm, keep it finite."
                },
            });
        }
        if let Some(limit) = self.recipe.clip_norm
            && gradient_norm > limit
        {
            gradients.scale(limit / gradient_norm)?;
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
        self.adam.step(&self.burn, &gradients, rate, is_matrix)?;
        self.blend = blend;
        self.loss_scale = loss_scale.map(LossScale::after_step);
        self.steps += 1;
        self.position = after(batch.position, self.batches_in_epoch);
        Ok(StepReport {
            step: self.steps,
            position: batch.position,
            images: batch.names.len(),
            loss,
            branch1,
            branch2,
            gradient_norm,
        })
    }

    /// The batch's losses and gradients. In mixed precision, with the largest scale of the loss, from
    /// the present one downwards, at which the gradients are numbers, if there is one: the batch is not
    /// skipped.
    fn evaluated(&mut self, batch: &Batch) -> Result<Evaluated, Error> {
        let side = self.weights.settings().image_size;
        let seen = self
            .frozen
            .seen(&mut self.features, &self.burn, batch, side)?;
        let mut loss_scale = self.loss_scale;
        loop {
            let (losses, blend) = self.losses(batch, &seen)?;
            let values = [
                losses.total.value()?,
                losses.branch1.value()?,
                losses.branch2.value()?,
            ];
            let gradients = match loss_scale.map(LossScale::factor) {
                None => self.burn.gradients(&losses.total)?,
                Some(factor) => self.burn.gradients_scaled(&losses.total, factor)?,
            };
            drop(losses);
            let gradient_norm = gradients.norm()?;
            if values[0].is_finite()
                && !gradient_norm.is_finite()
                && let Some(halved) = loss_scale.and_then(LossScale::halved)
            {
                loss_scale = Some(halved);
                continue;
            }
            return Ok(Evaluated {
                losses: values,
                gradients,
                gradient_norm,
                blend,
                loss_scale,
            });
        }
    }

    /// The batch's losses, and the search for the branches' shares with this batch in it.
    fn losses(&self, batch: &Batch, seen: &Seen) -> Result<(Losses, Option<BlendSearch>), Error> {
        let side = self.weights.settings().image_size;
        let count = batch.names.len();
        let truth = self.burn.constant([count, side, side], &batch.truth)?;
        let logits = self.logits(seen, count)?;
        let weights = self.recipe.loss_at(self.steps, self.all_steps());
        let pixels = pixels_for_score(side);
        let losses = losses(&self.burn, &self.maps, &logits, &truth, weights, pixels)?;
        let mut blend = self.blend.clone();
        if let Some(search) = &mut blend {
            if batch.position.batch == 0 {
                *search = BlendSearch::new();
            }
            let map = |taps: &[Tensor]| self.burn.values(&self.maps.map(&self.burn, taps));
            let maps = [map(&logits.branch1)?, map(&logits.branch2)?];
            let maps = [maps[0].as_slice(), &maps[1]];
            search.add(maps, &batch.truth, side * side, self.recipe.loss);
        }
        Ok((losses, blend))
    }

    /// The logits for a batch of `count` images.
    fn logits(&self, seen: &Seen, count: usize) -> Result<GridLogits<Tensor>, Error> {
        let burn = &self.burn;
        let fraction = self.recipe.dropout;
        let decoder = if fraction > 0.0 {
            let random = Random::of(&[self.recipe.seed, self.steps, DROPOUT_STREAM]);
            let mut dropout = Dropout::new(burn, fraction, count, random);
            self.decoder(&mut |prompts, templates| dropout.apply(prompts, templates))?
        } else {
            self.decoder(&mut |prompts, _| Ok(prompts.clone()))?
        };
        Ok(match seen {
            Seen::Features(features) => decoder.forward(burn, features),
            Seen::Stages { stages, next } => {
                let (blocks, head) = self.upper(*next)?;
                let stages = blocks.forward(burn, stages.clone());
                decoder.forward(burn, &head.forward(burn, &stages.levels))
            }
            Seen::Images(images) => {
                let tower = VisionTower::load(burn, &self.weights)?;
                decoder.forward(burn, &tower.forward(burn, images))
            }
        })
    }

    /// The part of a convolutional tower that is trained, from this block of its backbone on.
    fn upper(&self, first: usize) -> Result<(Backbone<Burn>, ConvolutionalHead<Burn>), Error> {
        let (burn, weights) = (&self.burn, &self.weights);
        let blocks = weights.geometry().backbone.map_or(0, |it| it.blocks);
        Ok((
            Backbone::load(burn, weights, first.min(blocks)..blocks)?,
            ConvolutionalHead::load(burn, weights)?,
        ))
    }

    /// The decoder with the parameters as they are now.
    fn decoder(
        &self,
        change_prompts: &mut ChangePrompts<'_, Tensor>,
    ) -> Result<Decoder<Burn>, Error> {
        let inputs = self.text_inputs.clone();
        Ok(Decoder::load_with(
            &self.burn,
            &self.weights,
            inputs,
            change_prompts,
        )?)
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
