//! What a run leaves behind.

use std::fs;

use serde_json::Value;
use vcp_checkpoint::{TensorFile, Weights};

use crate::support::cli::{Outcome, Workplace, bundle};
use crate::support::data::{category, mvtec};
use crate::{log, run, same_bytes};

#[test]
fn a_run_leaves_models_logs_and_what_it_was() {
    let workplace = mvtec();
    let options = ["--val-share", "0.3", "--average", "2", "--mosaic", "0.5"];
    let found = run(&workplace, "run", &options).ends_with(0);
    assert_eq!(found.stdout, "");
    found
        .says("Epoch 3 of 3: mean loss")
        .says("pixel AP on the validation images");
    let files = workplace.files("run");
    for name in [
        "config.toml",
        "state.safetensors",
        "metrics.jsonl",
        "loss.png",
        "epoch-001.pth",
        "epoch-003.pth",
        "last.pth",
        "last.safetensors",
        "best.pth",
        "best.safetensors",
        "average.pth",
        "average.safetensors",
    ] {
        assert!(files.iter().any(|file| file == name), "{name}: {files:?}");
    }
    assert!(
        files
            .iter()
            .any(|file| file.starts_with("events.out.tfevents."))
    );
    same_bytes(&workplace, "run/last.pth", "run/epoch-003.pth");

    // What was trained is in both, and CLIP is as it was.
    let weights = |name: &str| Weights::open_bundle(&workplace.path(name)).unwrap();
    let (start, last) = (
        Weights::open_bundle(bundle()).unwrap(),
        weights("run/last.safetensors"),
    );
    let checkpoint = TensorFile::open(&workplace.path("run/last.pth")).unwrap();
    let learned = last.read_checkpoint(&checkpoint).unwrap();
    assert!(learned.len() > 10);
    for tensor in last.tensors() {
        let (name, values) = (tensor.name(), tensor.to_f32());
        let before = start.tensor(name).unwrap().to_f32();
        match learned.get(name) {
            Some(learned) => assert_eq!(&values, learned, "{name}"),
            None => assert_eq!(values, before, "{name}"),
        }
    }
    let changed = last.tensors().filter(|it| {
        it.name().starts_with("vcp.") && it.to_f32() != start.tensor(it.name()).unwrap().to_f32()
    });
    assert!(changed.count() > 10);

    let lines = log(&workplace.path("run"));
    let steps: Vec<u64> = lines
        .iter()
        .map(|line| line["step"].as_u64().unwrap())
        .collect();
    assert!(steps.is_sorted());
    let judged = lines
        .iter()
        .filter(|line| line["validation"]["pixel_ap"].is_number());
    assert_eq!(judged.count(), 3);

    let photo = "set/bolt/test/bent/000.png";
    workplace
        .run(&["segment", photo, "--model", "./run/best.safetensors"])
        .ends_with(0);
    // It is complete, so the same again does nothing.
    let before = fs::read(workplace.path("run/state.safetensors")).unwrap();
    run(&workplace, "run", &options).ends_with(0);
    assert!(before == fs::read(workplace.path("run/state.safetensors")).unwrap());
}

#[test]
fn learned_shares_of_the_branches_are_kept_and_used() {
    let workplace = mvtec();
    run(&workplace, "plain", &[]).ends_with(0);
    run(&workplace, "learned", &["--learned-blend"])
        .ends_with(0)
        .says("weights of the branches");
    // The training is the same.
    same_bytes(&workplace, "plain/last.pth", "learned/last.pth");
    let blend = |name: &str| {
        let weights = Weights::open_bundle(&workplace.path(name)).unwrap();
        weights.settings().blend
    };
    let official = [0.2_f32, 0.8].map(f32::to_bits);
    let learned = blend("learned/last.safetensors");
    assert!((learned[0] + learned[1] - 1.0).abs() < 1e-6, "{learned:?}");
    let learned = learned.map(f32::to_bits);
    assert_eq!(blend("plain/last.safetensors").map(f32::to_bits), official);
    assert_ne!(learned, official);

    let protocol = |out: &str, further: &[&str]| {
        let options = ["eval", "--dataset", "mvtec", "--root", "set", "--out", out];
        let model = ["--model", "./learned/last.safetensors"];
        workplace
            .run(&[&options[..], &model, further].concat())
            .ends_with(0);
        let results = fs::read(workplace.path(&format!("{out}/results.json"))).unwrap();
        let results: Value = serde_json::from_slice(&results).unwrap();
        let shares = results["protocol"]["blend"].as_array().unwrap().clone();
        [0, 1].map(|branch| (shares[branch].as_f64().unwrap() as f32).to_bits())
    };
    assert_eq!(protocol("own", &[]), learned);
    assert_eq!(protocol("asked", &["--blend", "0.2,0.8"]), official);
}

/// Thresholds are of the weights that they were found with.
#[test]
fn trained_models_have_no_thresholds_of_the_model_they_began_from() {
    let workplace = Workplace::new();
    category(&workplace, "nut", 12, &["scratch"]);
    workplace
        .command([
            "calibrate",
            "set/nut/test/good",
            "--out",
            "start.safetensors",
        ])
        .arg("--model")
        .arg(bundle())
        .output()
        .map(Outcome::of)
        .unwrap()
        .ends_with(0);
    let calibration = |name: &str| {
        let weights = Weights::open_bundle(&workplace.path(name)).unwrap();
        weights.calibration().is_some()
    };
    assert!(calibration("start.safetensors"));
    let mut command = workplace.command([
        "train",
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--epochs",
        "1",
        "--val-share",
        "0.3",
        "--average",
        "1",
        "--out",
        "run",
        "--model",
        "./start.safetensors",
    ]);
    Outcome::of(command.output().unwrap()).ends_with(0);
    for name in ["run/last.safetensors", "run/best.safetensors"] {
        assert!(!calibration(name), "{name}");
    }
    let mut command = workplace.command([
        "pretrain",
        "--epochs",
        "1",
        "--epoch-images",
        "8",
        "--out",
        "all",
        "--image-size",
        "56",
        "--from",
        "start.safetensors",
    ]);
    Outcome::of(command.output().unwrap()).ends_with(0);
    assert!(!calibration("all/last.safetensors"));
}

/// So that runs which versions without learned shares of the branches and mixed precision have begun
/// go on: their configuration has no such keys.
#[test]
fn newer_choices_are_named_only_where_they_are_made() {
    let workplace = mvtec();
    let newer = ["learned_blend", "mixed_precision", "loss_scale"];
    run(&workplace, "run", &[]).ends_with(0);
    let configuration = fs::read_to_string(workplace.path("run/config.toml")).unwrap();
    for key in &newer {
        assert!(
            !configuration.contains(key),
            "{key} is named though nobody asked for it"
        );
    }
    let metadata = fs::read(workplace.path("run/state.safetensors")).unwrap();
    let metadata = String::from_utf8_lossy(&metadata[..metadata.len().min(1 << 16)]).into_owned();
    assert!(metadata.contains("optimiser_steps"));
    for key in &newer {
        assert!(!metadata.contains(key), "{key}");
    }
}
