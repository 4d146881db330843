//! The words of a model that was trained from random weights.

use vcp_checkpoint::Weights;
use vcp_model::{END, START, Tokenizer};

use crate::Error;

/// Sets the embeddings of all words but the templates' to zero. A model that never saw CLIP's
/// vocabulary knows no others, and zeros take no room in a compressed file.
///
/// # Errors
/// If the weights are not a model's.
pub fn forget_unused_tokens(weights: &mut Weights) -> Result<(), Error> {
    const NAME: &str = "clip.token_embedding.weight";
    let settings = weights.settings();
    let templates = settings.normal_templates.iter();
    let mut used = vec![START, END];
    for template in templates.chain(&settings.anomalous_templates) {
        used.extend(Tokenizer::shared().encode(template));
    }
    let table = weights.tensor(NAME)?;
    let width = table.shape()[1];
    let mut values = table.to_f32();
    for (token, row) in values.chunks_exact_mut(width).enumerate() {
        if !used.iter().any(|&used| used as usize == token) {
            row.fill(0.0);
        }
    }
    weights.replace(NAME, values)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcp_checkpoint::{Geometry, Settings, TowerGeometry};

    #[test]
    fn the_words_of_templates_stay() {
        let geometry = Geometry {
            embedding_width: 64,
            vision: TowerGeometry::new(1, 64),
            text: TowerGeometry::new(1, 64),
            tap_count: 1,
            ..Geometry::vit_b_16()
        };
        let settings = Settings::for_geometry(&geometry);
        let before = Weights::random(geometry, settings.clone(), 1);
        let mut after = Weights::random(geometry, settings, 1).expect("a geometry");
        forget_unused_tokens(&mut after).expect("a model");
        let rows = |weights: &Weights| {
            let table = weights.tensor("clip.token_embedding.weight");
            table.expect("it is there").to_f32()
        };
        let (before, after) = (rows(&before.expect("a geometry")), rows(&after));
        let pairs = before.chunks_exact(64).zip(after.chunks_exact(64));
        let kept = pairs.filter(|(before, after)| before == after).count();
        let zero = after
            .chunks_exact(64)
            .filter(|row| row.iter().all(|value| *value == 0.0));
        // a photo of good damaged <|class|>, and both marks.
        assert_eq!((kept, zero.count()), (8, 49_409 - 8));
    }
}
