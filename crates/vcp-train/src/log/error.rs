//! What can go wrong with a run's log.

use std::path::{Path, PathBuf};

/// A log that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: the log could not be {action}: {source}.", file.display())]
    Io {
        /// The file in question.
        file: PathBuf,
        /// What was tried: "created", "read", "written" and so on.
        action: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A line, other than a half-written last one, is no record.
    #[error(
        "{}: line {line} is not a record of a training step: {reason}. Remove the line, or move the file away.",
        file.display()
    )]
    Line {
        /// The file in question.
        file: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Steps have to rise through a log; several records may share one.
    #[error(
        "{}: a record of step {found} cannot follow one of step {last}; records are written in the order of their steps.",
        file.display()
    )]
    Order {
        /// The file in question.
        file: PathBuf,
        /// The step of the record refused.
        found: u64,
        /// The step of the record before it.
        last: u64,
    },
    /// A figure is infinite or not a number, which neither JSON nor a chart can show.
    #[error(
        "The figure \"{name}\" of step {step} is {value}; only finite figures are written down."
    )]
    NotFinite {
        /// The figure's name.
        name: String,
        /// The step it belongs to.
        step: u64,
        /// What was given.
        value: f64,
    },
    /// `TensorBoard` counts steps in a signed 64-bit number.
    #[error(
        "Step {step} is too large for an event file; the last possible one is {}.",
        i64::MAX
    )]
    Step {
        /// What was given.
        step: u64,
    },
    /// An option of the chart is out of range.
    #[error("The chart's {option} is {found}, but it has to be {expected}.")]
    ChartOption {
        /// Which option.
        option: &'static str,
        /// What was given.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// The chart could not be drawn or encoded. Nothing is left behind.
    #[error("{}: the chart of the loss could not be drawn: {reason}.", file.display())]
    Chart {
        /// Where the chart was to go.
        file: PathBuf,
        /// What the drawing library said.
        reason: String,
    },
}

impl Error {
    /// For `map_err`: the file and what was tried with it.
    pub(super) fn io(file: &Path, action: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |source| Self::Io {
            file: file.to_owned(),
            action,
            source,
        }
    }
}
