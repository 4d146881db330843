//! `vcp-clip data`: checking, converting, listing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;

use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle};
use support::data::mvtec;

fn data(workplace: &Workplace, command: &str, further: &[&str]) -> Outcome {
    let usual = ["data", command, "--dataset", "mvtec", "--root", "set"];
    workplace.run(&[&usual, further].concat())
}

#[test]
fn checking_counts() {
    let workplace = mvtec();
    let outcome = data(&workplace, "check", &[]).ends_with(0);
    assert!(
        outcome.stdout.contains("No problems; all images"),
        "{outcome:#?}"
    );
    let line = outcome.stdout.lines().find(|line| {
        let mut words = line.split_whitespace();
        (words.next(), words.next()) == (Some("bolt"), Some("test"))
    });
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[2..], ["7", "3", "4", "0", "bent", "2,", "rust", "2"]);
}

#[test]
fn every_problem_is_reported() {
    let workplace = mvtec();
    fs::remove_file(workplace.path("set/nut/ground_truth/rust/001_mask.png")).unwrap();
    workplace.write("set/bolt/test/good/000.png", "not an image");
    let shallow = data(&workplace, "check", &["--shallow"]).ends_with(1);
    assert!(shallow.stdout.contains("001_mask.png"), "{shallow:#?}");
    assert!(
        !shallow.stdout.contains("bolt/test/good/000.png"),
        "{shallow:#?}"
    );
    let deep = data(&workplace, "check", &["--json"]).ends_with(1);
    let lines = deep.lines();
    let kinds: Vec<&Value> = lines[0]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| &problem["kind"])
        .collect();
    assert_eq!(kinds, ["missing-mask", "unreadable-image"]);
    assert_eq!(lines[0]["images"], 15);
}

#[test]
fn converted_data_give_the_same_figures() {
    let workplace = mvtec();
    data(&workplace, "convert", &["--out", "official"]).ends_with(0);
    assert!(workplace.path("official/meta_mvtec.json").is_file());
    let eval = |layout: &str, root: &str, out: &str| {
        let mut command = workplace.command(["eval", "--dataset", layout, "--root", root]);
        command.args(["--out", out, "--model"]).arg(bundle());
        Outcome::of(command.output().unwrap()).ends_with(0);
        let results = fs::read(workplace.path(out).join("results.json")).unwrap();
        serde_json::from_slice::<Value>(&results).unwrap()
    };
    let (raw, converted) = (
        eval("mvtec", "set", "raw"),
        eval("meta", "official", "converted"),
    );
    for key in [
        "name",
        "images",
        "pixel_auroc",
        "aupro_200",
        "image_ap",
        "map_range",
    ] {
        for category in 0..2 {
            assert_eq!(
                raw["categories"][category][key], converted["categories"][category][key],
                "{key}"
            );
        }
    }
    // Nothing is overwritten.
    data(&workplace, "convert", &["--out", "official"])
        .ends_with(1)
        .says("exists already");
}

#[test]
fn layouts_are_described() {
    let workplace = Workplace::new();
    let all = workplace.run(&["data", "list"]).ends_with(0).stdout;
    for name in ["mvtec: ", "visa: ", "folder: ", "meta: "] {
        assert!(all.contains(name), "{name}: {all}");
    }
    let one = workplace
        .run(&["data", "list", "bsdata"])
        .ends_with(0)
        .stdout;
    assert!(
        one.starts_with("bsdata: ") && !one.contains("mvtec: "),
        "{one}"
    );
    let json = workplace
        .run(&["data", "list", "--json"])
        .ends_with(0)
        .lines();
    assert_eq!(
        json[0]["layouts"].as_array().unwrap().len(),
        vcp_dataset::layouts().len()
    );
    workplace
        .run(&["data", "list", "bsdate"])
        .ends_with(2)
        .says("Did you mean 'bsdata'?");
}

#[test]
fn synthetic_images_are_a_data_set() {
    let workplace = Workplace::new();
    let synth = |out: &str, further: &[&str]| {
        let usual = [
            "data", "synth", "--count", "12", "--size", "48", "--out", out,
        ];
        workplace.run(&[&usual, further].concat())
    };
    let made = synth("deep/made", &["--seed", "7", "--sheet"]).ends_with(0);
    assert!(made.stdout.contains("12 images, "), "{made:#?}");
    let check = ["data", "check", "--dataset", "mvtec", "--root", "deep/made"];
    let checked = workplace.run(&check).ends_with(0);
    assert!(
        checked.stdout.contains("No problems; all images"),
        "{checked:#?}"
    );
    assert!(workplace.path("deep/made/sheet.png").is_file());
    // The same seed gives the same files on any number of threads, another seed others.
    synth("again", &["--seed", "7", "--threads", "1"]).ends_with(0);
    synth("other", &["--seed", "19"]).ends_with(0);
    let list = |out: &str| fs::read(workplace.path(out).join("images.csv")).unwrap();
    assert_eq!(list("deep/made"), list("again"));
    assert_ne!(list("deep/made"), list("other"));
    synth("again", &[]).ends_with(1).says("exists already");
    workplace
        .run(&["data", "synth", "--size", "8", "--out", "tiny"])
        .ends_with(2)
        .says("32..=2048");
    assert!(!workplace.path("tiny").exists());
}
