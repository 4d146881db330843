//! Photos on their way through the model, whole or in windows.

use std::ops::ControlFlow;
use std::time::Instant;

use vcp_evaluate::resampled;
use vcp_image::Photo;
use vcp_predict::tiling::{MapKind, Tiling};
use vcp_predict::{Error, Predictor, Prepared};

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

/// A decoded photo.
struct Decoded {
    photo: Photo,
    /// For the model, if it is looked at whole.
    prepared: Option<Prepared>,
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
                let is_cut =
                    tiling.is_some_and(|tiling| tiling.cuts(photo.width(), photo.height()));
                let prepared = (!is_cut).then(|| predictor.prepare(&photo));
                Ok(Decoded { photo, prepared })
            })
        }
    };
    let (windows, stopped) = (progress.windows(), stop.clone());
    let compute = move |item: Item<Decoded>| {
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
            Ok(decoded) => match look(decoded, &predictor, tiling, &mut watch) {
                Err(Error::Stopped) => return None,
                Err(error) => Err(whole_message(&error.into())),
                Ok(looked) => looked.ok_or_else(|| "The model gave no result.".to_owned()),
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

/// None only if the model gives fewer results than it is given photos.
fn look(
    Decoded { photo, prepared }: Decoded,
    predictor: &Predictor,
    tiling: Option<Tiling>,
    watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Option<Looked>, Error> {
    let side = predictor.image_size();
    let (score, map) = match (tiling, prepared) {
        (Some(tiling), None) => {
            let prediction = predictor.predict_tiled(&mut &photo, &tiling, watch)?;
            let map = prediction.map(predictor, MapKind::Blended);
            (prediction.score, resampled(&map, side))
        }
        (_, prepared) => {
            let prepared = prepared.unwrap_or_else(|| predictor.prepare(&photo));
            let Some(prediction) = predictor.predict(&[prepared])?.pop() else {
                return Ok(None);
            };
            (prediction.score, prediction.blended)
        }
    };
    Ok(Some(Looked {
        photo,
        score,
        map,
        side,
    }))
}
