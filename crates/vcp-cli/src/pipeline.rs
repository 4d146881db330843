//! Decoding, the model and what is done with results, each in its own thread; for every command
//! that looks at many photos.
//!
//! The threads hand photos over without storing any in between, so at most three are in memory,
//! however many there are: one decoded, one in the model, one being written. Order is kept.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use vcp_image::Photo;
use vcp_predict::{Prediction, Predictor, Prepared};

use crate::decoding::Decoding;
use crate::exit::whole_message;
use crate::inputs::{Found, Input};
use crate::interrupt::Stop;

/// How often the model's thread looks whether it should stop while no photo comes.
const PATIENCE: Duration = Duration::from_millis(100);

/// A photo between two threads.
pub(crate) struct Item<T> {
    pub(crate) input: Input,
    pub(crate) outcome: Result<T, String>,
    /// Time spent on it, without waiting.
    pub(crate) spent: Duration,
}

/// A photo and what the model makes of it.
pub(crate) struct Segmented {
    pub(crate) photo: Photo,
    pub(crate) prediction: Prediction,
}

/// The running threads, and what they have done: photos with what the model makes of them, or
/// whatever else [`Pipeline::of`] is told to make.
pub(crate) struct Pipeline<Done = Item<Segmented>> {
    finished: Receiver<Done>,
    decoder: JoinHandle<()>,
    model: JoinHandle<()>,
    stop: Stop,
}

impl Pipeline {
    /// Starts to work. Each photo that `photos` finds, and each place where it found none, gives
    /// one item, in that order.
    pub(crate) fn start(
        predictor: Predictor,
        photos: impl Iterator<Item = Found> + Send + 'static,
        decoding: Decoding,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let predictor = Arc::new(predictor);
        let decode = {
            let predictor = Arc::clone(&predictor);
            move |found| decode_found(found, |input| decode(input, &decoding, &predictor))
        };
        Self::of(photos, decode, move |item| predict(item, &predictor), stop)
    }
}

impl<Done: Send + 'static> Pipeline<Done> {
    /// Starts to work: each of `inputs` goes through `decode` in one thread, then through `compute`
    /// in another. Neither may panic.
    pub(crate) fn of<Input: 'static, Decoded: Send + 'static>(
        inputs: impl Iterator<Item = Input> + Send + 'static,
        decode: impl Fn(Input) -> Decoded + Send + 'static,
        compute: impl Fn(Decoded) -> Done + Send + 'static,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
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

    /// The next photo, in order; none when all are done or the work was stopped.
    pub(crate) fn next(&self) -> Option<Done> {
        self.finished.recv().ok()
    }

    /// Reports a thread that ended before its time.
    pub(crate) fn finish(self) -> anyhow::Result<()> {
        drop(self.finished);
        if self.stop.is_requested() {
            // The decoder may be waiting for standard input, and the process ends anyway.
            return Ok(());
        }
        let ended_well = self.model.join().is_ok() && self.decoder.join().is_ok();
        anyhow::ensure!(
            ended_well,
            "The work ended early by an error in vcp-clip itself."
        );
        Ok(())
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .context("No thread can be started")
}

/// What `decode` makes of a photo that was found.
pub(crate) fn decode_found<T>(
    found: Found,
    decode: impl FnOnce(&Input) -> Result<T, String>,
) -> Item<T> {
    let begun = Instant::now();
    let (input, outcome) = match found {
        Found::Photo(input) => {
            let outcome = guarded(|| decode(&input));
            (input, outcome)
        }
        Found::Unreadable { path, error } => (
            Input {
                path,
                relative: PathBuf::new(),
                page: None,
            },
            Err(error),
        ),
    };
    Item {
        input,
        outcome,
        spent: begun.elapsed(),
    }
}

fn decode(
    input: &Input,
    decoding: &Decoding,
    predictor: &Predictor,
) -> Result<(Photo, Prepared), String> {
    let photo = vcp_image::decode_file(&input.path, &decoding.of(input))
        .map_err(|error| whole_message(&error.into()))?;
    let prepared = predictor.prepare(&photo);
    Ok((photo, prepared))
}

/// Decoding of one file, so that one that trips a decoder does not end the run.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    vcp_panics::caught(decode)
        .unwrap_or_else(|_| Err("The decoder failed by an error of its own.".to_owned()))
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

fn predict(item: Item<(Photo, Prepared)>, predictor: &Predictor) -> Item<Segmented> {
    let begun = Instant::now();
    let outcome = item.outcome.and_then(|(photo, prepared)| {
        let mut predictions = predictor
            .predict(&[prepared])
            .map_err(|error| whole_message(&error.into()))?;
        let prediction = predictions.pop().ok_or("The model gave no result.")?;
        Ok(Segmented { photo, prediction })
    });
    Item {
        input: item.input,
        outcome,
        spent: item.spent + begun.elapsed(),
    }
}
