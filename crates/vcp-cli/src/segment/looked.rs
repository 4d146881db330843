//! Photos that the model has looked at, whole or window by window.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use vcp_image::{MapRows, Photo, PhotoFile, PhotoRows as _, ScaledMap, Warning};
use vcp_predict::tiling::{MapKind, TiledPrediction, Tiling};
use vcp_predict::{Error, Predictor};

use super::options::Options;
use crate::decoding::Decoding;
use crate::exit::whole_message;
use crate::inputs::{Found, Inputs, every_page};
use crate::interrupt::Stop;
use crate::pipeline::{Item, Pipeline, Segmented, decode_found};
use crate::progress::Windows;

/// A photo and what the model makes of it.
pub(super) enum Looked {
    /// Seen whole.
    Whole(Segmented),
    /// Seen in windows.
    Tiled(Box<Tiled>),
}

/// A photo seen in windows, perhaps never in memory whole, and who makes its maps.
pub(super) struct Tiled {
    file: PhotoFile,
    prediction: TiledPrediction,
    predictor: Arc<Predictor>,
}

impl Looked {
    /// Width and height of the photo.
    pub(super) fn size(&self) -> (usize, usize) {
        match self {
            Self::Whole(seen) => (seen.photo.width(), seen.photo.height()),
            Self::Tiled(seen) => (seen.file.width(), seen.file.height()),
        }
    }

    /// What should be known of how the photo was read.
    pub(super) fn warnings(&self) -> &[Warning] {
        match self {
            Self::Whole(seen) => seen.photo.warnings(),
            Self::Tiled(seen) => seen.file.warnings(),
        }
    }

    pub(super) fn score(&self) -> f32 {
        match self {
            Self::Whole(seen) => seen.prediction.score,
            Self::Tiled(seen) => seen.prediction.score,
        }
    }

    /// The largest value of the map.
    pub(super) fn max(&self) -> f32 {
        match self {
            Self::Whole(seen) => seen.prediction.max,
            Self::Tiled(seen) => seen.prediction.max,
        }
    }

    /// The map to look at, at the photo's resolution.
    pub(super) fn map(&self) -> Box<dyn MapRows + '_> {
        match self {
            Self::Whole(Segmented { photo, prediction }) => {
                let (width, height) = (photo.width(), photo.height());
                let (map, side) = (&prediction.blended, prediction.side);
                Box::new(ScaledMap::new(map, side, width, height))
            }
            Self::Tiled(seen) => Box::new(seen.map(MapKind::Blended)),
        }
    }

    /// The photo itself.
    pub(super) fn photo(&self) -> anyhow::Result<Cow<'_, Photo>> {
        match self {
            Self::Whole(seen) => Ok(Cow::Borrowed(&seen.photo)),
            Self::Tiled(seen) => Ok(seen.file.whole()?),
        }
    }
}

impl Tiled {
    /// A map at the photo's resolution.
    pub(super) fn map(&self, kind: MapKind) -> impl MapRows {
        self.prediction.map(&self.predictor, kind)
    }
}

/// Photos on their way through the model.
pub(super) enum Looking {
    Whole(Pipeline),
    /// Without a photo that was broken off.
    Tiled(Pipeline<Option<Item<Looked>>>),
}

impl Looking {
    pub(super) fn start(
        predictor: Predictor,
        inputs: Inputs,
        options: &Options,
        windows: Windows,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let decoding = Decoding::new(options.decode.clone(), options.quiet);
        let photos: Box<dyn Iterator<Item = Found> + Send> = if options.every_page {
            Box::new(every_page(inputs))
        } else {
            Box::new(inputs)
        };
        match options.tiling {
            None => Pipeline::start(predictor, photos, decoding, stop).map(Self::Whole),
            Some(tiling) => {
                tiled(predictor, photos, decoding, tiling, windows, stop).map(Self::Tiled)
            }
        }
    }

    /// The next photo, in order; none when all are done or the work was stopped.
    pub(super) fn next(&self) -> Option<Item<Looked>> {
        match self {
            Self::Whole(pipeline) => pipeline.next().map(|item| Item {
                input: item.input,
                outcome: item.outcome.map(Looked::Whole),
                spent: item.spent,
            }),
            Self::Tiled(pipeline) => pipeline.next().flatten(),
        }
    }

    /// Reports a thread that ended before its time.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Whole(pipeline) => pipeline.finish(),
            Self::Tiled(pipeline) => pipeline.finish(),
        }
    }
}

/// Files are opened in one thread and looked at in another, which reads on where they are not
/// decoded whole.
fn tiled(
    predictor: Predictor,
    photos: Box<dyn Iterator<Item = Found> + Send>,
    decoding: Decoding,
    tiling: Tiling,
    windows: Windows,
    stop: &Stop,
) -> anyhow::Result<Pipeline<Option<Item<Looked>>>> {
    let predictor = Arc::new(predictor);
    let open = move |found| {
        decode_found(found, |input| {
            PhotoFile::open(&input.path, &decoding.of(input))
                .map_err(|error| whole_message(&error.into()))
        })
    };
    let look = {
        let stop = stop.clone();
        move |item: Item<PhotoFile>| {
            let begun = Instant::now();
            // A photo may take hours: it is not finished when the user has had enough.
            let mut watch = |done, all| {
                windows.show(done, all);
                if stop.is_requested() {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            let outcome = match item.outcome {
                Err(message) => Err(message),
                Ok(mut file) => match predictor.predict_tiled(&mut file, &tiling, &mut watch) {
                    Err(Error::Stopped) => return None,
                    Err(error) => Err(whole_message(&error.into())),
                    Ok(prediction) => Ok(Looked::Tiled(Box::new(Tiled {
                        file,
                        prediction,
                        predictor: Arc::clone(&predictor),
                    }))),
                },
            };
            Some(Item {
                input: item.input,
                outcome,
                spent: item.spent + begun.elapsed(),
            })
        }
    };
    Pipeline::of(photos, open, look, stop)
}
