//! Files that are none of ours: what they are, by their first bytes, and what to do.

use std::path::Path;

use crate::error::shorten;

/// What a file that is none of ours looks like, with advice: a clause without a full stop.
pub(crate) fn describe(bytes: &[u8], label: &str) -> String {
    if bytes.is_empty() {
        return "the file is empty, so what should have written or fetched it did not; get it again"
            .to_owned();
    }
    by_start(bytes)
        .or_else(|| old_torch(bytes))
        .or_else(|| tensorflow(bytes, label))
        .or_else(|| text(bytes))
        .unwrap_or_else(|| {
            let first: Vec<u8> = bytes.iter().copied().take(8).collect();
            format!("it begins with {}", shorten(&format!("{first:02x?}")))
        })
}

/// What a folder is that was named in a file's place, with advice.
pub(crate) fn describe_folder(folder: &Path) -> String {
    let holds = |name: &str| folder.join(name).is_file();
    let name_it = |name: &str| format!("it is a folder; name the file {name} in it");
    // An index comes first: where there is one, other files are parts of it.
    let weights = [
        "model.safetensors.index.json",
        "open_clip_model.safetensors.index.json",
        "pytorch_model.bin.index.json",
        "model.safetensors",
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.bin",
        "pytorch_model.bin",
    ];
    if let Some(name) = weights.into_iter().find(|name| holds(name)) {
        name_it(name)
    } else if holds("saved_model.pb") {
        format!("it is the folder of a TensorFlow model, {TENSORFLOW}")
    } else if holds("data.pkl") && folder.join("data").is_dir() {
        "it is the folder of a PyTorch file that was unpacked; name the file itself, as it was \
         downloaded"
            .to_owned()
    } else {
        "it is a folder; name the weight file itself".to_owned()
    }
}

/// What a zip file is in which PyTorch put nothing, judged by the names of its entries; none if
/// nothing can be said.
pub(crate) fn describe_zip<'a>(names: &(impl Iterator<Item = &'a str> + Clone)) -> Option<String> {
    let ending = |endings: &'static [&str]| {
        names
            .clone()
            // What macOS adds to every archive.
            .filter(|name| !name.starts_with("__MACOSX/"))
            .find(|name| {
                let name = name.to_ascii_lowercase();
                endings.iter().any(|ending| name.ends_with(ending))
            })
    };
    let has = |name: &str| names.clone().any(|found| found == name);
    if has("model.weights.h5") || has("keras_metadata.pb") {
        Some(format!("it is a Keras model, {TENSORFLOW}"))
    } else if let Some(inner) = ending(&[
        ".pt",
        ".pth",
        ".ckpt",
        ".bin",
        ".safetensors",
        ".zip",
        ".tar",
    ]) {
        Some(format!(
            "it is a zip file around the weight file {}; unpack it and name that file",
            shorten(inner)
        ))
    } else if ending(&[".npy"]).is_some() {
        Some(format!("it is an archive of NumPy arrays, {NUMPY}"))
    } else if ending(&["/data.pkl"]).is_some() || has("data.pkl") {
        Some(
            "it holds a PyTorch file that was unpacked and packed again; get the file as it was \
             published"
                .to_owned(),
        )
    } else {
        None
    }
}

const TENSORFLOW: &str = "which is not read; load it with the library that wrote it and save the \
                          tensors as safetensors";
const NUMPY: &str =
    "which are not read; save them as safetensors, with safetensors.numpy.save_file";
const UNPACK: &str = "unpack it and name what is in it";
const EXPORTED: &str = "an exported model, which is not read; take the weights it was exported from, \
                        a .pt, .pth or .safetensors file";

/// By magic numbers.
fn by_start(bytes: &[u8]) -> Option<String> {
    const PACKED: [(&[u8], &str); 7] = [
        (b"\x1f\x8b", "gzip"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"Rar!\x1a\x07", "RAR"),
        (b"LZIP", "lzip"),
    ];
    const OTHER: [(&[u8], &str); 6] = [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"%PDF-", "a PDF document"),
        (b"\x7fELF", "a program"),
        (b"MZ", "a program"),
        (b"SQLite format 3\0", "a database"),
    ];
    let starts = |(start, _): &&(&[u8], &str)| bytes.starts_with(start);
    if let Some((_, by)) = PACKED.iter().find(starts) {
        return Some(format!("it is packed with {by}; {UNPACK}"));
    }
    if let Some((_, what)) = OTHER.iter().find(starts) {
        return Some(format!("it is {what}"));
    }
    let ggml: [&[u8]; 5] = [b"GGUF", b"lmgg", b"fmgg", b"tjgg", b"algg"];
    if ggml.iter().any(|start| bytes.starts_with(start)) {
        Some(format!(
            "it is a GGUF file (llama.cpp, clip.cpp), {EXPORTED}"
        ))
    } else if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
        Some(format!("it is an HDF5 file (Keras), {TENSORFLOW}"))
    } else if bytes.starts_with(b"\x93NUMPY") {
        Some(format!("it is a NumPy array, {NUMPY}"))
    } else if bytes.get(4..8) == Some(b"TFL3") {
        Some(format!("it is a TensorFlow Lite file, {EXPORTED}"))
    } else if is_onnx(bytes) {
        Some(format!("it is an ONNX file, {EXPORTED}"))
    } else if bytes.starts_with(b"PK") {
        // With other letters after it than a file's beginning has: an empty archive, or a part.
        Some("it is a zip file that is empty, or a part of one; get it again".to_owned())
    } else {
        None
    }
}

