//! A training from wherever it stands to its end.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use crate::{Batches, Error, Examples, StepReport, Trainer};

/// Something that happened in a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A step was made.
    Step(StepReport),
    /// So many epochs are done; the state has not been saved yet.
    Epoch(usize),
}

/// Trains to the end of the recipe's last epoch, saving the state at the end of every epoch and after
/// every `save_every` steps, so that a run that is killed goes on from there. `watch` is told what
/// happens and may end it; then the state is saved too. Whether the training is complete is returned.
///
/// `threads` prepare batches.
///
/// # Errors
/// What a step, an example or writing the state gives, and what `watch` gives.
pub fn run<E: From<Error>>(
    trainer: &mut Trainer,
    examples: &Arc<dyn Examples>,
    state: &Path,
    save_every: u64,
    threads: usize,
    mut watch: impl FnMut(&Trainer, Event) -> Result<ControlFlow<()>, E>,
) -> Result<bool, E> {
    let size = trainer.recipe().batch_size;
    let mut batches = Batches::start(examples, size, trainer.position(), threads)?;
    let mut saved = trainer.position();
    while trainer.position().epoch < trainer.recipe().epochs {
        let Some(batch) = batches.next() else {
            return Err(
                Error::Recipe("A thread that prepares batches has died.".to_owned()).into(),
            );
        };
        let report = trainer.step(&batch?)?;
        let mut flow = watch(trainer, Event::Step(report))?;
        let is_epoch = trainer.position().batch == 0;
        if is_epoch {
            let end = watch(trainer, Event::Epoch(trainer.position().epoch))?;
            flow = if flow.is_break() { flow } else { end };
        }
        let is_due = save_every > 0 && report.step.is_multiple_of(save_every);
        if is_epoch || is_due || flow.is_break() {
            trainer.state().write(state)?;
            saved = trainer.position();
        }
        if flow.is_break() {
            break;
        }
    }
    debug_assert_eq!(saved, trainer.position(), "nothing is lost");
    Ok(trainer.position().epoch >= trainer.recipe().epochs)
}
