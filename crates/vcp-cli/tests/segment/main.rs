//! `vcp-clip segment`: what is printed, written and returned.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "says which tests are skipped")]

#[path = "../support/mod.rs"]
mod support;

mod files;
mod finding;
mod lines;
mod settings;
