//! Batches, prepared ahead.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::{Error, Examples, Position};

/// Examples that make one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Where in the training it stands.
    pub position: Position,
    /// What its images are called.
    pub names: Vec<String>,
    /// [batch, 3, side, side].
    pub pixels: Vec<f32>,
    /// [batch, side, side].
    pub truth: Vec<f32>,
    /// [`Example::key`](crate::Example::key) of each.
    pub keys: Vec<Option<u64>>,
}

/// The batches of a training from some position on, made by threads of their own a few ahead of their
/// use. Which batch has what in it does not depend on the number of threads.
pub struct Batches {
    /// Batch i comes from worker i mod workers.
    workers: Vec<Worker>,
    next: usize,
}

struct Worker {
    batches: Receiver<Result<Batch, Error>>,
    _thread: JoinHandle<()>,
}

/// Batches that a thread prepares before one is taken.
const AHEAD: usize = 2;

impl Batches {
    /// Starts preparing.
    ///
    /// # Errors
    /// When there are no examples, or a thread does not start.
    pub fn start(
        examples: &Arc<dyn Examples>,
        size: usize,
        from: Position,
        threads: usize,
    ) -> Result<Self, Error> {
        let count = examples.count();
        if count == 0 || size == 0 {
            return Err(Error::NoExamples);
        }
        let in_epoch = count.div_ceil(size);
        let threads = threads.max(1);
        let worker = |worker: usize| {
            let examples = Arc::clone(examples);
            let (sender, batches) = sync_channel(AHEAD);
            let make = move || {
                let mut number = from.epoch * in_epoch + from.batch + worker;
                loop {
                    let position = Position {
                        epoch: number / in_epoch,
                        batch: number % in_epoch,
                    };
                    // The receiver is gone when nobody wants more.
                    if sender.send(batch(&*examples, size, position)).is_err() {
                        return;
                    }
                    number += threads;
                }
            };
            let thread = std::thread::Builder::new().name(format!("batches-{worker}"));
            let thread = thread.spawn(make).map_err(|error| {
                Error::Recipe(format!(
                    "A thread that prepares batches does not start: {error}."
                ))
            })?;
            Ok(Worker {
                batches,
                _thread: thread,
            })
        };
        Ok(Self {
            workers: (0..threads).map(worker).collect::<Result<_, Error>>()?,
            next: 0,
        })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, Error>;

    /// The next batch; there is no last one.
    fn next(&mut self) -> Option<Self::Item> {
        let worker = self.next % self.workers.len();
        self.next += 1;
        self.workers[worker].batches.recv().ok()
    }
}

fn batch(examples: &dyn Examples, size: usize, position: Position) -> Result<Batch, Error> {
    let first = position.batch * size;
    let last = first.saturating_add(size).min(examples.count());
    let count = last.saturating_sub(first);
    let mut batch = Batch {
        position,
        names: Vec::with_capacity(count),
        pixels: Vec::new(),
        truth: Vec::new(),
        keys: Vec::with_capacity(count),
    };
    for index in first..last {
        let example = examples.example(position.epoch, index)?;
        batch.names.push(example.name);
        batch.pixels.extend_from_slice(&example.pixels);
        batch.truth.extend_from_slice(&example.truth);
        batch.keys.push(example.key);
    }
    Ok(batch)
}
