//! Good photos that others are compared with: `segment --reference`, `calibrate --references`, `eval --references`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle};
use support::data::mvtec;

/// A grey photo with noise that depends on the seed, and a bright spot if it `is_bad`.
fn photo(path: &Path, seed: u64, is_bad: bool) {
    let (width, height) = (64, 48);
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let is_spot = is_bad && (20..36).contains(&x) && (16..30).contains(&y);
            let value = if is_spot { 250 } else { 90 + state % 40 };
            pixels.push(value as u8);
        }
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = format!("P5\n{width} {height}\n255\n").into_bytes();
    file.extend(pixels);
    fs::write(path, file).unwrap();
}

/// `good/00.pgm` …, `new/00.pgm` … of the same kind, and `bad/00.pgm` ….
fn workplace() -> Workplace {
    let workplace = Workplace::new();
    let folder = |name: &str, count: u64, first: u64, is_bad: bool| {
        for number in 0..count {
            let path = workplace.path(&format!("{name}/{number:02}.pgm"));
            photo(&path, first + number, is_bad);
        }
    };
    folder("good", 20, 100, false);
    folder("new", 30, 200, false);
    folder("bad", 4, 300, true);
    workplace
}

fn score(line: &Value) -> f64 {
    line["score"].as_f64().unwrap()
}

fn anomalous(outcome: &Outcome) -> usize {
    let lines = outcome.lines();
    lines
        .iter()
        .filter(|line| line["anomalous"] == true)
        .count()
}

/// With the model in a file.
fn with_model(workplace: &Workplace, command: &str, model: &Path, arguments: &[&str]) -> Outcome {
    let mut command = workplace.command([command]);
    command.args(arguments).arg("--model").arg(model);
    Outcome::of(command.output().unwrap())
}

#[test]
fn what_no_reference_shows_stands_out() {
    let workplace = workplace();
    for references in [
        &["--reference", "good/00.pgm"][..],
        &["--reference", "good"],
    ] {
        let inputs = ["new", "bad"];
        let arguments = [&inputs[..], references].concat();
        let outcome = workplace.segment(&arguments).ends_with(0);
        let lines = outcome.lines();
        let (good, bad) = lines.split_at(30);
        let worst = good.iter().map(score).fold(0.0, f64::max);
        let best = bad.iter().map(score).fold(1.0, f64::min);
        assert!(worst < best, "{references:?}: {worst} {best}");
        // The same command gives the same bits.
        let threads = [&arguments[..], &["--threads", "1"]].concat();
        let again = workplace.segment(&threads).ends_with(0);
        let scores =
            |outcome: &Outcome| -> Vec<f64> { outcome.lines().iter().map(score).collect() };
        assert_eq!(scores(&outcome), scores(&again));
    }
    // In windows, of references in windows.
    let tiled = ["bad", "new/00.pgm", "--tile", "32", "--reference", "good"];
    let outcome = workplace.segment(&tiled).ends_with(0);
    let lines = outcome.lines();
    assert!(lines[..4].iter().all(|line| score(line) > score(&lines[4])));
}

#[test]
fn references_that_cannot_be_used_are_named_and_the_others_are() {
    let workplace = workplace();
    workplace.write("broken/a.png", "no picture");
    workplace.write("mixed/a.png", "no picture");
    photo(&workplace.path("mixed/b.pgm"), 1, false);
    photo(&workplace.path("mixed/copy.pgm"), 1, false);
    workplace
        .segment(&["bad", "--reference", "broken"])
        .ends_with(2)
        .says("broken/a.png")
        .says("None of the reference photos can be used");
    workplace
        .segment(&["bad", "--reference", "mixed"])
        .ends_with(0)
        .says("Not used as a reference: ")
        .says("mixed/copy.pgm: it is a copy of another reference photo");
    // The one that is left is enough.
    let outcome = workplace
        .segment(&["new", "bad", "--reference", "mixed", "--quiet"])
        .ends_with(0);
    let scores: Vec<f64> = outcome.lines().iter().map(score).collect();
    let worst = scores[..30].iter().copied().fold(0.0, f64::max);
    assert!(scores[30..].iter().all(|bad| *bad > worst), "{scores:?}");
    workplace
        .segment(&["bad", "--reference", "-"])
        .ends_with(2)
        .says("standard input is for the photos");
    workplace
        .segment(&["bad", "--reference", "nowhere"])
        .ends_with(2)
        .says("nowhere");
    workplace
        .segment(&["bad", "--reference", "good", "--no-references"])
        .ends_with(2);
}

