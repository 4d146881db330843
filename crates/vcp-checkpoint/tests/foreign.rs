//! Files that are none of ours: one sentence says what each is and what to do.

#![allow(clippy::unwrap_used, reason = "what is made here is made right")]

mod support;

use support::pickle::Pickle;
use support::zip_file::{Entry, build, torch};
use vcp_checkpoint::TensorFile;

/// A tar file of empty files.
fn tar(names: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(b"00000000000");
        header[257..262].copy_from_slice(b"ustar");
        bytes.extend(header);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn each_kind_is_named_with_what_to_do() {
    let text = |text: &str| text.as_bytes().to_vec();
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        (
            "empty.pt",
            Vec::new(),
            &["the file is empty", "get it again"],
        ),
        (
            "page.pth",
            text("\u{feff}\n <HTML><head>Sign in</head>"),
            &["a web page", "get the file again"],
        ),
        (
            "lfs.safetensors",
            text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"),
            &["a Git LFS pointer", "git lfs pull"],
        ),
        (
            "annex.pt",
            text("/annex/objects/SHA256E-s9--00.pt\n"),
            &["git annex get"],
        ),
        ("weights.dvc", text("outs:\n- md5: 00\n"), &["dvc pull"]),
        (
            "a.gz",
            b"\x1f\x8b\x08\0rest".to_vec(),
            &["packed with gzip", "unpack it"],
        ),
        (
            "a.bz2",
            b"BZh91AY&SY".to_vec(),
            &["packed with bzip2", "unpack it"],
        ),
        (
            "a.xz",
            b"\xfd7zXZ\0\0\x04".to_vec(),
            &["packed with xz", "unpack it"],
        ),
        (
            "a.zst",
            b"\x28\xb5\x2f\xfd\0\0\0\0".to_vec(),
            &["Zstandard", "unpack it"],
        ),
        (
            "a.7z",
            b"7z\xbc\xaf\x27\x1c\0\x04".to_vec(),
            &["7-Zip", "unpack it"],
        ),
        (
            "a.tar",
            tar(&["clip/model.pt"]),
            &["a tar file", "unpack it"],
        ),
        (
            "a.gguf",
            b"GGUF\x03\0\0\0".to_vec(),
            &["a GGUF file", ".safetensors"],
        ),
        (
            "a.onnx",
            b"\x08\x08\x12\x07pytorch\x1a\x052.5.0".to_vec(),
            &["an ONNX file", "weights it was exported from"],
        ),
        (
            "a.h5",
            b"\x89HDF\r\n\x1a\n\0\0".to_vec(),
            &["an HDF5 file", "safetensors"],
        ),
        (
            "saved_model.pb",
            b"\x08\x01\x12\x80\x40\x0a\x05".to_vec(),
            &["a TensorFlow file", "safetensors"],
        ),
        (
            "graph.pb",
            b"\x0a\x20\x0a\x05input\x12\x0bPlaceholder".to_vec(),
            &["a TensorFlow file"],
        ),
        (
            "model.ckpt.index",
            b"\0\0\x01\0\0\0\x57\xfb\x80\x8b\x24\x75\x47\xdb".to_vec(),
            &["a TensorFlow file"],
        ),
        (
            "a.tflite",
            b"\x1c\0\0\0TFL3\0\0".to_vec(),
            &["TensorFlow Lite"],
        ),
        (
            "a.npy",
            b"\x93NUMPY\x01\0v\0".to_vec(),
            &["a NumPy array", "save_file"],
        ),
        (
            "a.npz",
            build(&[Entry::stored("visual.conv1.weight.npy", b"\x93NUMPY")]),
            &["NumPy arrays", "save_file"],
        ),
        (
            "a.keras",
            build(&[
                Entry::stored("config.json", b"{}"),
                Entry::stored("model.weights.h5", b"\x89HDF"),
            ]),
            &["a Keras model"],
        ),
        (
            "old.pth",
            b"L119547037146038801333356L\n.I1001\n.(dp0\n".to_vec(),
            &["a pickle of protocol 0 or 1", "torch.save(torch.load(FILE"],
        ),
        (
            "older.pth",
            tar(&["sys_info", "pickle", "tensors", "storages"]),
            &["before PyTorch 0.2", "torch.save(torch.load(FILE"],
        ),
        (
            "a.pkl",
            Pickle::new().raw(b"}").end(),
            &["a Python pickle that torch.save did not write"],
        ),
        (
            "download.zip",
            build(&[
                Entry::stored("__MACOSX/._train_visa.pth", b""),
                Entry::deflated("weights/train_visa.pth", &torch(b"\x80\x02}.", &[])),
            ]),
            &[
                "a zip file around the weight file weights/train_visa.pth",
                "unpack it",
            ],
        ),
        (
            "again.zip",
            build(&[Entry::stored("a/archive/data.pkl", b"\x80\x02}.")]),
            &["unpacked and packed again"],
        ),
        (
            "numpy.pth",
            torch(
                &Pickle::new()
                    .raw(b"}")
                    .text("best")
                    .global("numpy.core.multiarray", "scalar")
                    .end(),
                &[],
            ),
            &[
                "numpy.core.multiarray.scalar",
                "NumPy numbers or arrays",
                "save its tensors alone",
            ],
        ),
        (
            "module.pth",
            torch(
                &Pickle::new()
                    .global("open_clip.model", "CLIP")
                    .raw(b")\x81")
                    .end(),
                &[],
            ),
            &[
                "open_clip.model.CLIP",
                "a whole module",
                "MODEL.state_dict()",
            ],
        ),
        (
            "config.json",
            text("{\"vision_config\": {}}"),
            &["it is JSON text"],
        ),
        (
            "notes.txt",
            text("To do: find the weights"),
            &["it is text", "To do: find"],
        ),
        (
            "photo.pt",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec(),
            &["a PNG picture"],
        ),
        (
            "cut.safetensors",
            {
                let header = r#"{"t":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}"#;
                [
                    &(header.len() as u64).to_le_bytes()[..],
                    header.as_bytes(),
                    &[0; 7],
                ]
                .concat()
            },
            &["the end is missing"],
        ),
        (
            "cut.pt",
            {
                let mut whole = torch(b"\x80\x02}.", &[("0", &[0; 64])]);
                whole.truncate(whole.len() - 60);
                whole
            },
            &["the end is missing"],
        ),
    ];
    // docs/formats.md has a row for each of them, and none for others.
    let document = include_str!("../../../docs/formats.md");
    let (_, table) = document.split_once("| for example |").unwrap();
    let examples = table
        .lines()
        .skip(2)
        .map_while(|row| row.strip_prefix("| "));
    let mut documented: Vec<&str> = examples
        .filter_map(|row| row.split_once('|'))
        .flat_map(|(cell, _)| cell.split('`').skip(1).step_by(2))
        .collect();
    let mut tried: Vec<&str> = cases.iter().map(|(name, _, _)| *name).collect();
    documented.sort_unstable();
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(documented, tried);
    for (name, bytes, says) in cases {
        let message = TensorFile::from_bytes(bytes, name).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{name}: ")), "{message}");
        assert!(!message.contains('\n'), "{message}");
        for says in says {
            assert!(message.contains(says), "{name}: {message}\nlacks: {says}");
        }
    }
}

#[test]
fn of_a_folder_it_says_which_file_in_it_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let open = || TensorFile::open(folder.path()).unwrap_err().to_string();
    assert!(open().contains("it is a folder; name the weight file itself"));
    std::fs::create_dir(folder.path().join("data")).unwrap();
    for (name, says) in [
        ("data.pkl", "a PyTorch file that was unpacked"),
        ("saved_model.pb", "a TensorFlow model"),
        (
            "open_clip_pytorch_model.bin",
            "name the file open_clip_pytorch_model.bin in it",
        ),
        ("model.safetensors", "name the file model.safetensors in it"),
        (
            "model.safetensors.index.json",
            "name the file model.safetensors.index.json in it",
        ),
    ] {
        std::fs::write(folder.path().join(name), "").unwrap();
        assert!(open().contains(says), "{}\nlacks: {says}", open());
    }
}
