//! A photo's way through the server: decoded on one thread, inspected on the model's, finished on a third.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use vcp_clip::record::Record;
use vcp_clip::{DecisionThresholds, Inspection, Inspector};

use crate::models::ServedModel;
use crate::pictures::File;
use crate::refusal::Refusal;
use crate::state::Shared;

/// What is asked about a photo.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) model: Arc<ServedModel>,
    pub(crate) thresholds: DecisionThresholds,
    pub(crate) min_area: u64,
    /// The files that are to be made of it.
    pub(crate) files: Vec<File>,
}

/// What is known of a photo in the end.
#[derive(Debug)]
pub(crate) struct Inspected {
    pub(crate) record: Record,
    pub(crate) files: Vec<(File, Bytes)>,
}

/// Inspects a photo whose file is in memory.
pub(crate) async fn inspect(
    state: &Shared,
    asked: &Asked,
    name: &str,
    photo: &Bytes,
) -> Result<Inspected, Refusal> {
    let inspector = asked.model.inspector();
    let (inspection, spent) = predict(state, &inspector, name, photo).await?;
    let (asked, name) = (asked.clone(), name.to_owned());
    blocking(move || finish(inspection.adapted(&asked), &asked, name, spent)).await
}

/// A photo that went through the model. While it is there, it counts as one of those that may be decoded.
pub(crate) struct Predicted {
    inspection: Inspection,
    _decoded: tokio::sync::OwnedSemaphorePermit,
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
    state: &Shared,
    inspector: &Arc<Inspector>,
    name: &str,
    photo: &Bytes,
) -> Result<(Predicted, Duration), Refusal> {
    let permit = Arc::clone(&state.decoded).acquire_owned().await;
    let permit = permit.map_err(|_| Refusal::draining())?;
    // The permit goes where the photo goes: what runs on when the client has gone still takes memory.
    let (decoder, name, photo) = (Arc::clone(inspector), name.to_owned(), photo.clone());
    let decode = move || {
        let begun = Instant::now();
        let decoded = decoder.decode_bytes(&photo, &name, decoder.decode_options())?;
        Ok((decoded, permit, begun.elapsed()))
    };
    let (decoded, permit, decoding) = blocking(decode).await?;
    let inspector = Arc::clone(inspector);
    let work = move |wanted: &crate::model_thread::Wanted| {
        let begun = Instant::now();
        let mut watch = |_, _| match wanted.is_gone() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let inspection = inspector.inspect_decoded(decoded, &mut watch);
        (inspection, permit, begun.elapsed())
    };
    let (inspection, permit, predicting) = state.thread.run(work).await?;
    state.queue.took(predicting);
    let predicted = Predicted {
        inspection: inspection?,
        _decoded: permit,
    };
    Ok((predicted, decoding + predicting))
}

fn finish(
    predicted: Predicted,
    asked: &Asked,
    name: String,
    spent: Duration,
) -> Result<Inspected, Refusal> {
    let begun = Instant::now();
    let inspection = predicted.inspection();
    let mut record = inspection.record(name);
    let files = asked.files.iter();
    let files = files.map(|&file| Ok((file, file.of(inspection)?.into())));
    let files = files.collect::<Result<Vec<_>, Refusal>>()?;
    let milliseconds = (spent + begun.elapsed()).as_secs_f64() * 1e3;
    record.milliseconds = (milliseconds * 10.0).round() / 10.0;
    Ok(Inspected { record, files })
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