#[test]
fn thresholds_hold_on_new_good_photos_although_the_others_are_remembered() {
    let workplace = workplace();
    let model = workplace.path("part.safetensors");
    let out = ["good", "--references", "all", "--out", "part.safetensors"];
    with_model(&workplace, "calibrate", bundle(), &out)
        .ends_with(0)
        .says("at most 13.9 % of new good photos reach it");
    let new = with_model(&workplace, "segment", &model, &["new"]).ends_with(0);
    assert!(!new.stderr.contains("set aside"), "{}", new.stderr);
    // A threshold that photos reached while they were in the memory themselves would be passed by nearly all.
    assert!(anomalous(&new) <= 4, "{} of 30", anomalous(&new));
    let bad = with_model(&workplace, "segment", &model, &["bad"]).ends_with(0);
    assert_eq!(anomalous(&bad), 4);
    // The photos that it remembers look better to it than any.
    let own = with_model(&workplace, "segment", &model, &["good"]).ends_with(0);
    assert_eq!(anomalous(&own), 0);

    let inspected = workplace.run(&["model", "inspect", "part.safetensors", "--json"]);
    let inspected: Value = serde_json::from_str(&inspected.ends_with(0).stdout).unwrap();
    assert_eq!(inspected["references"]["photos"], 20);
    assert_eq!(inspected["references"]["data"], "good");
    workplace
        .run(&["model", "inspect", "part.safetensors"])
        .ends_with(0);

    // Without its memory, its calibration says nothing.
    with_model(&workplace, "segment", &model, &["new", "--no-references"])
        .ends_with(0)
        .says("was found with reference photos and is set aside");
    // In other windows, the photos cannot be compared.
    for command in ["segment", "calibrate"] {
        with_model(&workplace, command, &model, &["new", "--tile", "32"])
            .ends_with(2)
            .says("reference photos were processed without --tile");
    }
    // With other settings the memory is gone with the calibration.
    with_model(
        &workplace,
        "segment",
        &model,
        &["new", "--image-size", "84"],
    )
    .ends_with(0)
    .says("set aside")
    .says("photos are not compared with them");
    // It can be calibrated anew, keeping its memory or not.
    let again = ["new", "--out", "again.safetensors"];
    with_model(&workplace, "calibrate", &model, &again).ends_with(0);
    let again = workplace.run(&["model", "inspect", "again.safetensors", "--json"]);
    assert!(again.ends_with(0).stdout.contains("\"references\""));
    let without = ["new", "--no-references", "--out", "without.safetensors"];
    with_model(&workplace, "calibrate", &model, &without).ends_with(0);
    let without = workplace.run(&["model", "inspect", "without.safetensors", "--json"]);
    assert!(!without.ends_with(0).stdout.contains("\"references\""));
}

/// Whatever page of a file is the photo, it is not compared with itself.
#[test]
fn pages_of_remembered_files_are_left_out() {
    let workplace = Workplace::new();
    for number in 0..12_u64 {
        let page = |seed: u64| -> Vec<u16> {
            let mut random = seed * 7919 + 1;
            let samples = (0..40 * 30).map(|_| {
                random = random * 48_271 % 2_147_483_647;
                20_000 + (random % 20_000) as u16
            });
            samples.collect()
        };
        let pages = [page(2 * number), page(2 * number + 1)];
        let path = workplace.path(&format!("scans/{number:02}.tif"));
        support::photos::write_tiff16(&path, 40, 30, &pages);
    }
    for pages in [&["--page", "2"][..], &["--page", "all"], &[]] {
        let out = [
            &[
                "scans",
                "--references",
                "all",
                "--force",
                "--out",
                "it.safetensors",
            ],
            pages,
        ];
        let found = with_model(&workplace, "calibrate", bundle(), &out.concat()).ends_with(0);
        let found: Value = serde_json::from_str(&found.stdout).unwrap();
        let threshold = found["calibration"]["score_threshold"].as_f64().unwrap();
        let model = workplace.path("it.safetensors");
        let own = [&["scans"][..], pages].concat();
        let own = with_model(&workplace, "segment", &model, &own).ends_with(0);
        // Compared with themselves, photos are far from a threshold that was found without.
        let largest = own.lines().iter().map(score).fold(0.0, f64::max);
        assert!(
            largest < 0.9 * threshold,
            "{pages:?}: {largest} {threshold}"
        );
    }
}

