//! What may change about a model while it is served: its thresholds, and the good photos that others are compared
//! with.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use vcp_checkpoint::References;
use vcp_clip::calibration::{CalibrationDocument, CalibrationFileError, CalibrationSource};
use vcp_clip::photos::{Decoding, PhotoPath};
use vcp_clip::references::Remembered;
use vcp_clip::{Error, Inspector, InspectorOptions, ReferenceChoice, Stop};
use vcp_files::{UnfinishedFolder, today};
use vcp_history::Time;

use crate::kept::{Kept, PHOTOS};
use crate::model_thread::Wanted;
use crate::models::ServedModel;
use crate::refusal::{Reason, Refusal};

/// What was chosen; what is `None` is as the server was started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Chosen {
    calibration: Option<Box<CalibrationDocument>>,
    references: Option<Arc<References>>,
}

impl ServedModel {
    fn chosen(&self) -> Chosen {
        let chosen = self.chosen.lock();
        chosen.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this is how photos are inspected.
    fn set(&self, chosen: Chosen, inspector: Inspector) {
        *self.chosen.lock().unwrap_or_else(PoisonError::into_inner) = chosen;
        *self
            .inspector
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(inspector);
    }

    /// An inspector with what was chosen. A calibration that was found with other reference photos is not used, but
    /// neither forgotten.
    fn settled(&self, chosen: &Chosen) -> Result<Inspector, Error> {
        let mut options = self.options().clone();
        if let Some(references) = &chosen.references {
            options.references = ReferenceChoice::Given(Arc::clone(references));
        }
        if let Some(document) = &chosen.calibration {
            options.calibration = Some(CalibrationSource::Document(document.clone()));
        }
        let inspector = self.inspector();
        match inspector.settled_anew(self.model(), &options) {
            Err(Error::Calibration(CalibrationFileError::OtherViewing { .. })) => {
                options.calibration = None;
                inspector.settled_anew(self.model(), &options)
            }
            outcome => outcome,
        }
    }

    /// Takes thresholds, now and after a restart.
    pub(crate) fn accept(
        &self,
        history: &Path,
        document: CalibrationDocument,
    ) -> Result<(), Refusal> {
        let chosen = Chosen {
            calibration: Some(Box::new(document)),
            ..self.chosen()
        };
        let inspector = self.settled(&chosen)?;
        if let Some(document) = &chosen.calibration {
            Kept::of(history, self.name()).keep_calibration(document)?;
        }
        self.set(chosen, inspector);
        Ok(())
    }

    /// Compares photos with those that were gathered, now and after a restart. Ends early when nobody wants it any
    /// more.
    pub(crate) fn compare_with(
        &self,
        kept: &Kept,
        gathered: &UnfinishedFolder,
        wanted: &Wanted,
    ) -> Result<(), Refusal> {
        let files = std::fs::read_dir(gathered.path().join(PHOTOS))?;
        let files = files.map(|entry| Ok(entry?.path()));
        let mut files = files.collect::<std::io::Result<Vec<_>>>()?;
        files.sort();
        let references = self.remembered(files, &|| wanted.is_gone())?;
        let chosen = Chosen {
            references: Some(Arc::new(references)),
            ..self.chosen()
        };
        let inspector = self.settled(&chosen)?;
        let identifier = format!("{:014x}", Time::now().milliseconds());
        kept.keep_references(gathered, &identifier)?;
        self.set(chosen, inspector);
        Ok(())
    }

    /// What the model remembers of good photos.
    fn remembered(
        &self,
        files: Vec<PathBuf>,
        is_gone: &dyn Fn() -> bool,
    ) -> Result<References, Refusal> {
        let without = InspectorOptions {
            calibration: None,
            references: ReferenceChoice::Without,
            ..self.options().clone()
        };
        let inspector = self.inspector().settled_anew(self.model(), &without)?;
        let decoding = Decoding::new(self.options().decode.clone(), |_| {});
        let photos = files.into_iter().map(|path| PhotoPath {
            path,
            relative: PathBuf::new(),
            page: None,
        });
        let photos: Vec<_> = photos.collect();
        let (stop, mut failed) = (Stop::default(), None);
        let mut on_photo = |_: &PhotoPath, outcome: Remembered| {
            if let Remembered::Failed(error) = outcome {
                failed = Some(error);
            }
            if is_gone() {
                stop.request();
            }
        };
        let words = ["photos of the history".to_owned(), today()];
        let references = inspector.remember(
            self.model(),
            &photos,
            &decoding,
            words,
            &stop,
            &mut on_photo,
        );
        if let Some(error) = failed {
            // Its sentence names a file of this machine.
            let mut refusal = Refusal::new(
                Reason::Undecodable,
                "A photo of the history cannot be read any more.",
            );
            refusal.detail = Some(error.sentence());
            return Err(refusal);
        }
        references?.ok_or_else(Refusal::draining)
    }

    /// Compares photos as when the server was started.
    pub(crate) fn compare_as_at_first(&self, kept: &Kept) -> Result<(), Refusal> {
        let chosen = Chosen {
            references: None,
            ..self.chosen()
        };
        let inspector = self.settled(&chosen)?;
        kept.remove_references()?;
        self.set(chosen, inspector);
        Ok(())
    }

    /// Takes up what was chosen before a restart, unless the server was started with something else. Gives what is to be
    /// said of it.
    pub(crate) fn restore(&self, history: &Path) -> Vec<String> {
        let kept = Kept::of(history, self.name());
        let mut notes = Vec::new();
        let name = self.name();
        let mut chosen = Chosen::default();
        if matches!(self.options().references, ReferenceChoice::Stored) {
            let references = kept.references().map_err(Refusal::from).and_then(|files| {
                let remembered = files.map(|files| self.remembered(files, &|| false));
                remembered.transpose()
            });
            match references {
                Ok(references) => chosen.references = references.map(Arc::new),
                Err(refusal) => notes.push(format!(
                    "The model {name} is not compared with the photos that were chosen before: {}",
                    refusal.detail.unwrap_or(refusal.sentence)
                )),
            }
        }
        if self.options().calibration.is_none() {
            match kept.calibration() {
                Ok(document) => chosen.calibration = document.map(Box::new),
                Err(error) => notes.push(format!(
                    "The thresholds that were accepted for the model {name} before cannot be read: {error}."
                )),
            }
        }
        let is_calibrated = chosen.calibration.is_some();
        let inspector = self.settled(&chosen).or_else(|error| {
            notes.push(format!(
                "What was chosen for the model {name} before is not used: {}",
                error.sentence()
            ));
            chosen = Chosen::default();
            self.settled(&chosen)
        });
        if let Ok(inspector) = inspector {
            if is_calibrated && chosen.calibration.is_some() {
                notes.push(format!(
                    "The model {name} has the thresholds that were accepted before."
                ));
            }
            self.set(chosen, inspector);
        }
        notes
    }
}