/// A protocol buffer whose first field is the version of ONNX's format and whose second is another of
/// a model's fields.
fn is_onnx(bytes: &[u8]) -> bool {
    const FIELDS: [u8; 8] = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72];
    // Versions 1 and 2 are older than the programs that export models now; TensorFlow's files begin
    // with version 1 too.
    matches!(bytes, [0x08, 3..=64, field, ..] if FIELDS.contains(field))
}

/// Those files of `torch.save` that are not read: of its older format with a pickle protocol before 2, which
/// writes the magic number as text; and before that format, tar files.
fn old_torch(bytes: &[u8]) -> Option<String> {
    const MAGIC_AS_TEXT: &[u8] = b"L119547037146038801333356L\n.";
    let advice = "load it in a newer PyTorch and save it again: torch.save(torch.load(FILE, \
                  map_location=\"cpu\"), NEW)";
    if bytes.starts_with(MAGIC_AS_TEXT) {
        Some(format!(
            "it is a torch.save file with a pickle of protocol 0 or 1; {advice}"
        ))
    } else if let Some(names) = tar_names(bytes) {
        let is_torch =
            ["pickle", "storages", "tensors"].map(|part| names.iter().any(|n| n == part));
        Some(if is_torch == [true; 3] {
            format!("it is a torch.save file of the kind before PyTorch 0.2, a tar file; {advice}")
        } else {
            format!("it is a tar file; {UNPACK}")
        })
    } else if matches!(bytes, [0x80, 2..=5, ..]) {
        Some(
            "it is a Python pickle that torch.save did not write, which is not read; save the \
             tensors with safetensors or torch.save"
                .to_owned(),
        )
    } else {
        None
    }
}

/// The names of a tar file's first entries; none if it is no tar file.
fn tar_names(bytes: &[u8]) -> Option<Vec<String>> {
    const BLOCK: usize = 512;
    const MOST: usize = 64;
    let mut names = Vec::new();
    let mut start = 0usize;
    while names.len() < MOST {
        let Some(header) = start
            .checked_add(BLOCK)
            .and_then(|end| bytes.get(start..end))
        else {
            break;
        };
        if header.get(257..262) != Some(b"ustar") {
            break;
        }
        let text = |range: std::ops::Range<usize>| {
            let field = header[range].split(|byte| *byte == 0).next();
            String::from_utf8_lossy(field.unwrap_or_default()).into_owned()
        };
        names.push(text(0..100));
        let Some(next) = usize::from_str_radix(text(124..136).trim(), 8)
            .ok()
            .and_then(|length| length.checked_next_multiple_of(BLOCK))
            .and_then(|length| start.checked_add(BLOCK)?.checked_add(length))
        else {
            break;
        };
        start = next;
    }
    (!names.is_empty()).then_some(names)
}

/// TensorFlow's graphs, models and checkpoints.
fn tensorflow(bytes: &[u8], label: &str) -> Option<String> {
    /// At the end of the table that a checkpoint's index is.
    const TABLE: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";
    let start = &bytes[..bytes.len().min(512)];
    let holds = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
    let is_graph = bytes.starts_with(b"\x0a")
        && [&b"Placeholder"[..], b"Const", b"VarHandleOp"]
            .into_iter()
            .any(holds);
    let is_model = bytes.starts_with(b"\x08\x01\x12");
    let is_data = label.contains(".data-0") && label.contains("-of-0");
    if is_graph || is_model || is_data || bytes.ends_with(TABLE) {
        Some(format!("it is a TensorFlow file, {TENSORFLOW}"))
    } else {
        None
    }
}

/// Text where weights should be.
fn text(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(512)];
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let lower = text.to_ascii_lowercase();
    let begins = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
    if begins(&["<!doctype", "<html", "<head", "<?xml", "<!--", "<script"]) {
        Some(
            "it is a web page, so the download went wrong; look at the page in a browser to see what \
             it asks for, and get the file again"
                .to_owned(),
        )
    } else if begins(&["version https://git-lfs"]) {
        Some(
            "it is a Git LFS pointer, so the file itself has not been fetched; run git lfs pull"
                .to_owned(),
        )
    } else if begins(&["../.git/annex", "/annex/objects", ".git/annex"]) {
        Some(
            "it is a git-annex pointer, so the file itself has not been fetched; run git annex get"
                .to_owned(),
        )
    } else if begins(&["outs:", "md5:"]) {
        Some(
            "it is a DVC pointer, so the file itself has not been fetched; run dvc pull".to_owned(),
        )
    } else if begins(&["{", "["]) {
        Some("it is JSON text; name the weight file itself, or the index of its parts".to_owned())
    } else if start.len() >= 8
        && start
            .iter()
            .all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~'))
    {
        let line = text.lines().next().unwrap_or_default();
        Some(format!("it is text (\"{}\")", shorten(line)))
    } else {
        None
    }
}
