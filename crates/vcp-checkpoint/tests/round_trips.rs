//! What is written is read back the same, by this crate and by PyTorch.

mod support;

use std::path::Path;
use std::process::Command;

use half::f16;
use support::{
    assert_equal, goldens, openai, part, safetensors, small_geometry, small_settings, small_weights,
};
use vcp_checkpoint::{
    Activation, Calibration, CalibrationWindows, ElementType, ErrorKind, Format, Geometry,
    ReferenceDescription, References, Settings, Storing, TensorFile, Weights, sha256_of_file,
};

fn windows(tile: usize, overlap: f64, global_weight: f32) -> CalibrationWindows {
    CalibrationWindows {
        tile,
        overlap,
        global_weight,
    }
}

fn calibration() -> Calibration {
    Calibration {
        version: Calibration::VERSION,
        pixel_threshold: 0.4,
        score_threshold: 0.55,
        range: (0.02, 0.9),
        data: "200 photos of biscuits".to_owned(),
        date: "2026-01-31".to_owned(),
        images: 200,
        apply_orientation: false,
        review_threshold: Some(0.5),
        mask_sha256: Some("0a".repeat(32)),
        bits: None,
        windows: Some(windows(518, 0.25, 0.1)),
        references: None,
    }
}

fn references(weights: &Weights) -> ReferenceDescription {
    ReferenceDescription {
        version: References::VERSION,
        channels: vec![3, 2],
        rows: vec![2, 1],
        scales: vec![0.5, 0.25],
        photos: ["a", "b", "c"].map(str::to_owned).to_vec(),
        data: "biscuits".to_owned(),
        date: "2026-01-31".to_owned(),
        apply_orientation: true,
        windows: Some(windows(64, 0.25, 0.0)),
        bits: Some(12),
        model: weights.fingerprint(),
    }
}

/// Levels of three rows that hold the numbers from 0 on.
fn levels() -> Vec<Vec<f16>> {
    [9, 6]
        .map(|count: u8| (0..count).map(f16::from).collect())
        .to_vec()
}

#[test]
fn bundles_keep_their_memory_of_good_photos() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.safetensors");
    let mut weights = small_weights(10);
    let references = References::new(references(&weights), levels()).unwrap();
    assert_eq!(
        references.rows(0, 1),
        [6, 7, 8].map(|value: u8| f16::from(value))
    );
    assert_eq!(references.rows(1, 0).len(), 4);
    assert!(references.rows(2, 0).is_empty() && references.rows(0, 2).is_empty());
    weights.set_references(Some(references.clone())).unwrap();
    for storing in [Storing::AsStored, Storing::F16, Storing::F32] {
        weights.write_bundle(&path, storing).unwrap();
        let bundle = Weights::open_bundle(&path).unwrap();
        assert_equal(&bundle, &weights);
        assert_eq!(bundle.references(), Some(&references));
        assert_eq!(bundle.references().unwrap().digest(), references.digest());
    }
    // Other features than those that the model gives now are of no use.
    let changed = Weights::open_bundle(&path).unwrap();
    let settings = Settings {
        image_size: 2 * changed.settings().image_size,
        ..changed.settings().clone()
    };
    assert_eq!(changed.with_settings(settings).unwrap().references(), None);
    let mut trained = Weights::open_bundle(&path).unwrap();
    let values = trained.tensor("vcp.prompt_proj.bias").unwrap().to_f32();
    trained.replace("vcp.prompt_proj.bias", values).unwrap();
    assert_eq!(trained.references(), None);
    weights.set_references(None).unwrap();
    weights.write_bundle(&path, Storing::AsStored).unwrap();
    assert_eq!(Weights::open_bundle(&path).unwrap().references(), None);
}

