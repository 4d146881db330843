//! `POST /v1/calibrations`: thresholds from photos that people have judged, and taking them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State as Extract};
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vcp_clip::calibration::{
    Aim, CalibrationDocument, FitOptions, Label, Measurements, PhotoIdentity, Viewing,
};
use vcp_clip::{Error, Inspector};
use vcp_files::today;
use vcp_history::{Entry, FileKind, Filter, History, Time, Verdict, VerdictFilter};

use crate::address::Path;
use crate::events::Event;
use crate::inspect::{Image, blocking, predict};
use crate::json::{json_response, read_json};
use crate::models::ServedModel;
use crate::refusal::{Reason, Refusal};
use crate::state::State;

/// Most photos of a kind that are taken, the newest.
const MOST_PHOTOS: usize = 500;

/// Calibrations that wait to be taken.
const MOST_PROPOSALS: usize = 16;

/// On which photos thresholds are to be found.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CalibrationRequest {
    /// The model; the default one where it is not given.
    model: Option<String>,
    /// Photos inspected at this time or later: RFC 3339.
    #[schemars(with = "Option<String>")]
    after: Option<Time>,
    /// Photos inspected earlier than this.
    #[schemars(with = "Option<String>")]
    before: Option<Time>,
}

/// Thresholds that were found and are not used yet.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Calibration")]
pub(crate) struct Proposal {
    /// By which they are accepted.
    id: String,
    /// A photo with at least this score has a defect.
    score_threshold: f32,
    /// A pixel with at least this value belongs to a defect.
    pixel_threshold: f32,
    /// A photo with at least this score and less than `score_threshold` is to be reviewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    review_threshold: Option<f32>,
    /// Good photos that were used.
    good: usize,
    /// Photos with defects that were used.
    defects: usize,
    /// What is known about the thresholds.
    sentences: Vec<String>,
}

/// Calibrations that wait to be taken, the model of each with it.
#[derive(Debug, Default)]
pub(crate) struct Proposals {
    waiting: Mutex<BTreeMap<String, (Arc<ServedModel>, CalibrationDocument)>>,
    /// Held while one is found.
    working: tokio::sync::Mutex<()>,
}

impl Proposals {
    fn keep(&self, id: String, model: Arc<ServedModel>, document: CalibrationDocument) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert(id, (model, document));
        while waiting.len() > MOST_PROPOSALS {
            // Identifiers are in the order of time.
            waiting.pop_first();
        }
    }

    fn get(&self, id: &str) -> Option<(Arc<ServedModel>, CalibrationDocument)> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(id).cloned()
    }
}

