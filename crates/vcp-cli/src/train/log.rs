//! What is said while a training runs.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use vcp_train::session::{EpochProgress, StepProgress, Watch};

use crate::console;
use crate::interrupt::Stop;

/// How often progress is shown.
const INTERVAL: Duration = Duration::from_secs(1);

/// Shows progress after steps, on a terminal, and says a line after every epoch.
pub(super) struct Log {
    shows_steps: bool,
    shows_epochs: bool,
    said: Option<Instant>,
    stop: Stop,
}

impl Log {
    /// From here on, the first signal asks the training to come to an end.
    pub(super) fn on_signals(quiet: bool) -> Self {
        Self {
            shows_steps: !quiet && console::is_watched(),
            shows_epochs: !quiet,
            said: None,
            stop: Stop::on_signals(),
        }
    }
}

impl Watch for Log {
    fn step(&mut self, progress: &StepProgress) {
        if !self.shows_steps || self.said.is_some_and(|said| said.elapsed() < INTERVAL) {
            return;
        }
        self.said = Some(Instant::now());
        let report = &progress.report;
        console::show(&format!(
            "step {} of {}: loss {:.4} ({:.4} + {:.4}), {:.1} images/s, {} left",
            report.step,
            progress.all_steps,
            report.loss,
            report.branch1,
            report.branch2,
            progress.images_per_second,
            indicatif::HumanDuration(progress.left),
        ));
    }

    fn epoch(&mut self, progress: &EpochProgress) {
        if !self.shows_epochs {
            return;
        }
        // Writing to a string cannot fail.
        let mut line = format!("Epoch {} of {}", progress.epoch, progress.all_epochs);
        if let Some(loss) = progress.mean_loss {
            let _ = write!(line, ": mean loss {loss:.4}");
        }
        if let Some(blend) = progress.validation.and_then(|found| found.blend) {
            let percent = 100.0 * blend;
            let _ = write!(line, "; pixel AP on the validation images {percent:.2} %");
        }
        if let Some([branch1, branch2]) = progress.blend {
            let _ = write!(
                line,
                "; weights of the branches {branch1:.2} and {branch2:.2}"
            );
        }
        console::tell(&format!("{line}."), self.shows_steps);
    }

    fn stops(&mut self) -> bool {
        self.stop.is_requested()
    }
}
