//! Decoding, the model and what is done with results, each in its own thread; for everybody who
//! processes many photos.
//!
//! The threads hand photos over without storing any in between, so at most three are in memory,
//! however many there are: one decoded, one in the model, one being written. Order is kept.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::photos::{Found, PhotoPath};

/// How often the model's thread asks whether it should stop while no photo comes.
const PATIENCE: Duration = Duration::from_millis(100);

/// A flag by which work is asked to come to an end. Clones are the same flag.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the work to come to an end.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the work should come to an end.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The same, for work that asks after each of its parts whether to go on.
    pub fn flow(&self) -> ControlFlow<()> {
        if self.is_requested() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// A photo between two threads.
#[derive(Debug)]
pub struct Item<T> {
    /// The photo.
    pub photo: PhotoPath,
    /// What was made of it.
    pub outcome: Result<T, Error>,
    /// Time spent on it, without waiting.
    pub spent: Duration,
}

impl<T> Item<T> {
    /// Begins with a photo that was found: what `decode` makes of it, also when that panics.
    pub fn decoded(found: Found, decode: impl FnOnce(&PhotoPath) -> Result<T, Error>) -> Self {
        let begun = Instant::now();
        let (photo, outcome) = match found {
            Found::Photo(photo) => {
                let outcome = guarded(|| decode(&photo));
                (photo, outcome)
            }
            Found::Unreadable { path, error, .. } => (
                PhotoPath {
                    path,
                    relative: PathBuf::new(),
                    page: None,
                },
                Err(Error::Unreadable(error)),
            ),
        };
        Self {
            photo,
            outcome,
            spent: begun.elapsed(),
        }
    }

    /// Goes on with what `work` makes of it, unless it has failed already.
    pub fn and_then<U>(self, work: impl FnOnce(T) -> Result<U, Error>) -> Item<U> {
        let begun = Instant::now();
        let outcome = self.outcome.and_then(work);
        Item {
            photo: self.photo,
            outcome,
            spent: self.spent + begun.elapsed(),
        }
    }
}

/// Decoding of one file, so that one that trips a decoder does not end the run.
///
/// # Errors
/// Those of `decode`, and [`Error::Decoder`] if it panics.
pub fn guarded<T, E: From<Error>>(decode: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    vcp_panics::caught(decode).unwrap_or_else(|_| Err(Error::Decoder.into()))
}

/// The running threads, and what they have done: an iterator over the results, in order, that waits for each.
#[derive(Debug)]
pub struct Pipeline<Done> {
    finished: Receiver<Done>,
    decoder: JoinHandle<()>,
    model: JoinHandle<()>,
    stop: Stop,
}

impl<Done: Send + 'static> Pipeline<Done> {
    /// Starts to work: each of `inputs` goes through `decode` in one thread, then through `compute`
    /// in another. Neither may panic.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start<Input: 'static, Decoded: Send + 'static>(
        inputs: impl Iterator<Item = Input> + Send + 'static,
        decode: impl Fn(Input) -> Decoded + Send + 'static,
        compute: impl Fn(Decoded) -> Done + Send + 'static,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let (give_decoded, decoded) = sync_channel(0);
        let (give_finished, finished) = sync_channel(0);
        let decoder = {
            let stop = stop.clone();
            spawn("decode", move || {
                for input in inputs {
                    if stop.is_requested() || give_decoded.send(decode(input)).is_err() {
                        return;
                    }
                }
            })?
        };
        let model = {
            let stop = stop.clone();
            spawn("model", move || {
                compute_all(&decoded, &compute, &give_finished, &stop);
            })?
        };
        Ok(Self {
            finished,
            decoder,
            model,
            stop: stop.clone(),
        })
    }

    /// Reports a thread that ended before its time.
    ///
    /// # Errors
    /// [`Error::Internal`] if there was one.
    pub fn finish(self) -> Result<(), Error> {
        drop(self.finished);
        if self.stop.is_requested() {
            // The decoder may be waiting for standard input, and the work ends anyway.
            return Ok(());
        }
        if self.model.join().is_ok() && self.decoder.join().is_ok() {
            Ok(())
        } else {
            Err(Error::Internal)
        }
    }
}

impl<Done> Iterator for Pipeline<Done> {
    type Item = Done;

    /// None when all are done or the work was stopped.
    fn next(&mut self) -> Option<Done> {
        self.finished.recv().ok()
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(Error::Threads)
}

fn compute_all<Decoded, Done>(
    decoded: &Receiver<Decoded>,
    compute: &impl Fn(Decoded) -> Done,
    give: &SyncSender<Done>,
    stop: &Stop,
) {
    loop {
        let item = match decoded.recv_timeout(PATIENCE) {
            _ if stop.is_requested() => return,
            Ok(item) => item,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if give.send(compute(item)).is_err() {
            return;
        }
    }
}
