//! Bundles whose matrices are stored as bfloat16 or as 8-bit codes are read back as they were written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;

use half::{bf16, f16};
use serde_json::{Value, json};
use support::{small_geometry, small_settings, small_weights};
use vcp_checkpoint::{
    Backbone, CONVOLUTIONAL_STRIDE, ElementType, ErrorKind, Geometry, LoadOptions, NarrowMatrix,
    Precision, ReferenceDescription, References, Settings, Storing, TensorFile, TowerGeometry,
    Weights,
};

const STORINGS: [Storing; 5] = [
    Storing::AsStored,
    Storing::F16,
    Storing::F32,
    Storing::Bf16,
    Storing::Int8,
];

const VISION: &str = "clip.visual.transformer.resblocks.1.mlp.c_fc.weight";
const TEXT: &str = "clip.transformer.resblocks.0.attn.out_proj.weight";

fn convolutional(seed: u64) -> Weights {
    let geometry = Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(2, 64),
        backbone: Some(Backbone {
            blocks: 5,
            ..Backbone::efficientnet_lite0()
        }),
        patch_size: CONVOLUTIONAL_STRIDE,
        native_grid: 6,
        ..small_geometry()
    };
    let settings = Settings {
        taps: vec![1, 2],
        image_size: 48,
        ..Settings::default()
    };
    Weights::random(geometry, settings, seed).unwrap()
}

fn description(path: &Path) -> Value {
    let file = TensorFile::open(path).unwrap();
    serde_json::from_str(file.metadata("vcp_clip").unwrap()).unwrap()
}

/// What the tensor of this name is to be stored as.
fn expected_type(storing: Storing, name: &str, stored: ElementType, rank: usize) -> ElementType {
    let is_matrix = rank >= 2;
    match (storing, NarrowMatrix::of(name)) {
        (Storing::Int8, Some(_)) => ElementType::I8,
        (Storing::Bf16, Some(NarrowMatrix::Vision)) => ElementType::BF16,
        (Storing::AsStored, _) => stored,
        (Storing::Bf16, _) if name.starts_with("vcp.") => stored,
        (Storing::Int8 | Storing::Bf16 | Storing::F16, _) if is_matrix => ElementType::F16,
        _ => ElementType::F32,
    }
}

#[test]
fn every_storing_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle.safetensors");
    for mut original in [small_weights(30), convolutional(31)] {
        // A learned matrix that is not rounded, and a narrow one with a row of zeros.
        let name = "vcp.prompt_proj.weight";
        let values = (0..64 * 64).map(|i| (i as f32).sin()).collect();
        original.replace(name, values).unwrap();
        let mut zeros = original.tensor(TEXT).unwrap().to_f32();
        zeros[64..128].fill(0.0);
        original.replace(TEXT, zeros).unwrap();
        for storing in STORINGS {
            original.write_bundle(&path, storing).unwrap();
            let (version, precision) = match storing {
                Storing::Bf16 => (2, Precision::Bf16),
                Storing::Int8 => (2, Precision::Int8),
                _ => (1, Precision::F32),
            };
            let description = description(&path);
            assert_eq!(description["version"], json!(version));
            let named = description["settings"].get("precision");
            let is_named = (version == 2).then(|| json!(precision.name()));
            assert_eq!(named, is_named.as_ref());
            let bundle = Weights::open_bundle(&path).unwrap();
            assert_eq!(bundle.settings().precision, precision);
            assert!(bundle.names().eq(original.names()));
            let mut bytes = 0;
            for expected in original.tensors() {
                let (name, shape) = (expected.name(), expected.shape());
                let found = bundle.tensor(name).unwrap();
                let element_type =
                    expected_type(storing, name, expected.element_type(), shape.len());
                assert_eq!(found.element_type(), element_type, "{storing:?} {name}");
                assert_eq!(found.shape(), shape);
                bytes += found.len() * element_type.size();
                let (found_values, values) = (found.to_f32(), expected.to_f32());
                match element_type {
                    ElementType::I8 => {
                        bytes += 4 * shape[0];
                        check_codes(&found, &values);
                    }
                    ElementType::BF16 => {
                        let rounded = values.iter().map(|it| bf16::from_f32(*it).to_f32());
                        assert!(rounded.eq(found_values.iter().copied()), "{name}");
                    }
                    ElementType::F16 => {
                        let rounded = values.iter().map(|it| f16::from_f32(*it).to_f32());
                        assert!(rounded.eq(found_values.iter().copied()), "{name}");
                    }
                    _ => assert_eq!(found_values, values, "{name}"),
                }
                if element_type != ElementType::I8 {
                    assert_eq!(found.codes(0..1, &mut []), None);
                    assert_eq!(found.scales(), None);
                }
            }
            let header = std::fs::metadata(&path).unwrap().len() - bytes as u64;
            assert!(
                header < 100_000,
                "{storing:?}: {header} bytes beside tensors"
            );
            repack(&bundle, &folder.path().join("again.safetensors"));
        }
    }
}

