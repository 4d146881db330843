//! Narrow bundles tried out on some photos: the ranges that are seen in them, and what narrow numbers change.

use std::path::{Path, PathBuf};

use vcp_checkpoint::{Precision, Weights};
use vcp_clip::photos::{Decoding, Found, PhotoPath, ScanOptions};
use vcp_clip::pipeline::guarded;
use vcp_cpu::Ranges;
use vcp_evaluate::{MapSums, NOTICEABLE};
use vcp_image::{DecodeOptions, Photo, decode_file};
use vcp_predict::{Prediction, Predictor, PredictorOptions, smooth};

use crate::console;
use crate::exit::{OrUsage, usage};
use crate::inputs;
use crate::interrupt::Stop;

/// Most photos that are looked at.
const MOST: usize = 32;

/// What the model made of photos in `f32`.
pub(super) struct Trial {
    photos: Vec<PhotoPath>,
    decoding: Decoding,
    ranges: Vec<Ranges>,
    predictions: Vec<Prediction>,
}

impl Trial {
    /// Inspects photos with weights that are computed in `f32`; none if it was interrupted.
    ///
    /// # Errors
    /// When none of them can be used, or the model fails.
    pub(super) fn begin(
        weights: &Weights,
        paths: &[PathBuf],
        stop: &Stop,
    ) -> anyhow::Result<Option<Self>> {
        let found = inputs::gather(paths, ScanOptions::default(), false)?;
        let all: Vec<PhotoPath> = found
            .filter_map(|found| match found {
                Found::Photo(photo) => Some(photo),
                Found::Unreadable { error, .. } => {
                    console::note(&error);
                    None
                }
            })
            .collect();
        // Spread evenly, since neighbours are often alike.
        let count = all.len().min(MOST);
        let photos: Vec<PhotoPath> = (0..count)
            .map(|index| all[index * all.len() / count].clone())
            .collect();
        let mut trial = Self {
            photos,
            decoding: inputs::decoding(DecodeOptions::default(), false),
            ranges: Vec::new(),
            predictions: Vec::new(),
        };
        let predictor = Predictor::new(weights, &PredictorOptions::default()).or_usage()?;
        predictor.cpu().start_observing();
        let mut usable = Vec::new();
        for photo in std::mem::take(&mut trial.photos) {
            if stop.is_interrupted() {
                return Ok(None);
            }
            match trial.decode(&photo) {
                Ok(decoded) => {
                    trial.predictions.push(predict(&predictor, &decoded)?);
                    usable.push(photo);
                }
                Err(error) => console::note(&format!("{}: {error}", photo.path.display())),
            }
        }
        if usable.is_empty() {
            return Err(usage(
                "None of --photos can be used: give at least one photo like those to be inspected.",
            ));
        }
        trial.photos = usable;
        trial.ranges = predictor.cpu().stop_observing();
        Ok(Some(trial))
    }

    fn decode(&self, photo: &PhotoPath) -> Result<Photo, vcp_clip::Error> {
        let options = self.decoding.of(photo);
        guarded(|| Ok::<_, vcp_clip::Error>(decode_file(&photo.path, &options)?))
    }

    /// Shares the ranges that were seen with the weights.
    ///
    /// # Errors
    /// When weights cannot be read.
    pub(super) fn prepare(&self, weights: &mut Weights) -> anyhow::Result<()> {
        let norms = smooth(weights, &self.ranges)?;
        console::note(&format!(
            "The weights behind {norms} layer norms are prepared for the ranges in {}.",
            photos(self.photos.len())
        ));
        Ok(())
    }

    /// Says what the bundle's numbers change in the photos' maps and scores; whether it was not interrupted.
    ///
    /// # Errors
    /// When the bundle cannot be opened or the model fails.
    pub(super) fn compare(&self, bundle: &Path, stop: &Stop) -> anyhow::Result<bool> {
        let weights = Weights::open_bundle(bundle)?;
        let precision = weights.settings().precision;
        let predictor = match Predictor::new(&weights, &PredictorOptions::default()) {
            Ok(predictor) => predictor,
            Err(vcp_predict::Error::Precision(refusal)) => {
                console::note(&format!(
                    "What {precision} changes is not tried out here. {refusal}"
                ));
                return Ok(true);
            }
            Err(error) => return Err(error.into()),
        };
        drop(weights);
        let (mut maps, mut scores) = (MapSums::default(), Vec::new());
        for (photo, expected) in self.photos.iter().zip(&self.predictions) {
            if stop.is_interrupted() {
                return Ok(false);
            }
            let found = predict(&predictor, &self.decode(photo)?)?;
            maps.add(&expected.blended, &found.blended);
            scores.push((expected.score - found.score).abs());
        }
        console::note(&in_words(precision, &maps, &scores));
        Ok(true)
    }
}

fn predict(predictor: &Predictor, photo: &Photo) -> anyhow::Result<Prediction> {
    let mut predictions = predictor.predict(&[predictor.prepare(photo)])?;
    predictions
        .pop()
        .ok_or_else(|| anyhow::anyhow!("The model gave no prediction for a photo."))
}

/// What changes, in a sentence: differences of maps, and of the score of each photo.
fn in_words(precision: Precision, maps: &MapSums, scores: &[f32]) -> String {
    let pixels = maps.pixels.max(1) as f64;
    let largest = scores.iter().copied().fold(0.0, f32::max);
    let mean = scores.iter().sum::<f32>() / scores.len().max(1) as f32;
    format!(
        "{precision} beside f32 on {}, where maps and scores are from 0 to 1: pixels of maps differ by {:.5} on average and {:.4} \
         at most, {:.2} % of them by more than {NOTICEABLE}; scores differ by {mean:.4} on average and {largest:.4} at most.",
        photos(scores.len()),
        maps.absolute / pixels,
        maps.largest,
        100.0 * maps.noticeable as f64 / pixels,
    )
}

fn photos(count: usize) -> String {
    if count == 1 {
        "1 photo".to_owned()
    } else {
        format!("{count} photos")
    }
}
