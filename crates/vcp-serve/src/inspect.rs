//! A photo's way through the server: decoded on one thread, inspected on the model's, finished and kept on a third.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use vcp_clip::record::Record;
use vcp_clip::{DecisionThresholds, Inspection, Inspector};
use vcp_history::{NewResult, ResultId};

use crate::json::to_json;
use crate::model_thread::Wanted;
use crate::models::ServedModel;
use crate::options::KeptHistory;
use crate::pictures::File;
use crate::refusal::{Reason, Refusal};
use crate::state::State;

/// What is asked about a photo.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) model: Arc<ServedModel>,
    pub(crate) inspector: Arc<Inspector>,
    pub(crate) thresholds: DecisionThresholds,
    pub(crate) min_area: u64,
    /// The files that are to be made of it.
    pub(crate) files: Vec<File>,
    /// How many bytes these may have together, and what is said of more.
    pub(crate) most: Most,
    /// Whether they are kept for who is given links to them, or are in the answer.
    pub(crate) has_links: bool,
    /// Where the photo comes from.
    pub(crate) source: &'static str,
    /// Whether the result is to be kept in the history, if there is one.
    pub(crate) is_kept: bool,
}

/// How much may be made of one photo.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) bytes: usize,
    /// The sentence that refuses more.
    pub(crate) refusal: &'static str,
}

impl Most {
    /// Of a photo of which nothing is made.
    pub(crate) const NOTHING: Self = Self {
        bytes: 0,
        refusal: "No files are made of this photo.",
    };

    fn check(self, bytes: usize) -> Result<(), Refusal> {
        if bytes <= self.bytes {
            return Ok(());
        }
        Err(Refusal::new(Reason::TooLarge, self.refusal))
    }
}

/// A photo as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
}

/// What is known of a photo in the end.
#[derive(Debug)]
pub(crate) struct Inspected {
    pub(crate) record: Record,
    pub(crate) files: Vec<(File, Bytes)>,
    /// What the history calls the result, if it keeps it.
    pub(crate) id: Option<ResultId>,
}

/// How long a photo spent in each stage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    decode: Duration,
    model: Duration,
}

/// Inspects a photo whose file is in memory. If it is to be kept in the history, it is there when `make` is given what is
/// known of it. That runs where it may take long, and while the photo counts as one of those that are decoded: so many
/// answers are made at a time.
pub(crate) async fn inspect<T: Send + 'static>(
    state: &State,
    asked: &Arc<Asked>,
    image: Image,
    make: impl FnOnce(&Inspection, Inspected) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let (predicted, spent) = predict(state, &asked.inspector, &image).await?;
    let (state, asked) = (Arc::clone(state), Arc::clone(asked));
    blocking(move || {
        let predicted = predicted.adapted(&asked);
        let inspected = finish(&state, &predicted, &asked, &image, spent)?;
        make(predicted.inspection(), inspected)
    })
    .await
}

/// A photo that went through the model. While it is there, it counts as one of those that may be decoded.
pub(crate) struct Predicted {
    inspection: Inspection,
    _decoded: OwnedSemaphorePermit,
}

impl Predicted {
    fn adapted(mut self, asked: &Asked) -> Self {
        self.inspection = self
            .inspection
            .with_thresholds(asked.thresholds)
            .with_min_area(asked.min_area);
        self
    }

    pub(crate) fn inspection(&self) -> &Inspection {
        &self.inspection
    }
}

