//! Work without the interpreter's lock, that signals can end.

use std::num::NonZeroUsize;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use pyo3::prelude::*;
use vcp_clip::Stop;

use crate::engine::Generation;
use crate::errors::{Failure, Kind};

/// How often Python is asked whether a signal has come.
const PATIENCE: Duration = Duration::from_millis(50);

/// What a thread does for a caller; it gives what hands the result over.
type Job = Box<dyn FnOnce() -> Delivery + Send>;
type Delivery = Box<dyn FnOnce() + Send>;

/// Threads that wait for a job, of this process and of those that it was forked from. A photo's memory stays with the
/// thread that asked for it, so the next photo is better done by the same one.
static WAITING: Mutex<Vec<(Generation, Sender<Job>)>> = Mutex::new(Vec::new());

/// Most threads that wait.
const MOST_WAITING: usize = 16;

/// Has a thread do the job: one that waits, or a new one.
fn hand_over(mut job: Job) -> io::Result<()> {
    // Who was forked while another thread held the lock would wait for ever.
    if let Ok(mut waiting) = WAITING.try_lock() {
        // Threads of the process that this one was forked from are not here, and to let go of what leads to them might be to
        // wait for one of their locks.
        for (generation, thread) in std::mem::take(&mut *waiting) {
            if generation.is_now() {
                waiting.push((generation, thread));
            } else {
                std::mem::forget(thread);
            }
        }
        while let Some((_, thread)) = waiting.pop() {
            match thread.send(job) {
                Ok(()) => return Ok(()),
                Err(back) => job = back.0,
            }
        }
    }
    let work = move || {
        loop {
            let deliver = job();
            // Before the result is there, so that whoever asks again when it is finds this thread waiting.
            let next = wait_in_line();
            deliver();
            let Some(next) = next.and_then(|line| line.recv().ok()) else {
                return;
            };
            job = next;
        }
    };
    thread::Builder::new()
        .name("vcp-clip".to_owned())
        .spawn(work)?;
    Ok(())
}

/// Where this thread gets its next job, unless enough others wait.
fn wait_in_line() -> Option<std::sync::mpsc::Receiver<Job>> {
    let mut waiting = WAITING.try_lock().ok()?;
    if waiting.len() >= MOST_WAITING {
        return None;
    }
    let (give, line) = channel();
    waiting.push((Generation::now(), give));
    Some(line)
}

/// Does `job` on another thread, while others may use the interpreter. When a signal's handler raises, as
/// Ctrl-C does, that is raised at once; the job is asked to stop, and what it still gives is dropped. A panic
/// becomes an error that does not tell its text.
pub(crate) fn work<T: Send + 'static>(
    py: Python<'_>,
    job: impl FnOnce(&Stop) -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    let stop = Stop::default();
    let (give, finished) = sync_channel(1);
    let asked = stop.clone();
    let job = move || -> Delivery {
        let outcome = caught(|| job(&asked));
        Box::new(move || {
            // Nobody waits after a signal.
            let _ = give.send(outcome);
        })
    };
    hand_over(Box::new(job)).map_err(|error| Failure::from(vcp_clip::Error::Threads(error)))?;
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
