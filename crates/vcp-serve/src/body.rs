//! Bodies of requests: read within limits of size, memory and time, and taken off the connection when they are
//! refused. Bodies of answers within a limit of memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::refusal::{Reason, Refusal};
use crate::state::State;

/// Bytes that one permit stands for.
const UNIT: u64 = 1 << 10;

/// The memory that bodies of requests, or of answers, may take together.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Semaphore>);

impl Memory {
    pub(crate) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes.div_ceil(UNIT)).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }

    fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.0).try_acquire_many_owned(units).ok()
    }
}

/// A body that has been read. Its memory is free for others again when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Bytes,
    memory: Option<OwnedSemaphorePermit>,
}

impl Held {
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The bytes, and what counts them for as long as they, or what was made of them, are needed.
    pub(crate) fn into_parts(self) -> (Bytes, Option<OwnedSemaphorePermit>) {
        (self.bytes, self.memory)
    }
}

/// Answers that are shorter are not counted.
const SMALL: usize = 64 << 10;

/// The content of a long answer, counted until it is sent.
struct Counted {
    content: Vec<u8>,
    _memory: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

/// What counts so many bytes of an answer; nothing for a few.
pub(crate) fn counted(
    state: &State,
    bytes: usize,
) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
    if bytes < SMALL {
        return Ok(None);
    }
    let memory = state.answers.take(bytes as u64);
    let memory = memory.ok_or_else(|| Refusal {
        retry_after: Some(2),
        ..Refusal::new(
            Reason::MemoryFull,
            "Others are taking as many long answers as the server can hold; try again later.",
        )
    })?;
    Ok(Some(memory))
}

/// The body of an answer with this content, unless clients that take theirs slowly leave no memory for it.
pub(crate) fn answer(state: &State, content: Vec<u8>) -> Result<Body, Refusal> {
    let Some(memory) = counted(state, content.len())? else {
        return Ok(content.into());
    };
    let counted = Counted {
        content,
        _memory: memory,
    };
    Ok(Bytes::from_owner(counted).into())
}

/// Reads the body of a request with photos.
pub(crate) async fn read(state: &State, headers: &HeaderMap, body: Body) -> Result<Held, Refusal> {
    read_at_most(state, headers, body, state.limits.body_bytes).await
}

/// Reads a body, unless it is longer than `limit`, does not arrive in time or finds no memory. What is taken of the
/// memory is what has arrived, so that clients who only announce much take nothing from others.
pub(crate) async fn read_at_most(
    state: &State,
    headers: &HeaderMap,
    mut body: Body,
    limit: u64,
) -> Result<Held, Refusal> {
    let too_large = || {
        Refusal::new(
            Reason::TooLarge,
            format!("The body is longer than the {limit} bytes that are allowed."),
        )
    };
    let announced = announced_length(headers);
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let deadline = Instant::now() + state.limits.body;
    let mut bytes = Vec::new();
    let mut memory: Option<OwnedSemaphorePermit> = None;
    let mut paid = 0;
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| {
            Refusal::new(
                Reason::Timeout,
                format!(
                    "The body did not arrive within {} seconds.",
                    state.limits.body.as_secs_f32()
                ),
            )
        })?;
        let Some(frame) = frame else { break };
        let frame =
            frame.map_err(|_| Refusal::bad_request("The body ended before it was complete."))?;
        // Trailers say nothing that is used.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = (bytes.len() + data.len()) as u64;
        if length > limit {
            return Err(too_large());
        }
        if length > paid {
            // In steps, so that small pieces do not each take a permit.
            let step = (length - paid).max(64 * UNIT);
            let Some(more) = state.memory.take(step) else {
                return Err(Refusal {
                    retry_after: Some(2),
                    ..Refusal::new(
                        Reason::MemoryFull,
                        "Others are sending as much as the server can hold; try again later.",
                    )
                });
            };
            paid += step;
            match &mut memory {
                Some(memory) => memory.merge(more),
                None => memory = Some(more),
            }
        }
        if bytes.capacity() == 0 {
            let expected = announced.unwrap_or(0).min(limit);
            bytes.reserve(usize::try_from(expected).unwrap_or(0).max(data.len()));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Held {
        bytes: bytes.into(),
        memory,
    })
}

/// What the client says of the body's length.
fn announced_length(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// How much of a body that nobody reads is taken off the connection, and for how long. A client that is still sending
/// would otherwise not see the answer that refuses it, since the connection is reset.
const UNREAD_BYTES: usize = 32 << 20;
const UNREAD_TIME: Duration = Duration::from_secs(3);

/// The body of a request; what of it is not read is taken off the connection when this is dropped.
pub(crate) struct Lingering {
    body: Option<Body>,
    /// Whether the client sends nothing before it is told to (`Expect: 100-continue`), which reading tells it.
    is_held_back: bool,
}

impl Lingering {
    pub(crate) fn new(body: Body, headers: &HeaderMap) -> Self {
        Self {
            body: Some(body),
            is_held_back: headers.contains_key(header::EXPECT),
        }
    }
}

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_held_back = false;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map(HttpBody::size_hint)
            .unwrap_or_default()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let is_held_back = self.is_held_back;
        let unread = |body: &Body| !body.is_end_stream() && !is_held_back;
        let Some(mut body) = self.body.take().filter(unread) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let deadline = Instant::now() + UNREAD_TIME;
            let mut length = 0;
            while let Ok(Some(Ok(frame))) = timeout_at(deadline, body.frame()).await {
                length += frame.data_ref().map_or(0, Bytes::len);
                if length > UNREAD_BYTES {
                    break;
                }
            }
        });
    }
}
