//! `vcp-clip serve`: the real binary, asked over real connections.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod client;
mod load;
mod segment;
mod statuses;
#[path = "../support/mod.rs"]
mod support;
