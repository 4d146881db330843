//! `vcp-clip calibrate`, and `segment` with what it found.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle, weights};
use support::photos;
use vcp_checkpoint::{Storing, Weights};

fn calibrate(workplace: &Workplace, arguments: &[&str]) -> Outcome {
    let mut command = workplace.command(["calibrate"]);
    command.args(arguments).arg("--model").arg(bundle());
    Outcome::of(command.output().unwrap())
}

/// `count` different photos named `FOLDER/00.png`, `FOLDER/01.png`, ….
fn folder(workplace: &Workplace, folder: &str, count: usize, first_seed: usize) {
    for number in 0..count {
        workplace.photo(&format!("{folder}/{number:02}.png"), first_seed + number);
    }
}

/// As the number was written, without a detour through more digits.
fn number(value: &Value) -> f32 {
    value.to_string().parse().unwrap()
}

fn scores(outcome: &Outcome) -> Vec<f32> {
    let lines = outcome.lines();
    lines.iter().map(|line| number(&line["score"])).collect()
}

fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn largest(scores: &[f32]) -> f32 {
    scores.iter().copied().fold(f32::MIN, f32::max)
}

fn anomalous(outcome: &Outcome) -> usize {
    let lines = outcome.lines();
    lines
        .iter()
        .filter(|line| line["anomalous"] == true)
        .count()
}

#[test]
fn good_photos_give_a_threshold_just_above_them_and_say_what_it_is_worth() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 20, 0);
    let outcome = calibrate(&workplace, &["good", "--out", "new/good.json"])
        .ends_with(0)
        .says(
            "with 20 good photos the best that can be said with 95 % confidence is that at most \
             13.9 % of new good photos reach it (4.8 % is the average). To say so of 5 %, 59 good \
             photos are needed.",
        )
        .says("have more than 0.1 % of their pixels at or above it");
    let written = std::fs::read_to_string(workplace.path("new/good.json")).unwrap();
    assert_eq!(written, outcome.stdout);
    let document = document(&outcome);
    let calibration = &document["calibration"];
    assert_eq!(calibration["images"], 20);
    let words = calibration["data"].as_str().unwrap();
    assert!(words.starts_with("good: 20 normal photos, SHA-256 of their listing "));
    assert_eq!(document["score"]["method"], "false-alarms");
    assert_eq!(document["score"]["photos_needed"], 59);

    let plain = workplace.segment(&["good"]).ends_with(0);
    let threshold = number(&calibration["score_threshold"]);
    assert_eq!(
        threshold.to_bits(),
        largest(&scores(&plain)).next_up().to_bits()
    );
    let used = workplace
        .segment(&[
            "good",
            "--calibration",
            "new/good.json",
            "--out",
            "maps",
            "--save",
            "npy",
        ])
        .ends_with(0);
    assert_eq!(anomalous(&used), 0);
    assert!(!used.stderr.contains("not calibrated"), "{}", used.stderr);
    for line in used.lines() {
        assert_eq!(
            number(&line["score_threshold"]).to_bits(),
            threshold.to_bits(),
            "no bit is lost on the way through the file"
        );
        assert_eq!(line["pixel_threshold"], calibration["pixel_threshold"]);
        let bytes = std::fs::read(workplace.path(line["files"]["map"].as_str().unwrap())).unwrap();
        let map: Vec<f32> = npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap();
        let pixel = number(&calibration["pixel_threshold"]);
        let marked = map.iter().filter(|&&value| value >= pixel).count();
        assert!(marked as f64 <= 0.001 * map.len() as f64, "{marked}");
    }
    // The largest score reaches the number just below.
    let below = threshold.next_down().to_string();
    let lower = workplace.segment(&[
        "good",
        "--calibration",
        "new/good.json",
        "--score-threshold",
        &below,
    ]);
    assert_eq!(anomalous(&lower.ends_with(0)), 1);
}

#[test]
fn more_photos_allow_a_lower_threshold() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 20, 0);
    let outcome = calibrate(
        &workplace,
        &[
            "good",
            "--false-alarms-per-image",
            "0.3",
            "--false-alarms-per-pixel",
            "0",
            "--confidence",
            "0.9",
        ],
    )
    .ends_with(0)
    .says("with 90 % confidence at most 24.5 % of new good photos reach it (30 % were allowed")
    .says("have a pixel that reaches it");
    // P(Binomial(20, 0.3) ≥ 3) = 0.965 and P(… ≥ 4) = 0.893, so the third largest.
    let threshold = number(&document(&outcome)["calibration"]["score_threshold"]);
    let mut scores = scores(&workplace.segment(&["good"]));
    scores.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(threshold.to_bits(), scores[2].next_up().to_bits());
}

