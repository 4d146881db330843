//! The folder that pulled weights are kept in.

use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use etcetera::BaseStrategy;

use crate::args::CacheArgs;

/// The folder that was asked for, else `vcp-clip` in the platform's cache folder.
pub(crate) fn folder(arguments: &CacheArgs) -> anyhow::Result<PathBuf> {
    if let Some(folder) = &arguments.cache {
        return Ok(folder.clone());
    }
    let strategy = etcetera::base_strategy::choose_native_strategy()
        .context("No cache folder is known for this user; give one with --cache")?;
    Ok(strategy.cache_dir().join("vcp-clip"))
}

/// Whether a value of `--model` is the name of a pulled bundle rather than a path: it has neither
/// folders nor an ending.
pub(crate) fn is_name(model: &Path) -> bool {
    let mut parts = model.components();
    matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    ) && model.extension().is_none()
}

/// The bundle of this name.
pub(crate) fn bundle(folder: &Path, name: &Path) -> PathBuf {
    folder.join(name).with_extension("safetensors")
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
