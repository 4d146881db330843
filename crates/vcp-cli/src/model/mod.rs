//! Choosing, describing and fetching models.

mod choice;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod pack;
pub(crate) mod pull;

use std::path::PathBuf;

pub(crate) use choice::Choice;
#[cfg(feature = "train")]
pub(crate) use choice::find_device;

use crate::args::CacheArgs;

/// The folder that was asked for, else the platform's.
pub(crate) fn cache_folder(arguments: &CacheArgs) -> Result<PathBuf, vcp_clip::model::ModelError> {
    match &arguments.cache {
        Some(folder) => Ok(folder.clone()),
        None => vcp_clip::model::cache_folder(),
    }
}