/// A tensor of codes: each is a value's, and what is read is code times scale.
fn check_codes(found: &vcp_checkpoint::Tensor<'_>, values: &[f32]) {
    let (name, rows) = (found.name(), found.shape()[0]);
    let length = found.len() / rows;
    let scales = found.scales().unwrap();
    assert_eq!(scales.len(), rows);
    let mut codes = vec![0; found.len()];
    found.codes(0..rows, &mut codes).unwrap();
    let read = found.to_f32();
    for (row, scale) in scales.iter().enumerate() {
        let range = row * length..(row + 1) * length;
        let largest = values[range.clone()]
            .iter()
            .fold(0.0_f32, |most, it| most.max(it.abs()));
        let expected = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        assert_eq!(scale.to_bits(), expected.to_bits(), "{name}, row {row}");
        for index in range {
            let product = f32::from(codes[index]) * scale;
            assert_eq!(read[index].to_bits(), product.to_bits());
            assert!(codes[index] != i8::MIN);
            let nearest = (values[index] / scale).round_ties_even();
            assert_eq!(i32::from(codes[index]), nearest as i32);
            assert!((product - values[index]).abs() <= 0.5001 * scale, "{name}");
        }
    }
    // Some rows are those of all.
    let some = rows / 3..rows / 2 + 1;
    let mut part = vec![0; some.len() * length];
    found.codes(some.clone(), &mut part).unwrap();
    assert_eq!(part, codes[some.start * length..some.end * length]);
    let mut part = vec![0.0; some.len() * length];
    found.read_rows(some.clone(), &mut part);
    assert_eq!(part, read[some.start * length..some.end * length]);
    assert_eq!(found.stored_bytes(), None);
}

/// A bundle written again as it is stored, or with the numbers it has, is the very same.
fn repack(bundle: &Weights, path: &Path) {
    let same = match bundle.settings().precision {
        Precision::F32 => None,
        Precision::Bf16 => Some(Storing::Bf16),
        Precision::Int8 => Some(Storing::Int8),
    };
    for storing in [Some(Storing::AsStored), same].into_iter().flatten() {
        bundle.write_bundle(path, storing).unwrap();
        let again = Weights::open_bundle(path).unwrap();
        assert_eq!(again.settings(), bundle.settings());
        for expected in bundle.tensors() {
            let found = again.tensor(expected.name()).unwrap();
            assert_eq!(found.element_type(), expected.element_type());
            assert_eq!(found.scales(), expected.scales());
            let codes = |tensor: &vcp_checkpoint::Tensor<'_>| {
                let mut codes = vec![0; tensor.len()];
                let rows = tensor.shape().first().copied().unwrap_or(1);
                tensor.codes(0..rows, &mut codes).map(|()| codes)
            };
            assert_eq!(codes(&found), codes(&expected));
            assert_eq!(found.to_f32(), expected.to_f32());
        }
    }
    // The wider numbers hold what the narrow ones did.
    bundle.write_bundle(path, Storing::F32).unwrap();
    assert_eq!(description(path)["version"], json!(1));
    let wide = Weights::open_bundle(path).unwrap();
    assert_eq!(wide.settings().precision, Precision::F32);
    support::assert_equal(&wide, bundle);
    bundle.write_bundle(path, Storing::F16).unwrap();
    assert_eq!(description(path)["version"], json!(1));
    Weights::open_bundle(path).unwrap();
}

fn with_precision(weights: Weights, precision: Precision) -> Weights {
    let settings = Settings {
        precision,
        ..weights.settings().clone()
    };
    weights.with_settings(settings).unwrap()
}

