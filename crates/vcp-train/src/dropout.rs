//! Dropout of the deep prompts, as the official training has it: before every block of the text tower,
//! channels of the projected prompts are set to zero at random, anew for every image and template, and
//! the others scaled up (`prompt_dropout` in `CLIP.encode_text` of the official `models/model_CLIP.py`).

use vcp_burn::{Burn, Tensor};
use vcp_model::{DeviceError, Operations as _};
use vcp_random::Random;

/// Dropout for one batch.
pub(crate) struct Dropout<'a> {
    burn: &'a Burn,
    /// Fraction of the channels that is dropped.
    fraction: f32,
    /// Images in the batch.
    images: usize,
    random: Random,
}

impl<'a> Dropout<'a> {
    pub(crate) fn new(burn: &'a Burn, fraction: f32, images: usize, random: Random) -> Self {
        Self {
            burn,
            fraction,
            images,
            random,
        }
    }

    /// A block's prompts [1, n, E] → [images · templates, n, E], each with channels of its own dropped.
    pub(crate) fn apply(
        &mut self,
        prompts: &Tensor,
        templates: usize,
    ) -> Result<Tensor, DeviceError> {
        let [_, rows, width] = self.burn.shape(prompts);
        let shape = [self.images * templates, rows, width];
        let kept = 1.0 / (1.0 - self.fraction);
        let mask = (0..shape.iter().product()).map(|_| {
            let chance = self.random.unit();
            if chance < self.fraction { 0.0 } else { kept }
        });
        let mask: Vec<f32> = mask.collect();
        let mask = self.burn.constant(shape, &mask)?;
        Ok(self.burn.multiply(&mask, prompts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcp_burn::Device;
    use vcp_checkpoint::Weights;
    use vcp_model::{Decoder, TextInputs};
    use vcp_testing::{Tolerance, assert_close, mini};

    /// The text features [images, 2, E] of context vectors that differ from image to image, with or
    /// without dropout.
    fn features(weights: &Weights, fraction: Option<f32>, images: usize) -> Vec<f32> {
        let burn = Burn::new(Device::flex());
        let inputs = TextInputs::new(&burn, weights).unwrap();
        let decoder = match fraction {
            Some(fraction) => {
                let mut dropout = Dropout::new(&burn, fraction, images, Random::of(&[1]));
                let mut change = |prompts: &Tensor, templates| dropout.apply(prompts, templates);
                Decoder::load_with(&burn, weights, inputs, &mut change)
            }
            None => Decoder::load(&burn, weights),
        };
        let geometry = weights.geometry();
        let shape = [images, geometry.context_vectors, geometry.embedding_width];
        let context: Vec<f32> = (0..shape.iter().product())
            .map(|at: usize| (at as f32 * 0.7).sin())
            .collect();
        let context = burn.constant(shape, &context).unwrap();
        let text = decoder.unwrap().text.forward(&burn, &context);
        burn.values(&text).unwrap()
    }

    /// Templates of several lengths, so that the text runs in several groups.
    fn weights() -> Weights {
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
                &features(&weights, Some(0.0), images),
                &features(&weights, None, images),
                Tolerance::Rounding,
            );
        }
    }

    #[test]
    fn what_is_dropped_differs_between_images() {
        let weights = weights();
        let burn = Burn::new(Device::flex());
        let width = 8;
        let mut dropout = Dropout::new(&burn, 0.1, 2, Random::of(&[1]));
        let ones = burn.constant([1, 1000, width], &vec![1.0; 1000 * width]);
        let dropped = dropout.apply(&ones.unwrap(), 1).unwrap();
        assert_eq!(burn.shape(&dropped), [2, 1000, width]);
        let dropped = burn.values(&dropped).unwrap();
        let (first, second) = dropped.split_at(1000 * width);
        assert_ne!(first, second);
        let zeros = dropped.iter().filter(|value| **value == 0.0).count();
        assert!((1400..1800).contains(&zeros), "{zeros} of 16000");
        let kept = dropped.iter().filter(|value| **value != 0.0);
        assert!(
            kept.into_iter()
                .all(|value| (value - 1.0 / 0.9).abs() < 1e-6)
        );

        let changed = features(&weights, Some(0.1), 3);
        let plain = features(&weights, None, 3);
        assert!(changed == features(&weights, Some(0.1), 3));
        let size = plain.len() / 3;
        for image in 0..3 {
            let part = image * size..(image + 1) * size;
            assert_ne!(plain[part.clone()], changed[part], "image {image}");
        }
    }
}
