//! What every target does with a file that opens: reads its tensors, and tries to load it as a bundle.

use vcp_checkpoint::{TensorFile, Weights};

pub(crate) fn read_all(bytes: Vec<u8>) {
    let Ok(file) = TensorFile::from_bytes(bytes, "input") else {
        return;
    };
    // Many tensors may share one storage, so only some are read.
    for name in file.names().take(64) {
        if let Some(tensor) = file.tensor(name) {
            std::hint::black_box(tensor.to_f32());
            tensor.release();
        }
    }
    let _ = std::hint::black_box(Weights::from_bundle(&file));
}
