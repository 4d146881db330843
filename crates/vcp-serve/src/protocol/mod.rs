//! The Open Inference Protocol, version 2: `/v2/…`, with its extension for binary tensors.

mod request;
mod response;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Request, State as Extract};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use schemars::JsonSchema;
use serde::Serialize;
use vcp_clip::Inspector;

use crate::address::Path;
use crate::body;
use crate::inspect::{Asked, Image, Most, blocking, inspect};
use crate::json::{json_response, to_json};
use crate::models::ServedModel;
use crate::queue::Places;
use crate::refusal::{Reason, Refusal};
use crate::state::State;

pub(crate) use request::InferenceRequest;
use request::{HEADER_LENGTH, Input};
pub(crate) use response::InferenceResponse;
use response::{Answered, OUTPUTS};

/// There is one version of each model.
const VERSION: &str = "1";

/// What the history and the metrics call who sends.
const SOURCE: &str = "v2";

/// Images in one request.
const MOST_IMAGES: usize = 64;

/// The answer to `GET /v2`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ServerMetadata {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; 1],
}

/// The answer to `GET /v2/models/{name}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ModelMetadata {
    name: String,
    versions: [&'static str; 1],
    platform: &'static str,
    inputs: Vec<TensorMetadata>,
    outputs: Vec<TensorMetadata>,
}

/// What a tensor is like; lengths that vary are -1.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TensorMetadata {
    name: &'static str,
    datatype: &'static str,
    shape: Vec<i64>,
}

/// Whether the server is there.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Live {
    live: bool,
}

/// Whether the server or a model is ready.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ReadyAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    ready: bool,
}

/// `GET /v2`
pub(crate) async fn server() -> Response {
    let metadata = ServerMetadata {
        name: "vcp-clip",
        version: env!("CARGO_PKG_VERSION"),
        extensions: ["binary_tensor_data"],
    };
    json_response(StatusCode::OK, &metadata)
}

/// `GET /v2/health/live`
pub(crate) async fn live() -> Response {
    json_response(StatusCode::OK, &Live { live: true })
}

/// `GET /v2/health/ready`
pub(crate) async fn ready(Extract(state): Extract<State>) -> Result<Response, Refusal> {
    state.ready()?;
    let ready = ReadyAnswer {
        name: None,
        ready: true,
    };
    Ok(json_response(StatusCode::OK, &ready))
}

/// The model of an address, with or without a version.
fn model_of<'a>(
    state: &'a State,
    name: &str,
    version: Option<&str>,
) -> Result<&'a Arc<ServedModel>, Refusal> {
    let model = state.ready()?.models.named(Some(name))?;
    if version.is_some_and(|version| version != VERSION) {
        return Err(Refusal::not_found(format!(
            "The model {name} has one version, {VERSION}."
        )));
    }
    Ok(model)
}

/// `GET /v2/models/{name}/ready`
pub(crate) async fn model_ready(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    is_ready(&state, &name, None)
}

/// `GET /v2/models/{name}/versions/{version}/ready`
pub(crate) async fn version_ready(
    Extract(state): Extract<State>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    is_ready(&state, &name, Some(&version))
}

fn is_ready(state: &State, name: &str, version: Option<&str>) -> Result<Response, Refusal> {
    let model = model_of(state, name, version)?;
    let ready = ReadyAnswer {
        name: Some(model.name().to_owned()),
        ready: true,
    };
    Ok(json_response(StatusCode::OK, &ready))
}

/// `GET /v2/models/{name}`
pub(crate) async fn model(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    Ok(metadata(model_of(&state, &name, None)?))
}

/// `GET /v2/models/{name}/versions/{version}`
pub(crate) async fn version(
    Extract(state): Extract<State>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    Ok(metadata(model_of(&state, &name, Some(&version))?))
}

fn metadata(model: &ServedModel) -> Response {
    let side = model.inspector().predictor().image_size() as i64;
    let tensor = |name, datatype, rest: &[i64]| TensorMetadata {
        name,
        datatype,
        shape: [&[-1], rest].concat(),
    };
    let outputs = OUTPUTS.iter().map(|&(name, datatype, rank)| {
        let rest = [1, side, side];
        tensor(name, datatype, &rest[..rank])
    });
    let metadata = ModelMetadata {
        name: model.name().to_owned(),
        versions: [VERSION],
        platform: "vcp-clip",
        inputs: vec![
            tensor("image", "BYTES", &[]),
            tensor("normalised", "FP32", &[3, side, side]),
        ],
        outputs: outputs.collect(),
    };
    json_response(StatusCode::OK, &metadata)
}

/// `POST /v2/models/{name}/infer`
pub(crate) async fn infer(
    Extract(state): Extract<State>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    inference(&state, &name, None, request).await
}

