//! The index of files in parts, beside two good parts.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vcp_checkpoint::TensorFile;

/// A folder with the parts `one` (tensors a and b) and `two` (b and c).
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("vcp-fuzz-index-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for temporary files");
    for (name, [first, second]) in [("one", ["a", "b"]), ("two", ["b", "c"])] {
        let header = format!(
            r#"{{"{first}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}},"{second}":{{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}}}"#
        );
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 8]);
        std::fs::write(folder.join(name), bytes).expect("room for a few bytes");
    }
    folder
});

fuzz_target!(|index: &[u8]| {
    let path = FOLDER.join("model.safetensors.index.json");
    std::fs::write(&path, index).expect("room for the index");
    if let Ok(file) = TensorFile::open(&path) {
        for name in file.names() {
            std::hint::black_box(file.tensor(name).map(|tensor| tensor.to_f32()));
        }
    }
});