#[test]
fn calibrate_says_what_it_cannot_do() {
    let workplace = workplace();
    let calibrate = |arguments: &[&str]| with_model(&workplace, "calibrate", bundle(), arguments);
    calibrate(&["good", "--references", "3", "--out", "it.json"])
        .ends_with(2)
        .says("name a bundle for them");
    calibrate(&["good", "--references", "3"])
        .ends_with(2)
        .says("name a bundle for them");
    calibrate(&["good", "--references", "21", "--out", "it.safetensors"])
        .ends_with(2)
        .says("asks for 21 photos, but there are only 20 good ones");
    calibrate(&["good", "--references", "many"])
        .ends_with(2)
        .says("expected a number of photos");
    assert!(!workplace.path("it.safetensors").exists());
}

#[test]
fn eval_draws_references_from_the_train_split_by_seed() {
    let workplace = mvtec();
    for number in 0..4 {
        for category in ["bolt", "nut"] {
            let name = format!("set/{category}/train/good/{number:03}.png");
            workplace.photo(&name, 50 + number);
        }
    }
    let eval = |arguments: &[&str]| {
        let data = ["--dataset", "mvtec", "--root", "set"];
        let arguments = [&data[..], arguments].concat();
        with_model(&workplace, "eval", bundle(), &arguments)
    };
    let read = |path: &str| -> Value {
        serde_json::from_slice(&fs::read(workplace.path(path)).unwrap()).unwrap()
    };
    eval(&["--out", "zero"]).ends_with(0);
    eval(&["--out", "two", "--references", "2", "--seed", "1"]).ends_with(0);
    let two = read("two/results.json");
    assert_eq!(two["protocol"]["references"]["count"], 2);
    assert_eq!(two["protocol"]["references"]["seed"], 1);
    let zero = read("zero/results.json");
    assert_eq!(zero["mean"]["images"], two["mean"]["images"]);
    assert_ne!(zero["mean"]["pixel_auroc"], two["mean"]["pixel_auroc"]);
    // Finished categories are found again, of the same choice only.
    eval(&["--out", "two", "--references", "2", "--seed", "1"])
        .ends_with(0)
        .says("2 of 2 categories were finished");
    eval(&["--out", "two", "--references", "2", "--seed", "2"])
        .ends_with(0)
        .says("evaluating again");

    let several = ["--out", "several", "--references", "2", "--seed", "1,2,3"];
    let outcome = eval(&several).ends_with(0);
    assert!(outcome.stdout.contains(" ± "), "{}", outcome.stdout);
    let seeds = read("several/seeds.json");
    assert_eq!(seeds["seeds"], serde_json::json!([1, 2, 3]));
    let own = |seed: u64| {
        let results = read(&format!("several/seed-{seed}/results.json"));
        results["mean"]["pixel_auroc"].as_f64().unwrap()
    };
    let mean = (own(1) + own(2) + own(3)) / 3.0;
    let found = seeds["mean"]["mean"]["pixel_auroc"].as_f64().unwrap();
    assert!((found - mean).abs() < 1e-9, "{found} {mean}");
    let same = two["mean"]["pixel_auroc"].as_f64().unwrap();
    assert_eq!(own(1).to_bits(), same.to_bits());

    eval(&["--out", "many", "--references", "9"])
        .ends_with(2)
        .says("good images to compare others with, but 9 are asked for");
    eval(&["--out", "many", "--seed", "1,2"])
        .ends_with(2)
        .says("--references");
    eval(&["--out", "many", "--references", "2", "--seed", "1,1"])
        .ends_with(2)
        .says("--seed names 1 twice");
    // Of all images, those that others are compared with are left out.
    eval(&["--out", "all", "--split", "all"]).ends_with(0);
    eval(&["--out", "fewer", "--split", "all", "--references", "2"]).ends_with(0);
    let images = |path: &str| read(path)["mean"]["images"].as_u64().unwrap();
    assert_eq!(images("all/results.json"), images("fewer/results.json") + 4);
}
