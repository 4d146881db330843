//! Published weights.

use std::panic::resume_unwind;
use std::path::PathBuf;

use pyo3::prelude::*;
use vcp_clip::Stop;
use vcp_clip::model::cache_folder;
use vcp_clip::pull::{BaseUrls, Catalogue, Connection, Progress, Puller};

use crate::errors::Failure;
use crate::work::work;

/// Brings published weights into the cache and gives the path of the file or bundle.
#[pyfunction]
pub(crate) fn pull(
    py: Python<'_>,
    name: String,
    cache: Option<PathBuf>,
    offline: bool,
    base_urls: Option<(String, String)>,
    progress: Option<Py<PyAny>>,
) -> PyResult<PathBuf> {
    work(py, move |stop| {
        let cache = match cache {
            Some(cache) => cache,
            None => cache_folder().map_err(vcp_clip::Error::from)?,
        };
        let base_urls = match base_urls {
            Some((clip, drive)) => BaseUrls { clip, drive },
            None => BaseUrls::default(),
        };
        let puller = Puller {
            catalogue: &Catalogue::published(),
            cache: &cache,
            base_urls: &base_urls,
            offline,
            connection: Connection {
                proxy: ureq::Proxy::try_from_env(),
                ..Connection::default()
            },
        };
        let telling = Telling {
            callback: progress,
            stop: stop.clone(),
        };
        let pulled = puller
            .pull(&name, &telling)
            .map_err(vcp_clip::Error::from)?;
        Ok::<_, Failure>(pulled.path)
    })
}

/// Tells a function of Python's.
struct Telling {
    callback: Option<Py<PyAny>>,
    stop: Stop,
}

impl Telling {
    fn tell(&self, event: &str, text: &str, numbers: (u64, Option<u64>)) {
        if self.stop.is_requested() {
            // Nobody waits any more. What has arrived stays, and the next pull resumes; no panic is reported.
            resume_unwind(Box::new("stopped"));
        }
        let Some(callback) = &self.callback else {
            return;
        };
        Python::attach(|py| {
            if let Err(error) = callback.call1(py, (event, text, numbers.0, numbers.1)) {
                error.write_unraisable(py, Some(callback.bind(py)));
            }
        });
    }
}

impl Progress for Telling {
    fn begin(&self, name: &str, done: u64, total: Option<u64>) {
        self.tell("begin", name, (done, total));
    }

    fn advance(&self, bytes: u64) {
        self.tell("advance", "", (bytes, None));
    }

    fn note(&self, message: &str) {
        self.tell("note", message, (0, None));
    }
}