#[test]
fn memories_that_cannot_be_right_are_refused() {
    type Change = fn(&mut ReferenceDescription, &mut Vec<Vec<f16>>);
    let changes: [(&str, Change); 12] = [
        ("version", |it, _| it.version = 2),
        ("2 levels and 1 scales", |it, _| {
            it.scales.pop();
        }),
        ("0 levels", |it, levels| {
            it.channels.clear();
            it.scales.clear();
            levels.clear();
        }),
        ("groups of 1 photos", |it, _| it.photos.truncate(1)),
        ("rows", |it, _| it.rows = vec![2, 0]),
        ("rows", |it, _| it.rows = vec![usize::MAX, 1]),
        ("0 channels", |it, _| it.channels[0] = 0),
        ("the scale 0", |it, _| it.scales[1] = 0.0),
        ("the scale NaN", |it, _| it.scales[1] = f32::NAN),
        ("level 0 has 8 values, expected 3 rows of 3", |_, levels| {
            levels[0].pop();
        }),
        ("level 1 holds values that are not numbers", |_, levels| {
            levels[1][2] = f16::NAN;
        }),
        ("its windows have 3 pixels a side", |it, _| {
            it.windows = Some(windows(3, 0.25, 0.0));
        }),
    ];
    let weights = small_weights(10);
    for (problem, change) in changes {
        let (mut description, mut levels) = (references(&weights), levels());
        change(&mut description, &mut levels);
        let error = References::new(description, levels).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::References { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(problem), "{problem}: {error}");
    }
    // A memory of another model.
    let mut other = small_weights(10);
    let description = ReferenceDescription {
        model: "another".to_owned(),
        ..references(&weights)
    };
    let memory = References::new(description, levels()).unwrap();
    let error = other.set_references(Some(memory)).unwrap_err();
    assert!(
        error.to_string().contains("made with another model"),
        "{error}"
    );
}

#[test]
fn bundles_keep_everything() {
    let folder = tempfile::tempdir().unwrap();
    let original = small_weights(10);
    // Two files, so that there are sources.
    let clip_path = folder.path().join("clip.safetensors");
    std::fs::write(&clip_path, safetensors(&openai(&original), None)).unwrap();
    let checkpoint_path = folder.path().join("vcp.pth");
    original.write_checkpoint(&checkpoint_path).unwrap();
    let settings = Settings {
        normal_templates: vec![
            "a <|class|>".to_owned(),
            "ein guter <|class|> \"mit\" Ü".to_owned(),
        ],
        activation: Activation::QuickGelu,
        ..small_settings()
    };
    let mut weights = Weights::open_parts(&clip_path, &checkpoint_path, settings.clone()).unwrap();
    assert_equal(&weights, &original);
    weights.set_calibration(Some(calibration())).unwrap();

    let bundle_path = folder.path().join("bundle.safetensors");
    for storing in [Storing::AsStored, Storing::F16, Storing::F32] {
        weights.write_bundle(&bundle_path, storing).unwrap();
        let file = TensorFile::open(&bundle_path).unwrap();
        assert_eq!(file.format(), Format::Safetensors);
        assert!(file.is_bundle());
        let bundle = Weights::from_bundle(&file).unwrap();
        // Random weights are rounded to f16 to begin with, so nothing is lost in any of these.
        assert_equal(&bundle, &original);
        assert_eq!(*bundle.settings(), settings);
        assert_eq!(bundle.calibration(), Some(&calibration()));
        for (source, path) in bundle.sources().iter().zip([&clip_path, &checkpoint_path]) {
            assert_eq!(Path::new(source.file_name()), path.file_name().unwrap());
            assert_eq!(source.bytes(), path.metadata().unwrap().len());
            assert_eq!(source.sha256(), sha256_of_file(path).unwrap());
        }
        let of = |name| bundle.tensor(name).unwrap().element_type();
        let types = [
            of("clip.visual.proj"),
            of("vcp.prompt_proj.weight"),
            of("vcp.prompt_proj.bias"),
        ];
        let (half, single) = (ElementType::F16, ElementType::F32);
        let expected = match storing {
            Storing::AsStored | Storing::Bf16 | Storing::Int8 => [half, single, single],
            Storing::F16 => [half, half, single],
            Storing::F32 => [single; 3],
        };
        assert_eq!(types, expected, "{storing:?}");
    }

    // A bundle of a bundle, written over the file it is read from.
    let bundle = Weights::open_bundle(&bundle_path).unwrap();
    bundle
        .write_bundle(&bundle_path, Storing::AsStored)
        .unwrap();
    assert_equal(&bundle, &original);
    let again = Weights::open_bundle(&bundle_path).unwrap();
    assert_equal(&again, &original);
    assert_eq!(again.sources()[0].sha256(), bundle.sources()[0].sha256());
    // Nothing but the files is left behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[test]
fn f16_rounds_matrices_and_refuses_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.safetensors");
    let mut weights = small_weights(11);
    let name = "vcp.prompt_proj.weight";
    let mut values: Vec<f32> = (0..64 * 64).map(|i| (i as f32).sin()).collect();
    values[100] = 65519.0;
    weights.replace(name, values.clone()).unwrap();
    weights.write_bundle(&path, Storing::F16).unwrap();
    let read = Weights::open_bundle(&path)
        .unwrap()
        .tensor(name)
        .unwrap()
        .to_f32();
    let rounded: Vec<f32> = values.iter().map(|v| f16::from_f32(*v).to_f32()).collect();
    assert_eq!(read, rounded);
    let before = std::fs::read(&path).unwrap();

    values[101] = -65520.0;
    weights.replace(name, values).unwrap();
    let error = weights.write_bundle(&path, Storing::F16).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Overflow { index: 101, .. }),
        "{error}"
    );
    assert!(error.to_string().contains(name), "{error}");
    // The file that was there is untouched, and no part of the new one is left.
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    weights.write_bundle(&path, Storing::AsStored).unwrap();
}

