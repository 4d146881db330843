//! The HTTP server of VCP-CLIP: a photo in, a record out.
//!
//! [`serve`] answers requests on a listener until it is asked to stop: the inspection API, the Open Inference
//! Protocol, metrics, and a page that is part of the program. `docs/serve.md` of the repository describes what it
//! answers; `docs/openapi.json` is made from the types here.
//!
//! One thread runs the models, which use all cores themselves. What waits for it is bounded: so many photos
//! ([`Limits::queue`]), so many bytes that have arrived ([`Limits::held_bytes`]), three decoded photos, so many
//! connections. What exceeds a bound is refused with a status that says when to come again.
//!
//! Nothing here prints: what should be said goes to [`Options::tell`].
#![forbid(unsafe_code)]

mod access;
mod adapting;
mod address;
mod app;
mod body;
mod calibrate;
mod connection;
mod events;
mod guard;
mod inspect;
mod json;
mod kept;
mod limits;
mod metrics;
mod model_thread;
mod models;
mod openapi;
mod options;
mod page;
mod pictures;
mod protocol;
mod queue;
mod recent;
mod references;
mod refusal;
mod results;
mod segment;
mod server;
mod state;
mod watched_metrics;
mod watching;

pub use access::{Access, ApiKeys, ApiKeysError};
pub use limits::Limits;
pub use models::ServedModel;
pub use openapi::openapi;
pub use options::{KeptHistory, Loaded, Options, Tell};
pub use server::{ServeError, serve};