#[test]
fn the_precision_stays_with_tensors_as_they_are_stored() {
    let folder = tempfile::tempdir().unwrap();
    let [path, again] = ["int8", "again"].map(|name| folder.path().join(name));
    let written = |weights: &Weights| {
        weights.write_bundle(&again, Storing::AsStored).unwrap();
        let precision = Weights::open_bundle(&again).unwrap().settings().precision;
        (description(&again)["version"].clone(), precision)
    };
    // Wide tensors that are only computed with narrow numbers.
    for precision in [Precision::Bf16, Precision::Int8] {
        let weights = with_precision(small_weights(32), precision);
        assert_eq!(written(&weights), (json!(2), precision));
    }
    small_weights(32)
        .write_bundle(&path, Storing::Int8)
        .unwrap();
    let open = || Weights::open_bundle(&path).unwrap();
    assert_eq!(written(&open()), (json!(2), Precision::Int8));
    // Codes that are computed with wide numbers, or with others.
    for precision in [Precision::F32, Precision::Bf16] {
        let weights = with_precision(open(), precision);
        assert_eq!(written(&weights), (json!(2), precision));
    }
    let mut trained = open();
    let values = trained.tensor(VISION).unwrap().to_f32();
    trained.replace(VISION, values).unwrap();
    assert_eq!(written(&trained), (json!(2), Precision::Int8));
}

#[test]
fn models_are_told_apart_by_their_precision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    let mut wide = small_weights(33);
    wide.write_bundle(&path, Storing::Int8).unwrap();
    let mut narrow = Weights::open_bundle(&path).unwrap();
    assert_ne!(wide.fingerprint(), narrow.fingerprint());
    let memory = |weights: &Weights| {
        let description = ReferenceDescription {
            version: References::VERSION,
            channels: vec![3],
            rows: vec![1],
            scales: vec![0.5],
            photos: vec!["a".to_owned()],
            data: String::new(),
            date: String::new(),
            apply_orientation: true,
            windows: None,
            bits: None,
            model: weights.fingerprint(),
        };
        References::new(description, vec![vec![f16::ONE; 3]]).unwrap()
    };
    // Its numbers stand in front of the codes, so that they are aligned.
    narrow.set_references(Some(memory(&narrow))).unwrap();
    narrow.write_bundle(&path, Storing::AsStored).unwrap();
    let again = Weights::open_bundle(&path).unwrap();
    assert_eq!(again.references(), narrow.references());
    wide.set_references(Some(memory(&wide))).unwrap();
    for (weights, storing) in [
        (&wide, Storing::Int8),
        (&wide, Storing::Bf16),
        (&narrow, Storing::F16),
        (&narrow, Storing::Bf16),
    ] {
        let error = weights.write_bundle(&path, storing).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::References { .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains("it was made with the precision"),
            "{error}"
        );
    }
}

#[test]
fn values_that_are_no_codes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    for (value, storing, says) in [
        (
            f32::NAN,
            Storing::Int8,
            "holds NaN at element 300, which does not fit i8",
        ),
        (f32::INFINITY, Storing::Int8, "holds inf at element 300"),
        (
            f32::NEG_INFINITY,
            Storing::Int8,
            "holds -inf at element 300",
        ),
        (f32::MAX, Storing::Bf16, "does not fit bf16"),
    ] {
        let mut weights = small_weights(34);
        let mut values = weights.tensor(VISION).unwrap().to_f32();
        values[300] = value;
        weights.replace(VISION, values).unwrap();
        let error = weights.write_bundle(&path, storing).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Overflow { index: 300, .. }),
            "{error}"
        );
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.to_string().contains(VISION), "{error}");
        assert!(!path.exists());
    }
}

/// Bundles of the first version are those of before: nothing in them says that there is a second one.
#[test]
fn the_first_version_is_written_where_nothing_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    let weights = small_weights(36);
    weights.write_bundle(&path, Storing::F16).unwrap();
    let description = description(&path);
    assert!(!description.to_string().contains("precision"));
    assert_eq!(description["version"], json!(1));
    // Settings that name the precision all the same are those that do not.
    let settings = json!(small_settings());
    let mut named = settings.clone();
    named["precision"] = json!("f32");
    for settings in [settings, named] {
        let read: Settings = serde_json::from_value(settings).unwrap();
        assert_eq!(read, small_settings());
    }
    // The second version without anything that is new.
    let bytes = std::fs::read(&path).unwrap();
    let text = String::from_utf8_lossy(&bytes[..100_000]).into_owned();
    let at = text.find(r#"\"version\":1"#).unwrap() + r#"\"version\":"#.len();
    let mut second = bytes;
    second[at] = b'2';
    let digest = text.find("vcp_clip_blake3").unwrap();
    second[digest] = b'n';
    let place = digest + r#"vcp_clip_blake3":""#.len();
    second[place] = b'x';
    let second = TensorFile::from_bytes(second, "second").unwrap();
    support::assert_equal(&Weights::from_bundle(&second).unwrap(), &weights);
    let options = LoadOptions {
        ignore_unknown_tensors: true,
    };
    Weights::open_bundle_with(&path, options).unwrap();
}
