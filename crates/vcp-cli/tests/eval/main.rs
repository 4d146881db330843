//! `vcp-clip eval`: figures, files, and going on after an interruption.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod calibrated;
mod figures;
mod precision;
mod problems;
mod resuming;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle};

/// Side of the test model's maps.
const SIDE: usize = 70;

/// The figures that are fractions of 1.
const FRACTIONS: [&str; 10] = [
    "pixel_auroc",
    "pixel_ap",
    "pixel_f1_max",
    "pixel_iou",
    "aupro_200",
    "aupro_exact",
    "aupimo",
    "image_auroc",
    "image_ap",
    "image_f1_max",
];

fn eval(workplace: &Workplace, arguments: &[&str]) -> Outcome {
    let mut command = workplace.command(["eval"]);
    command.args(arguments).arg("--model").arg(bundle());
    Outcome::of(command.output().unwrap())
}

/// `eval` of the data set `set`, into the folder `out`. The few pixels here cannot tell the rates of
/// AUPIMO's usual bounds.
fn eval_set(workplace: &Workplace, out: &str, further: &[&str]) -> Outcome {
    let usual = [
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--aupimo-bounds",
        "1e-3,1e-1",
        "--out",
        out,
    ];
    eval(workplace, &[&usual, further].concat())
}

fn results(workplace: &Workplace, out: &str) -> Value {
    let path = workplace.path(out).join("results.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn keys(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn npy(path: &Path) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap()
}
