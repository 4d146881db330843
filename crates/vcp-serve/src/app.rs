//! The routes.

use axum::extract::State as Extract;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{get, post, put};
use axum::{Router, body::Body};
use schemars::JsonSchema;
use serde::Serialize;
use tower_http::cors::CorsLayer;

use crate::access::Access;
use crate::guard;
use crate::json::json_response;
use crate::models::ModelEntry;
use crate::refusal::{Reason, Refusal};
use crate::segment::segment;
use crate::state::State;
use crate::{calibrate, events, metrics, openapi, page, protocol, references, results, watching};

/// The answer to `GET /v1/models`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ModelList {
    /// The models that are served.
    models: Vec<ModelEntry>,
}

/// The answer to `GET /v1/info`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Info {
    /// `vcp-clip`.
    name: &'static str,
    /// The program's version.
    version: &'static str,
    /// Whether results are kept in a history.
    history: bool,
    /// Whether requests need a key.
    authentication: bool,
    /// How much is taken in at a time.
    limits: LimitsEntry,
    /// How far the watching of the folder is; null where none is watched.
    watch: Option<vcp_watch::Status>,
}

/// How much is taken in at a time.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Limits")]
pub(crate) struct LimitsEntry {
    /// Bytes of a body.
    body_bytes: u64,
    /// Pixels of a photo.
    pixels: u64,
    /// Photos that may wait.
    queue: usize,
}

/// All routes, with what every request passes.
pub(crate) fn app(state: &State) -> Router {
    let routes = Router::new()
        .route("/", get(page::index))
        .route("/page/{*path}", get(page::below))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/v1/info", get(info))
        .route("/v1/models", get(models))
        .route("/v1/segment", post(segment))
        .route("/v1/results", get(results::list))
        .route("/v1/results/{id}", get(results::one))
        .route("/v1/results/{id}/verdict", put(results::judge))
        .route("/v1/results/{id}/{file}", get(results::file))
        .route("/v1/summary", get(results::summary))
        .route("/v1/export", get(results::export))
        .route("/v1/calibrations", post(calibrate::propose))
        .route("/v1/calibrations/{id}/accept", post(calibrate::accept))
        .route(
            "/v1/references",
            post(references::set).delete(references::remove),
        )
        .route("/v1/events", get(events::events))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/v2", get(protocol::server))
        .route("/v2/health/live", get(protocol::live))
        .route("/v2/health/ready", get(protocol::ready))
        .route("/v2/models/{name}", get(protocol::model))
        .route("/v2/models/{name}/ready", get(protocol::model_ready))
        .route("/v2/models/{name}/infer", post(protocol::infer))
        .route(
            "/v2/models/{name}/versions/{version}",
            get(protocol::version),
        )
        .route(
            "/v2/models/{name}/versions/{version}/ready",
            get(protocol::version_ready),
        )
        .route(
            "/v2/models/{name}/versions/{version}/infer",
            post(protocol::infer_version),
        )
        .fallback(nowhere)
        .method_not_allowed_fallback(other_method)
        .layer(from_fn_with_state(state.clone(), guard::check));
    let routes = match cors(&state.options.allowed_origins) {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    routes
        .layer(from_fn_with_state(state.clone(), metrics::count))
        .layer(from_fn_with_state(state.clone(), guard::outermost))
        .with_state(state.clone())
}

/// What pages of other sites may do, if they may do anything.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = origins
        .iter()
        .filter_map(|origin| origin.parse().ok())
        .collect();
    if origins.is_empty() {
        return None;
    }
    Some(
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
            .expose_headers([header::LOCATION, header::RETRY_AFTER]),
    )
}

async fn nowhere() -> Refusal {
    Refusal::not_found("There is nothing at this address; /openapi.json lists what there is.")
}

async fn other_method() -> Refusal {
    Refusal::new(
        Reason::Method,
        "This address does not take this method; /openapi.json lists what there is.",
    )
}

/// `GET /healthz`
async fn healthz() -> Response {
    plain("ok\n")
}

/// `GET /readyz`
async fn readyz(Extract(state): Extract<State>) -> Result<Response, Refusal> {
    state.ready()?;
    Ok(plain("ready\n"))
}

fn plain(text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// `GET /v1/models`
async fn models(Extract(state): Extract<State>) -> Result<Response, Refusal> {
    let models = state.ready()?.models.entries();
    Ok(json_response(StatusCode::OK, &ModelList { models }))
}

/// `GET /v1/info`
async fn info(Extract(state): Extract<State>) -> Result<Response, Refusal> {
    let ready = state.ready()?;
    let pixels = ready
        .models
        .iter()
        .map(|model| model.options().decode.max_pixels);
    let info = Info {
        name: "vcp-clip",
        version: env!("CARGO_PKG_VERSION"),
        history: ready.history().is_some(),
        authentication: matches!(state.options.access, Access::Keys(_)),
        limits: LimitsEntry {
            body_bytes: state.limits.body_bytes,
            pixels: pixels.max().unwrap_or(0),
            queue: state.limits.queue,
        },
        watch: state.watched().map(watching::shown),
    };
    Ok(json_response(StatusCode::OK, &info))
}
