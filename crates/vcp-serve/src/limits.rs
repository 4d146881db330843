//! How much is taken in at a time.

use std::time::Duration;

/// How much is taken in at a time, and how long is waited for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one request's body.
    pub body_bytes: u64,
    /// Bytes of all bodies together that are held at a time; at least `body_bytes`.
    pub held_bytes: u64,
    /// Photos that wait for the model or are in it, and pictures that are being made of maps in the history.
    pub queue: usize,
    /// Connections that are open at a time.
    pub connections: usize,
    /// Time for the head of a request, also for the first byte of the next one on an open connection.
    pub head: Duration,
    /// Time in which a body has to arrive.
    pub body: Duration,
    /// Time after which a client that takes nothing of its answer, or less than 16 KiB per second, is given up.
    pub write: Duration,
    /// Time for requests to be finished when the server is asked to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            held_bytes: 512 << 20,
            queue: 32,
            connections: 256,
            head: Duration::from_secs(20),
            body: Duration::from_mins(1),
            write: Duration::from_secs(30),
            drain: Duration::from_secs(30),
        }
    }
}

/// Images in one request.
pub(crate) const MOST_IMAGES: usize = 256;

/// Bytes of a request that is no photo.
pub(crate) const JSON_BYTES: u64 = 1 << 20;

/// Bytes of a name that a client gives.
pub(crate) const NAME_BYTES: usize = 1024;

/// Photos that are decoded at a time: one on its way, one in the model, one whose pictures are made.
pub(crate) const DECODED: usize = 3;

/// Exports that are under way at a time.
pub(crate) const EXPORTS: usize = 2;

/// Clients that listen to events at a time.
pub(crate) const LISTENERS: usize = 32;

/// Bytes of one answer with pictures or tensors in it.
pub(crate) const ANSWER_BYTES: usize = 64 << 20;

/// Bytes of all long answers together that are being sent.
pub(crate) const ANSWERS_BYTES: u64 = 512 << 20;

/// Bytes of pictures that are kept for those who were given links to them.
pub(crate) const RECENT_BYTES: usize = 128 << 20;

/// Results that are kept for those who were given links to them.
pub(crate) const RECENT_RESULTS: usize = 200;
