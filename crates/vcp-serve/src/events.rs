//! `GET /v1/events`: what happens, as it happens (Server-sent events).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast};
use tokio::time::timeout;

use crate::json::to_json;
use crate::limits::LISTENERS;
use crate::refusal::{Reason, Refusal};
use crate::state::State;

/// How often something is said where nothing happens, so that proxies keep the connection.
const PULSE: Duration = Duration::from_secs(15);

/// How often a listener is asked whether the server is about to stop.
const PATIENCE: Duration = Duration::from_millis(500);

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A photo was inspected.
    Result,
    /// A person judged one.
    Verdict,
    /// Thresholds or reference photos of a model changed.
    Model,
    /// The watched folder is further than before.
    Watch,
}

impl Event {
    fn word(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Verdict => "verdict",
            Self::Model => "model",
            Self::Watch => "watch",
        }
    }
}

/// The way from those to whom something happens to those who listen.
#[derive(Debug)]
pub(crate) struct Events {
    give: broadcast::Sender<Bytes>,
    listeners: Arc<Semaphore>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            give: broadcast::channel(64).0,
            listeners: Arc::new(Semaphore::new(LISTENERS)),
        }
    }
}

impl Events {
    /// Whether anybody listens.
    pub(crate) fn are_heard(&self) -> bool {
        self.give.receiver_count() > 0
    }

    /// Tells all who listen.
    pub(crate) fn send(&self, event: Event, value: &impl Serialize) {
        if !self.are_heard() {
            return;
        }
        let text = format!("event: {}\ndata: {}\n\n", event.word(), to_json(value));
        // The last of them may have gone meanwhile.
        let _ = self.give.send(text.into());
    }
}

/// `GET /v1/events`
pub(crate) async fn events(Extract(state): Extract<State>) -> Result<Response, Refusal> {
    state.ready()?;
    let place = Arc::clone(&state.events.listeners).try_acquire_owned();
    let place = place.map_err(|_| Refusal {
        retry_after: Some(5),
        ..Refusal::new(
            Reason::QueueFull,
            format!("{LISTENERS} listeners are connected already, and no more are taken."),
        )
    })?;
    let events = state.events.give.subscribe();
    let hello = stream::iter([Ok(Bytes::from_static(b": what happens follows\n\n"))]);
    let pieces = stream::unfold(
        (events, place, state),
        |(mut events, place, state)| async move {
            let piece = next(&mut events, &state).await?;
            Some((
                Ok::<_, std::convert::Infallible>(piece),
                (events, place, state),
            ))
        },
    );
    let pieces = futures_util::StreamExt::chain(hello, pieces);
    let mut response = Response::new(Body::from_stream(pieces));
    for (header, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response
            .headers_mut()
            .insert(header, HeaderValue::from_static(value));
    }
    // Proxies that gather answers would hold events back.
    let name = header::HeaderName::from_static("x-accel-buffering");
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static("no"));
    Ok(response)
}

/// What is sent next; none once the server is about to stop.
async fn next(events: &mut broadcast::Receiver<Bytes>, state: &State) -> Option<Bytes> {
    let mut quiet = Duration::ZERO;
    while !state.is_draining() {
        match timeout(PATIENCE, events.recv()).await {
            Ok(Ok(event)) => return Some(event),
            // Who is too slow misses some.
            Ok(Err(RecvError::Lagged(_))) => {
                return Some(Bytes::from_static(b"event: missed\ndata: null\n\n"));
            }
            Ok(Err(RecvError::Closed)) => return None,
            Err(_) => quiet += PATIENCE,
        }
        if quiet >= PULSE {
            return Some(Bytes::from_static(b": nothing new\n\n"));
        }
    }
    None
}
