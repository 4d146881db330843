//! A training from wherever it stands to its end.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Batches, Error, Examples, StepReport, Trainer};

/// So much of a training may be lost, besides the step in hand, to whoever kills it.
const LONGEST: Duration = Duration::from_mins(1);

/// Something that happened in a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A step was made.
    Step(StepReport),
    /// The state is about to be saved: the time to set what it holds besides
    /// ([`Trainer::set_extra`]), and to bring to the disk what it must not be ahead of.
    Save,
    /// So many epochs are done. The state of their end has been saved, and is saved again after this.
    Epoch(usize),
}

/// Trains to the end of the recipe's last epoch, saving the state at the end of every epoch and after
/// every `save_every` steps, or a minute if these take longer (0 for never), so that a run that is killed
/// goes on from there. `watch` is told what happens and may end it; then the state is saved too. Whether
/// the last epoch is done is returned.
///
/// The end of an epoch may take long, when a model is written and validated. A training that is resumed
/// from a state saved before it does not repeat [`Event::Epoch`]: its caller, who knows whether all was
/// done, does what is missing first.
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
    mut watch: impl FnMut(&mut Trainer, Event) -> Result<ControlFlow<()>, E>,
) -> Result<bool, E> {
    let size = trainer.recipe().batch_size;
    let mut batches = Batches::start(examples, size, trainer.position(), threads)?;
    let mut saved = Instant::now();
    while trainer.position().epoch < trainer.recipe().epochs {
        let Some(batch) = batches.next() else {
            return Err(
                Error::Recipe("A thread that prepares batches has died.".to_owned()).into(),
            );
        };
        let report = trainer.step(&batch?)?;
        let mut flow = watch(trainer, Event::Step(report))?;
        let is_epoch = trainer.position().batch == 0;
        let is_due = report.step.is_multiple_of(save_every) || saved.elapsed() >= LONGEST;
        let is_due = save_every > 0 && is_due;
        if is_epoch || is_due || flow.is_break() {
            save(trainer, state, &mut watch)?;
            saved = Instant::now();
        }
        if is_epoch && flow.is_continue() {
            flow = watch(trainer, Event::Epoch(trainer.position().epoch))?;
            save(trainer, state, &mut watch)?;
        }
        if flow.is_break() {
            break;
        }
    }
    Ok(trainer.position().epoch >= trainer.recipe().epochs)
}

fn save<E: From<Error>>(
    trainer: &mut Trainer,
    state: &Path,
    watch: &mut impl FnMut(&mut Trainer, Event) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    // A training that is ended while it is saved has been saved, and ends at its next step.
    let _ = watch(trainer, Event::Save)?;
    trainer.state()?.write(state)?;
    Ok(())
}
