//! `vcp-clip serve`: the real binary, asked over real connections.
#![allow(clippy::print_stderr, reason = "says which tests are skipped")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod client;
mod clients;
mod connections;
mod history;
mod hostile;
#[cfg(unix)]
mod killed;
mod load;
mod metrics;
mod openapi;
mod protocol;
mod segment;
mod statuses;
#[path = "../support/mod.rs"]
mod support;
#[cfg(unix)]
mod watching;
