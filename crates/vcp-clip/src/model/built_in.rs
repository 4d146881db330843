//! The model that comes with the crate.

use std::io::Read as _;

use flate2::read::GzDecoder;
use vcp_checkpoint::TensorFile;

use super::ModelError;

/// A bundle, compressed with gzip. `docs/models/built-in.md` says how it was made.
const COMPRESSED: &[u8] = include_bytes!("../../models/built-in.safetensors.gz");

/// Bytes of the program that the built-in model takes.
#[must_use]
pub fn built_in_size() -> u64 {
    COMPRESSED.len() as u64
}

/// The built-in model as a bundle, as it would lie on the disk.
///
/// # Errors
/// When the program file is damaged.
pub fn built_in_file() -> Result<TensorFile, ModelError> {
    let mut bundle = Vec::new();
    GzDecoder::new(COMPRESSED)
        .read_to_end(&mut bundle)
        .map_err(ModelError::BuiltInDamaged)?;
    Ok(TensorFile::from_bytes(bundle, "the built-in model")?)
}
