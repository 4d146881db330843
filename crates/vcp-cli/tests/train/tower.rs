//! Models on a pretrained backbone.

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value;
use vcp_checkpoint::Architecture;
use vcp_random::Random;

use crate::support::cli::Workplace;

/// A file as the Python package's, with random weights of a sensible size.
fn pretrained(seed: u64) -> Vec<u8> {
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let random = &mut Random::of(&[seed]);
    let mut convolution = |name: &str, norm: &str, shape: [usize; 4]| {
        let inputs = shape[1] * shape[2] * shape[3];
        let bound = (2.0 / inputs as f32).sqrt();
        let count: usize = shape.iter().product();
        let weight = (0..count).flat_map(|_| (bound * random.normal()).to_le_bytes());
        tensors.insert(format!("{name}.weight"), (shape.to_vec(), weight.collect()));
        for (part, value) in [
            ("weight", 1.0_f32),
            ("bias", 0.1),
            ("running_mean", 0.0),
            ("running_var", 1.0),
        ] {
            let values = value.to_le_bytes().repeat(shape[0]);
            tensors.insert(format!("{norm}.{part}"), (vec![shape[0]], values));
        }
    };
    convolution("_conv_stem", "_bn0", [32, 3, 3, 3]);
    let blocks = Architecture::EfficientnetLite0.blocks().iter();
    for (number, block) in blocks.enumerate() {
        let (expanded, kernel) = (block.expanded(), block.kernel);
        let mut add = |part: &str, norm: usize, shape| {
            let prefix = format!("_blocks.{number}");
            convolution(
                &format!("{prefix}._{part}_conv"),
                &format!("{prefix}._bn{norm}"),
                shape,
            );
        };
        if block.expansion > 1 {
            add("expand", 0, [expanded, block.inputs, 1, 1]);
        }
        add("depthwise", 1, [expanded, 1, kernel, kernel]);
        add("project", 2, [block.outputs, expanded, 1, 1]);
    }
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn a_model_on_a_pretrained_backbone_is_trained_and_used() {
    let workplace = Workplace::new();
    workplace.write("tower.safetensors", pretrained(5));
    let described = workplace.run(&["model", "inspect", "tower.safetensors", "--json"]);
    let described: Value = serde_json::from_str(&described.ends_with(0).stdout).unwrap();
    assert_eq!(described["kind"], "backbone");
    let options = |out: &'static str, more: &[&'static str]| {
        let mut all = vec![
            "pretrain",
            "--tower",
            "tower.safetensors",
            "--image-size",
            "64",
            "--width",
            "64",
            "--layers",
            "2",
            "--taps",
            "1,2",
            "--epochs",
            "2",
            "--epoch-images",
            "4",
            "--batch-size",
            "2",
            "--out",
            out,
        ];
        all.extend_from_slice(more);
        all
    };
    let kept = ["--same-pictures", "--disturb", "--grey", "0.5"];
    workplace.run(&options("kept", &kept)).ends_with(0);
    let without = [&kept[..], &["--feature-cache", "0"]].concat();
    workplace.run(&options("without", &without)).ends_with(0);
    crate::same_bytes(
        &workplace,
        "kept/last.safetensors",
        "without/last.safetensors",
    );

    let inspected = workplace.run(&["model", "inspect", "kept/last.safetensors", "--json"]);
    let inspected: Value = serde_json::from_str(&inspected.ends_with(0).stdout).unwrap();
    let backbone = &inspected["geometry"]["backbone"];
    assert_eq!(backbone["architecture"], "efficientnet-lite0");
    assert_eq!(backbone["blocks"], 15);
    assert_eq!(inspected["sources"][0]["file_name"], "tower.safetensors");
    workplace
        .run(&[
            "data", "synth", "--out", "drawn", "--count", "3", "--size", "80",
        ])
        .ends_with(0);
    let lines = workplace
        .run(&[
            "segment",
            "drawn/synthetic/test",
            "--model",
            "kept/last.safetensors",
        ])
        .ends_with(0)
        .lines();
    assert_eq!(lines.len(), 3);
    // The frozen backbone is what was read; with its last block tuned, that block alone has changed.
    workplace
        .run(&options("tuned", &["--tune-blocks", "1"]))
        .ends_with(0);
    let open = |name: &str| {
        let path = workplace.path(&format!("{name}/last.safetensors"));
        vcp_checkpoint::Weights::open_bundle(&path).unwrap()
    };
    let (frozen, tuned) = (open("kept"), open("tuned"));
    let mut changed: Vec<&str> = frozen
        .names()
        .filter_map(|name| {
            let block = name.strip_prefix("clip.visual.backbone.")?;
            let [before, after] = [&frozen, &tuned].map(|it| it.tensor(name).unwrap().to_f32());
            (before != after).then(|| block.rsplit_once('.').unwrap().0)
        })
        .collect();
    changed.dedup();
    assert!(!changed.is_empty());
    assert!(
        changed.iter().all(|name| name.starts_with("blocks.14.")),
        "{changed:?}"
    );
}

#[test]
fn a_run_resumes_on_its_own_backbone_only() {
    let workplace = Workplace::new();
    workplace.write("one.safetensors", pretrained(5));
    workplace.write("other.safetensors", pretrained(6));
    let run = |out: &str, start: &[&str], epochs: &str| {
        let all = [
            &[
                "pretrain",
                "--image-size",
                "32",
                "--width",
                "64",
                "--layers",
                "1",
            ][..],
            &["--taps", "1", "--epoch-images", "2", "--batch-size", "2"],
            &["--out", out, "--epochs", epochs],
            start,
        ];
        workplace.run(&all.concat())
    };
    run("one", &["--tower", "one.safetensors"], "1").ends_with(0);
    run("other", &["--tower", "other.safetensors"], "1").ends_with(0);
    run("one", &["--tower", "other.safetensors"], "1")
        .ends_with(2)
        .says("frozen_sha256");
    run("more", &["--from", "one/last.safetensors"], "1").ends_with(0);
    run("more", &["--from", "other/last.safetensors"], "1")
        .ends_with(2)
        .says("frozen_sha256");
    run("more", &["--from", "one/last.safetensors"], "1").ends_with(0);
}

#[test]
fn what_cannot_be_is_refused() {
    let workplace = Workplace::new();
    workplace.write("tower.safetensors", b"nothing");
    workplace
        .run(&["pretrain", "--out", "run", "--tower", "tower.safetensors"])
        .ends_with(2);
    workplace
        .run(&["pretrain", "--out", "run", "--tune-blocks", "1"])
        .ends_with(2)
        .says("--tune-blocks");
    let weights = vcp_testing::fixtures().join("efficientnet-lite0/weights.safetensors");
    let weights = weights.to_str().unwrap();
    workplace
        .run(&["pretrain", "--out", "run", "--tower", weights])
        .ends_with(2)
        .says("_blocks.5._expand_conv.weight");
    workplace
        .run(&[
            "pretrain", "--out", "run", "--tower", weights, "--patch", "16",
        ])
        .ends_with(2)
        .says("--patch");
    workplace
        .run(&["pretrain", "--out", "run", "--grey", "0.5"])
        .ends_with(2)
        .says("--disturb");
}
