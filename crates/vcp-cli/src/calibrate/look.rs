//! Photos on their way through the model, whole or in windows.

use std::ops::ControlFlow;
use std::time::Instant;

use vcp_image::Photo;
use vcp_predict::{Error, Predictor, PreparedPhoto};

use super::options::Options;
use crate::exit::whole_message;
use crate::inputs::Found;
use crate::interrupt::Stop;
use crate::pipeline::{Item, Pipeline, decode_found};
use crate::progress::Progress;

/// What a calibration is made of.
pub(crate) struct Looked {
    pub(crate) photo: Photo,
    pub(crate) score: f32,
    /// The map to look at, [side, side]; of a photo in windows brought to this size, as `eval` does it.
    pub(crate) map: Vec<f32>,
    pub(crate) side: usize,
}

/// Starts to work. A photo that was broken off because the work is to end is none.
pub(crate) fn start(
    predictor: Predictor,
    photos: impl Iterator<Item = Found> + Send + 'static,
    options: &Options,
    progress: &Progress,
    stop: &Stop,
) -> anyhow::Result<Pipeline<Option<Item<Looked>>>> {
    let predictor = std::sync::Arc::new(predictor);
    let tiling = options.tiling;
    let decode = {
        let (predictor, decoding) = (predictor.clone(), options.decoding.clone());
        move |found| {
            decode_found(found, |input| {
                let photo = vcp_image::decode_file(&input.path, &decoding.of(input))
                    .map_err(|error| whole_message(&error.into()))?;
                predictor
                    .prepare_photo(photo, tiling.as_ref())
                    .map_err(|error| whole_message(&error.into()))
            })
        }
    };
    let (windows, stopped) = (progress.windows(), stop.clone());
    let compute = move |item: Item<PreparedPhoto<Photo>>| {
        let begun = Instant::now();
        // A photo may take hours: it is not finished when the user has had enough.
        let mut watch = |done, all| {
            windows.show(done, all);
            if stopped.is_requested() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let outcome = match item.outcome {
            Err(message) => Err(message),
            Ok(decoded) => match predictor.predict_photo(decoded, &mut watch) {
                Err(Error::Stopped) => return None,
                Err(error) => Err(whole_message(&error.into())),
                Ok((photo, prediction)) => Ok(Looked {
                    photo,
                    score: prediction.score(),
                    map: prediction.model_map(&predictor).into_owned(),
                    side: predictor.image_size(),
                }),
            },
        };
        Some(Item {
            input: item.input,
            outcome,
            spent: item.spent + begun.elapsed(),
        })
    };
    Pipeline::of(photos, decode, compute, stop)
}
