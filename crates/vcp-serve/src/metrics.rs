//! `GET /metrics`: counts and times in the text format of Prometheus.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State as Extract};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use vcp_clip::Decision;
use vcp_watch::StatusBoard;

use crate::refusal::{Reason, Refusal};
use crate::state::{Shared, State};
use crate::watched_metrics::Watched;

type Labels<const N: usize> = [(&'static str, String); N];

/// Upper ends of the bins of times, in seconds.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// Bins of scores.
const SCORE_BINS: usize = 20;

/// What is counted and timed.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Labels<3>, Counter>,
    durations: Family<Labels<1>, Histogram, fn() -> Histogram>,
    stages: Family<Labels<1>, Histogram, fn() -> Histogram>,
    wait: Histogram,
    refusals: Family<Labels<1>, Counter>,
    decisions: Family<Labels<3>, Counter>,
    scores: Family<Labels<2>, Histogram, fn() -> Histogram>,
    depth: Gauge,
    connections: Gauge,
    turned_away: Counter,
    models: Family<Labels<2>, Info<Labels<0>>, fn() -> Info<Labels<0>>>,
}

fn times() -> Histogram {
    Histogram::new(SECONDS)
}

fn score_bins() -> Histogram {
    Histogram::new((1..=SCORE_BINS).map(|bin| bin as f64 / SCORE_BINS as f64))
}

/// Says by its labels what there is.
fn present() -> Info<Labels<0>> {
    Info::new([])
}

impl Metrics {
    pub(crate) fn new(queue: usize) -> Self {
        let mut registry = Registry::with_prefix("vcp_clip");
        let metrics = Self {
            registry: Mutex::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(times as fn() -> Histogram),
            stages: Family::new_with_constructor(times as fn() -> Histogram),
            wait: times(),
            refusals: Family::default(),
            decisions: Family::default(),
            scores: Family::new_with_constructor(score_bins as fn() -> Histogram),
            depth: Gauge::default(),
            connections: Gauge::default(),
            turned_away: Counter::default(),
            models: Family::new_with_constructor(present as fn() -> Info<Labels<0>>),
        };
        registry.register(
            "http_requests",
            "Requests that were answered",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to that of its answer",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register_with_unit(
            "stage_duration",
            "Time that a photo spends in each stage",
            Unit::Seconds,
            metrics.stages.clone(),
        );
        registry.register_with_unit(
            "queue_wait",
            "Time that a photo waits before it is decoded and before the model takes it",
            Unit::Seconds,
            metrics.wait.clone(),
        );
        registry.register(
            "refusals",
            "Requests and images that were refused",
            metrics.refusals.clone(),
        );
        registry.register(
            "decisions",
            "Photos by what was decided",
            metrics.decisions.clone(),
        );
        registry.register("score", "Scores of photos", metrics.scores.clone());
        registry.register(
            "queue_depth",
            "Photos that wait for the model or are in it",
            metrics.depth.clone(),
        );
        let places: Gauge = Gauge::default();
        places.set(queue as i64);
        registry.register("queue_places", "Photos that may wait", places);
        registry.register(
            "connections",
            "Connections that are open",
            metrics.connections.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections that were one too many",
            metrics.turned_away.clone(),
        );
        registry.register(
            "model",
            "The models that are served, by name and digest",
            metrics.models.clone(),
        );
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program's version", version);
        let start: Gauge<f64, AtomicU64> = Gauge::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        start.set(now.map_or(0.0, |now| now.as_secs_f64()));
        registry.register_with_unit(
            "start_time",
            "When the server was started, since 1970",
            Unit::Seconds,
            start,
        );
        Self {
            registry: Mutex::new(registry),
            ..metrics
        }
    }

    /// Notes which models are served.
    pub(crate) fn serves(&self, name: &str, digest: &str) {
        let labels = [("name", name.to_owned()), ("digest", digest.to_owned())];
        drop(self.models.get_or_create(&labels));
    }

    /// Has the metrics of a watched folder be given too.
    pub(crate) fn watches(&self, board: StatusBoard) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(Watched(board)));
    }

    /// Notes how long a photo spent in a stage.
    pub(crate) fn stage(&self, stage: &'static str, time: Duration) {
        let labels = [("stage", stage.to_owned())];
        self.stages
            .get_or_create(&labels)
            .observe(time.as_secs_f64());
    }

    /// Notes how long a photo waited.
    pub(crate) fn waited(&self, time: Duration) {
        self.wait.observe(time.as_secs_f64());
    }

    /// Notes what was decided of a photo from this source.
    pub(crate) fn decided(
        &self,
        model: &str,
        source: &'static str,
        decision: Decision,
        score: f32,
    ) {
        let [model, source] = [("model", model.to_owned()), ("source", source.to_owned())];
        let word = ("decision", decision.word().to_owned());
        let labels = [model.clone(), source.clone(), word];
        self.decisions.get_or_create(&labels).inc();
        let scores = self.scores.get_or_create(&[model, source]);
        scores.observe(f64::from(score));
    }

    pub(crate) fn refused(&self, reason: Reason) {
        let labels = [("reason", reason.word().to_owned())];
        self.refusals.get_or_create(&labels).inc();
    }

    pub(crate) fn turned_away(&self) {
        self.turned_away.inc();
    }

    /// All of them as text.
    fn text(&self, state: &Shared) -> Result<String, std::fmt::Error> {
        self.depth.set(state.queue.taken() as i64);
        let open = state.limits.connections - state.connections.available_permits();
        self.connections.set(open as i64);
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// Counts and times each request.
pub(crate) async fn count(
    Extract(state): Extract<State>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", |route| route.as_str()).to_owned();
    // A label for each word that clients make up would have no end.
    let method = match *request.method() {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let begun = Instant::now();
    let response = next.run(request).await;
    let metrics = &state.metrics;
    let labels = [("route", route.clone())];
    let time = begun.elapsed().as_secs_f64();
    metrics.durations.get_or_create(&labels).observe(time);
    let labels = [
        ("route", route),
        ("method", method.to_owned()),
        ("code", response.status().as_u16().to_string()),
    ];
    metrics.requests.get_or_create(&labels).inc();
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        metrics.refused(refusal.reason);
    }
    response
}

/// `GET /metrics`
pub(crate) async fn metrics(Extract(state): Extract<State>) -> Result<Response, Refusal> {
    let text = state.metrics.text(&state);
    let text = text.map_err(|error| Refusal::internal(error.to_string()))?;
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = StatusCode::OK;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
