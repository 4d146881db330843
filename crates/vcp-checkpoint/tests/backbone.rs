//! Pretrained weights of a convolutional backbone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use support::{Stored, Tensors};
use vcp_checkpoint::{
    Backbone, CONVOLUTIONAL_STRIDE, Error, Geometry, Kind, LoadOptions, Settings, TensorFile,
    TowerGeometry, Weights, tensor_specs,
};

/// Stem and blocks 0 to 4.
fn pretrained() -> TensorFile {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/efficientnet-lite0");
    TensorFile::open(&folder.join("weights.safetensors")).unwrap()
}

fn first_blocks() -> Backbone {
    Backbone {
        blocks: 5,
        ..Backbone::efficientnet_lite0()
    }
}

fn geometry() -> Geometry {
    Geometry {
        embedding_width: 64,
        vision: TowerGeometry::new(2, 64),
        backbone: Some(first_blocks()),
        patch_size: CONVOLUTIONAL_STRIDE,
        native_grid: 6,
        text: TowerGeometry::new(1, 64),
        tap_count: 2,
        ..Geometry::vit_b_16()
    }
}

fn read(tensors: &Tensors) -> Result<BTreeMap<String, Vec<f32>>, Error> {
    let file = support::file(tensors, "backbone");
    first_blocks().read(&file, LoadOptions::default())
}

fn tensors() -> Tensors {
    let file = pretrained();
    let all = file.names().map(|name| {
        let tensor = file.tensor(name).unwrap();
        (name.to_owned(), Stored::of(&tensor))
    });
    all.collect()
}

#[test]
fn every_tensor_of_the_backbone_is_read_and_folded() {
    let file = pretrained();
    assert_eq!(file.kind(), Kind::Backbone);
    let values = first_blocks().read(&file, LoadOptions::default()).unwrap();
    let specs = tensor_specs(&geometry()).into_iter();
    let own: BTreeMap<String, usize> = specs
        .filter(|spec| spec.name.starts_with("clip.visual.backbone."))
        .map(|spec| (spec.name, spec.shape.iter().product()))
        .collect();
    let lengths = values
        .iter()
        .map(|(name, values)| (name.clone(), values.len()));
    assert_eq!(lengths.collect::<BTreeMap<_, _>>(), own);
    // Block 1's projection, its batch norm folded in.
    let get = |name: &str| file.tensor(name).unwrap().to_f32();
    let part = |part: &str| get(&format!("_blocks.1._bn2.{part}"));
    let (scale, shift) = (part("weight"), part("bias"));
    let (mean, variance) = (part("running_mean"), part("running_var"));
    let stored = get("_blocks.1._project_conv.weight");
    let weight = &values["clip.visual.backbone.blocks.1.project.weight"];
    let bias = &values["clip.visual.backbone.blocks.1.project.bias"];
    let inputs = stored.len() / scale.len();
    for output in 0..scale.len() {
        let factor = scale[output] / (variance[output] + 1e-3).sqrt();
        for input in 0..inputs {
            let expected = stored[output * inputs + input] * factor;
            let found = weight[output * inputs + input];
            assert!((found - expected).abs() <= 1e-6 * expected.abs());
        }
        let expected = shift[output] - mean[output] * factor;
        assert!((bias[output] - expected).abs() <= 1e-5 * (1.0 + expected.abs()));
    }
}

#[test]
fn wrappers_and_the_classifier_are_passed_over() {
    let plain = read(&tensors()).unwrap();
    let mut wrapped: Tensors = tensors()
        .into_iter()
        .map(|(name, entry)| (format!("state_dict.module.{name}"), entry))
        .collect();
    for name in [
        "_conv_head.weight",
        "_bn1.running_var",
        "_fc.bias",
        "_blocks.15._bn0.bias",
    ] {
        let name = format!("state_dict.module.{name}");
        wrapped.insert(name, Stored::zeros(&[3]));
    }
    assert_eq!(read(&wrapped).unwrap(), plain);
}

#[test]
fn what_does_not_fit_is_named() {
    let changed = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = tensors();
        change(&mut tensors);
        read(&tensors).unwrap_err().to_string()
    };
    let missing = changed(&|all| {
        all.remove("_blocks.3._bn1.running_mean");
    });
    assert!(missing.contains("_blocks.3._bn1.running_mean"), "{missing}");
    let shape = changed(&|all| {
        let name = "_blocks.3._depthwise_conv.weight".to_owned();
        all.insert(name, Stored::zeros(&[144, 1, 3, 3]));
    });
    assert!(
        shape.contains("[144, 1, 3, 3]") && shape.contains("[144, 1, 5, 5]"),
        "{shape}"
    );
    let unknown = changed(&|all| {
        all.insert(
            "_blocks.3._se_reduce.weight".to_owned(),
            Stored::zeros(&[6]),
        );
    });
    assert!(unknown.contains("_se_reduce"), "{unknown}");
    let negative = changed(&|all| {
        let name = "_blocks.2._bn0.running_var".to_owned();
        all.insert(name, Stored::new(&[144], &[-1.0; 144]));
    });
    assert!(
        negative.contains("_blocks.2._bn0.running_var"),
        "{negative}"
    );
    // CLIP's weights are another kind.
    let clip = support::openai(&support::small_weights(3));
    let other = read(&clip).unwrap_err().to_string();
    assert!(
        other.contains("EfficientNet") && other.contains("CLIP"),
        "{other}"
    );
}

#[test]
fn a_bundle_says_which_tower_it_holds() {
    let settings = Settings {
        taps: vec![1, 2],
        image_size: 48,
        ..Settings::default()
    };
    let weights = Weights::random(geometry(), settings.clone(), 5).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let storing = vcp_checkpoint::Storing::F32;
    weights.write_bundle(&path, storing).unwrap();
    let read = Weights::open_bundle(&path).unwrap();
    assert_eq!(read.geometry(), weights.geometry());
    support::assert_equal(&read, &weights);
    // A bundle with a transformer names no backbone.
    support::small_weights(3)
        .write_bundle(&path, storing)
        .unwrap();
    let file = TensorFile::open(&path).unwrap();
    assert!(!file.metadata("vcp_clip").unwrap().contains("backbone"));

    let refused = |geometry: Geometry, size: usize| {
        let settings = Settings {
            image_size: size,
            ..settings.clone()
        };
        Weights::random(geometry, settings, 5)
            .unwrap_err()
            .to_string()
    };
    let patch = Geometry {
        patch_size: 16,
        ..geometry()
    };
    assert!(refused(patch, 48).contains("the patch size is 16, expected 8"));
    for blocks in [0, 1, 17, usize::MAX] {
        let backbone = Some(Backbone {
            blocks,
            ..first_blocks()
        });
        let geometry = Geometry {
            backbone,
            ..geometry()
        };
        assert!(
            refused(geometry, 48).contains("the backbone has"),
            "{blocks}"
        );
    }
    assert!(refused(geometry(), 7).contains("the image size is 7, expected 8"));
    let deep = Geometry {
        backbone: Some(Backbone::efficientnet_lite0()),
        ..geometry()
    };
    assert!(refused(deep, 31).contains("the image size is 31, expected 32"));
}