#[test]
fn replaced_tensors_are_read_by_rows() {
    let mut weights = small_weights(12);
    let name = "vcp.prompt_norm.weight";
    weights
        .replace(name, (0..64).map(|i| i as f32).collect())
        .unwrap();
    let mut rows = vec![0.0; 3];
    weights.tensor(name).unwrap().read_rows(7..10, &mut rows);
    assert_eq!(rows, [7.0, 8.0, 9.0]);
    let error = weights.replace(name, vec![0.0; 63]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Tensor vcp.prompt_norm.weight takes 64 values; 63 were given."
    );
    let error = weights.replace("vcp.nothing", vec![]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "The model has no tensor named vcp.nothing."
    );
}

#[test]
fn unusable_calibrations_are_refused() {
    let mut weights = small_weights(13);
    for (wrong, says) in [
        (
            Calibration {
                version: 2,
                ..calibration()
            },
            "version is 2",
        ),
        (
            Calibration {
                score_threshold: f32::NAN,
                ..calibration()
            },
            "NaN",
        ),
        (
            Calibration {
                review_threshold: Some(0.551),
                ..calibration()
            },
            "its review threshold 0.551 is above its score threshold 0.55",
        ),
        (
            Calibration {
                review_threshold: Some(f32::NAN),
                ..calibration()
            },
            "NaN",
        ),
        (
            Calibration {
                mask_sha256: Some("0A".repeat(32)),
                ..calibration()
            },
            "64 lower-case hexadecimal digits",
        ),
        (
            Calibration {
                range: (0.5, 0.5),
                ..calibration()
            },
            "0.5 to 0.5",
        ),
        (
            Calibration {
                windows: Some(windows(0, 0.25, 0.0)),
                ..calibration()
            },
            "0 pixels a side",
        ),
        (
            Calibration {
                windows: Some(windows(518, f64::NAN, 0.0)),
                ..calibration()
            },
            "an overlap of NaN",
        ),
        (
            Calibration {
                windows: Some(windows(518, 0.25, 1.5)),
                ..calibration()
            },
            "a global weight of 1.5",
        ),
    ] {
        let message = weights
            .set_calibration(Some(wrong))
            .unwrap_err()
            .to_string();
        assert!(message.contains(says), "{message}");
    }
    weights.set_calibration(None).unwrap();
}

/// What earlier versions have written is read, and what they do not know is written only where it is needed.
#[test]
fn calibrations_of_earlier_versions_are_read() {
    let text = r#"{"version":1,"pixel_threshold":0.5,"score_threshold":0.5,"range":[0.0,1.0],"data":"cups","date":"2026-01-31","images":20}"#;
    let read: Calibration = serde_json::from_str(text).unwrap();
    assert_eq!(
        (read.review_threshold, read.mask_sha256.as_ref()),
        (None, None)
    );
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    read.check().unwrap();
    let unknown = text.replace("\"images\"", "\"pictures\":1,\"images\"");
    assert!(serde_json::from_str::<Calibration>(&unknown).is_err());
}

