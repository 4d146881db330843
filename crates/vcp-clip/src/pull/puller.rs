//! Bringing files and bundles into a cache.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::download::{self, Connection, Progress};
use super::error::PullError;
use super::sources::{BaseUrls, BundleRecipe, Catalogue, Source};

/// Brings weights from a [`Catalogue`] into a cache folder.
#[derive(Debug)]
pub struct Puller<'a> {
    /// What can be pulled.
    pub catalogue: &'a Catalogue,
    /// The folder that files are kept in.
    pub cache: &'a Path,
    /// Where files are fetched from.
    pub base_urls: &'a BaseUrls,
    /// Fetch nothing: use only what the cache holds.
    pub offline: bool,
    /// How servers are reached.
    pub connection: Connection,
}

/// What a pull did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The file or bundle in the cache.
    pub path: PathBuf,
    /// Whether it already lay there, so that nothing was done.
    pub already_there: bool,
}

impl Puller<'_> {
    /// Brings the file or bundle called `name` into the cache.
    ///
    /// # Errors
    /// When `name` is not in the catalogue, a file can neither be found in the cache nor fetched
    /// (the error then says how to get it by hand), its digest is wrong, or the bundle cannot be
    /// packed.
    pub fn pull(&self, name: &str, progress: &dyn Progress) -> Result<Pulled, PullError> {
        let recipe = self.catalogue.bundle(name);
        let source = self.catalogue.source(name);
        if recipe.is_none() && source.is_none() {
            return Err(PullError::unknown_name(name, self.catalogue));
        }
        let _lock = self.lock(progress)?;
        match (recipe, source) {
            (Some(recipe), _) => self.bundle(recipe, progress),
            (None, Some(source)) => self.file(source, progress),
            (None, None) => Err(PullError::unknown_name(name, self.catalogue)),
        }
    }

    /// Holds other pulls into the same cache back until the returned file is dropped. The lock
    /// belongs to the process, so it cannot be left behind by one that died.
    fn lock(&self, progress: &dyn Progress) -> Result<File, PullError> {
        std::fs::create_dir_all(self.cache).map_err(PullError::cache(self.cache))?;
        let path = self.cache.join(".lock");
        let file = download::open_plain(&path).map_err(PullError::Lock)?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(PullError::cache(&path)(error));
            }
        }
        progress.note("Another vcp-clip is pulling into the same cache; waiting until it is done.");
        file.lock().map_err(PullError::cache(&path))?;
        Ok(file)
    }

    fn file(&self, source: &Source, progress: &dyn Progress) -> Result<Pulled, PullError> {
        let path = self.cache.join(&source.file);
        // Whatever lies there may have been put there by hand, so it is checked like a download.
        let found = match std::fs::metadata(&path) {
            // Reading a FIFO would wait for somebody to write to it.
            Ok(metadata) if !metadata.is_file() => {
                return Err(PullError::cache(&path)(std::io::Error::other(
                    "it is no regular file",
                )));
            }
            Ok(_) => {
                progress.note(&format!("Checking {}.", path.display()));
                Some(download::sha256(&path).map_err(PullError::cache(&path))?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(PullError::cache(&path)(error)),
        };
        match found {
            Some(found) if found == source.sha256 => {
                return Ok(Pulled {
                    path,
                    already_there: true,
                });
            }
            Some(found) if self.offline => {
                return Err(self.advise(source, download::Failure::WrongDigest { found }));
            }
            Some(_) => progress.note(&format!(
                "{} is not the published file; it will be fetched and replaced.",
                path.display()
            )),
            None if self.offline => return Err(self.advise(source, download::Failure::Offline)),
            None => {}
        }
        let request = download::Request {
            url: &source.url(self.base_urls),
            destination: &path,
            sha256: &source.sha256,
            size_limit: source.size_limit,
        };
        download::download(&request, &self.connection, progress)
            .map_err(|failure| self.advise(source, failure))?;
        Ok(Pulled {
            path,
            already_there: false,
        })
    }

    fn advise(&self, source: &Source, failure: download::Failure) -> PullError {
        PullError::unavailable(source, self.cache, self.base_urls, failure)
    }

    fn bundle(&self, recipe: &BundleRecipe, progress: &dyn Progress) -> Result<Pulled, PullError> {
        let path = self.cache.join(recipe.file_name());
        let mut sources = Vec::new();
        for name in [&recipe.clip, &recipe.checkpoint] {
            let source = self.catalogue.source(name);
            sources.push(source.ok_or_else(|| PullError::unknown_name(name, self.catalogue))?);
        }
        if let Ok(bundle) = vcp_checkpoint::Weights::open_bundle(&path) {
            let holds = |source: &&Source| {
                let mut made_of = bundle.sources().iter();
                made_of.any(|made_of| made_of.sha256() == source.sha256)
            };
            if sources.iter().all(holds) {
                return Ok(Pulled {
                    path,
                    already_there: true,
                });
            }
            progress.note(&format!(
                "{} was made of other files than the published ones; it will be replaced.",
                path.display()
            ));
        }
        let mut parts = Vec::new();
        for source in sources {
            parts.push(self.file(source, progress)?.path);
        }
        progress.note(&format!("Packing {}.", path.display()));
        let packed =
            vcp_checkpoint::Weights::open_parts(&parts[0], &parts[1], recipe.settings.clone())
                .and_then(|weights| weights.write_bundle(&path, vcp_checkpoint::Storing::AsStored));
        packed.map_err(|source| PullError::Pack {
            name: recipe.name.clone(),
            source: Box::new(source),
        })?;
        Ok(Pulled {
            path,
            already_there: false,
        })
    }
}
