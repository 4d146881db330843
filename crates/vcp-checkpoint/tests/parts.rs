//! Files in parts with an index, as Hugging Face stores large models.

#![allow(clippy::unwrap_used, reason = "what is made here is made right")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{
    Tensors, assert_equal, file, openai, part, safetensors, small_settings, small_weights,
};
use tempfile::TempDir;
use vcp_checkpoint::{ErrorKind, Format, Kind, TensorFile, Weights};

const NAMES: [&str; 3] = [
    "model-00001-of-00003.safetensors",
    "model-00002-of-00003.safetensors",
    "model-00003-of-00003.safetensors",
];

/// CLIP in three files, and the map of their index.
fn parts(tensors: &Tensors) -> ([Tensors; 3], Value) {
    let mut parts = [const { Tensors::new() }; 3];
    let mut map = serde_json::Map::new();
    for (index, (name, stored)) in tensors.iter().enumerate() {
        parts[index % 3].insert(name.clone(), stored.clone());
        map.insert(name.clone(), json!(NAMES[index % 3]));
    }
    (parts, Value::Object(map))
}

struct Folder {
    folder: TempDir,
    map: Value,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (parts, map) = parts(&openai(&small_weights(30)));
        for (name, tensors) in NAMES.iter().zip(&parts) {
            fs::write(folder.path().join(name), safetensors(tensors, None)).unwrap();
        }
        let this = Self { folder, map };
        this.write_index(&this.map);
        this
    }

    fn index(&self) -> PathBuf {
        self.path("model.safetensors.index.json")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_index(&self, map: &Value) {
        let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
        fs::write(self.index(), serde_json::to_vec_pretty(&index).unwrap()).unwrap();
    }

    fn refusal(&self) -> String {
        TensorFile::open(&self.index()).unwrap_err().to_string()
    }
}

#[test]
fn an_index_is_read_as_one_file() {
    let folder = Folder::new();
    let whole = TensorFile::open(&folder.index()).unwrap();
    assert_eq!((whole.format(), whole.kind()), (Format::Parts, Kind::Clip));
    let lengths = NAMES.map(|name| fs::metadata(folder.path(name)).unwrap().len());
    assert_eq!(whole.file_length(), lengths.iter().sum::<u64>());

    let expected = small_weights(30);
    let checkpoint = file(&part(&expected, "vcp."), "checkpoint");
    let found = Weights::from_parts(&whole, &checkpoint, small_settings()).unwrap();
    assert_equal(&found, &expected);
    // Each part is a source of its own, whose digest is that of the file.
    let sources: Vec<&str> = found
        .sources()
        .iter()
        .map(vcp_checkpoint::Source::file_name)
        .collect();
    assert_eq!(sources, [&NAMES[..], &["checkpoint"]].concat());
    for (name, source) in NAMES.iter().zip(found.sources()) {
        let digest = vcp_checkpoint::sha256_of_file(&folder.path(name)).unwrap();
        assert_eq!(source.sha256(), digest);
    }
}