#[test]
fn files_that_are_not_bundles_say_so() {
    let original = small_weights(14);
    let clip = support::file(&openai(&original), "clip.safetensors");
    assert!(!clip.is_bundle());
    let message = Weights::from_bundle(&clip).unwrap_err().to_string();
    assert!(
        message
            .starts_with("clip.safetensors: The bundle cannot be used: it is a safetensors file"),
        "{message}"
    );
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let message = Weights::open_bundle(&missing).unwrap_err().to_string();
    assert!(
        message.contains("missing: Could not open the file"),
        "{message}"
    );
    let message = TensorFile::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("it is a folder"), "{message}");
    let missing = folder.path().join("no such folder").join("bundle");
    let message = original
        .write_bundle(&missing, Storing::F16)
        .unwrap_err()
        .to_string();
    assert!(message.contains("Could not write the file"), "{message}");
}

#[test]
fn checkpoints_are_written_in_the_official_layout() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vcp.pth");
    let weights = small_weights(15);
    weights.write_checkpoint(&path).unwrap();
    let file = TensorFile::open(&path).unwrap();
    assert_eq!(file.format(), Format::TorchSave);
    let expected = part(&weights, "vcp.");
    assert!(file.names().eq(expected.keys()));
    for name in file.names() {
        let (found, expected) = (
            file.tensor(name).unwrap(),
            weights.tensor(&format!("vcp.{name}")).unwrap(),
        );
        assert_eq!(found.element_type(), ElementType::F32);
        assert_eq!(found.shape(), expected.shape(), "{name}");
        assert_eq!(found.to_f32(), expected.to_f32(), "{name}");
    }
    // Equal weights, equal files.
    let again = folder.path().join("again.pth");
    small_weights(15).write_checkpoint(&again).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), std::fs::read(again).unwrap());
}

#[test]
fn official_checkpoints_survive_rewriting() {
    let Some(goldens) = goldens() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.pth");
    let settings = Settings {
        taps: vec![3, 6, 9, 12],
        image_size: 98,
        ..Settings::default()
    };
    let original = goldens.join("tiny/vcp.pth");
    Weights::open_parts(&goldens.join("tiny/clip.pt"), &original, settings)
        .unwrap()
        .write_checkpoint(&path)
        .unwrap();
    let (original, again) = (
        TensorFile::open(&original).unwrap(),
        TensorFile::open(&path).unwrap(),
    );
    assert!(original.names().eq(again.names()));
    for name in original.names() {
        let (original, again) = (original.tensor(name).unwrap(), again.tensor(name).unwrap());
        assert_eq!(original.shape(), again.shape(), "{name}");
        assert_eq!(original.to_f32(), again.to_f32(), "{name}");
    }
}

/// Prints one line per tensor: its place in the checkpoint, type, shape, and the sum of its bits.
const READ_WITH_PYTORCH: &str = r#"
import sys, torch
checkpoint = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
def show(name, tensor):
    bits = tensor.detach().contiguous().view(-1).view(torch.int32).to(torch.int64)
    weights = torch.arange(1, bits.numel() + 1)
    print(name, type(tensor).__name__, list(tensor.shape), int((bits * weights).sum()))
for key, value in checkpoint.items():
    if isinstance(value, dict):
        for name, tensor in value.items():
            show(key + "." + name, tensor)
    else:
        show(key, value)
"#;

