//! Standard output for results, standard error for everything else.
//!
//! All that the program prints goes through here, and nothing that comes from elsewhere (names,
//! paths, arguments, what files hold) gets to the terminal as it is: see [`printable`]. What
//! prints one line lets no line break through; text of several lines is given what stands in it
//! through `printable`, as tables do by themselves.
#![allow(
    clippy::disallowed_methods,
    reason = "the one place that prints; clippy.toml forbids it elsewhere"
)]

mod table;
mod usage;

use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressStyle;
use serde::Serialize;

use crate::exit::whole_message;

pub(crate) use table::{Column, heading, line, table};
pub(crate) use usage::{made_visible, usage_error};
pub(crate) use vcp_report::visible::{json as visible_json, printable};

use vcp_report::visible::{printable_lines, printable_message};

/// Held while something is printed.
static PRINTING: Mutex<()> = Mutex::new(());

/// Lets what is being printed be printed to its end, and nothing after it, for a process that is about to
/// end. A reader who takes nothing is not waited for.
pub(crate) fn end() {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(100) {
        match PRINTING.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(5)),
            printing => {
                std::mem::forget(printing);
                break;
            }
        }
    }
    // Where a progress bar stands, the shell goes on below it.
    if is_watched() {
        let _ = writeln!(io::stderr());
    }
}

/// Prints a line of results.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    print_raw(format!("{}\n", printable(line)).as_bytes())
}

/// Prints lines of results. Names in them have to be [`printable`], or they could begin lines of their
/// own.
pub(crate) fn print_text(text: &str) -> io::Result<()> {
    print_raw(printable_lines(text).as_bytes())
}

/// Prints a result as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(print_raw(format!("{}\n", json(value)).as_bytes())?)
}

/// Prints what this program made up itself, as it is, and flushes, so that a reader at the other end
/// of a pipe has each result at once.
pub(crate) fn print_raw(bytes: &[u8]) -> io::Result<()> {
    let _printing = PRINTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// One line of JSON, in which invisible characters are escaped.
pub(crate) fn json(value: &impl Serialize) -> String {
    // Only maps with keys that are no texts cannot be written, and there are none.
    let json = serde_json::to_string(value).unwrap_or_default();
    visible_json(&json).into_owned()
}

/// The same over several lines.
pub(crate) fn json_document(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(visible_json(&serde_json::to_string_pretty(value)?).into_owned())
}

/// Says something beside the results.
pub(crate) fn note(message: &str) {
    // Where standard error is closed nobody listens.
    let _ = writeln!(io::stderr().lock(), "note: {}", printable(message));
}

/// Says why the work ends, with all causes.
pub(crate) fn error(error: &anyhow::Error) {
    let message = whole_message(error);
    let _ = writeln!(
        io::stderr().lock(),
        "error: {}",
        printable_message(&message)
    );
}

/// Whether somebody may be looking at standard error.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether somebody may be looking at standard output.
pub(crate) fn is_output_watched() -> bool {
    io::stdout().is_terminal()
}

/// Shows how far the work is, in place of what this has shown before. For terminals.
#[cfg(feature = "train")]
pub(crate) fn show(state: &str) {
    let _ = write!(io::stderr().lock(), "\r\x1b[K{}", printable(state));
}

/// Prints a line about the work to standard error, in place of what [`show`] has shown if that was
/// used.
#[cfg(feature = "train")]
pub(crate) fn tell(line: &str, has_shown: bool) {
    let clear = if has_shown { "\r\x1b[K" } else { "" };
    let _ = writeln!(io::stderr().lock(), "{clear}{}", printable(line));
}

/// How a progress bar looks.
pub(crate) fn bar_style(template: &str) -> ProgressStyle {
    // The templates here are right; the default bar is no disaster.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Whether an error says that nobody reads standard output any more, as with `| head`.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
