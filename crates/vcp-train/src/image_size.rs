//! A model for images of another size.

use vcp_checkpoint::{Geometry, Settings, Weights};
use vcp_model::Resampling;

use crate::Error;

/// The model with a position table for images of this side, resampled as it would be when the model
/// is loaded for them; as part of the weights it can be trained. All other weights stay.
///
/// # Errors
/// If the side is smaller than a patch, or the weights are not a model's.
pub fn with_image_size(weights: Weights, image_size: usize) -> Result<Weights, Error> {
    const NAME: &str = "clip.visual.positional_embedding";
    let settings = Settings {
        image_size,
        ..weights.settings().clone()
    };
    let from = *weights.geometry();
    let native_grid = from.grid(image_size);
    // A convolutional tower has no positions.
    if native_grid == from.native_grid || from.backbone.is_some() {
        return Ok(weights.with_settings(settings)?);
    }
    // Every value is replaced below.
    let mut resized = Weights::random(
        Geometry {
            native_grid,
            ..from
        },
        settings,
        0,
    )?;
    let names: Vec<String> = weights.names().map(str::to_owned).collect();
    for name in names {
        let mut values = weights.tensor(&name)?.to_f32();
        if name == NAME {
            let width = from.vision.width;
            let square = values.split_off(width);
            let resampling = Resampling::cubic_antialiased(from.native_grid, native_grid);
            values.extend(resampling.apply_to_square(&square, width));
        }
        resized.replace(&name, values)?;
    }
    Ok(resized)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vcp_checkpoint::TowerGeometry;
    use vcp_predict::{Predictor, PredictorOptions};

    #[test]
    fn it_sees_what_it_saw() {
        let geometry = Geometry {
            embedding_width: 64,
            vision: TowerGeometry::new(2, 64),
            text: TowerGeometry::new(1, 64),
            tap_count: 2,
            patch_size: 8,
            native_grid: 4,
            ..Geometry::vit_b_16()
        };
        let settings = Settings {
            image_size: 32,
            ..Settings::for_geometry(&geometry)
        };
        let weights = || Weights::random(geometry, settings.clone(), 1).unwrap();
        let seen = |weights: &Weights| {
            let predictor = Predictor::new(weights, &PredictorOptions::default()).unwrap();
            let pixels = (0..3 * 48 * 48)
                .map(|at| (at as f32 * 0.37).sin())
                .collect();
            let image = predictor.prepared_from_normalised(pixels).unwrap();
            predictor.predict(&[image]).unwrap().remove(0).blended
        };
        let larger = Settings {
            image_size: 48,
            ..settings.clone()
        };
        let expected = seen(&weights().with_settings(larger).unwrap());
        let resized = with_image_size(weights(), 48).unwrap();
        assert_eq!(resized.geometry().native_grid, 6);
        assert_eq!(seen(&resized), expected);
        // Pixels beyond the last whole patch change nothing about the table.
        let odd = with_image_size(weights(), 45).unwrap();
        assert_eq!(odd.geometry().native_grid, 5);
        assert_eq!(odd.settings().image_size, 45);
        assert!(with_image_size(weights(), 7).is_err());
        let same = with_image_size(weights(), 32).unwrap();
        assert_eq!(same.geometry(), weights().geometry());
    }
}
