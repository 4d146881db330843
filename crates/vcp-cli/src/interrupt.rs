//! Ctrl-C and requests to terminate.
//!
//! Every command ends within a second of the first signal, wherever it is: a thread of its own sees to
//! that. (Work that answers others may ask for longer, [`Stop::on_signals_within`]; a second signal ends it at
//! once.) What is unfinished then is removed, and what was printed ends with a whole line.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::console;
use crate::exit::Exit;

/// How long work that hears of the first signal may take to come to an end of its own.
const GRACE: Duration = Duration::from_millis(800);

/// The flag that the first signal raises, if somebody looks at one.
static LISTENER: Mutex<Option<Stop>> = Mutex::new(None);

fn listener() -> MutexGuard<'static, Option<Stop>> {
    LISTENER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on, Ctrl-C, SIGTERM and SIGHUP end the process in an orderly way: at once, or in a moment if
/// the work has asked for a [`Stop`] to come to an end by itself.
pub(crate) fn hear_signals() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        let listener = listener().clone();
        match listener {
            Some(stop) if !stop.interrupted.swap(true, Ordering::SeqCst) => {
                stop.request();
                let grace = stop.grace;
                let wait = move || {
                    thread::sleep(grace);
                    end();
                };
                if thread::Builder::new().spawn(wait).is_err() {
                    end();
                }
            }
            _ => end(),
        }
    })
    .context("Ctrl-C cannot be caught")
}

/// Ends the process with nothing unfinished left.
fn end() -> ! {
    // No destructor runs, so nothing else tidies up.
    vcp_files::end();
    console::end();
    std::process::exit(Exit::Interrupted.code().into())
}

/// A flag that the first Ctrl-C (or SIGTERM, SIGHUP) raises, and that work raises itself when it
/// should come to an end.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    flag: vcp_clip::Stop,
    interrupted: Arc<AtomicBool>,
    /// How long the work may take to end after a signal.
    grace: Duration,
}

impl Stop {
    /// A flag connected with the process's signals: from here on the first one raises it, and the
    /// process ends a moment later or with the second one. Whoever asks for it has to look at it.
    pub(crate) fn on_signals() -> Self {
        Self::on_signals_within(GRACE)
    }

    /// The same, but the process ends only this long after the first signal, unless there is a second one.
    pub(crate) fn on_signals_within(grace: Duration) -> Self {
        let stop = Self {
            flag: vcp_clip::Stop::default(),
            interrupted: Arc::default(),
            grace,
        };
        *listener() = Some(stop.clone());
        stop
    }

    /// Whether a signal asked for it.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}

impl Deref for Stop {
    type Target = vcp_clip::Stop;

    fn deref(&self) -> &Self::Target {
        &self.flag
    }
}
