//! Good photos that others are compared with: a memory of a few of them, made in seconds, without training.
//! [`vcp_predict::references`] says how photos are compared.

use std::sync::Arc;

use vcp_checkpoint::References;
pub use vcp_predict::references::Copies;
use vcp_predict::references::{MemoryBuilder, MemoryDetails};

use crate::calibration::{Listing, PhotoIdentity, shortened, windows_of};
use crate::error::Error;
use crate::inspector::Inspector;
use crate::model::{Model, ModelError};
use crate::photos::{Decoding, PhotoPath};
use crate::pipeline::Stop;

/// Which good photos others are compared with.
#[derive(Debug, Clone, Default)]
pub enum ReferenceChoice {
    /// Those that are stored with the model, if any.
    #[default]
    Stored,
    /// None.
    Without,
    /// These.
    Given(Arc<References>),
}

impl ReferenceChoice {
    /// The memory, of this model.
    pub(crate) fn of(&self, model: &Model) -> Option<Arc<References>> {
        match self {
            Self::Stored => model.weights().references().cloned().map(Arc::new),
            Self::Without => None,
            Self::Given(references) => Some(Arc::clone(references)),
        }
    }
}

/// What became of a photo that was to be remembered.
#[derive(Debug)]
pub enum Remembered {
    /// It is in the memory.
    Taken,
    /// Its content was there before.
    Copy,
    /// It cannot be used.
    Failed(Error),
}

impl Inspector {
    /// Makes a memory of good photos. `data` says in words what they are, `date` is today as `YYYY-MM-DD`. `on_photo` learns
    /// what became of each photo. None if `stop` was requested before the end.
    ///
    /// # Errors
    /// [`vcp_predict::Error::NoReferences`] when no photo can be used; what is wrong with a single one goes to
    /// `on_photo`.
    pub fn remember(
        &self,
        model: &Model,
        photos: &[PhotoPath],
        decoding: &Decoding,
        [data, date]: [String; 2],
        stop: &Stop,
        on_photo: &mut dyn FnMut(&PhotoPath, Remembered),
    ) -> Result<Option<References>, Error> {
        let predictor = self.predictor();
        // Copies are found before, so that it is known how many photos share the memory.
        let mut listing = Listing::default();
        let mut chosen = Vec::new();
        for photo in photos {
            match PhotoIdentity::of_file(&photo.path, photo.page) {
                Ok(identity) if listing.add(&identity) => chosen.push((photo, identity)),
                Ok(_) => on_photo(photo, Remembered::Copy),
                Err(error) => on_photo(photo, Remembered::Failed(ModelError::from(error).into())),
            }
        }
        let count = chosen.len();
        let mut builder =
            MemoryBuilder::new(predictor.cpu(), model.weights(), count).with_copies(self.copies());
        for (photo, identity) in chosen {
            let outcome = self
                .decode_file(&photo.path, &decoding.of(photo))
                .and_then(|decoded| {
                    let name = identity.content().to_owned();
                    let watch = &mut || stop.flow();
                    Ok(predictor.remember(decoded, name, &mut builder, watch)?)
                });
            match outcome {
                Ok(()) => on_photo(photo, Remembered::Taken),
                Err(Error::Predict(vcp_predict::Error::Stopped)) => return Ok(None),
                Err(error) => on_photo(photo, Remembered::Failed(error)),
            }
            if stop.is_requested() {
                return Ok(None);
            }
        }
        let details = MemoryDetails {
            data: shortened(&data),
            date,
            apply_orientation: self.decode_options().apply_orientation,
            windows: self.tiling().map(windows_of),
            bits: decoding.bits(),
        };
        Ok(Some(builder.finish(predictor.cpu(), details)?))
    }
}
