//! Which model: the built-in one, one that was pulled, a bundle, or CLIP with a checkpoint.

#[cfg(feature = "built-in")]
mod built_in;
mod cache;
mod changes;
mod open;

use std::path::{Path, PathBuf};

use vcp_checkpoint::{Geometry, LearnedGeometry};

#[cfg(feature = "built-in")]
pub use built_in::{built_in_file, built_in_size};
pub use cache::{cache_folder, cached_bundle, data_folder, is_name};
pub use changes::SettingChanges;
pub use open::{Applicable, Model, ModelError, ModelOptions, describe};

/// What `--model` calls the model that comes with the program.
pub const BUILT_IN: &str = "built-in";

/// What the built-in model is, in a few words.
pub const BUILT_IN_ABOUT: &str = "comes with vcp-clip; small and fast, for a first look";

/// A model that can be opened; no file of it has been looked for yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelName {
    /// The small one that comes with this crate, feature `built-in`.
    #[default]
    BuiltIn,
    /// A bundle that was pulled, or put into the cache by hand.
    Cached {
        /// The folder of the cache, such as [`cache_folder`] gives it.
        cache: PathBuf,
        /// The name, without folders and ending: `visa`.
        name: String,
    },
    /// A bundle in a file.
    Bundle(PathBuf),
    /// CLIP's weights and a trained VCP-CLIP checkpoint.
    Parts {
        /// CLIP: `OpenAI`'s archive, or a safetensors or torch.save file.
        clip: PathBuf,
        /// The trained part, such as the official `train_visa.pth`.
        checkpoint: PathBuf,
    },
    /// CLIP's weights with learned parts as training starts from them.
    Start {
        /// CLIP's weights.
        clip: PathBuf,
        /// Sizes of the learned parts.
        learned: LearnedGeometry,
        /// They are functions of this seed.
        seed: u64,
    },
    /// Pseudo-random weights, for benchmarks.
    Random(Geometry),
}

impl ModelName {
    /// What a user means by a value of `--model`: `built-in`, the name of a bundle in the cache (no
    /// folders, no ending), or the path of a bundle. The cache is `cache`, else the platform's
    /// ([`cache_folder`]).
    ///
    /// # Errors
    /// When a name is given and no cache folder is known for this user.
    pub fn parse(value: &Path, cache: Option<&Path>) -> Result<Self, ModelError> {
        if value == Path::new(BUILT_IN) {
            return Ok(Self::BuiltIn);
        }
        match value.to_str() {
            Some(name) if is_name(value) => Ok(Self::Cached {
                cache: match cache {
                    Some(cache) => cache.to_owned(),
                    None => cache_folder()?,
                },
                name: name.to_owned(),
            }),
            _ => Ok(Self::Bundle(value.to_owned())),
        }
    }
}
