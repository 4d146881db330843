//! Ctrl-C and requests to terminate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;

use crate::exit::Exit;

/// A flag that the first Ctrl-C (or SIGTERM, SIGHUP) raises, and that work raises itself when it
/// should come to an end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    requested: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
}

impl Stop {
    /// A flag connected with the process's signals. The second signal ends the process at once.
    pub(crate) fn on_signals() -> anyhow::Result<Self> {
        let stop = Self::default();
        let handler = stop.clone();
        ctrlc::set_handler(move || {
            if handler.interrupted.swap(true, Ordering::SeqCst) {
                // Nothing else tidies up: no destructor runs.
                crate::files::remove_unfinished();
                std::process::exit(Exit::Interrupted.code().into());
            }
            handler.request();
        })
        .context("Ctrl-C cannot be caught")?;
        Ok(stop)
    }

    /// Asks the work to come to an end.
    pub(crate) fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
    }

    /// Whether the work should come to an end.
    pub(crate) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Whether a signal asked for it.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}
