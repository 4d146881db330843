//! How the process ends.

use std::process::ExitCode;

/// The exit statuses, which scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Done,
    /// Some inputs failed, or the one thing asked for could not be done.
    Failed,
    /// Wrong usage, or no model to work with: nothing was begun.
    Usage,
    /// All done, and with `--fail-on-anomaly` at least one photo has a defect; with `--fail-on-review`, or is to be
    /// reviewed.
    Anomalous,
    /// Stopped by Ctrl-C or a request to terminate; what was printed until then is complete.
    Interrupted,
}

impl Exit {
    /// The number a shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Anomalous => 3,
            // What a shell reports for a process that SIGINT ended: 128 + 2.
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// Marks an error as wrong usage: it ends the process with [`Exit::Usage`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// An error that ends the process with [`Exit::Usage`].
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError(message.into()).into()
}

/// The exit status an error leads to.
pub(crate) fn status_of(error: &anyhow::Error) -> Exit {
    // `downcast_ref` sees through any context put around the marker.
    if error.downcast_ref::<UsageError>().is_some() {
        Exit::Usage
    } else {
        Exit::Failed
    }
}

/// What an error says, followed by its causes where it does not say them itself.
pub(crate) fn whole_message(error: &anyhow::Error) -> String {
    let error: &(dyn std::error::Error + 'static) = error.as_ref();
    vcp_clip::sentence(error)
}

/// Gives an error the exit status of wrong usage, whatever it is.
pub(crate) trait OrUsage<T> {
    /// Turns the error and all its causes into a [`UsageError`].
    fn or_usage(self) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> OrUsage<T> for Result<T, E> {
    fn or_usage(self) -> anyhow::Result<T> {
        self.map_err(|error| usage(whole_message(&error.into())))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn context_does_not_hide_wrong_usage() {
        let error = Err::<(), _>(usage("no model")).context("while starting");
        assert_eq!(status_of(&error.unwrap_err()), Exit::Usage);
        assert_eq!(status_of(&anyhow::anyhow!("disk full")), Exit::Failed);
    }
}