#[test]
fn a_photo_alone_among_others_or_twice_gets_the_same_score_and_decision() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 12, 0);
    folder(&workplace, "new", 6, 100);
    // A threshold in the midst of the scores, so that there are decisions of both kinds.
    let rates = ["--false-alarms-per-image", "0.5", "--confidence", "0.5"];
    calibrate(
        &workplace,
        &[&["good", "--out", "it.json"], &rates[..]].concat(),
    )
    .ends_with(0);
    let run = |inputs: &[&str]| {
        workplace
            .segment(&[inputs, &["--calibration", "it.json"]].concat())
            .ends_with(0)
            .lines()
    };
    let same = |a: &Value, b: &Value| {
        for key in [
            "path",
            "score",
            "score_threshold",
            "anomalous",
            "max",
            "regions",
        ] {
            assert_eq!(a[key], b[key], "{key}");
        }
    };
    let all = run(&["new", "good"]);
    for line in &all {
        let path = line["path"].as_str().unwrap();
        same(&run(&[path])[0], line);
        let twice = run(&[path, "good/03.png", path]);
        same(&twice[0], line);
        same(&twice[2], line);
    }
    let found: Vec<&Value> = all.iter().map(|line| &line["anomalous"]).collect();
    assert!(found.contains(&&Value::Bool(true)) && found.contains(&&Value::Bool(false)));
}

#[test]
fn copies_do_not_count() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 12, 0);
    let once = calibrate(&workplace, &["good"]).ends_with(0);
    folder(&workplace, "again", 5, 0);
    let outcome = calibrate(&workplace, &["good", "again", "good/00.png"])
        .ends_with(0)
        .says("6 photos are copies of others and do not count");
    let (once, outcome) = (document(&once), document(&outcome));
    assert_eq!(outcome["photos"]["copies"], 6);
    for key in ["score_threshold", "pixel_threshold", "range", "images"] {
        assert_eq!(
            outcome["calibration"][key], once["calibration"][key],
            "{key}"
        );
    }
    assert_eq!(
        outcome["photos"]["listing_sha256"],
        once["photos"]["listing_sha256"]
    );
}

#[test]
fn too_few_photos_are_refused() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 9, 0);
    calibrate(&workplace, &["good", "--out", "it.json"])
        .ends_with(2)
        .says("There are 9 photos, but at least 10");
    folder(&workplace, "again", 3, 0);
    workplace.write("again/bad.png", "no picture");
    calibrate(&workplace, &["good", "again", "--out", "it.json"])
        .ends_with(1)
        .says("9 photos of 13 can be used")
        .says("There are 9 different normal images, but at least 10 are needed")
        .says("add 1 more");
    assert!(!workplace.path("it.json").exists());
}

#[test]
fn a_bad_photo_is_said_and_counted_and_the_rest_goes_on() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 11, 0);
    let whole = calibrate(&workplace, &["good"]).ends_with(0);
    workplace.write("good/05a.png", "no picture");
    let outcome = calibrate(&workplace, &["good", "--out", "it.json"])
        .ends_with(1)
        .says("05a.png")
        .says("1 of 12 photos failed");
    let document = document(&outcome);
    assert_eq!(document["photos"]["failed"], 1);
    assert_eq!(
        document["calibration"]["score_threshold"],
        self::document(&whole)["calibration"]["score_threshold"]
    );
    assert!(workplace.path("it.json").exists());
}

#[test]
fn a_bundle_carries_its_calibration() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 12, 0);
    let outcome = calibrate(
        &workplace,
        &["good", "--out", "own.safetensors", "--data", "cups"],
    )
    .ends_with(0);
    let calibration = document(&outcome)["calibration"].clone();
    let bundle = Weights::open_bundle(&workplace.path("own.safetensors")).unwrap();
    let stored = bundle.calibration().unwrap();
    assert!(
        stored.data.starts_with("cups: 12 normal photos"),
        "{stored:?}"
    );
    assert_eq!(
        stored.score_threshold.to_bits(),
        number(&calibration["score_threshold"]).to_bits()
    );
    let line = &workplace
        .run(&["segment", "good/00.png", "--model", "own.safetensors"])
        .ends_with(0)
        .lines()[0];
    assert_eq!(line["score_threshold"], calibration["score_threshold"]);
    // In place, from other photos.
    folder(&workplace, "other", 10, 50);
    let again = [
        "calibrate",
        "other",
        "--model",
        "own.safetensors",
        "--out",
        "own.safetensors",
    ];
    workplace.run(&again).ends_with(2).says("--force");
    let again = workplace
        .run(&[&again[..], &["--force"]].concat())
        .ends_with(0);
    let bundle = Weights::open_bundle(&workplace.path("own.safetensors")).unwrap();
    let stored = bundle.calibration().unwrap();
    assert_eq!(stored.images, 10);
    assert_eq!(
        stored.score_threshold.to_bits(),
        number(&document(&again)["calibration"]["score_threshold"]).to_bits()
    );
}

