//! The bar on standard error, where that is a terminal.

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
            _ if quiet || !console::is_watched() => ProgressBar::hidden(),
            Some(count) => ProgressBar::new(count as u64).with_style(console::bar_style(
                "{pos} of {len} [{bar:30}] {elapsed} gone, {eta} left{msg}",
            )),
            None => ProgressBar::new_spinner()
                .with_style(console::bar_style("{pos} done, {elapsed} gone{msg}")),
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
        self.bar.set_message("");
        self.bar.inc(1);
    }

    /// Where the thread that looks at a large photo says how far it is.
    pub(crate) fn windows(&self) -> Windows {
        Windows {
            bar: self.bar.clone(),
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Progress within a photo that is looked at in windows.
#[derive(Clone)]
pub(crate) struct Windows {
    bar: ProgressBar,
}

impl Windows {
    /// So many of the photo's windows have been looked at.
    pub(crate) fn show(&self, done: usize, all: usize) {
        let message = if done < all {
            format!(", window {done} of {all}")
        } else {
            String::new()
        };
        self.bar.set_message(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_until_their_photo_is_done() {
        let progress = Progress::new(Some(2), true);
        let windows = progress.windows();
        windows.show(4, 9);
        assert_eq!(progress.bar.message(), ", window 4 of 9");
        windows.show(9, 9);
        assert_eq!(progress.bar.message(), "");
        windows.show(1, 9);
        progress.advance();
        assert_eq!(
            (progress.bar.message(), progress.bar.position()),
            (String::new(), 1)
        );
    }
}
