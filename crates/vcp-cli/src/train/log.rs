//! What is said and written down while a training goes on.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vcp_train::log::{ChartOptions, Record, RunLog};
use vcp_train::{StepReport, Trainer, Validation};

use crate::console;

/// How often progress is shown.
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Log {
    written: RunLog,
    /// Whether progress is shown after steps, and lines after epochs.
    shows_steps: bool,
    shows_epochs: bool,
    /// Seconds of training before this process went on with it.
    before: f64,
    began: Instant,
    said: Option<Instant>,
    first: u64,
    images: usize,
    /// Of the steps of this epoch: their losses' sum and their number.
    epoch: (f64, u32),
}

impl Log {
    pub(crate) fn open(folder: &Path, trainer: &Trainer, quiet: bool) -> anyhow::Result<Self> {
        let path: PathBuf = folder.join("metrics.jsonl");
        let written = if path.exists() {
            RunLog::resume(folder, trainer.steps())?
        } else {
            RunLog::create(folder)?
        };
        let before = written.last().map_or(0.0, |record| record.seconds);
        Ok(Self {
            written,
            shows_steps: !quiet && console::is_watched(),
            shows_epochs: !quiet,
            before,
            began: Instant::now(),
            said: None,
            first: trainer.steps(),
            images: 0,
            epoch: (0.0, 0),
        })
    }

    fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    pub(crate) fn step(&mut self, report: &StepReport, trainer: &Trainer) -> anyhow::Result<()> {
        self.images += report.images;
        let elapsed = self.began.elapsed().as_secs_f64();
        let rate = self.images as f64 / elapsed.max(1e-9);
        self.epoch.0 += f64::from(report.loss);
        self.epoch.1 += 1;
        self.written.write(&Record {
            step: report.step,
            epoch: report.position.epoch as u64 + 1,
            seconds: self.seconds(),
            loss: Some(f64::from(report.loss)),
            branch1: Some(f64::from(report.branch1)),
            branch2: Some(f64::from(report.branch2)),
            gradient_norm: Some(f64::from(report.gradient_norm)),
            images_per_second: Some(rate),
            ..Record::default()
        })?;
        if self.shows_steps && self.said.is_none_or(|said| said.elapsed() >= INTERVAL) {
            self.said = Some(Instant::now());
            let steps = report.step - self.first;
            let left = (trainer.all_steps() - report.step) as f64 * elapsed / steps.max(1) as f64;
            console::show(&format!(
                "step {} of {}: loss {:.4} ({:.4} + {:.4}), {rate:.1} images/s, {} left",
                report.step,
                trainer.all_steps(),
                report.loss,
                report.branch1,
                report.branch2,
                indicatif::HumanDuration(Duration::from_secs_f64(left)),
            ));
        }
        Ok(())
    }

    /// The log is never behind a state.
    pub(crate) fn sync(&self) -> anyhow::Result<()> {
        Ok(self.written.sync()?)
    }

    pub(crate) fn epoch(
        &mut self,
        trainer: &Trainer,
        done: usize,
        found: Option<&Validation>,
    ) -> anyhow::Result<()> {
        let (sum, steps) = std::mem::take(&mut self.epoch);
        // Writing to a string cannot fail.
        let mut line = format!("Epoch {done} of {}", trainer.recipe().epochs);
        if steps > 0 {
            let _ = write!(line, ": mean loss {:.4}", sum / f64::from(steps));
        }
        if let Some(found) = found {
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
                epoch: done as u64,
                seconds: self.seconds(),
                validation: known.collect(),
                ..Record::default()
            };
            // It was killed after it had written this, and before the state that knows of it.
            let is_written =
                |last: &Record| last.epoch == record.epoch && last.validation == record.validation;
            if !self.written.last().is_some_and(is_written) {
                self.written.write(&record)?;
            }
            if let Some(blend) = found.blend {
                let percent = 100.0 * blend;
                let _ = write!(line, "; pixel AP on the validation images {percent:.2} %");
            }
        }
        if let Some([branch1, branch2]) = trainer.blend() {
            let _ = write!(
                line,
                "; shares of the branches {branch1:.2} and {branch2:.2}"
            );
        }
        self.written.draw(&ChartOptions::default())?;
        if self.shows_epochs {
            console::tell(&format!("{line}."), self.shows_steps);
        }
        Ok(())
    }
}
