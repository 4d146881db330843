//! Watches a folder into which photos come: each is inspected once, when it is whole.
//!
//! - [`watch()`] does so on the calling thread, [`Watch`] on one of its own; [`WatchOptions`] say how, [`Inspect`] by
//!   what ([`FolderInspector`] for an inspector of `vcp-clip`), a listener is told of each photo, and a
//!   [`StatusBoard`] says how far it is.
//! - A photo is whole when its file has not changed for a while, or, on Linux, when whoever wrote it has closed it. One
//!   that changes while it is read is not judged; it comes again.
//! - A photo is known by its path below the folder, its length and its time of change. [`MemoryOptions`] say where it is
//!   remembered which have been done with, so that a process that ends, in whatever way, inspects none twice and
//!   skips none.
//! - Results go to a history, a table in CSV, folders to which photos are moved ([`MoveFolders`]), and an MQTT
//!   broker ([`MqttOptions`]).
//!
//! Nothing here prints or reads the environment. The network is touched if there are [`MqttOptions`], and then only to
//! reach that broker.
#![forbid(unsafe_code)]

mod candidates;
mod error;
mod finder;
mod identity;
mod inspect;
mod memory;
mod moves;
mod moving;
mod mqtt;
mod options;
mod status;
mod table;
mod watch;

pub use error::Error;
pub use inspect::{FolderInspector, Inspect};
pub use moves::{MoveFolders, Outcome};
pub use mqtt::{Login, MqttError, MqttOptions, MqttStatus};
pub use options::{MemoryOptions, WatchOptions};
pub use status::{Status, StatusBoard};
pub use watch::{Event, Listener, Watch, watch};

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
