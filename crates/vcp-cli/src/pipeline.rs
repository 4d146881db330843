//! Decoding, the model and what is done with results, each in its own thread; for every command
//! that looks at many photos.
//!
//! The threads hand photos over without storing any in between, so at most three are in memory,
//! however many there are: one decoded, one in the model, one being written. Order is kept.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use vcp_image::{DecodeOptions, Photo};
use vcp_predict::{Prediction, Predictor, Prepared};

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

/// The running threads; an iterator over what they have done.
pub(crate) struct Pipeline {
    finished: Receiver<Item<Segmented>>,
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
        decode: DecodeOptions,
        stop: &Stop,
    ) -> anyhow::Result<Self> {
        let predictor = Arc::new(predictor);
        let (give_decoded, decoded) = sync_channel(0);
        let (give_finished, finished) = sync_channel(0);
        let decoder = {
            let (predictor, stop) = (Arc::clone(&predictor), stop.clone());
            spawn("decode", move || {
                decode_all(photos, &decode, &predictor, &give_decoded, &stop);
            })?
        };
        let model = {
            let stop = stop.clone();
            spawn("model", move || {
                predict_all(&predictor, &decoded, &give_finished, &stop);
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
    pub(crate) fn next(&self) -> Option<Item<Segmented>> {
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

fn decode_all(
    photos: impl Iterator<Item = Found>,
    options: &DecodeOptions,
    predictor: &Predictor,
    give: &SyncSender<Item<(Photo, Prepared)>>,
    stop: &Stop,
) {
    for found in photos {
        if stop.is_requested() {
            return;
        }
        let begun = Instant::now();
        let (input, outcome) = match found {
            Found::Photo(input) => {
                let outcome = decode(&input, options, predictor);
                (input, outcome)
            }
            Found::Unreadable { path, error } => (
                Input {
                    path,
                    relative: PathBuf::new(),
                },
                Err(error),
            ),
        };
        if give
            .send(Item {
                input,
                outcome,
                spent: begun.elapsed(),
            })
            .is_err()
        {
            return;
        }
    }
}

fn decode(
    input: &Input,
    options: &DecodeOptions,
    predictor: &Predictor,
) -> Result<(Photo, Prepared), String> {
    // One file that trips a decoder must not end the run.
    catch_unwind(AssertUnwindSafe(|| {
        let photo = vcp_image::decode_file(&input.path, options)
            .map_err(|error| whole_message(&error.into()))?;
        let prepared = predictor.prepare(&photo);
        Ok((photo, prepared))
    }))
    .unwrap_or_else(|_| Err("The decoder failed by an error of its own.".to_owned()))
}

fn predict_all(
    predictor: &Predictor,
    decoded: &Receiver<Item<(Photo, Prepared)>>,
    give: &SyncSender<Item<Segmented>>,
    stop: &Stop,
) {
    loop {
        let item = match decoded.recv_timeout(PATIENCE) {
            _ if stop.is_requested() => return,
            Ok(item) => item,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let begun = Instant::now();
        let outcome = item.outcome.and_then(|(photo, prepared)| {
            let mut predictions = predictor
                .predict(&[prepared])
                .map_err(|error| whole_message(&error.into()))?;
            let prediction = predictions.pop().ok_or("The model gave no result.")?;
            Ok(Segmented { photo, prediction })
        });
        let spent = item.spent + begun.elapsed();
        if give
            .send(Item {
                input: item.input,
                outcome,
                spent,
            })
            .is_err()
        {
            return;
        }
    }
}
