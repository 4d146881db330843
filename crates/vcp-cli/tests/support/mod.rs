//! What several test programs share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(dead_code, reason = "no test program uses all of it")]

pub(crate) mod cli;
pub(crate) mod data;
pub(crate) mod photos;
pub(crate) mod server;