/// Black with a white rectangle.
fn mask(workplace: &Workplace, name: &str) {
    let path = workplace.path(name);
    photos::write(&path, 40, 30, 0);
    let mut bytes = std::fs::read(&path).unwrap();
    for (index, byte) in bytes[54..].iter_mut().enumerate() {
        let (x, y) = (index % 120 / 3, index / 120);
        *byte = if (5..20).contains(&x) && (4..16).contains(&y) {
            255
        } else {
            0
        };
    }
    std::fs::write(&path, bytes).unwrap();
}

/// Thresholds with labels, against a plain look at all thresholds.
#[test]
fn good_and_bad_photos_give_the_best_f1_or_a_recall() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 11, 0);
    folder(&workplace, "bad", 9, 40);
    for number in 0..9 {
        mask(&workplace, &format!("masks/{number:02}.png"));
    }
    let labelled = ["--normal", "good", "--anomalous", "bad"];
    let good = scores(&workplace.segment(&["good"]).ends_with(0));
    let bad = scores(&workplace.segment(&["bad"]).ends_with(0));
    let count =
        |scores: &[f32], threshold: f32| scores.iter().filter(|&&score| score >= threshold).count();
    let f1 = |threshold: f32| {
        let (hits, alarms) = (count(&bad, threshold), count(&good, threshold));
        2.0 * hits as f64 / (hits + alarms + bad.len()) as f64
    };

    let outcome = calibrate(&workplace, &[&labelled[..], &["--masks", "masks"]].concat())
        .ends_with(0)
        .says("the best F1");
    let found = document(&outcome);
    let threshold = number(&found["calibration"]["score_threshold"]);
    let best = bad.iter().map(|&score| f1(score)).fold(0.0, f64::max);
    assert!((f1(threshold) - best).abs() < 1e-12);
    assert!((found["score"]["f1"].as_f64().unwrap() - best).abs() < 1e-12);
    assert_eq!(found["photos"]["normal_reported"], count(&good, threshold));
    assert_eq!(
        found["photos"]["anomalous_reported"],
        count(&bad, threshold)
    );
    assert_eq!(found["pixel"]["method"], "f1");
    assert_eq!(found["pixel"]["masks"], 9);
    assert_eq!(found["calibration"]["images"], 20);

    for (recall, hits) in [("1", 9), ("0.7", 7), ("0.5", 5)] {
        let arguments = [
            &labelled[..],
            &["--masks", "masks", "--target-recall", recall],
        ]
        .concat();
        let found = document(&calibrate(&workplace, &arguments).ends_with(0));
        let threshold = number(&found["calibration"]["score_threshold"]);
        assert_eq!(count(&bad, threshold), hits, "{recall}");
        assert!(count(&bad, threshold.next_up()) < hits, "{recall}");
        assert_eq!(found["pixel"]["method"], "recall");
    }

    let outcome = calibrate(&workplace, &labelled)
        .ends_with(0)
        .says("There are no masks, so the pixel threshold comes from the good photos");
    assert_eq!(document(&outcome)["pixel"]["method"], "false-alarms");

    let arguments = [&labelled[..], &["--false-alarms-per-image", "0.1"]].concat();
    let found = document(&calibrate(&workplace, &arguments).ends_with(0));
    let threshold = number(&found["calibration"]["score_threshold"]);
    assert_eq!(threshold.to_bits(), largest(&good).next_up().to_bits());
    assert_eq!(
        found["photos"]["anomalous_reported"],
        count(&bad, threshold)
    );
}

