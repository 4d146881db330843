//! Bundles with 8-bit codes and scales that cannot be right are refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::too_many_lines, reason = "the function is a table")]

mod support;

use std::collections::HashMap;

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use support::{Stored, Tensors, small_weights};
use vcp_checkpoint::{Storing, TensorFile, Weights};

/// A narrow matrix, [512, 128].
const VISION: &str = "clip.visual.transformer.resblocks.1.mlp.c_fc.weight";

/// A bundle of codes without its digest, as one that somebody has made on purpose.
fn int8_bundle() -> (Tensors, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bundle");
    small_weights(35)
        .write_bundle(&path, Storing::Int8)
        .unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let stored = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        let stored = Stored {
            dtype: view.dtype(),
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        };
        (name, stored)
    };
    let tensors = tensors.tensors().into_iter().map(stored).collect();
    let file = TensorFile::open(&path).unwrap();
    let description = serde_json::from_str(file.metadata("vcp_clip").unwrap()).unwrap();
    (tensors, description)
}

fn file(tensors: &Tensors, description: &Value) -> TensorFile {
    let metadata = HashMap::from([("vcp_clip".to_owned(), description.to_string())]);
    let bytes = support::safetensors(tensors, Some(metadata));
    TensorFile::from_bytes(bytes, "hostile").unwrap()
}

#[test]
fn codes_that_cannot_be_right_are_refused() {
    type Change = fn(&mut Tensors, &mut Value);
    fn scale(tensors: &mut Tensors, row: usize, value: f32) {
        let scales = tensors.get_mut(&format!("{VISION}.scale")).unwrap();
        scales.bytes[4 * row..4 * row + 4].copy_from_slice(&value.to_le_bytes());
    }
    let cases: [(&str, Change, &[&str]); 19] = [
        (
            "codes without scales",
            |all, _| {
                all.remove(&format!("{VISION}.scale"));
            },
            &["mlp.c_fc.weight.scale is missing, expected [512]"],
        ),
        (
            "fewer scales",
            |all, _| {
                let scales = all.get_mut(&format!("{VISION}.scale")).unwrap();
                scales.shape[0] -= 1;
                scales.bytes.truncate(4 * 511);
            },
            &["mlp.c_fc.weight.scale has the wrong shape, found [511], expected [512]"],
        ),
        (
            "scales of two dimensions",
            |all, _| {
                all.get_mut(&format!("{VISION}.scale")).unwrap().shape = vec![512, 1];
            },
            &["mlp.c_fc.weight.scale has the wrong shape, found [512, 1], expected [512]"],
        ),
        (
            "a scale for all",
            |all, _| {
                all.insert(format!("{VISION}.scale"), Stored::new(&[], &[0.1]));
            },
            &["mlp.c_fc.weight.scale has the wrong shape, found [], expected [512]"],
        ),
        (
            "scales of 16 bits",
            |all, _| {
                let mut half = Stored::zeros(&[512, 1]);
                half.shape = vec![512];
                all.insert(format!("{VISION}.scale"), half);
            },
            &["mlp.c_fc.weight.scale holds f16, expected f32"],
        ),
        (
            "scales that are codes themselves",
            |all, _| {
                let codes = Stored {
                    dtype: Dtype::I8,
                    shape: vec![512],
                    bytes: vec![1; 512],
                };
                all.insert(format!("{VISION}.scale"), codes);
            },
            &["mlp.c_fc.weight.scale holds i8, expected floating point"],
        ),
        (
            "a negative scale",
            |all, _| scale(all, 3, -0.5),
            &["mlp.c_fc.weight.scale holds -0.5 for row 3 of clip.visual.transformer"],
        ),
        (
            "a scale of zero",
            |all, _| scale(all, 0, 0.0),
            &["holds 0 for row 0"],
        ),
        (
            "no number",
            |all, _| scale(all, 511, f32::NAN),
            &["holds NaN for row 511"],
        ),
        (
            "an infinite scale",
            |all, _| scale(all, 7, f32::INFINITY),
            &["holds inf for row 7"],
        ),
        (
            "a scale too large",
            |all, _| scale(all, 7, f32::MAX / 100.0),
            &["for row 7 of"],
        ),
        (
            "the code -128",
            |all, _| all.get_mut(VISION).unwrap().bytes[500] = 0x80,
            &["mlp.c_fc.weight holds the code -128 at element 500, expected -127 to 127"],
        ),
        (
            "scales without codes",
            |all, _| {
                all.insert(VISION.to_owned(), Stored::zeros(&[512, 128]));
            },
            &["mlp.c_fc.weight.scale is unknown, found [512]"],
        ),
        (
            "scales of nothing",
            |all, _| {
                all.insert("clip.nothing.scale".to_owned(), Stored::new(&[1], &[1.0]));
            },
            &["clip.nothing.scale is unknown, found [1]"],
        ),
        (
            "codes of another shape",
            |all, _| all.get_mut(VISION).unwrap().shape = vec![128, 512],
            &["mlp.c_fc.weight has the wrong shape, found [128, 512], expected [512, 128]"],
        ),
        (
            "codes of a matrix that is not narrow",
            |all, _| {
                let codes = Stored {
                    dtype: Dtype::I8,
                    shape: vec![128, 64],
                    bytes: vec![1; 128 * 64],
                };
                all.insert("clip.visual.proj".to_owned(), codes);
                let scales = Stored::new(&[128], &[1.0; 128]);
                all.insert("clip.visual.proj.scale".to_owned(), scales);
            },
            &[
                "clip.visual.proj holds i8, expected floating point",
                "clip.visual.proj.scale is unknown, found [128]",
            ],
        ),
        (
            "codes without a sign",
            |all, _| all.get_mut(VISION).unwrap().dtype = Dtype::U8,
            &["mlp.c_fc.weight holds u8, expected floating point"],
        ),
        (
            "codes in a bundle of the first version",
            |_, description| {
                description["version"] = json!(1);
                description["settings"]["precision"] = json!("f32");
            },
            &["holds i8, expected floating point"],
        ),
        (
            "a precision in a bundle of the first version",
            |_, description| description["version"] = json!(1),
            &[
                "its settings have the precision int8, which no bundle of version 1 has; expected version 2",
            ],
        ),
    ];
    let (tensors, description) = int8_bundle();
    Weights::from_bundle(&file(&tensors, &description)).unwrap();
    for (name, change, says) in cases {
        let (mut tensors, mut description) = (tensors.clone(), description.clone());
        change(&mut tensors, &mut description);
        let error = Weights::from_bundle(&file(&tensors, &description)).expect_err(name);
        let message = error.to_string();
        for says in says {
            assert!(message.contains(says), "{name}: {message}\nlacks: {says}");
        }
    }
    let mut unknown = description.clone();
    unknown["settings"]["precision"] = json!("int4");
    let error = Weights::from_bundle(&file(&tensors, &unknown)).unwrap_err();
    assert!(error.to_string().contains("unknown variant"), "{error}");
    // A file's own tensors are codes without scales.
    let raw = file(&tensors, &description);
    assert_eq!(raw.tensor(VISION).unwrap().scales(), None);
}
