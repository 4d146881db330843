//! One image: what has to be read, and what the model sees in it.

use vcp_dataset::{Label, MaskSource, Sample};
use vcp_predict::{Logits, Predictor, Prepared};

use crate::calibrated::Marked;
use crate::error::Error;
use crate::protocol::Protocol;
use crate::truth::Truth;

/// An image and its truth, read from the disk.
#[derive(Clone, Debug)]
pub struct Loaded {
    prepared: Prepared,
    truth: Truth,
}

/// What is kept of an image: enough to make its maps again.
#[derive(Clone, Debug)]
pub struct Look {
    /// On the patch grid.
    pub logits: Logits,
    /// Where the defects are.
    pub truth: Truth,
    /// The image score before scaling, 0 to 1.
    pub score: f32,
    /// Smallest and largest value of the map before scaling.
    pub range: [f32; 2],
    /// Pixels at the threshold of the protocol's calibration, if it has one and their truth is known.
    pub marked: Option<Marked>,
}

/// Reads an image and its mask and brings both to the model's size: the image as everywhere, the
/// mask as the official code does it. May run on another thread than the model.
///
/// # Errors
/// When the image or its mask cannot be read or do not fit together.
pub fn load(sample: &Sample, predictor: &Predictor, protocol: &Protocol) -> Result<Loaded, Error> {
    let options = protocol.decode_options();
    let photo = sample.load_image(&options)?;
    let truth = match (sample.label, &sample.mask) {
        (Label::Normal, _) => Truth::Normal,
        (Label::Anomalous, MaskSource::Unknown) => Truth::Unknown,
        (Label::Anomalous, _) => {
            let mask = sample.load_mask(photo.width(), photo.height(), &options)?;
            Truth::of_mask(&mask, predictor.image_size())
        }
    };
    Ok(Loaded {
        prepared: predictor.prepare(&photo),
        truth,
    })
}

/// Asks the model.
///
/// # Errors
/// When the model gives something that is no number.
pub fn look(loaded: Loaded, predictor: &Predictor, protocol: &Protocol) -> Result<Look, Error> {
    let Loaded { prepared, truth } = loaded;
    let mut logits = predictor.logits(&[prepared])?;
    // One image in, one out.
    let logits = logits.pop().unwrap_or(Logits {
        branch1: Vec::new(),
        branch2: Vec::new(),
    });
    let prediction = predictor.finish(&logits)?;
    let smallest = prediction
        .blended
        .iter()
        .copied()
        .fold(f32::INFINITY, f32::min);
    let calibration = protocol.calibration.as_ref();
    Ok(Look {
        marked: calibration.and_then(|calibration| {
            Marked::of(&prediction.blended, &truth, calibration.pixel_threshold)
        }),
        logits,
        truth,
        score: prediction.score,
        range: [smallest, prediction.max],
    })
}
