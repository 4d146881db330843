//! The folders that are kept for this user: of pulled weights, and of data.

use std::path::{Component, Path, PathBuf};

use etcetera::BaseStrategy;

use super::ModelError;

/// `vcp-clip` in the platform's cache folder, as the operating system gives it for this user: on Linux
/// `$XDG_CACHE_HOME` or `~/.cache`. Nothing else in this crate depends on the environment but [`data_folder`].
///
/// # Errors
/// [`ModelError::NoCache`] when none is known.
pub fn cache_folder() -> Result<PathBuf, ModelError> {
    let strategy = etcetera::base_strategy::choose_native_strategy()
        .map_err(|error| ModelError::NoCache(error.to_string()))?;
    Ok(strategy.cache_dir().join("vcp-clip"))
}

/// `vcp-clip` in the platform's folder for data that programs keep, as the operating system gives it for this user: on
/// Linux `$XDG_DATA_HOME` or `~/.local/share`.
///
/// # Errors
/// [`ModelError::NoData`] when none is known.
pub fn data_folder() -> Result<PathBuf, ModelError> {
    let strategy = etcetera::base_strategy::choose_native_strategy()
        .map_err(|error| ModelError::NoData(error.to_string()))?;
    Ok(strategy.data_dir().join("vcp-clip"))
}

/// Whether a value of `--model` is the name of a pulled bundle rather than a path: it has neither
/// folders nor an ending.
#[must_use]
pub fn is_name(model: &Path) -> bool {
    let mut parts = model.components();
    matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    ) && model.extension().is_none()
}

/// Where the bundle of this name lies in a cache.
#[must_use]
pub fn cached_bundle(cache: &Path, name: &str) -> PathBuf {
    cache.join(name).with_extension("safetensors")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        for name in ["visa", "mvtec", "my_model"] {
            assert!(is_name(Path::new(name)), "{name}");
        }
        for path in [
            "visa.safetensors",
            "./visa",
            "x/visa",
            "/visa",
            ".",
            "..",
            "",
        ] {
            assert!(!is_name(Path::new(path)), "{path}");
        }
    }
}
