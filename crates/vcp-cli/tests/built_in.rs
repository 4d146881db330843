//! The model that comes with the program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::cli::{Outcome, Workplace};

fn samples() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    folder.to_str().unwrap().to_owned()
}

#[test]
fn it_is_used_where_none_is_named_and_finds_what_it_should() {
    let workplace = Workplace::new();
    let found = workplace.run(&["segment", &samples(), "--out", "results"]);
    // It has its own thresholds, so nothing has to be said.
    let found = found.ends_with(0);
    assert_eq!(found.stderr, "");
    let lines = found.lines();
    let of = |name: &str| {
        let line = lines
            .iter()
            .find(|line| line["path"].as_str().unwrap().ends_with(name));
        line.unwrap()
    };
    for name in ["cookie-broken-1.jpg", "cookie-broken-2.jpg"] {
        assert_eq!(of(name)["decision"], "defect", "{name}");
    }
    assert_eq!(of("cookie-good.jpg")["decision"], "ok");
    assert_eq!(of("spindle-pitting-1.jpg")["decision"], "review");
    // In all three the pitting is what stands out most; here it lies at (748, 224).
    let outlined = workplace.run(&["segment", &samples(), "--pixel-threshold", "0.5"]);
    let outlined = outlined.ends_with(0).lines();
    let line = outlined
        .iter()
        .find(|line| line["path"].as_str().unwrap().ends_with("pitting-1.jpg"));
    let region = &line.unwrap()["regions"][0];
    let centroid = |axis: usize| region["centroid"][axis].as_f64().unwrap();
    assert!((centroid(0) - 748.0).abs() < 60.0, "{region}");
    assert!((centroid(1) - 224.0).abs() < 40.0, "{region}");

    let named = workplace.run(&["segment", &samples(), "--model", "built-in", "--quiet"]);
    let score = |line: &Value| line["score"].as_f64().unwrap();
    let named: Vec<f64> = named.ends_with(0).lines().iter().map(score).collect();
    assert_eq!(named, lines.iter().map(score).collect::<Vec<_>>());
}

#[test]
fn it_can_be_looked_at_and_packed() {
    let workplace = Workplace::new();
    let listed = workplace.run(&["model", "list", "--json"]).ends_with(0);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let entry = &listed["models"][0];
    assert_eq!(entry["name"], "built-in");
    assert!(entry["path"].is_null());
    assert!(entry["bytes"].as_u64().unwrap() < 12_000_000);

    let inspect = |file: &str| -> Value {
        let found = workplace
            .run(&["model", "inspect", file, "--json"])
            .ends_with(0);
        serde_json::from_str(&found.stdout).unwrap()
    };
    let inspected = inspect("built-in");
    assert_eq!(inspected["kind"], "bundle");
    assert!(inspected["calibration"]["images"].as_u64().unwrap() >= 100);
    let pack = ["model", "pack", "copy.safetensors", "--model", "built-in"];
    workplace.run(&pack).ends_with(0);
    assert_eq!(
        inspect("copy.safetensors")["settings"],
        inspected["settings"]
    );
    // Other settings than its own set its calibration aside.
    let mut other = workplace.command(["segment", &samples(), "--image-size", "144"]);
    Outcome::of(other.output().unwrap())
        .ends_with(0)
        .says("with another image size");
}
