//! The bar on standard error, where that is a terminal.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::console;

/// Progress over the photos; shows nothing where nobody looks.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub(crate) fn new(count: Option<usize>, quiet: bool) -> Self {
        let bar = match count {
            _ if quiet || !std::io::stderr().is_terminal() => ProgressBar::hidden(),
            Some(count) => ProgressBar::new(count as u64).with_style(console::bar_style(
                "{pos} of {len} [{bar:30}] {elapsed} gone, {eta} left",
            )),
            None => ProgressBar::new_spinner()
                .with_style(console::bar_style("{pos} done, {elapsed} gone")),
        };
        if !bar.is_hidden() {
            // A photo may take seconds; the clock should not look stuck.
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Self { bar }
    }

    /// Prints to standard output, which may be the same terminal.
    pub(crate) fn around<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
