//! A training in its folder: from wherever it stands to its end, with all that it leaves behind.
//!
//! A [`Session`] writes config.toml (its [`Configuration`]), after every epoch a model (`epoch-001`, …, the
//! last one also as `last`, the best one as `best`), the logs of [`RunLog`](crate::log::RunLog), and
//! state.safetensors, from which it resumes when it was killed. One that resumes makes the same steps and
//! leaves the same files as one that was never interrupted.

mod configuration;
mod epoch;
mod folder;
mod progress;

use std::io::Write as _;
use std::sync::Arc;

use vcp_checkpoint::Weights;
use vcp_dataset::Sample;
use vcp_files::Durability;
use vcp_image::DecodeOptions;
use vcp_predict::Predictor;

pub use configuration::{Configuration, DataSource};
pub use folder::RunFolder;
pub use progress::{EpochProgress, StepProgress, Watch};

use crate::{Error, Examples, State, Trainer, run};
use epoch::{Memory, Running};
use folder::{CONFIGURATION, STATE};
use progress::Progress;

/// What a run is made of.
pub struct Session {
    /// Where it writes.
    pub folder: RunFolder,
    /// The training at its start.
    pub trainer: Trainer,
    /// What is trained on.
    pub examples: Arc<dyn Examples>,
    /// The model at the start; later it takes what has been trained.
    pub weights: Weights,
    /// All that the run depends on.
    pub configuration: Configuration,
    /// What every epoch leaves behind.
    pub outputs: Outputs,
    /// What epochs are judged by, if by anything.
    pub validation: Option<ValidationSet>,
    /// Epochs without a better validation after which the run ends.
    pub patience: Option<usize>,
    /// Steps after which the state is saved, besides every epoch and minute; 0 for never.
    pub save_every: u64,
    /// Threads that prepare examples.
    pub workers: usize,
}

/// What every epoch leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// The learned part in the official layout; bundles of the best and the last epoch, and of the
    /// average of the `averaged` last ones if they are several, when the run ends: they hold all of CLIP.
    Checkpoints {
        /// Epochs in the average.
        averaged: usize,
    },
    /// A bundle, since the whole model is trained. And one of the average of the `averaged` last ones, if
    /// they are several, when the run ends.
    Bundles {
        /// Epochs in the average.
        averaged: usize,
    },
}

/// Makes a predictor of the weights in training, on the device of the caller's choice.
pub type MakePredictor = dyn Fn(&Weights) -> Result<Predictor, vcp_predict::Error>;

/// Images by which epochs are judged.
pub struct ValidationSet {
    /// The images, each with its category.
    pub samples: Vec<(String, Sample)>,
    /// How they are decoded.
    pub decode: DecodeOptions,
    /// Makes what judges them.
    pub predictor: Box<MakePredictor>,
}

/// How a run came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything is done, also what the end of a run leaves behind.
    Complete,
    /// [`Watch::stops`] said so. The same session resumes it.
    Stopped,
}

impl Session {
    /// Resumes the run from where it stands in its folder, or begins it.
    ///
    /// # Errors
    /// [`Error::OtherRun`] if the run in the folder was begun with another configuration and
    /// [`Error::Resume`] if its state is of another training; [`Error::Read`] and [`Error::State`] if its
    /// files cannot be read; and whatever a step, a validation or writing a file gives.
    pub fn run(mut self, watch: &mut dyn Watch) -> Result<End, Error> {
        self.settle_configuration()?;
        let state = self.folder.path().join(STATE);
        if state.exists() {
            let found = State::read(&state)?;
            let resumed = self.trainer.resume(found);
            resumed.map_err(|error| Error::Resume(Box::new(error)))?;
        }
        let memory = Memory::of(&self.trainer, &state)?;
        let progress = Progress::open(self.folder.path(), &self.trainer)?;
        let Self {
            mut trainer,
            examples,
            save_every,
            workers,
            ..
        } = self;
        let mut running = Running {
            folder: self.folder,
            weights: self.weights,
            outputs: self.outputs,
            validation: self.validation,
            patience: self.patience,
            memory,
            progress,
            watch,
        };
        let done = trainer.position().epoch;
        let mut goes_on = true;
        if trainer.position().batch == 0 && done > 0 {
            // It may have been killed while it wrote what an epoch leaves.
            goes_on = running.epoch(&mut trainer, done)?.is_continue();
            trainer.state()?.write(&state)?;
        }
        if goes_on {
            let watch = |trainer: &mut Trainer, event| running.event(trainer, event);
            run(&mut trainer, &examples, &state, save_every, workers, watch)?;
        }
        // An epoch whose files are missing is not over, even if its last step has been made.
        let is_complete = running.memory.written >= trainer.recipe().epochs;
        if !(is_complete || running.memory.is_ended) {
            return Ok(End::Stopped);
        }
        running.end()?;
        Ok(End::Complete)
    }

    /// Writes down what the run depends on, or compares it with what was written down when it began.
    fn settle_configuration(&self) -> Result<(), Error> {
        let folder = self.folder.path();
        let path = folder.join(CONFIGURATION);
        if folder.join(STATE).exists() {
            let unreadable = |problem: String| Error::Read {
                path: path.clone(),
                problem,
            };
            let before = std::fs::read_to_string(&path);
            let before = before.map_err(|error| unreadable(error.to_string()))?;
            let differing = self.configuration.differing(&before);
            let differing = differing.map_err(|error| unreadable(error.to_string()))?;
            if !differing.is_empty() {
                return Err(Error::OtherRun {
                    folder: folder.to_owned(),
                    differing,
                });
            }
            return Ok(());
        }
        let text = self.configuration.text()?;
        vcp_files::write(&path, Durability::Fast, |file| {
            file.write_all(text.as_bytes())
        })
        .map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })
    }
}
