//! The model that comes with the program.

use std::io::Read as _;

use anyhow::Context;
use flate2::read::GzDecoder;
use vcp_checkpoint::{TensorFile, Weights};

/// What `--model` calls it.
pub(crate) const NAME: &str = "built-in";

/// What it is, in a few words.
pub(crate) const ABOUT: &str = "comes with vcp-clip; small and fast, for a first look";

/// A bundle, compressed with gzip. `docs/models/built-in.md` says how it was made.
const COMPRESSED: &[u8] = include_bytes!("../../models/built-in.safetensors.gz");

/// What it takes in the program.
pub(crate) fn bytes() -> u64 {
    COMPRESSED.len() as u64
}

/// A bundle as it would lie on the disk.
pub(crate) fn file() -> anyhow::Result<TensorFile> {
    let mut bundle = Vec::new();
    GzDecoder::new(COMPRESSED)
        .read_to_end(&mut bundle)
        .context("The built-in model cannot be unpacked; this program file is damaged")?;
    Ok(TensorFile::from_bytes(bundle, "the built-in model")?)
}

pub(crate) fn weights() -> anyhow::Result<Weights> {
    Ok(Weights::from_bundle(&file()?)?)
}
