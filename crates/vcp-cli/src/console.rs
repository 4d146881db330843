//! Standard output for results, standard error for everything else.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::ProgressStyle;

use crate::exit::whole_message;

/// Held while something is printed.
static PRINTING: Mutex<()> = Mutex::new(());

/// Writes to standard output and flushes, so that a reader at the other end of a pipe has each
/// result at once.
pub(crate) fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let _printing = PRINTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

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
    if io::stderr().is_terminal() {
        let _ = writeln!(io::stderr());
    }
}

/// Prints a line of results.
pub(crate) fn print_line(line: &str) -> io::Result<()> {
    print_bytes(format!("{line}\n").as_bytes())
}

/// Says something beside the results.
pub(crate) fn note(message: &str) {
    // Where standard error is closed nobody listens.
    let _ = writeln!(io::stderr().lock(), "note: {message}");
}

/// Says why the work ends, with all causes.
pub(crate) fn error(error: &anyhow::Error) {
    let _ = writeln!(io::stderr().lock(), "error: {}", whole_message(error));
}

/// A table for people: the first column to the left, the others to the right.
pub(crate) fn table(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> =
        std::iter::once(headings.iter().map(|&text| text.into()).collect())
            .chain(rows)
            .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = match column {
                0 => write!(line, "{cell:width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Text for a terminal, which a file's name must not be able to steer.
pub(crate) fn printable(text: &str) -> String {
    let printable = |character: char| {
        if character.is_control() {
            '\u{fffd}'
        } else {
            character
        }
    };
    text.chars().map(printable).collect()
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