/// `POST /v1/calibrations`
pub(crate) async fn propose(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, Refusal> {
    let history = state.history()?.clone();
    let (parts, body) = request.into_parts();
    let asked: CalibrationRequest = read_json(&state, &parts.headers, body).await?;
    let model = Arc::clone(state.ready()?.models.named(asked.model.as_deref())?);
    let Ok(_working) = state.proposals.working.try_lock() else {
        return Err(Refusal {
            retry_after: Some(10),
            ..Refusal::new(
                Reason::QueueFull,
                "Thresholds are being found already; try again when that is done.",
            )
        });
    };
    let photos = judged(&history, &model, &asked).await?;
    let mut inspector = (*model.inspector()).clone();
    if inspector.references().is_some() {
        // Photos that others are compared with are not compared with themselves.
        inspector = inspector.leaving_out_own();
    }
    let inspector = Arc::new(inspector);
    let aim = if photos
        .iter()
        .any(|(_, verdict)| *verdict == Verdict::Defect)
    {
        Aim::F1
    } else {
        Aim::FalseAlarms
    };
    let options = FitOptions {
        aim,
        ..FitOptions::default()
    };
    let mut found = Measurements::new(options, false).map_err(Error::from)?;
    for (entry, verdict) in photos {
        // One after the other, each in the queue as if it had been sent.
        let _place = state.queue.wait().await?;
        if state.is_draining() {
            return Err(Refusal::draining());
        }
        found = measured(&state, &history, &inspector, found, entry, verdict).await?;
    }
    let (proposal, document) = {
        let (state, model) = (Arc::clone(&state), Arc::clone(&model));
        blocking(move || fitted(&state, &model, &inspector, &found)).await?
    };
    state.proposals.keep(proposal.id.clone(), model, document);
    Ok(json_response(StatusCode::OK, &proposal))
}

/// Photos of the model that were judged and are kept, the newest of each kind.
async fn judged(
    history: &History,
    model: &ServedModel,
    asked: &CalibrationRequest,
) -> Result<Vec<(Entry, Verdict)>, Refusal> {
    let mut photos = Vec::new();
    for verdict in [Verdict::Good, Verdict::Defect] {
        let filter = Filter {
            after: asked.after,
            before: asked.before,
            verdict: Some(VerdictFilter::Is(verdict)),
            model: Some(model.name().to_owned()),
            ..Filter::default()
        };
        let history = history.clone();
        let page = blocking(move || Ok(history.list(&filter, None, MOST_PHOTOS)?)).await?;
        let kept = page.results.into_iter().filter(|entry| entry.has.photo);
        photos.extend(kept.map(|entry| (entry, verdict)));
    }
    Ok(photos)
}

/// Takes a photo in. One that cannot be inspected any more is counted.
async fn measured(
    state: &State,
    history: &History,
    inspector: &Arc<Inspector>,
    mut found: Measurements,
    entry: Entry,
    verdict: Verdict,
) -> Result<Measurements, Refusal> {
    let (history, id) = (history.clone(), entry.id.clone());
    let read = blocking(move || {
        let path = history.file(&id, FileKind::Photo)?;
        Ok(path.and_then(|path| std::fs::read(path).ok()))
    });
    let Some(photo) = read.await? else {
        found.count_failure();
        return Ok(found);
    };
    let image = Image {
        name: entry.name,
        bytes: photo.into(),
    };
    let predicted = match predict(state, inspector, &image).await {
        Ok((predicted, _)) => predicted,
        Err(refusal) if refusal.reason == Reason::Draining => return Err(refusal),
        Err(_) => {
            found.count_failure();
            return Ok(found);
        }
    };
    blocking(move || {
        let label = match verdict {
            Verdict::Defect => Label::Anomalous { mask: None },
            _ => Label::Normal,
        };
        let identity = PhotoIdentity::of_bytes(&image.bytes, &image.name, None);
        if found
            .add(&identity, predicted.inspection(), &label)
            .is_err()
        {
            found.count_failure();
        }
        Ok(found)
    })
    .await
}

fn fitted(
    state: &State,
    model: &ServedModel,
    inspector: &Inspector,
    found: &Measurements,
) -> Result<(Proposal, CalibrationDocument), Refusal> {
    let thresholds = found.fit().map_err(|error| {
        let sentence = Error::from(error).sentence();
        Refusal::new(
            Reason::Undecodable,
            format!(
                "{} photos were judged good and {} to have a defect: {sentence}",
                found.normal(),
                found.anomalous()
            ),
        )
    })?;
    let viewing = Viewing {
        references: inspector.references_digest().map(str::to_owned),
        ..model.options().viewing()
    };
    let bits = model.options().decode.bits;
    let bits = match bits {
        vcp_image::Bits::Fixed(depth) | vcp_image::Bits::Settled(depth) => Some(depth.bits()),
        vcp_image::Bits::Auto => None,
    };
    let words = "photos judged in the history";
    let calibration = found.calibration(&thresholds, words, &viewing, bits, today());
    let document = CalibrationDocument::new(calibration, &thresholds, found, model.weights());
    let proposal = Proposal {
        id: state.recent.identifier(),
        score_threshold: thresholds.score.value,
        pixel_threshold: thresholds.pixel.value,
        review_threshold: thresholds.review.map(|review| review.value),
        good: found.normal(),
        defects: found.anomalous(),
        sentences: thresholds.sentences(found),
    };
    Ok((proposal, document))
}

/// `POST /v1/calibrations/{id}/accept`
pub(crate) async fn accept(
    Extract(state): Extract<State>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let history = state.history()?.clone();
    let (model, document) = state.proposals.get(&id).ok_or_else(|| {
        Refusal::not_found(
            "There are no such thresholds, or they are no longer kept; find them anew.",
        )
    })?;
    let _place = state.queue.wait().await?;
    let changed = Arc::clone(&model);
    // On the model's thread, as changes of references are, so that changes come one after the other.
    let accept = move |_: &_| changed.accept(history.folder(), document);
    state.thread.run(accept).await??;
    // It has happened, also if the server is about to stop by now.
    let entry = state.loaded()?.models.entry(&model);
    state.events.send(Event::Model, &entry);
    Ok(json_response(StatusCode::OK, &entry))
}
