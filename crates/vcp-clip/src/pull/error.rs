//! Why weights could not be pulled, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::download::Failure;
use super::sources::{BaseUrls, Catalogue, Source};

/// Why a pull failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// Nothing of that name can be pulled.
    #[error("Nothing called {name} can be pulled. There is: {known}.")]
    UnknownName {
        /// The name asked for.
        name: String,
        /// All names, separated by commas.
        known: String,
    },
    /// The cache folder or a file in it cannot be used.
    #[error("The cache cannot be used: {}: {source}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file by which pulls into one cache wait for each other cannot be used.
    #[error("The cache cannot be locked: {0}")]
    Lock(#[source] Failure),
    /// A file cannot be had.
    #[error("{failure}\n  {advice}")]
    Unavailable {
        /// What went wrong.
        failure: Failure,
        /// Where the file is published, where to put it by hand, and its digest.
        advice: String,
    },
    /// The parts are here but do not make a bundle.
    #[error("The bundle {name} cannot be packed: {source}")]
    Pack {
        /// The bundle's name.
        name: String,
        /// What is wrong with the parts.
        source: Box<vcp_checkpoint::Error>,
    },
}

impl PullError {
    pub(super) fn unknown_name(name: &str, catalogue: &Catalogue) -> Self {
        let known: Vec<&str> = catalogue.names().collect();
        Self::UnknownName {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }

    pub(super) fn cache(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Cache { path, source }
    }

    pub(super) fn unavailable(
        source: &Source,
        cache: &Path,
        base_urls: &BaseUrls,
        failure: Failure,
    ) -> Self {
        let advice = format!(
            "To get {file} by hand: its authors publish it on {page} ({url}). Put it at {path} and \
             run the same command again. Its SHA-256 digest is {sha256}.",
            file = source.file,
            page = source.page(),
            url = source.url(&BaseUrls::default()),
            path = cache.join(&source.file).display(),
            sha256 = source.sha256,
        );
        // Behind a mirror, the mirror is the first suspect.
        let url = source.url(base_urls);
        let advice = if url == source.url(&BaseUrls::default()) {
            advice
        } else {
            format!("It was asked for at {url}. {advice}")
        };
        Self::Unavailable { failure, advice }
    }
}
