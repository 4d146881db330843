//! One image: what has to be read, and what the model sees in it.

use std::borrow::Cow;
use std::ops::ControlFlow;

use vcp_dataset::{Label, MaskFinding, MaskSource, Sample};
use vcp_image::{Photo, Warning};
use vcp_predict::references::Comparison;
use vcp_predict::{Logits, PhotoPrediction, Predictor, PreparedPhoto};

use crate::calibrated::Marked;
use crate::error::Error;
use crate::protocol::Protocol;
use crate::truth::Truth;

/// An image and its truth, read from the disk.
#[derive(Clone, Debug)]
pub struct Loaded {
    photo: PreparedPhoto<Photo>,
    truth: Truth,
    findings: Vec<MaskFinding>,
    warnings: Vec<Warning>,
}

impl Loaded {
    /// What there is to say about the mask.
    #[must_use]
    pub fn findings(&self) -> &[MaskFinding] {
        &self.findings
    }
}

/// What is kept of an image: enough to make its maps again.
#[derive(Clone, Debug)]
pub struct Look {
    /// What its maps are made of.
    pub seen: Seen,
    /// Where the defects are.
    pub truth: Truth,
    /// The image score before scaling, 0 to 1.
    pub score: f32,
    /// Smallest and largest value of the map before scaling.
    pub range: [f32; 2],
    /// Pixels at the threshold of the protocol's calibration, if it has one and their truth is known.
    pub marked: Option<Marked>,
    /// What should be known of how the image was read.
    pub warnings: Vec<Warning>,
}

/// What the maps of an image are made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// Logits on the patch grid, of an image that was processed whole.
    Logits(Logits),
    /// The blended map of an image that was processed in windows, from the photo's resolution brought
    /// to the model's image size. The logits of many windows would take more memory.
    Map(Vec<f32>),
}

impl Seen {
    /// The blended map before scaling, [side, side].
    ///
    /// # Errors
    /// When the logits are not all numbers.
    pub fn map(&self, predictor: &Predictor) -> Result<Cow<'_, [f32]>, Error> {
        match self {
            Self::Logits(logits) => Ok(Cow::Owned(predictor.blended_map(logits)?)),
            Self::Map(map) => Ok(Cow::Borrowed(map)),
        }
    }
}

/// Reads an image and its mask and brings both to the model's size: the image as everywhere, the
/// mask as the official code does it. May run on another thread than the model.
///
/// # Errors
/// When the image or its mask cannot be read or do not fit together.
pub fn load(sample: &Sample, predictor: &Predictor, protocol: &Protocol) -> Result<Loaded, Error> {
    let options = protocol.decode_options();
    let photo = sample.load_image(&options)?;
    let mut findings = Vec::new();
    let truth = match (sample.label, &sample.mask) {
        (Label::Normal, _) => Truth::Normal,
        (Label::Anomalous, MaskSource::Unknown) => Truth::Unknown,
        (Label::Anomalous, _) => {
            let mask = sample.read_mask(photo.width(), photo.height(), &options)?;
            findings = mask.findings().to_vec();
            // From its own size: the official code resizes image and mask each by itself.
            Truth::of_mask(mask.photo(), predictor.image_size())
        }
    };
    let warnings = photo.warnings().to_vec();
    let photo = predictor.prepare_photo(photo, protocol.tiling.as_ref())?;
    Ok(Loaded {
        photo,
        truth,
        findings,
        warnings,
    })
}

impl Loaded {
    /// The same, to be compared with good photos.
    #[must_use]
    pub fn compared_with(self, comparison: Option<Comparison>) -> Self {
        Self {
            photo: self.photo.compared_with(comparison),
            ..self
        }
    }

    /// The photo.
    #[must_use]
    pub fn into_photo(self) -> PreparedPhoto<Photo> {
        self.photo
    }
}

/// Asks the model. Where an image is processed in windows, `watch` learns after every few of them how
/// many of how many are done, and may end the work.
///
/// # Errors
/// When the model gives something that is no number, an image makes too many windows, or `watch`
/// breaks off ([`vcp_predict::Error::Stopped`]).
pub fn look(
    loaded: Loaded,
    predictor: &Predictor,
    protocol: &Protocol,
    watch: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Look, Error> {
    let Loaded {
        photo,
        truth,
        warnings,
        ..
    } = loaded;
    let (_, prediction) = predictor.predict_photo(photo, watch)?;
    let score = prediction.score();
    let map = prediction.model_map(predictor);
    let calibration = protocol.calibration.as_ref();
    let marked =
        calibration.and_then(|calibration| Marked::of(&map, &truth, calibration.pixel_threshold));
    let smallest = map.iter().copied().fold(f32::INFINITY, f32::min);
    let largest = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let map = match map {
        Cow::Owned(map) => Some(map),
        Cow::Borrowed(_) => None,
    };
    let seen = match (prediction, map) {
        (PhotoPrediction::Whole { logits, .. }, _) => Seen::Logits(logits),
        (PhotoPrediction::Tiled(_), map) => Seen::Map(map.unwrap_or_default()),
    };
    Ok(Look {
        seen,
        truth,
        score,
        range: [smallest, largest],
        marked,
        warnings,
    })
}
