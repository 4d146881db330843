//! `--device`: where the model runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "says which tests are skipped")]

mod support;

use std::fs;

use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle};
use support::data::category;

fn eval(workplace: &Workplace, arguments: &[&str]) -> Outcome {
    let mut command = workplace.command([
        "eval",
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--out",
        "out",
    ]);
    command.arg("--model").arg(bundle()).args(arguments);
    Outcome::of(command.output().unwrap())
}

fn results(workplace: &Workplace) -> Value {
    serde_json::from_slice(&fs::read(workplace.path("out/results.json")).unwrap()).unwrap()
}

/// What `segment` prints but for the time, and the maps that it writes.
fn seen(workplace: &Workplace, arguments: &[&str]) -> (Vec<Value>, Vec<Vec<u8>>) {
    let mut all = vec!["photos", "--out", "out", "--save", "npy"];
    all.extend(arguments);
    let mut lines = workplace.segment(&all).ends_with(0).lines();
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("milliseconds");
    }
    let arrays = workplace.files("out").into_iter();
    let arrays = arrays.map(|name| fs::read(workplace.path("out").join(name)).unwrap());
    (lines, arrays.collect())
}

#[test]
fn what_is_no_device_is_refused() {
    let workplace = Workplace::with_photos(&["a.png"]);
    for name in ["tpu", "gpu:", "gpu:x", "GPU"] {
        workplace
            .segment(&["a.png", "--device", name])
            .ends_with(2)
            .says("a device is auto, cpu, gpu, or one of several GPUs as gpu:0, gpu:1, …");
    }
}

#[test]
fn the_cpu_gives_what_it_always_gives() {
    let workplace = Workplace::with_photos(&["photos/a.png", "photos/b.png"]);
    let named = seen(&workplace, &["--device", "cpu"]);
    assert_eq!(named.0.len(), 2);
    assert!(named.1.len() >= 6, "{}", named.1.len());
    assert!(seen(&workplace, &["--device", "cpu"]) == named);
    if cfg!(not(feature = "wgpu")) {
        assert!(seen(&workplace, &[]) == named);
        assert!(seen(&workplace, &["--device", "auto"]) == named);
    }
}

#[test]
fn results_say_what_they_were_made_on() {
    let workplace = Workplace::new();
    category(&workplace, "nut", 12, &["scratch"]);
    eval(&workplace, &["--device", "cpu"]).ends_with(0);
    assert_eq!(results(&workplace)["device"], "CPU");
    // As if another device had finished it.
    let record = workplace.path("out/categories/mvtec-nut.json");
    let text = fs::read_to_string(&record).unwrap();
    assert!(text.contains(r#""device":"CPU""#));
    let other = text.replace(r#""device":"CPU""#, r#""device":"another""#);
    fs::write(&record, other).unwrap();
    eval(&workplace, &["--device", "cpu"])
        .ends_with(0)
        .says("from an evaluation with another device; evaluating again");
    eval(&workplace, &["--device", "cpu"])
        .ends_with(0)
        .says("finished by an earlier run");
}

#[cfg(not(feature = "wgpu"))]
#[test]
fn a_build_without_gpus_says_how_to_make_one_with_them() {
    const SENTENCE: &str = "This vcp-clip was built without support for GPUs. Build one that has it \
                            with `cargo build --release -p vcp-cli --features wgpu`, or leave out \
                            --device.";
    let workplace = Workplace::with_photos(&["a.png"]);
    category(&workplace, "nut", 12, &["scratch"]);
    for name in ["gpu", "gpu:0", "gpu:7"] {
        let outcome = workplace.segment(&["a.png", "--device", name]);
        assert!(outcome.stdout.is_empty());
        outcome.ends_with(2).says(SENTENCE);
    }
    eval(&workplace, &["--device", "gpu"])
        .ends_with(2)
        .says(SENTENCE);
    assert!(!workplace.path("out").exists());
    let mut calibrate = workplace.command(["calibrate", "set/nut/test/good", "--device", "gpu"]);
    let outcome = calibrate.arg("--model").arg(bundle()).output().unwrap();
    Outcome::of(outcome).ends_with(2).says(SENTENCE);
}

#[cfg(feature = "wgpu")]
#[test]
fn a_gpu_sees_what_the_cpu_sees() {
    let workplace = Workplace::with_photos(&["photos/a.png", "photos/b.png"]);
    workplace
        .segment(&["photos", "--device", "gpu:99"])
        .ends_with(2)
        .says("There is no gpu:99 here");
    let first = workplace.segment(&["photos", "--device", "gpu:0"]);
    if first.status == Some(2) {
        first.says("There is no gpu:0 here: no driver for Vulkan, Metal or Direct3D 12 names one.");
        eprintln!("skipped: no adapter here");
        return;
    }
    first.says("The model runs on ");
    let (found, _) = seen(&workplace, &["--device", "gpu:0"]);
    assert!(
        seen(&workplace, &["--device", "gpu:0"]).0 == found,
        "again the same"
    );
    let (expected, _) = seen(&workplace, &["--device", "cpu"]);
    for (found, expected) in found.iter().zip(&expected) {
        for key in ["score", "max"] {
            let [found, expected] = [found, expected].map(|line| line[key].as_f64().unwrap());
            assert!(
                (found - expected).abs() < 1e-4,
                "{key}: {found}, {expected}"
            );
        }
    }
    category(&workplace, "nut", 12, &["scratch"]);
    eval(&workplace, &["--device", "gpu:0"]).ends_with(0);
    assert_ne!(results(&workplace)["device"], "CPU");
}
