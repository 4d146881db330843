//! `GET /v1/export`

use std::io::{self, Write};

use axum::body::Body;
use axum::extract::State as Extract;
use axum::http::{HeaderValue, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use std::sync::Arc;
use tokio::sync::mpsc;
use vcp_history::ExportFormat;

use super::{ExportQuery, parsed};
use crate::json::read_query;
use crate::refusal::{Reason, Refusal};
use crate::state::State;

/// Bytes that are sent at a time.
const PIECE: usize = 64 << 10;

/// `GET /v1/export`
pub(crate) async fn export(Extract(state): Extract<State>, uri: Uri) -> Result<Response, Refusal> {
    let history = state.history()?.clone();
    let query: ExportQuery = read_query(uri.query())?;
    let filter = query.filter()?;
    let format = parsed("format", query.format.as_deref())?.unwrap_or(ExportFormat::Csv);
    // Each keeps a thread busy for as long as its client reads.
    let place = Arc::clone(&state.exports).try_acquire_owned();
    let place = place.map_err(|_| Refusal {
        retry_after: Some(5),
        ..Refusal::new(
            Reason::QueueFull,
            "Two exports are under way already; try again later.",
        )
    })?;
    let (give, pieces) = mpsc::channel(2);
    let tell = Arc::clone(&state.options.tell);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let mut pieces = Pieces {
            give,
            piece: Vec::with_capacity(PIECE),
        };
        let outcome = history.export(&filter, format, &mut pieces);
        let outcome = outcome.map_err(io::Error::other);
        match outcome.and_then(|_| pieces.flush()) {
            Ok(()) => {}
            Err(error) if pieces.give.is_closed() => drop(error),
            Err(error) => {
                tell(&vcp_clip::sentence(&error));
                // The client sees that it is not whole.
                let _ = pieces.give.blocking_send(Err(error));
            }
        }
    });
    let pieces = stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    let (kind, name) = match format {
        ExportFormat::Csv => (
            "text/csv; charset=utf-8",
            "attachment; filename=\"results.csv\"",
        ),
        ExportFormat::Json => ("application/json", "attachment; filename=\"results.json\""),
        ExportFormat::JsonLines => (
            "application/x-ndjson",
            "attachment; filename=\"results.jsonl\"",
        ),
    };
    for (header, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response
            .headers_mut()
            .insert(header, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Hands on what is written to it, in pieces.
struct Pieces {
    give: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        let sent = self.give.blocking_send(Ok(piece.into()));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
