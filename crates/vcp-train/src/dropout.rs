//! Dropout of the deep prompts, as the official training has it: before every block of the text tower,
//! channels of the projected prompts are set to zero at random, anew for every image and template, and
//! the others scaled up (`prompt_dropout` in `CLIP.encode_text` of the official `models/model_CLIP.py`).
//!
//! The model knows no training, so that it has no place for this. But all that it does with prompts
//! is to put them between other rows while its text tower is loaded, and there they can be found.

use std::cell::{Cell, RefCell};

use vcp_burn::{Burn, Linear, Norm, Tensor};
use vcp_checkpoint::Tensor as Stored;
use vcp_model::{After, Operations, Orientation, Resampling};
use vcp_random::Random;

/// A device on which a model that is loaded has other prompts for every image: it is for one batch.
pub(crate) struct Dropping<'a> {
    burn: &'a Burn,
    /// Share of the channels that is dropped.
    share: f32,
    /// Images in the batch.
    images: usize,
    /// Blocks of the text tower.
    blocks: usize,
    random: RefCell<Random>,
    /// How often prompts have been put between rows; nothing once the model is loaded.
    inserted: Cell<Option<usize>>,
}

impl<'a> Dropping<'a> {
    pub(crate) fn new(
        burn: &'a Burn,
        share: f32,
        images: usize,
        blocks: usize,
        random: Random,
    ) -> Self {
        Self {
            burn,
            share,
            images,
            blocks,
            random: RefCell::new(random),
            inserted: Cell::new(Some(0)),
        }
    }

    /// To be called when the model has been loaded, before it is run.
    pub(crate) fn is_loaded(&self) {
        self.inserted.set(None);
    }

    /// Start mark, prompts and words, of which the first block is given a row for each template, the
    /// later ones what the earlier ones made for each image and template.
    fn insert(&self, parts: &[&Tensor<3>], number: usize) -> Tensor<3> {
        let is_first = number.is_multiple_of(self.blocks);
        let widened: Vec<Tensor<3>> = parts
            .iter()
            .enumerate()
            .map(|(place, part)| match (place, is_first) {
                (1, _) => {
                    let rows = if is_first { self.images } else { 1 } * parts[0].dims()[0];
                    self.dropped(part, rows)
                }
                (_, true) => self.burn.repeat_batch(part, self.images),
                (_, false) => (*part).clone(),
            })
            .collect();
        self.burn
            .concatenate_rows(&widened.iter().collect::<Vec<_>>())
    }

    /// Prompts [1, n, E] → [batch, n, E], each with channels of its own dropped.
    fn dropped(&self, prompts: &Tensor<3>, batch: usize) -> Tensor<3> {
        let [_, rows, width] = prompts.dims();
        let kept = 1.0 / (1.0 - self.share);
        let mut random = self.random.borrow_mut();
        let mask = (0..batch * rows * width).map(|_| {
            let chance = random.unit();
            if chance < self.share { 0.0 } else { kept }
        });
        let mask: Vec<f32> = mask.collect();
        let mask = self.burn.constant([batch, rows, width], &mask);
        self.burn.multiply(&mask, prompts)
    }
}