#[test]
fn data_sets_are_read_by_layout() {
    let workplace = Workplace::new();
    folder(&workplace, "set/cup/train/good", 10, 0);
    folder(&workplace, "set/cup/test/good", 3, 20);
    folder(&workplace, "set/cup/test/bent", 2, 30);
    for number in 0..2 {
        mask(
            &workplace,
            &format!("set/cup/ground_truth/bent/{number:02}_mask.png"),
        );
    }
    let set = ["--dataset", "mvtec", "--root", "set"];
    let train = calibrate(&workplace, &[&set[..], &["--split", "train"]].concat()).ends_with(0);
    let train = document(&train);
    assert_eq!(train["photos"]["normal"], 10);
    assert_eq!(train["score"]["method"], "false-alarms");
    let test = calibrate(&workplace, &[&set[..], &["--split", "test"]].concat()).ends_with(0);
    let test = document(&test);
    assert_eq!(test["score"]["method"], "f1");
    assert_eq!(test["pixel"]["method"], "f1");
    assert_eq!(
        (&test["photos"]["normal"], &test["photos"]["anomalous"]),
        (&Value::from(3), &Value::from(2))
    );
    for (change, says) in [
        (["--category", "cups"], "cups"),
        (["--split", "exam"], "exam"),
        (["--dataset", "imagenet"], "imagenet"),
    ] {
        let mut arguments = set.to_vec();
        if change[0] == "--dataset" {
            arguments[1] = change[1];
        } else {
            arguments.extend(change);
        }
        calibrate(&workplace, &arguments).ends_with(2).says(says);
    }
}

#[test]
fn a_calibration_of_another_model_is_refused() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 10, 0);
    calibrate(&workplace, &["good", "--out", "it.json"]).ends_with(0);
    let with = |more: &[&str]| {
        workplace.segment(&[&["good/00.png", "--calibration", "it.json"], more].concat())
    };
    with(&[]).ends_with(0);
    with(&["--image-size", "84"])
        .ends_with(2)
        .says("with other settings");
    // Found with the changed settings it may be used with them.
    calibrate(
        &workplace,
        &["good", "--image-size", "84", "--out", "84.json"],
    )
    .ends_with(0);
    let large = [
        "good/00.png",
        "--calibration",
        "84.json",
        "--image-size",
        "84",
    ];
    workplace.segment(&large).ends_with(0);

    let text = std::fs::read_to_string(workplace.path("it.json")).unwrap();
    let mut other: Value = serde_json::from_str(&text).unwrap();
    other["model"]["sources"] = serde_json::json!([{"file_name": "a.pth", "sha256": "00"}]);
    let mut newer: Value = serde_json::from_str(&text).unwrap();
    newer["vcp_clip_calibration"] = 2.into();
    let mut empty: Value = serde_json::from_str(&text).unwrap();
    empty["calibration"]["range"] = serde_json::json!([0.5, 0.5]);
    for (content, says) in [
        (other.to_string(), "with other weights"),
        (newer.to_string(), "its version is 2"),
        (empty.to_string(), "which is empty"),
        ("{}".to_owned(), "is not a calibration"),
        ("thresholds".to_owned(), "is not a calibration"),
        (" ".repeat(2 << 20), "longer than"),
    ] {
        workplace.write("it.json", content);
        with(&[]).ends_with(2).says(says);
    }
    std::fs::remove_file(workplace.path("it.json")).unwrap();
    with(&[]).ends_with(2).says("it.json cannot be read");
}

#[test]
fn wrong_usage_is_explained_before_any_work() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 10, 0);
    workplace.write("there.json", "old");
    for (arguments, says) in [
        (&[][..], "No photos are given"),
        (&["good", "--out", "it.txt"], "must end in .json"),
        (&["good", "--out", "there.json"], "--force"),
        (&["good", "--confidence", "1"], "above 0 and below 1"),
        (&["good", "--false-alarms-per-image", "0"], "above 0"),
        (
            &["good", "--false-alarms-per-pixel", "1"],
            "from 0 to below 1",
        ),
        (
            &["--normal", "good", "--target-recall", "0.9"],
            "--anomalous",
        ),
        (&["--anomalous", "good"], "--normal"),
        (&["good", "--normal", "good"], "cannot be used with"),
        (&["--dataset", "mvtec"], "--root"),
        (&["nowhere*"], "nowhere"),
    ] {
        calibrate(&workplace, arguments).ends_with(2).says(says);
    }
    assert_eq!(std::fs::read(workplace.path("there.json")).unwrap(), b"old");
}

