//! Recipes and devices: what is taken, and what is refused.

use std::fs;

#[cfg(feature = "wgpu")]
use crate::log;
use crate::run;
use crate::support::cli::{Outcome, bundle};
use crate::support::data::mvtec;

/// A converted MVTec-AD is MVTec-AD, and the run says which recipe it took. `--category` takes what
/// the official `--group_id_list` takes: some of the products.
#[test]
fn the_recipe_is_that_of_the_data_set() {
    let workplace = mvtec();
    workplace
        .run(&[
            "data",
            "convert",
            "--dataset",
            "mvtec",
            "--root",
            "set",
            "--out",
            "official",
        ])
        .ends_with(0);
    fs::rename(
        workplace.path("official/meta_mvtec.json"),
        workplace.path("official/list.json"),
    )
    .unwrap();
    let list = fs::read_to_string(workplace.path("official/list.json")).unwrap();
    workplace.write("official/meta_mvtec.json", &list);
    let own = list
        .replace("\"bolt\"", "\"screw\"")
        .replace("\"nut\"", "\"metal_nut\"");
    workplace.write("official/own.json", own);
    for (list, rate, words) in [
        ("meta_mvtec.json", 2e-5, "its list is called 'mvtec'"),
        ("own.json", 2e-5, "it has categories of that data set only"),
        (
            "list.json",
            4e-5,
            "recipe for VisA (learning rate 0.00004, mosaics with probability 0)",
        ),
    ] {
        let mut command = workplace.command(["train", "--dataset", "meta", "--root", "official"]);
        let list = format!("official/{list}");
        command.args([
            "--manifest",
            &list,
            "--epochs",
            "1",
            "--batch-size",
            "9",
            "--restart",
        ]);
        let (some, count) = if rate < 3e-5 && list.contains("own") {
            ("screw", 7)
        } else {
            ("", 13)
        };
        if !some.is_empty() {
            command.args(["--category", some]);
        }
        command.args(["--out", "run", "--model"]).arg(bundle());
        Outcome::of(command.output().unwrap())
            .ends_with(0)
            .says(words);
        let text = fs::read_to_string(workplace.path("run/config.toml")).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let found = table["recipe"]["learning_rate"].as_float().unwrap();
        assert!((found - rate).abs() < 1e-9, "{list}: {found}");
        assert_eq!(
            table["data"][0]["images"].as_integer(),
            Some(count),
            "{list}"
        );
        let mosaic = table["data"][0]["augmentation"]["mosaic"]
            .as_float()
            .unwrap();
        assert_eq!(mosaic > 0.0, rate < 3e-5, "{list}");
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let workplace = mvtec();
    let cases: [(&[&str], &str); 5] = [
        (
            &["--split", "dev"],
            "--split takes train, validation, test or all",
        ),
        (&["--patience", "2"], "--val-share or --val-dataset"),
        (&["--dropout", "1"], "from 0 to below 1"),
        (
            &["--noise-variance", "3"],
            "--noise-variance takes two numbers",
        ),
        (&["--val-root", "set"], "--val-root needs a --val-dataset"),
    ];
    for (options, message) in cases {
        let found = run(&workplace, "run", options).ends_with(2).says(message);
        assert_eq!(found.stdout, "");
    }
    let mut bare =
        workplace.command(["train", "--dataset", "mvtec", "--root", "set", "--out", "x"]);
    Outcome::of(bare.output().unwrap())
        .ends_with(2)
        .says("--clip FILE");
    assert!(!workplace.path("run").exists());
}

#[test]
fn mixed_precision_is_not_for_the_cpu() {
    let workplace = mvtec();
    let options = ["--device", "cpu", "--mixed-precision"];
    run(&workplace, "run", &options)
        .ends_with(2)
        .says("--mixed-precision is for GPUs");
    workplace
        .run(&[&["pretrain", "--out", "run"], &options[..]].concat())
        .ends_with(2)
        .says("--mixed-precision is for GPUs");
    assert!(!workplace.path("run").exists());
}

#[cfg(feature = "wgpu")]
#[test]
#[allow(clippy::print_stderr, reason = "says that it is skipped")]
fn a_gpu_trains_as_the_cpu_does() {
    let workplace = mvtec();
    let losses = |out: &str, options: &[&str]| -> Option<Vec<f64>> {
        let usual = ["--val-share", "0.3", "--epochs", "2"];
        let mut command = workplace.command(["train", "--dataset", "mvtec", "--root", "set"]);
        command
            .args(["--batch-size", "3", "--out", out])
            .args(usual)
            .args(options);
        let found = Outcome::of(command.arg("--model").arg(bundle()).output().unwrap());
        let is_missing = ["There is no gpu:0 here", "computes with 16-bit floats"];
        if is_missing.iter().any(|said| found.stderr.contains(said)) {
            eprintln!("skipped: {}", found.stderr);
            return None;
        }
        found.ends_with(0);
        let lines = log(&workplace.path(out)).into_iter();
        Some(lines.filter_map(|line| line["loss"].as_f64()).collect())
    };
    let cpu = losses("cpu", &["--device", "cpu"]).unwrap();
    assert!(cpu.len() > 4);
    for (out, further, allowed) in [
        ("gpu", "--quiet", 1e-4),
        ("mixed", "--mixed-precision", 1e-2),
    ] {
        let Some(gpu) = losses(out, &["--device", "gpu:0", further]) else {
            return;
        };
        assert_eq!(gpu.len(), cpu.len());
        for (gpu, cpu) in gpu.iter().zip(&cpu) {
            assert!((gpu - cpu).abs() < allowed * cpu, "{out}: {gpu}, {cpu}");
        }
    }
}
