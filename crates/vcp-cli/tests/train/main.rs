//! `vcp-clip train` and `pretrain`: what a run leaves behind, and that it can be interrupted.

#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod outputs;
mod resuming;
mod settings;
mod start;
mod tower;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle};

/// A short training on a small data set.
fn train(workplace: &Workplace, out: &str, further: &[&str]) -> Command {
    let usual = [
        "train",
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--epochs",
        "3",
        "--batch-size",
        "3",
        "--learning-rate",
        "1e-3",
        "--save-every",
        "1",
        "--out",
        out,
    ];
    let mut command = workplace.command(usual);
    command.args(further);
    if !further.contains(&"--clip") {
        command.arg("--model").arg(bundle());
    }
    command
}

fn run(workplace: &Workplace, out: &str, further: &[&str]) -> Outcome {
    Outcome::of(train(workplace, out, further).output().unwrap())
}

/// The log without what depends on the clock.
fn log(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .map(|mut line: Value| {
            let line_fields = line.as_object_mut().unwrap();
            line_fields.remove("seconds");
            line_fields.remove("images_per_second");
            line
        })
        .collect()
}

fn same_bytes(workplace: &Workplace, one: &str, other: &str) {
    let read = |name: &str| fs::read(workplace.path(name)).unwrap();
    assert!(read(one) == read(other), "{one} and {other} differ");
}