#[test]
fn a_part_alone_points_to_the_index() {
    let folder = Folder::new();
    let checkpoint = file(&part(&small_weights(30), "vcp."), "checkpoint");
    let open = |path: &Path| {
        let part = TensorFile::open(path).unwrap();
        Weights::from_parts(&part, &checkpoint, small_settings()).unwrap_err()
    };
    for (number, name) in NAMES.iter().enumerate() {
        let error = open(&folder.path(name));
        let ErrorKind::Part { part, parts, index } = error.kind() else {
            panic!("{error}");
        };
        assert_eq!((*part as usize, *parts), (number + 1, 3));
        assert_eq!(*index, Some(folder.index().display().to_string()));
    }
    fs::remove_file(folder.index()).unwrap();
    let message = open(&folder.path(NAMES[0])).to_string();
    assert!(message.contains("part 1 of 3"), "{message}");
    assert!(
        message.contains("fetch the index of the parts"),
        "{message}"
    );
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn a_hostile_index_is_refused() {
    let folder = Folder::new();
    let named = |name: &str| {
        let mut map = folder.map.clone();
        map["ln_final.bias"] = json!(name);
        folder.write_index(&map);
        folder.refusal()
    };
    let outside = [
        "../secret.safetensors",
        "/etc/passwd",
        "sub/model.safetensors",
        "..",
        "",
        "C:\\model.safetensors",
        "..\\model.safetensors",
        "\u{1b}[2J/x",
    ];
    for name in outside {
        let message = named(name);
        assert!(
            message.contains("not the plain name of a file"),
            "{message}"
        );
        assert!(!message.contains('\u{1b}'), "{message:?}");
    }
    // Itself, and another index.
    fs::write(folder.path("other.index.json"), "{\"weight_map\": {}}").unwrap();
    for name in ["model.safetensors.index.json", "other.index.json"] {
        let message = named(name);
        assert!(message.contains("it is JSON text"), "{message}");
    }
    let message = named("missing.safetensors");
    assert!(message.contains("which is not there"), "{message}");
    // One of the others, which does not hold it.
    let other = folder.map["ln_final.weight"].as_str().unwrap().to_owned();
    assert_ne!(json!(other), folder.map["ln_final.bias"]);
    assert!(named(&other).contains("holds the tensor ln_final.bias, which it does not"));
    fs::create_dir(folder.path("folder")).unwrap();
    assert!(named("folder").contains("it is a folder"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("loop", folder.path("loop")).unwrap();
        assert!(named("loop").contains("loop"), "{}", named("loop"));
    }

    // A tensor in two parts, which the index mentions once.
    folder.write_index(&folder.map);
    let first = Tensors::from([("ln_final.bias".to_owned(), support::Stored::zeros(&[64]))]);
    fs::write(folder.path("extra.safetensors"), safetensors(&first, None)).unwrap();
    let mut map = folder.map.clone();
    map["another"] = json!("extra.safetensors");
    folder.write_index(&map);
    assert!(folder.refusal().contains("holds the tensor another"));
    let twice = Tensors::from([
        ("another".to_owned(), support::Stored::zeros(&[1])),
        ("ln_final.bias".to_owned(), support::Stored::zeros(&[64])),
    ]);
    fs::write(folder.path("extra.safetensors"), safetensors(&twice, None)).unwrap();
    assert!(
        folder
            .refusal()
            .contains("both hold the tensor ln_final.bias")
    );

    for (text, says) in [
        (
            "{\"weight_map\": {\"a\": \"x\", \"a\": \"y\"}}".to_owned(),
            "names the tensor a twice",
        ),
        ("{\"weight_map\": {}}".to_owned(), "it names no tensors"),
        ("{\"weight_map\": [1]}".to_owned(), "it is damaged"),
        ("{\"weight_map\": {\"a\": 1}}".to_owned(), "it is damaged"),
        ("{\"weight_map\": {\"a\": \"x\"".to_owned(), "it is damaged"),
        (
            format!("{{\"weight_map\": {}", "[".repeat(1_000_000)),
            "it is damaged",
        ),
        (
            format!("{{\"weight_map\": {{\"{}\": \"x\"}}}}", "n".repeat(1000)),
            "absurdly long",
        ),
        (
            format!(
                "{{\"weight_map\": {{{}}}}}",
                (0..30_000)
                    .map(|n| format!("\"{n}\":\"x\""))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            "more than 20000 tensors",
        ),
        (
            format!(
                "{{\"weight_map\": {{{}}}}}",
                (0..100)
                    .map(|n| format!("\"{n}\":\"x{n}\""))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            "more than 64 files",
        ),
        (
            format!("{{\"weight_map\": {{}}{}}}", " ".repeat(5 << 20)),
            "more than the 4194304 supported",
        ),
    ] {
        fs::write(folder.index(), &text).unwrap();
        let begun = std::time::Instant::now();
        let message = folder.refusal();
        assert!(message.contains(says), "{message}\nlacks: {says}");
        assert!(
            begun.elapsed().as_secs() < 1,
            "{says}: {:?}",
            begun.elapsed()
        );
    }
}
