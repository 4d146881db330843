//! SHA-256 of files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};
use crate::storage::Storage;

/// The SHA-256 of a file in lowercase hexadecimal, as `sha256sum` prints it.
///
/// # Errors
/// If the file cannot be read.
pub fn sha256_of_file(path: &Path) -> Result<String, Error> {
    let io = |action| move |source| Error::at_path(path, ErrorKind::Io { action, source });
    let mut file = File::open(path).map_err(io("open the file"))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io("read the file")(error)),
        }
    }
    Ok(hexadecimal(hasher))
}

/// The same of a file that is mapped, letting go of its pages on the way.
pub(crate) fn sha256_of_storage(storage: &Storage) -> String {
    const BLOCK: usize = 16 << 20;
    let mut hasher = Sha256::new();
    for (index, block) in storage.bytes().chunks(BLOCK).enumerate() {
        hasher.update(block);
        storage.release(index * BLOCK..index * BLOCK + block.len());
    }
    hexadecimal(hasher)
}

fn hexadecimal(hasher: Sha256) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
