//! Where results may go.

use std::path::Path;

use crate::exit::{OrUsage, usage};

/// Refuses to put a result where something other than a file stands, such as a device, or a file
/// that may not be replaced.
///
/// # Errors
/// As wrong usage.
pub(crate) fn check_place(path: &Path, force: bool) -> anyhow::Result<()> {
    // What else may be wrong with the place shows when it is written to.
    let Ok(found) = std::fs::metadata(path) else {
        return Ok(());
    };
    if !found.is_file() {
        return Err(usage(format!(
            "{} is no regular file and cannot be replaced by one; name another place.",
            path.display()
        )));
    }
    if !force {
        return Err(usage(format!(
            "{} exists already; --force replaces it.",
            path.display()
        )));
    }
    Ok(())
}

/// Creates the folder that results go to, before work is done for them.
///
/// # Errors
/// As wrong usage.
pub(crate) fn create_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|error| {
            let folder = folder.display();
            anyhow::anyhow!("The output folder {folder} cannot be created: {error}.")
        })
        .or_usage()
}