/// `POST /v2/models/{name}/versions/{version}/infer`
pub(crate) async fn infer_version(
    Extract(state): Extract<State>,
    Path((name, version)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    inference(&state, &name, Some(&version), request).await
}

async fn inference(
    state: &State,
    name: &str,
    version: Option<&str>,
    request: Request,
) -> Result<Response, Refusal> {
    let model = model_of(state, name, version)?;
    let inspector = model.inspector();
    let (parts, body) = request.into_parts();
    state.queue.check()?;
    let held = body::read(state, &parts.headers, body).await?;
    let headers = parts.headers;
    let side = inspector.predictor().image_size();
    // What is made of the bytes is not longer than they are by much, so they stay counted for it.
    let (bytes, _memory) = held.into_parts();
    let (asked, input) = blocking(move || {
        let (mut asked, behind) = request::read(&headers, &bytes)?;
        drop(bytes);
        asked.check()?;
        let input = asked.input(side, behind, MOST_IMAGES)?;
        response::check_length(&asked, input.images(), side)?;
        Ok((asked, input))
    })
    .await?;
    let places = state.queue.enter(input.images())?;
    let images = match input {
        Input::Images(images) => {
            of_images(state, model, &inspector, &asked, images, places).await?
        }
        Input::Normalised(images) => {
            of_normalised(state, model, &inspector, images, places).await?
        }
    };
    let name = model.name().to_owned();
    let state = Arc::clone(state);
    blocking(move || {
        let thresholds = inspector.thresholds();
        let (json, behind) = response::answer(asked, &name, thresholds, side, &images)?;
        drop(images);
        reply(&state, to_json(&json), &behind)
    })
    .await
}

/// Image files, as `POST /v1/segment` inspects them.
async fn of_images(
    state: &State,
    model: &Arc<ServedModel>,
    inspector: &Arc<Inspector>,
    request: &InferenceRequest,
    images: Vec<bytes::Bytes>,
    places: Places,
) -> Result<Vec<Answered>, Refusal> {
    let asked = Arc::new(Asked {
        model: Arc::clone(model),
        inspector: Arc::clone(inspector),
        thresholds: inspector.thresholds(),
        min_area: model.options().min_area,
        files: Vec::new(),
        most: Most::NOTHING,
        has_links: false,
        source: SOURCE,
        is_kept: request.parameters.keep,
    });
    let name = request.id.as_deref().unwrap_or("image");
    let places = Mutex::new(places);
    let answered = stream::iter(images).map(|bytes| {
        let (asked, places) = (&asked, &places);
        let image = Image {
            name: name.to_owned(),
            bytes,
        };
        let teller = Arc::clone(state);
        async move {
            let answered = inspect(state, asked, image, move |inspection, inspected| {
                if let Some(id) = &inspected.id {
                    teller.announce(id);
                }
                Ok(Answered {
                    score: inspection.score(),
                    map: inspection.model_map().into_owned(),
                    regions: inspected.record.regions,
                })
            })
            .await?;
            let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
            places.one_is_done();
            Ok(answered)
        }
    });
    answered.buffered(2).try_collect().await
}

async fn of_normalised(
    state: &State,
    model: &ServedModel,
    inspector: &Arc<Inspector>,
    images: Vec<Vec<f32>>,
    mut places: Places,
) -> Result<Vec<Answered>, Refusal> {
    let side = inspector.predictor().image_size();
    let thresholds = inspector.thresholds();
    let mut predictions = Vec::with_capacity(images.len());
    for image in images {
        let inspector = Arc::clone(inspector);
        // One at a time: others have their turn, and what nobody waits for any more is not begun.
        let begun = Instant::now();
        let work = move |_: &_| {
            let waited = begun.elapsed();
            let begun = Instant::now();
            let found = inspector.predict_normalised(vec![image]);
            (found, waited, begun.elapsed())
        };
        let (found, waited, model_time) = state.thread.run(work).await?;
        state.queue.took(model_time);
        state.metrics.stage("model", model_time);
        state.metrics.waited(waited);
        let found = found.map_err(|error| {
            let mut refusal = Refusal::new(
                Reason::Undecodable,
                "The model gives no finite numbers for these values.",
            );
            refusal.detail = Some(error.sentence());
            refusal
        })?;
        places.one_is_done();
        for prediction in &found {
            let score = prediction.score;
            let decision = thresholds.decide(score);
            state.metrics.decided(model.name(), SOURCE, decision, score);
        }
        predictions.extend(found);
    }
    blocking(move || {
        let answered = predictions.into_iter().map(|prediction| {
            Answered::of_map(prediction.score, prediction.blended, side, thresholds.pixel)
        });
        Ok(answered.collect())
    })
    .await
}

/// JSON with what is behind it.
fn reply(state: &State, json: String, behind: &[u8]) -> Result<Response, Refusal> {
    let (length, mut content) = (json.len(), json.into_bytes());
    content.extend_from_slice(behind);
    let mut response = Response::new(body::answer(state, content)?);
    let headers = response.headers_mut();
    let kind = if behind.is_empty() {
        "application/json"
    } else {
        headers.insert(HEADER_LENGTH, HeaderValue::from(length));
        "application/octet-stream"
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