#[test]
fn paths_may_come_on_standard_input() {
    use std::io::Write;
    use std::process::Stdio;
    let workplace = Workplace::new();
    folder(&workplace, "good", 10, 0);
    let named = calibrate(&workplace, &["good", "--threads", "1"]).ends_with(0);
    let mut command = workplace.command(["calibrate", "-", "--quiet"]);
    command.arg("--model").arg(bundle()).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for number in 0..10 {
        writeln!(input, "good/{number:02}.png").unwrap();
    }
    drop(input);
    let piped = Outcome::of(child.wait_with_output().unwrap()).ends_with(0);
    assert_eq!(piped.stderr, "");
    let (named, piped) = (document(&named), document(&piped));
    assert_eq!(named["calibration"]["range"], piped["calibration"]["range"]);
    assert_eq!(named["photos"], piped["photos"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_calibration_writes_nothing() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let workplace = Workplace::new();
    folder(&workplace, "good", 10, 0);
    let mut command = workplace.command(["calibrate", "good", "-", "--out", "it.json"]);
    command.arg("--model").arg(bundle()).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // It says so once it is at work: this one fails at once, and more might come.
    writeln!(input, "missing.png").unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.contains("missing.png"), "{line}");
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(
        line.contains("Stopped after 11 photos; nothing was written"),
        "{line}"
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!workplace.path("it.json").exists());
    drop(input);
}

/// What `docs/calibration.md` shows on real photos: calibrate on twenty good ones, count the false
/// alarms among the rest and the defects found. The weights are random, so that only the counting
/// is put to the test, and that photos of quite another kind stand out or do not, but the same in
/// every run.
#[test]
fn from_twenty_good_photos_to_decisions() {
    let workplace = Workplace::new();
    folder(&workplace, "calibration", 20, 0);
    folder(&workplace, "good", 11, 20);
    folder(&workplace, "broken", 11, 200);
    let found = calibrate(&workplace, &["calibration", "--out", "it.json"]).ends_with(0);
    let threshold = number(&document(&found)["calibration"]["score_threshold"]);
    let decide = |folder: &str| {
        let outcome = workplace.segment(&[folder, "--calibration", "it.json", "--fail-on-anomaly"]);
        let reached = scores(&outcome)
            .iter()
            .filter(|&&score| score >= threshold)
            .count();
        assert_eq!(
            outcome.lines().len() - reached,
            outcome
                .lines()
                .iter()
                .filter(|line| line["anomalous"] == false)
                .count()
        );
        outcome.ends_with(if reached > 0 { 3 } else { 0 });
        reached
    };
    assert_eq!(decide("calibration"), 0);
    let first = (decide("good"), decide("broken"));
    assert_eq!(first, (decide("good"), decide("broken")));
}

#[test]
fn changed_settings_stay_in_the_bundle_with_their_calibration() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 10, 0);
    weights()
        .write_bundle(&workplace.path("plain.safetensors"), Storing::AsStored)
        .unwrap();
    let model = ["--model", "plain.safetensors", "--image-size", "84"];
    let arguments = [
        &["calibrate", "good", "--out", "84.safetensors"],
        &model[..],
    ]
    .concat();
    workplace.run(&arguments).ends_with(0);
    let bundle = Weights::open_bundle(&workplace.path("84.safetensors")).unwrap();
    assert_eq!(bundle.settings().image_size, 84);
    let threshold = bundle.calibration().unwrap().score_threshold;
    let line = &workplace
        .run(&["segment", "good/00.png", "--model", "84.safetensors"])
        .ends_with(0)
        .lines()[0];
    assert_eq!(
        number(&line["score_threshold"]).to_bits(),
        threshold.to_bits()
    );
}

#[test]
fn photos_are_turned_as_they_were_when_calibrating() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 12, 0);
    for (further, out, recorded, refused) in [
        (&[][..], "turned", Value::Null, "without --no-orientation"),
        (
            &["--no-orientation"],
            "stored",
            Value::Bool(false),
            "with --no-orientation",
        ),
    ] {
        let file = format!("{out}.json");
        let arguments = [&["good", "--out", &file], further].concat();
        let outcome = calibrate(&workplace, &arguments).ends_with(0);
        assert_eq!(
            document(&outcome)["calibration"]["apply_orientation"],
            recorded
        );
        let bundle = format!("./{out}.safetensors");
        let arguments = [&["good", "--out", &bundle], further].concat();
        calibrate(&workplace, &arguments).ends_with(0);
        let otherwise: &[&str] = if further.is_empty() {
            &["--no-orientation"]
        } else {
            &[]
        };
        let with_file = ["good/00.png", "--calibration", &file];
        let segment = |how: &[&str]| workplace.segment(&[&with_file, how].concat());
        segment(further).ends_with(0);
        segment(otherwise)
            .ends_with(2)
            .says(&format!("{file} was found {refused}"));
        let with_bundle = ["segment", "good/00.png", "--model", &bundle];
        let segment = |how: &[&str]| workplace.run(&[&with_bundle, how].concat()).ends_with(0);
        assert!(!segment(further).stderr.contains("set aside"));
        segment(otherwise).says(&format!("was found {refused} and is set aside"));
    }
}
