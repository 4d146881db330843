//! `vcp-clip model pull NAME`.

use std::cell::RefCell;

use indicatif::ProgressBar;

use vcp_clip::pull::{BaseUrls, Catalogue, Connection, Progress, PullError, Puller};

use super::cache_folder;
use crate::args::PullArgs;
use crate::console;
use crate::exit::{Exit, usage};

pub(crate) fn run(arguments: &PullArgs) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::published();
    let cache = cache_folder(&arguments.cache)?;
    let base_urls = BaseUrls {
        clip: arguments.base_url_clip.clone(),
        drive: arguments.base_url_drive.clone(),
    };
    let puller = Puller {
        catalogue: &catalogue,
        cache: &cache,
        base_urls: &base_urls,
        offline: arguments.offline,
        connection: Connection {
            proxy: ureq::Proxy::try_from_env(),
            ..Default::default()
        },
    };
    let progress = Terminal {
        quiet: arguments.quiet,
        bar: RefCell::new(ProgressBar::hidden()),
    };
    let outcome = puller.pull(&arguments.name, &progress);
    progress.bar.borrow().finish_and_clear();
    match outcome {
        Ok(pulled) => {
            if pulled.already_there {
                progress.note("It was in the cache already.");
            }
            console::print_line(&pulled.path.display().to_string())?;
            Ok(Exit::Done)
        }
        Err(error @ PullError::UnknownName { .. }) => Err(usage(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Shows a bar where there is a terminal.
struct Terminal {
    quiet: bool,
    bar: RefCell<ProgressBar>,
}

impl Progress for Terminal {
    fn begin(&self, name: &str, done: u64, total: Option<u64>) {
        self.bar.borrow().finish_and_clear();
        if self.quiet || !console::is_watched() {
            return;
        }
        let bar = match total {
            Some(total) => ProgressBar::new(total).with_style(console::bar_style(
                "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}, {eta} left",
            )),
            None => ProgressBar::new_spinner()
                .with_style(console::bar_style("{msg} {spinner} {binary_bytes} {binary_bytes_per_sec}")),
        };
        bar.set_message(console::printable(name).into_owned());
        bar.set_position(done);
        bar.reset_eta();
        *self.bar.borrow_mut() = bar;
    }

    fn advance(&self, bytes: u64) {
        self.bar.borrow().inc(bytes);
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            self.bar.borrow().suspend(|| console::note(message));
        }
    }
}
