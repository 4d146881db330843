//! SHA-256 of files.

use std::path::Path;

use vcp_files::Sha256;

use crate::error::{Error, ErrorKind};
use crate::storage::Storage;

/// The SHA-256 of a file in lowercase hexadecimal, as `sha256sum` prints it.
///
/// # Errors
/// If the file cannot be read.
pub fn sha256_of_file(path: &Path) -> Result<String, Error> {
    vcp_files::sha256_of_file(path).map_err(|source| {
        let action = "read the file";
        Error::at_path(path, ErrorKind::Io { action, source })
    })
}

/// The same of a file that is mapped, letting go of its pages on the way.
pub(crate) fn sha256_of_storage(storage: &Storage) -> String {
    const BLOCK: usize = 16 << 20;
    let mut hasher = Sha256::new();
    for (index, block) in storage.bytes().chunks(BLOCK).enumerate() {
        hasher.update(block);
        storage.release(index * BLOCK..index * BLOCK + block.len());
    }
    hasher.hexadecimal()
}
