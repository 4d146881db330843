//! What is told and written down while a training runs.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::log::{ChartOptions, Record, RunLog};
use crate::{Error, StepReport, Trainer, Validation};

/// Whoever follows a training. Every method may be left as it is.
pub trait Watch {
    /// Told after every step.
    fn step(&mut self, progress: &StepProgress) {
        let _ = progress;
    }

    /// Told after every epoch, when its models have been written.
    fn epoch(&mut self, progress: &EpochProgress) {
        let _ = progress;
    }

    /// Asked after every step, and before every image of a validation, whether the training is to stop. It
    /// can be resumed then.
    fn stops(&mut self) -> bool {
        false
    }
}

/// Nobody who follows a training: it runs to its end.
impl Watch for () {}

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepProgress {
    /// The step that was made.
    pub report: StepReport,
    /// Steps of the whole training.
    pub all_steps: u64,
    /// Images a second, since the training was begun or resumed.
    pub images_per_second: f64,
    /// How long all further steps will take if they take as long.
    pub left: Duration,
}

/// An epoch that is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochProgress {
    /// The epoch's number, counted from 1.
    pub epoch: usize,
    /// Epochs of the whole training.
    pub all_epochs: usize,
    /// Mean loss of the epoch's steps; `None` if the training was resumed behind its last step.
    pub mean_loss: Option<f64>,
    /// What was found on the validation images, if there are any.
    pub validation: Option<Validation>,
    /// Weights of the branches in the map, where they are learned.
    pub blend: Option<[f32; 2]>,
}

/// The logs of a run, and what is counted for them.
pub(super) struct Progress {
    log: RunLog,
    /// Seconds of training before this process resumed it.
    before: f64,
    began: Instant,
    first: u64,
    images: usize,
    /// Sum of the losses of the steps of this epoch, and their number.
    epoch: (f64, u32),
}

impl Progress {
    pub(super) fn open(folder: &Path, trainer: &Trainer) -> Result<Self, Error> {
        let log = if folder.join(RunLog::METRICS).exists() {
            RunLog::resume(folder, trainer.steps())?
        } else {
            RunLog::create(folder)?
        };
        Ok(Self {
            before: log.last().map_or(0.0, |record| record.seconds),
            log,
            began: Instant::now(),
            first: trainer.steps(),
            images: 0,
            epoch: (0.0, 0),
        })
    }

    fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    pub(super) fn step(
        &mut self,
        report: StepReport,
        trainer: &Trainer,
    ) -> Result<StepProgress, Error> {
        self.images += report.images;
        let elapsed = self.began.elapsed().as_secs_f64();
        let images_per_second = self.images as f64 / elapsed.max(1e-9);
        self.epoch.0 += f64::from(report.loss);
        self.epoch.1 += 1;
        self.log.write(&Record {
            step: report.step,
            epoch: report.position.epoch as u64 + 1,
            seconds: self.seconds(),
            loss: Some(f64::from(report.loss)),
            branch1: Some(f64::from(report.branch1)),
            branch2: Some(f64::from(report.branch2)),
            gradient_norm: Some(f64::from(report.gradient_norm)),
            images_per_second: Some(images_per_second),
            ..Record::default()
        })?;
        let all_steps = trainer.all_steps();
        let steps = report.step - self.first;
        let left = all_steps.saturating_sub(report.step) as f64 * elapsed / steps.max(1) as f64;
        Ok(StepProgress {
            report,
            all_steps,
            images_per_second,
            left: Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX),
        })
    }

    /// The log is never behind a state.
    pub(super) fn sync(&self) -> Result<(), Error> {
        Ok(self.log.sync()?)
    }

    pub(super) fn epoch(
        &mut self,
        trainer: &Trainer,
        epoch: usize,
        validation: Option<Validation>,
    ) -> Result<EpochProgress, Error> {
        let (sum, steps) = std::mem::take(&mut self.epoch);
        if let Some(found) = validation {
            let figures = [
                ("pixel_ap_branch1", found.branch1),
                ("pixel_ap_branch2", found.branch2),
                ("pixel_ap", found.blend),
                ("image_auroc", found.image_auroc),
            ];
            let known = figures
                .into_iter()
                .filter_map(|(name, figure)| Some((name.to_owned(), figure?)));
            let record = Record {
                step: trainer.steps(),
                epoch: epoch as u64,
                seconds: self.seconds(),
                validation: known.collect(),
                ..Record::default()
            };
            // It was killed after it had written this, and before the state that knows of it.
            let is_written =
                |last: &Record| last.epoch == record.epoch && last.validation == record.validation;
            if !self.log.last().is_some_and(is_written) {
                self.log.write(&record)?;
            }
        }
        self.log.draw(&ChartOptions::default())?;
        Ok(EpochProgress {
            epoch,
            all_epochs: trainer.recipe().epochs,
            mean_loss: (steps > 0).then(|| sum / f64::from(steps)),
            validation,
            blend: trainer.blend(),
        })
    }
}
