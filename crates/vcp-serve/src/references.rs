//! `POST` and `DELETE /v1/references`: good photos of the history that others are compared with.

use std::sync::Arc;

use axum::extract::{Request, State as Extract};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use vcp_history::{FileKind, History};

use crate::events::Event;
use crate::inspect::blocking;
use crate::json::{json_response, read_json, read_query};
use crate::kept::{Kept, PHOTOS};
use crate::models::ServedModel;
use crate::refusal::{Reason, Refusal};
use crate::results::identifier;
use crate::state::State;

/// Most photos that others are compared with.
const MOST_PHOTOS: usize = 64;

/// Good photos that others are to be compared with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReferencesRequest {
    /// The model; the default one where it is not given.
    model: Option<String>,
    /// Results whose photos are kept, from 1 to 64.
    results: Vec<String>,
}

/// Of which model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelQuery {
    /// The model; the default one where it is not given.
    model: Option<String>,
}

/// `POST /v1/references`
pub(crate) async fn set(
    Extract(state): Extract<State>,
    request: Request,
) -> Result<Response, Refusal> {
    let history = state.history()?.clone();
    let (parts, body) = request.into_parts();
    let asked: ReferencesRequest = read_json(&state, &parts.headers, body).await?;
    let model = Arc::clone(state.ready()?.models.named(asked.model.as_deref())?);
    if !(1..=MOST_PHOTOS).contains(&asked.results.len()) {
        return Err(Refusal::bad_request(format!(
            "results names from 1 to {MOST_PHOTOS} results with good photos."
        )));
    }
    let Ok(_changing) = state.changing.try_lock() else {
        return Err(Refusal {
            retry_after: Some(10),
            ..Refusal::new(
                Reason::QueueFull,
                "Reference photos are being changed already; try again when that is done.",
            )
        });
    };
    let _place = state.queue.wait().await?;
    let kept = Kept::of(history.folder(), model.name());
    let unfinished = {
        let kept = kept.clone();
        blocking(move || copied(&history, &kept, &asked.results)).await?
    };
    // The model's thread: photos that are sent meanwhile wait.
    let changed = Arc::clone(&model);
    let outcome = state
        .thread
        .run(move |wanted| changed.compare_with(&kept, &unfinished, wanted));
    outcome.await??;
    answer(&state, &model)
}

/// Copies the photos of results to where they are kept for as long as others are compared with them.
fn copied(
    history: &History,
    kept: &Kept,
    results: &[String],
) -> Result<vcp_files::UnfinishedFolder, Refusal> {
    let unfinished = kept.begin_references()?;
    unfinished.create(PHOTOS)?;
    for (number, id) in results.iter().enumerate() {
        let id = identifier(id)?;
        let path = history.file(&id, FileKind::Photo)?.ok_or_else(|| {
            Refusal::not_found(format!(
                "There is no result {id}, or its photo is not kept."
            ))
        })?;
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        let place = unfinished
            .path()
            .join(PHOTOS)
            .join(format!("{number:03}.{ending}"));
        std::fs::copy(&path, place)?;
    }
    Ok(unfinished)
}

/// `DELETE /v1/references`
pub(crate) async fn remove(Extract(state): Extract<State>, uri: Uri) -> Result<Response, Refusal> {
    let history = state.history()?.clone();
    let asked: ModelQuery = read_query(uri.query())?;
    let model = Arc::clone(state.ready()?.models.named(asked.model.as_deref())?);
    let _changing = state.changing.lock().await;
    let _place = state.queue.wait().await?;
    let kept = Kept::of(history.folder(), model.name());
    let changed = Arc::clone(&model);
    let outcome = state
        .thread
        .run(move |_| changed.compare_as_at_first(&kept));
    outcome.await??;
    answer(&state, &model)
}

fn answer(state: &State, model: &Arc<ServedModel>) -> Result<Response, Refusal> {
    // It has happened, also if the server is about to stop by now.
    let entry = state.loaded()?.models.entry(model);
    state.events.send(Event::Model, &entry);
    Ok(json_response(StatusCode::OK, &entry))
}
