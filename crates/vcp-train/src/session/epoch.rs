//! What the end of an epoch, and that of a run, leave behind.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, RangeInclusive};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vcp_checkpoint::{Storing, Weights};

use super::folder::{RunFolder, of_epoch};
use super::progress::{Progress, Watch};
use super::{Outputs, ValidationSet};
use crate::{Error, Event, Trainer, Validation, average, validate};

/// What the state remembers besides the training itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// Epochs whose files have been written.
    pub(super) written: usize,
    /// The best validation so far, and its epoch.
    best: Option<(f64, usize)>,
    /// Whether the run has ended before its last epoch, for want of a better validation.
    pub(super) is_ended: bool,
    /// The branches' weights in the map after each epoch, where they are learned.
    blends: BTreeMap<usize, [f32; 2]>,
}

impl Memory {
    /// What the state that a training was resumed from remembers.
    pub(super) fn of(trainer: &Trainer, state: &Path) -> Result<Self, Error> {
        match trainer.extra() {
            serde_json::Value::Null => Ok(Self::default()),
            extra => serde_json::from_value(extra.clone()).map_err(|error| Error::State {
                path: state.to_owned(),
                problem: format!("it is of another program: {error}"),
            }),
        }
    }

    /// The mean of the branches' weights over epochs, if they are known of all of them.
    fn blend(&self, epochs: &[usize]) -> Option<[f32; 2]> {
        let blends: Option<Vec<_>> = epochs.iter().map(|it| self.blends.get(it)).collect();
        let blends = blends.filter(|blends| !blends.is_empty())?;
        let mean = |branch: usize| {
            let sum: f32 = blends.iter().map(|blend| blend[branch]).sum();
            sum / blends.len() as f32
        };
        Some([mean(0), mean(1)])
    }

    /// The numbers of so many last epochs.
    fn last(&self, count: usize) -> RangeInclusive<usize> {
        self.written.saturating_sub(count - 1).max(1)..=self.written
    }

    /// Whether the run goes on after what has been done.
    fn flow(&self) -> ControlFlow<()> {
        if self.is_ended {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// A run while it trains, without its trainer.
pub(super) struct Running<'a> {
    pub(super) folder: RunFolder,
    pub(super) weights: Weights,
    pub(super) outputs: Outputs,
    pub(super) validation: Option<ValidationSet>,
    pub(super) patience: Option<usize>,
    pub(super) memory: Memory,
    pub(super) progress: Progress,
    pub(super) watch: &'a mut dyn Watch,
}

impl Running<'_> {
    pub(super) fn event(
        &mut self,
        trainer: &mut Trainer,
        event: Event,
    ) -> Result<ControlFlow<()>, Error> {
        let flow = match event {
            Event::Step(report) => {
                let progress = self.progress.step(report, trainer)?;
                self.watch.step(&progress);
                ControlFlow::Continue(())
            }
            Event::Save => {
                self.progress.sync()?;
                ControlFlow::Continue(())
            }
            Event::Epoch(done) => self.epoch(trainer, done)?,
        };
        Ok(if self.watch.stops() {
            ControlFlow::Break(())
        } else {
            flow
        })
    }

    /// Writes what the end of an epoch leaves, if that has not been done. Whether the run goes on.
    pub(super) fn epoch(
        &mut self,
        trainer: &mut Trainer,
        done: usize,
    ) -> Result<ControlFlow<()>, Error> {
        if self.memory.written >= done {
            return Ok(self.memory.flow());
        }
        trainer.write_into(&mut self.weights)?;
        if let Some(blend) = trainer.blend() {
            self.memory.blends.insert(done, blend);
        }
        let mut names = vec![of_epoch(done), "last".to_owned()];
        let found = match &self.validation {
            Some(set) => {
                let Some(found) = validated(set, &self.weights, self.watch)? else {
                    return Ok(ControlFlow::Break(()));
                };
                Some(found)
            }
            None => None,
        };
        if let Some(blend) = found.and_then(|found| found.blend)
            && self.memory.best.is_none_or(|(best, _)| blend > best)
        {
            self.memory.best = Some((blend, done));
            names.push("best".to_owned());
        }
        for name in names {
            let path = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
            match self.outputs {
                Outputs::Checkpoints { .. } => self.weights.write_checkpoint(&path("pth"))?,
                Outputs::Bundles { .. } => self
                    .weights
                    .write_bundle(&path("safetensors"), Storing::F16)?,
            }
        }
        let progress = self.progress.epoch(trainer, done, found)?;
        self.watch.epoch(&progress);
        self.memory.written = done;
        let stale = self.memory.best.map_or(0, |(_, epoch)| done - epoch);
        self.memory.is_ended = self.patience.is_some_and(|patience| stale >= patience);
        let extra = serde_json::to_value(&self.memory);
        trainer.set_extra(extra.map_err(|error| Error::Configuration(error.to_string()))?);
        Ok(self.memory.flow())
    }

    /// Writes what the end of the run leaves.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        match self.outputs {
            Outputs::Checkpoints { averaged } => self.bundle_at_the_end(averaged),
            Outputs::Bundles { averaged } if averaged > 1 => {
                let last: Vec<usize> = self.memory.last(averaged).collect();
                let bundles = self.of_epochs(&last, "safetensors");
                average(&mut self.weights, &bundles)?;
                let path = self.folder.path().join("average.safetensors");
                Ok(self.weights.write_bundle(&path, Storing::F16)?)
            }
            Outputs::Bundles { .. } => Ok(()),
        }
    }

    /// Bundles of the last and the best epoch, and of the average of the last ones.
    fn bundle_at_the_end(&mut self, averaged: usize) -> Result<(), Error> {
        // Thresholds that the model brought were found with other weights.
        self.weights.set_calibration(None)?;
        self.bundle("last", &[self.memory.written])?;
        if let Some((_, best)) = self.memory.best {
            self.bundle("best", &[best])?;
        }
        if averaged > 1 {
            let last: Vec<usize> = self.memory.last(averaged).collect();
            self.bundle("average", &last)?;
        }
        Ok(())
    }

    /// The average of checkpoints as a checkpoint and a bundle.
    fn bundle(&mut self, name: &str, epochs: &[usize]) -> Result<(), Error> {
        let paths = self.of_epochs(epochs, "pth");
        average(&mut self.weights, &paths)?;
        if let Some(blend) = self.memory.blend(epochs) {
            self.weights.set_blend(blend)?;
        }
        let path = |ending: &str| self.folder.path().join(format!("{name}.{ending}"));
        self.weights.write_checkpoint(&path("pth"))?;
        let bundle = path("safetensors");
        Ok(self.weights.write_bundle(&bundle, Storing::AsStored)?)
    }

    fn of_epochs(&self, epochs: &[usize], ending: &str) -> Vec<PathBuf> {
        let names = epochs.iter().map(|&epoch| of_epoch(epoch));
        let paths = names.map(|name| self.folder.path().join(format!("{name}.{ending}")));
        paths.collect()
    }
}

/// What is found on the validation images; nothing if the training is to stop.
fn validated(
    set: &ValidationSet,
    weights: &Weights,
    watch: &mut dyn Watch,
) -> Result<Option<Validation>, Error> {
    let predictor = (set.predictor)(weights)?;
    validate(&predictor, &set.samples, &set.decode, |_| {
        if watch.stops() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
}