/// Decodes a photo and runs the model; says how long that took, without waiting.
pub(crate) async fn predict(
    state: &State,
    inspector: &Arc<Inspector>,
    image: &Image,
) -> Result<(Predicted, Spent), Refusal> {
    let begun = Instant::now();
    let permit = Arc::clone(&state.decoded).acquire_owned().await;
    let permit = permit.map_err(|_| Refusal::draining())?;
    let mut waited = begun.elapsed();
    // The permit goes where the photo goes: what runs on when the client has gone still takes memory.
    let (decoder, image) = (Arc::clone(inspector), image.clone());
    let decode = move || {
        let begun = Instant::now();
        let options = decoder.decode_options();
        let decoded = decoder.decode_bytes(&image.bytes, &image.name, options)?;
        Ok((decoded, permit, begun.elapsed()))
    };
    let (decoded, permit, decode) = blocking(decode).await?;
    let inspector = Arc::clone(inspector);
    let begun = Instant::now();
    let work = move |wanted: &Wanted| {
        let waited = begun.elapsed();
        let begun = Instant::now();
        let mut watch = |_, _| {
            if wanted.is_gone() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let inspection = inspector.inspect_decoded(decoded, &mut watch);
        (inspection, permit, waited, begun.elapsed())
    };
    let (inspection, permit, again, model) = state.thread.run(work).await?;
    waited += again;
    state.queue.took(model);
    for (stage, time) in [("decode", decode), ("model", model)] {
        state.metrics.stage(stage, time);
    }
    state.metrics.waited(waited);
    let predicted = Predicted {
        inspection: inspection?,
        _decoded: permit,
    };
    Ok((predicted, Spent { decode, model }))
}

/// Makes what was asked for, and keeps it.
fn finish(
    state: &State,
    predicted: &Predicted,
    asked: &Asked,
    image: &Image,
    spent: Spent,
) -> Result<Inspected, Refusal> {
    let begun = Instant::now();
    let inspection = predicted.inspection();
    let mut record = inspection.record(&image.name);
    let files = files(inspection, asked)?;
    let finish = begun.elapsed();
    let milliseconds = (spent.decode + spent.model + finish).as_secs_f64() * 1e3;
    record.milliseconds = (milliseconds * 10.0).round() / 10.0;
    state.metrics.stage("finish", finish);
    let mut id = None;
    if let Some(kept) = state.kept_history()
        && asked.is_kept
    {
        let begun = Instant::now();
        let parts = Parts {
            asked,
            image,
            record: &record,
            overlay: files.iter().find(|(file, _)| *file == File::Overlay),
            stages: &[
                ("decode", spent.decode),
                ("model", spent.model),
                ("finish", finish),
            ],
        };
        id = Some(keep(kept, inspection, &parts)?);
        state.metrics.stage("store", begun.elapsed());
    }
    let (model, score) = (asked.model.name(), record.score);
    state
        .metrics
        .decided(model, asked.source, record.decision, score);
    Ok(Inspected { record, files, id })
}

/// Makes the files that are asked for, unless they are too much.
fn files(inspection: &Inspection, asked: &Asked) -> Result<Vec<(File, Bytes)>, Refusal> {
    let mut bytes = 0;
    let files = asked.files.iter().map(|&file| {
        // Of arrays it is known before.
        asked.most.check(bytes + file.least_bytes(inspection))?;
        let content = file.of(inspection)?;
        bytes += content.len();
        asked.most.check(bytes)?;
        Ok((file, content.into()))
    });
    files.collect()
}

/// What is known of a result that is to be kept.
struct Parts<'a> {
    asked: &'a Asked,
    image: &'a Image,
    record: &'a Record,
    overlay: Option<&'a (File, Bytes)>,
    stages: &'a [(&'a str, Duration)],
}

/// Puts a result into the history.
fn keep(
    kept: &KeptHistory,
    inspection: &Inspection,
    parts: &Parts<'_>,
) -> Result<ResultId, Refusal> {
    let overlay = match parts.overlay {
        Some((_, bytes)) => Some(bytes.clone()),
        None if kept.overlays => Some(File::Overlay.of(inspection)?.into()),
        None => None,
    };
    let map = kept.maps.then(|| inspection.model_map());
    let thumbnail = File::Thumbnail.of(inspection)?;
    Ok(kept.history.add(&NewResult {
        source: parts.asked.source,
        name: &parts.image.name,
        photo: &parts.image.bytes,
        record: &to_json(parts.record),
        model_name: parts.asked.model.name(),
        model_digest: parts.asked.model.digest(),
        overlay: overlay.as_deref(),
        thumbnail: &thumbnail,
        map: map.as_deref().map(|map| (map, inspection.image_size())),
        durations: parts.stages,
        ..NewResult::default()
    })?)
}

/// Runs what takes long, or waits for a disk, on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let outcome = tokio::task::spawn_blocking(move || vcp_panics::caught(work)).await;
    match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(Refusal::internal(format!("A thread failed: {panic}."))),
        Err(error) => Err(Refusal::internal(format!("A thread failed: {error}."))),
    }
}