impl Operations for Dropping<'_> {
    type Tensor = Tensor<3>;
    type Linear = Linear;
    type Norm = Norm;

    fn concatenate_rows(&self, parts: &[&Tensor<3>]) -> Tensor<3> {
        match self.inserted.get() {
            Some(number) => {
                self.inserted.set(Some(number + 1));
                self.insert(parts, number)
            }
            None => self.burn.concatenate_rows(parts),
        }
    }

    // All else is the device's.

    fn shape(&self, x: &Tensor<3>) -> [usize; 3] {
        self.burn.shape(x)
    }

    fn constant(&self, shape: [usize; 3], values: &[f32]) -> Tensor<3> {
        self.burn.constant(shape, values)
    }

    fn values(&self, x: &Tensor<3>) -> Vec<f32> {
        self.burn.values(x)
    }

    fn parameter(&self, stored: &Stored<'_>, shape: [usize; 3]) -> Tensor<3> {
        self.burn.parameter(stored, shape)
    }

    fn linear_layer(
        &self,
        weight: &Stored<'_>,
        bias: Option<&Stored<'_>>,
        orientation: Orientation,
    ) -> Linear {
        self.burn.linear_layer(weight, bias, orientation)
    }

    fn norm_layer(&self, weight: &Stored<'_>, bias: &Stored<'_>, epsilon: f32) -> Norm {
        self.burn.norm_layer(weight, bias, epsilon)
    }

    fn linear(&self, x: &Tensor<3>, layer: &Linear, after: After<'_, Tensor<3>>) -> Tensor<3> {
        self.burn.linear(x, layer, after)
    }

    fn layer_norm(&self, x: &Tensor<3>, norm: &Norm) -> Tensor<3> {
        self.burn.layer_norm(x, norm)
    }

    fn norm_linear(
        &self,
        x: &Tensor<3>,
        norm: &Norm,
        layer: &Linear,
        after: After<'_, Tensor<3>>,
    ) -> Tensor<3> {
        self.burn.norm_linear(x, norm, layer, after)
    }

    fn attention(
        &self,
        query: &Tensor<3>,
        key: &Tensor<3>,
        value: &Tensor<3>,
        heads: usize,
        causal: bool,
    ) -> Tensor<3> {
        self.burn.attention(query, key, value, heads, causal)
    }

    fn norm_self_attention(
        &self,
        x: &Tensor<3>,
        norm: &Norm,
        query_key_value: &Linear,
        heads: usize,
    ) -> Tensor<3> {
        self.burn
            .norm_self_attention(x, norm, query_key_value, heads)
    }

    fn l2_normalise(&self, x: &Tensor<3>) -> Tensor<3> {
        self.burn.l2_normalise(x)
    }

    fn softmax(&self, x: &Tensor<3>) -> Tensor<3> {
        self.burn.softmax(x)
    }

    fn matmul(&self, a: &Tensor<3>, b: &Tensor<3>) -> Tensor<3> {
        self.burn.matmul(a, b)
    }

    fn matmul_transposed(&self, a: &Tensor<3>, b: &Tensor<3>) -> Tensor<3> {
        self.burn.matmul_transposed(a, b)
    }

    fn add(&self, x: &Tensor<3>, y: &Tensor<3>) -> Tensor<3> {
        self.burn.add(x, y)
    }

    fn multiply(&self, x: &Tensor<3>, y: &Tensor<3>) -> Tensor<3> {
        self.burn.multiply(x, y)
    }

    fn exp(&self, x: &Tensor<3>) -> Tensor<3> {
        self.burn.exp(x)
    }

    fn sigmoid(&self, x: &Tensor<3>) -> Tensor<3> {
        self.burn.sigmoid(x)
    }

    fn mean(&self, tensors: &[Tensor<3>]) -> Tensor<3> {
        self.burn.mean(tensors)
    }

    fn concatenate_channels(&self, parts: &[&Tensor<3>]) -> Tensor<3> {
        self.burn.concatenate_channels(parts)
    }

    fn slice_rows(&self, x: &Tensor<3>, start: usize, count: usize) -> Tensor<3> {
        self.burn.slice_rows(x, start, count)
    }

    fn slice_channels(&self, x: &Tensor<3>, start: usize, count: usize) -> Tensor<3> {
        self.burn.slice_channels(x, start, count)
    }

    fn repeat_batch(&self, x: &Tensor<3>, times: usize) -> Tensor<3> {
        self.burn.repeat_batch(x, times)
    }

    fn repeat_each(&self, x: &Tensor<3>, times: usize) -> Tensor<3> {
        self.burn.repeat_each(x, times)
    }

    fn reshape(&self, x: &Tensor<3>, shape: [usize; 3]) -> Tensor<3> {
        self.burn.reshape(x, shape)
    }

    fn patches(&self, images: &Tensor<3>, patch: usize) -> Tensor<3> {
        self.burn.patches(images, patch)
    }

    fn resize(&self, maps: &Tensor<3>, resampling: &Resampling) -> Tensor<3> {
        self.burn.resize(maps, resampling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcp_burn::Device;
    use vcp_model::Decoder;
    use vcp_testing::{Tolerance, assert_close, mini};

    /// The text features [images, 2, E] of context vectors that differ from image to image.
    fn features(weights: &vcp_checkpoint::Weights, share: f32, images: usize) -> Vec<f32> {
        let burn = Burn::new(Device::flex());
        let geometry = weights.geometry();
        let dropping = Dropping::new(&burn, share, images, geometry.text.layers, Random::of(&[1]));
        let decoder = Decoder::load(&dropping, weights).unwrap();
        dropping.is_loaded();
        let shape = [images, geometry.context_vectors, geometry.embedding_width];
        let context: Vec<f32> = (0..shape.iter().product())
            .map(|at: usize| (at as f32 * 0.7).sin())
            .collect();
        let context = dropping.constant(shape, &context);
        dropping.values(&decoder.text.forward(&dropping, &context))
    }

    fn without(weights: &vcp_checkpoint::Weights, images: usize) -> Vec<f32> {
        let burn = Burn::new(Device::flex());
        let geometry = weights.geometry();
        let decoder = Decoder::load(&burn, weights).unwrap();
        let shape = [images, geometry.context_vectors, geometry.embedding_width];
        let context: Vec<f32> = (0..shape.iter().product())
            .map(|at: usize| (at as f32 * 0.7).sin())
            .collect();
        let context = burn.constant(shape, &context);
        burn.values(&decoder.text.forward(&burn, &context))
    }

    /// Templates of several lengths, so that the text runs in several groups.
    fn weights() -> vcp_checkpoint::Weights {
        let weights = mini().weights();
        let mut settings = weights.settings().clone();
        settings
            .normal_templates
            .push("an undamaged <|class|> without any flaw".to_owned());
        weights.with_settings(settings).unwrap()
    }

    #[test]
    fn nothing_dropped_is_the_model_as_it_is() {
        for images in [1, 3] {
            let weights = weights();
            assert_close(
                "text features",
                &features(&weights, 0.0, images),
                &without(&weights, images),
                Tolerance::Rounding,
            );
        }
    }

    #[test]
    fn what_is_dropped_differs_between_images() {
        let weights = weights();
        let burn = Burn::new(Device::flex());
        let width = 8;
        let dropping = Dropping::new(&burn, 0.1, 3, 2, Random::of(&[1]));
        let ones = burn.constant([1, 1000, width], &vec![1.0; 1000 * width]);
        let dropped = burn.values(&dropping.dropped(&ones, 2));
        let (first, second) = dropped.split_at(1000 * width);
        assert_ne!(first, second);
        let zeros = dropped.iter().filter(|value| **value == 0.0).count();
        assert!((1400..1800).contains(&zeros), "{zeros} of 16000");
        let kept = dropped.iter().filter(|value| **value != 0.0);
        assert!(
            kept.into_iter()
                .all(|value| (value - 1.0 / 0.9).abs() < 1e-6)
        );

        let (plain, changed) = (without(&weights, 3), features(&weights, 0.1, 3));
        assert!(changed == features(&weights, 0.1, 3));
        let size = plain.len() / 3;
        for image in 0..3 {
            let part = image * size..(image + 1) * size;
            assert_ne!(plain[part.clone()], changed[part], "image {image}");
        }
    }
}
