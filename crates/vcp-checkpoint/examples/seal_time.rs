//! What checking a bundle's digest costs: writes a bundle of random weights of the size of ViT-L-14-336
//! into a temporary folder, then opens it, with and without the digest in turn, and reads its tensors.
//!
//! ```sh
//! cargo run --release -p vcp-checkpoint --example seal_time
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "an example")]

use std::path::Path;
use std::time::Instant;

use vcp_checkpoint::{Geometry, Settings, Storing, Weights};

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let sealed = folder.path().join("sealed.safetensors");
    let geometry = Geometry::vit_l_14_336();
    let weights = Weights::random(geometry, Settings::default(), 1).unwrap();
    let begun = Instant::now();
    weights.write_bundle(&sealed, Storing::AsStored).unwrap();
    let mut bytes = std::fs::read(&sealed).unwrap();
    println!(
        "{} MB, written in {:.2?}",
        bytes.len() / 1_000_000,
        begun.elapsed()
    );

    // The same under a key that says nothing, with digits that are none.
    let plain = folder.path().join("plain.safetensors");
    let key = b"\"vcp_clip_blake3\":\"";
    let at = bytes
        .windows(key.len())
        .position(|window| window == key)
        .unwrap();
    bytes[at + 1] = b'n';
    bytes[at + key.len()] = b'x';
    std::fs::write(&plain, &bytes).unwrap();
    drop(bytes);

    for _ in 0..3 {
        for path in [&plain, &sealed] {
            let begun = Instant::now();
            let weights = Weights::open_bundle(path).unwrap();
            let opened = begun.elapsed();
            let sum = read(&weights);
            println!(
                "{:8} opened in {opened:8.2?}, with all tensors read in {:8.2?} ({sum})",
                name(path),
                begun.elapsed()
            );
        }
    }
}

/// Reads every tensor as loading a model does, a few rows at a time.
fn read(weights: &Weights) -> f32 {
    let mut sum = 0.0;
    for tensor in weights.tensors() {
        let rows = tensor.shape().first().copied().unwrap_or(1);
        let length = tensor.len() / rows.max(1);
        let mut values = vec![0.0; length];
        for row in 0..rows {
            tensor.read_rows(row..row + 1, &mut values);
            sum += values.first().copied().unwrap_or(0.0);
        }
        tensor.release();
    }
    sum
}

fn name(path: &Path) -> &str {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default()
}
