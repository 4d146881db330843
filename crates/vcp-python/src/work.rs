//! Work without the interpreter's lock, that signals can end.

use std::num::NonZeroUsize;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use vcp_clip::Stop;

use crate::errors::{Failure, Kind};

/// How often Python is asked whether a signal has come.
const PATIENCE: Duration = Duration::from_millis(50);

/// Does `job` on a thread of its own, while others may use the interpreter. When a signal's handler raises, as
/// Ctrl-C does, that is raised at once; the job is asked to stop, and what it still gives is dropped. A panic
/// becomes an error that does not tell its text.
pub(crate) fn work<T: Send + 'static>(
    py: Python<'_>,
    job: impl FnOnce(&Stop) -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    let stop = Stop::default();
    let (give, finished) = sync_channel(1);
    let asked = stop.clone();
    thread::Builder::new()
        .name("vcp-clip".to_owned())
        .spawn(move || {
            // Nobody waits after a signal.
            let _ = give.send(caught(|| job(&asked)));
        })
        .map_err(|error| Failure::from(vcp_clip::Error::Threads(error)))?;
    let finished = Mutex::new(finished);
    loop {
        let received = py.detach(|| {
            let finished = finished.lock().unwrap_or_else(PoisonError::into_inner);
            finished.recv_timeout(PATIENCE)
        });
        match received {
            Ok(outcome) => return Ok(outcome?),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(raised) = py.check_signals() {
                    stop.request();
                    return Err(raised);
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Err(Failure::internal().into()),
        }
    }
}

/// Does what takes less than a moment, while others may use the interpreter.
pub(crate) fn briefly<T: Send>(
    py: Python<'_>,
    job: impl FnOnce() -> Result<T, Failure> + Send,
) -> PyResult<T> {
    Ok(py.detach(|| caught(job))?)
}

fn caught<T>(job: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    vcp_panics::caught(job).unwrap_or_else(|_| Err(Failure::internal()))
}

/// Does what uses rayon's threads on some that are made for it. Those that rayon shares in a process do not
/// survive a fork, after which whoever waits for them waits for ever.
pub(crate) fn on_own_threads<T: Send>(
    threads: Option<NonZeroUsize>,
    job: impl FnOnce() -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.map_or(0, NonZeroUsize::get))
        .build()
        .map_err(|error| {
            Failure::new(
                Kind::Internal,
                format!("No thread can be started: {error}."),
            )
        })?;
    pool.install(job)
}