#[test]
fn pytorch_opens_checkpoints() {
    let python = std::env::var_os("VCP_CLIP_PYTHON").unwrap_or_else(|| "python3".into());
    let has_torch = Command::new(&python).args(["-c", "import torch"]).output();
    if !has_torch.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {} cannot import torch", python.to_string_lossy());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vcp.pth");
    let weights = small_weights(16);
    weights.write_checkpoint(&path).unwrap();
    let output = Command::new(&python)
        .arg("-c")
        .arg(READ_WITH_PYTORCH)
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut found: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let mut expected: Vec<String> = weights
        .tensors()
        .filter_map(|tensor| {
            let name = tensor.name().strip_prefix("vcp.")?;
            let class = if name.contains("trainable")
                || name.contains("Lan_Embed")
                || name.contains("Zero_try")
            {
                "Tensor"
            } else {
                "Parameter"
            };
            let sum = tensor
                .to_f32()
                .iter()
                .zip(1i64..)
                .fold(0i64, |sum, (value, weight)| {
                    sum.wrapping_add(i64::from(value.to_bits().cast_signed()).wrapping_mul(weight))
                });
            Some(format!("{name} {class} {:?} {sum}", tensor.shape()))
        })
        .collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn weights_can_be_read_from_many_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Weights>();
    shared::<TensorFile>();
    shared::<vcp_checkpoint::Error>();
    let weights = small_weights(17);
    let tensor = weights.tensor("clip.token_embedding.weight").unwrap();
    let whole = tensor.to_f32();
    std::thread::scope(|scope| {
        for first in [0, 1, 2, 3] {
            let whole = &whole;
            scope.spawn(move || {
                let mut row = vec![0.0; 64];
                for index in (first..49409).step_by(4) {
                    tensor.read_rows(index..index + 1, &mut row);
                    assert_eq!(row, whole[64 * index..64 * (index + 1)]);
                }
            });
        }
    });
}

#[cfg(unix)]
#[test]
fn files_are_written_with_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (ordinary, written) = (
        folder.path().join("ordinary"),
        folder.path().join("written.pth"),
    );
    std::fs::write(&ordinary, b"").unwrap();
    small_weights(18).write_checkpoint(&written).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode();
    assert_eq!(mode(&written), mode(&ordinary));
}

/// The paper's ablations: a checkpoint of a model without prompts in its text lacks a tensor, which
/// tells; a context without the image is a setting, which bundles keep.
#[test]
fn ablations_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let geometry = Geometry {
        deep_prompting: false,
        ..small_geometry()
    };
    let settings = Settings {
        global_context: false,
        ..small_settings()
    };
    let original = Weights::random(geometry, settings.clone(), 5).unwrap();
    let deep = "vcp.deep_prompt_embeddings";
    assert!(original.tensor(deep).is_err());
    let [clip, checkpoint, bundle] =
        ["clip.safetensors", "vcp.pth", "bundle.safetensors"].map(|name| folder.path().join(name));
    std::fs::write(&clip, safetensors(&openai(&original), None)).unwrap();
    original.write_checkpoint(&checkpoint).unwrap();
    let opened = Weights::open_parts(&clip, &checkpoint, settings.clone()).unwrap();
    assert_eq!(*opened.geometry(), geometry);
    assert_equal(&opened, &original);
    opened.write_bundle(&bundle, Storing::AsStored).unwrap();
    let bundled = Weights::open_bundle(&bundle).unwrap();
    assert_eq!(*bundled.geometry(), geometry);
    assert_eq!(*bundled.settings(), settings);
    assert_equal(&bundled, &original);
    // Another model's checkpoint does not fit.
    let whole = small_weights(5);
    assert!(
        whole
            .read_checkpoint(&TensorFile::open(&checkpoint).unwrap())
            .is_err()
    );

    // Other bundles do not name them, as those written before there were such.
    small_weights(5)
        .write_bundle(&bundle, Storing::AsStored)
        .unwrap();
    let file = TensorFile::open(&bundle).unwrap();
    let description = file.metadata("vcp_clip").unwrap();
    assert!(!description.contains("global_context") && !description.contains("deep_prompting"));
    assert!(
        Weights::from_bundle(&file)
            .unwrap()
            .settings()
            .global_context
    );
}

/// The built-in model is a bundle that another version of the program has written.
#[test]
fn bundles_of_earlier_programs_are_written_again_bit_for_bit() {
    use std::io::Read as _;
    let folder = tempfile::tempdir().unwrap();
    let [path, again] = ["before", "again"].map(|name| folder.path().join(name));
    let packed = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packed = packed.join("../vcp-clip/models/built-in.safetensors.gz");
    let mut before = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(packed).unwrap())
        .read_to_end(&mut before)
        .unwrap();
    std::fs::write(&path, &before).unwrap();
    let weights = Weights::open_bundle(&path).unwrap();
    weights.write_bundle(&again, Storing::AsStored).unwrap();
    assert!(std::fs::read(&again).unwrap() == before);
}
