//! The line on standard error that says how far the work is.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::ProgressBar;
use vcp_watch::{Status, StatusBoard};

use crate::console;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// A thread that shows the status where somebody looks, and says what went wrong everywhere.
pub(crate) struct StatusLine {
    bar: Arc<ProgressBar>,
    /// Dropped to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StatusLine {
    pub(crate) fn start(board: StatusBoard, quiet: bool) -> Self {
        let bar = if quiet || !console::is_watched() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner().with_style(console::bar_style("{msg}"))
        };
        let bar = Arc::new(bar);
        let (end, ended) = channel::<()>();
        let shown = Arc::clone(&bar);
        let show = move || {
            let mut errors = 0;
            loop {
                let is_last = ended.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
                let status = board.get();
                shown.set_message(line(&status));
                if status.errors > errors && !quiet {
                    errors = status.errors;
                    let error = status.last_error.unwrap_or_default();
                    shown.suspend(|| console::note(&error));
                }
                if is_last {
                    return;
                }
            }
        };
        Self {
            bar,
            end: Some(end),
            // Without it the work is done all the same.
            thread: thread::Builder::new().spawn(show).ok(),
        }
    }

    /// Prints to standard output, which may be the same terminal.
    pub(crate) fn around<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    pub(crate) fn finish(mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

fn line(status: &Status) -> String {
    let Status {
        waiting,
        inspected,
        ok,
        review,
        defect,
        failed,
        last_minute,
        ..
    } = status;
    let counts = format!(
        "{waiting} waiting, {inspected} inspected ({ok} ok, {review} review, {defect} defect), {failed} failed, \
         {last_minute} in the last minute"
    );
    let mqtt = match &status.mqtt {
        Some(mqtt) if mqtt.connected => format!(", MQTT: {} to send", mqtt.backlog),
        Some(mqtt) => format!(", MQTT: not connected, {} to send", mqtt.backlog),
        None => String::new(),
    };
    let errors = match status.errors {
        0 => String::new(),
        errors => format!(", {errors} errors"),
    };
    format!("{counts}{mqtt}{errors}")
}

/// What is said when the work has ended.
pub(crate) fn in_the_end(status: &Status) -> String {
    let Status {
        inspected, failed, ..
    } = status;
    let untold = status.untold();
    let untold = untold.map(|untold| format!(" {untold}"));
    let untold = untold.unwrap_or_default();
    format!("Stopped; {inspected} photos were inspected, {failed} failed.{untold}")
}
