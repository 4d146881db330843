//! Three outcomes, the part of photos that counts, and the smallest region.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle};
use support::photos;
use vcp_checkpoint::Weights;
use vcp_image::{DecodeOptions, Photo, Picture, decode_file};

/// Width and height of the photos.
const SIZE: (usize, usize) = (40, 30);

fn calibrate(workplace: &Workplace, arguments: &[&str]) -> Outcome {
    let mut command = workplace.command(["calibrate"]);
    command.args(arguments).arg("--model").arg(bundle());
    Outcome::of(command.output().unwrap())
}

fn folder(workplace: &Workplace, folder: &str, count: usize, first_seed: usize) {
    for number in 0..count {
        workplace.photo(&format!("{folder}/{number:02}.png"), first_seed + number);
    }
}

/// As the number was written, without a detour through more digits.
fn number(value: &Value) -> f32 {
    value.to_string().parse().unwrap()
}

fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn decisions(outcome: &Outcome, decision: &str) -> usize {
    let lines = outcome.lines();
    let such = lines.iter().filter(|line| line["decision"] == decision);
    such.count()
}

/// A grey PNG that is white where (x, y) is `inside`.
fn mask(workplace: &Workplace, name: &str, size: (usize, usize), inside: fn(usize, usize) -> bool) {
    let pixels = (0..size.0 * size.1).map(|at| u8::from(inside(at % size.0, at / size.0)) * 255);
    let photo = Photo::from_grey(size.0, size.1, pixels.collect()).unwrap();
    Picture::from(photo)
        .write_png(&workplace.path(name))
        .unwrap();
}

fn is_left(x: usize, _: usize) -> bool {
    x < 20
}

#[test]
fn good_photos_give_two_thresholds() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 30, 0);
    // P(Binomial(30, 0.2) ≥ 3) = 0.956 and P(… ≥ 4) = 0.877, so above the third largest.
    let outcome = calibrate(&workplace, &["good", "--out", "it.json"])
        .ends_with(0)
        .says("Review threshold")
        .says("of new good photos reach it (20 % were allowed")
        .says("2 of these 30 good photos lie between it and the score threshold, to be reviewed.");
    let found = document(&outcome);
    let calibration = &found["calibration"];
    assert_eq!(found["review"]["method"], "false-alarms");
    assert_eq!(found["review"]["target_rate"], 0.2);
    assert_eq!(found["photos"]["normal_review"], 2);
    let mut scores: Vec<f32> = workplace
        .segment(&["good"])
        .ends_with(0)
        .lines()
        .iter()
        .map(|line| number(&line["score"]))
        .collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    for (key, rank) in [("score_threshold", 0), ("review_threshold", 2)] {
        let threshold = number(&calibration[key]);
        assert_eq!(
            threshold.to_bits(),
            scores[rank].next_up().to_bits(),
            "{key}"
        );
    }

    let with = |arguments: &[&str]| {
        workplace.segment(&[&["good", "--calibration", "it.json"], arguments].concat())
    };
    let used = with(&["--fail-on-anomaly"]).ends_with(0);
    assert_eq!(
        (decisions(&used, "review"), decisions(&used, "ok")),
        (2, 28)
    );
    for line in used.lines() {
        assert_eq!(line["review_threshold"], calibration["review_threshold"]);
        assert_eq!(line["anomalous"], false);
    }
    with(&["--fail-on-review"]).ends_with(3);
    let table = with(&["--format", "table"]).ends_with(0);
    assert_eq!(table.stdout.matches("  review  ").count(), 2);

    // A threshold by hand has nothing to do with the one for review, unless that is given too.
    let largest = scores[0].to_string();
    let by_hand = with(&["--score-threshold", &largest, "--fail-on-review"]).ends_with(3);
    assert_eq!(
        (decisions(&by_hand, "defect"), decisions(&by_hand, "ok")),
        (1, 29)
    );
    assert_eq!(by_hand.lines()[0].get("review_threshold"), None);
    let third = scores[2].to_string();
    let both = with(&["--score-threshold", &largest, "--review-threshold", &third]).ends_with(0);
    assert_eq!(
        (decisions(&both, "defect"), decisions(&both, "review")),
        (1, 2)
    );
    with(&["--review-threshold", "1.5"])
        .ends_with(2)
        .says("The review threshold is above the score threshold");

    // As before.
    let off = calibrate(
        &workplace,
        &["good", "--review", "off", "--out", "two.json"],
    )
    .ends_with(0);
    assert!(!off.stderr.contains("review"), "{}", off.stderr);
    let two = document(&off);
    assert_eq!(
        (
            two.get("review"),
            two["calibration"].get("review_threshold")
        ),
        (None, None)
    );
    assert_eq!(
        two["calibration"]["score_threshold"],
        calibration["score_threshold"]
    );
    let used = workplace
        .segment(&["good", "--calibration", "two.json"])
        .ends_with(0);
    assert_eq!(decisions(&used, "ok"), 30);

    for wrong in ["0", "1", "on"] {
        calibrate(&workplace, &["good", "--review", wrong])
            .ends_with(2)
            .says("above 0 and below 1, or `off`");
    }
}

#[test]
fn a_bundle_carries_both_thresholds_and_files_are_checked() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 12, 0);
    let arguments = ["good", "--review", "0.5", "--out"];
    let outcome = calibrate(&workplace, &[&arguments[..], &["own.safetensors"]].concat());
    let review = document(&outcome.ends_with(0))["calibration"]["review_threshold"].clone();
    let stored = Weights::open_bundle(&workplace.path("own.safetensors")).unwrap();
    let stored = stored.calibration().unwrap().review_threshold.unwrap();
    assert_eq!(stored.to_bits(), number(&review).to_bits());
    let line = &workplace
        .run(&["segment", "good/00.png", "--model", "own.safetensors"])
        .ends_with(0)
        .lines()[0];
    assert_eq!(line["review_threshold"], review);

    calibrate(&workplace, &[&arguments[..], &["it.json"]].concat()).ends_with(0);
    let text = std::fs::read_to_string(workplace.path("it.json")).unwrap();
    let mut above: Value = serde_json::from_str(&text).unwrap();
    above["calibration"]["review_threshold"] = 1.5.into();
    // Earlier versions wrote none of the new keys.
    let mut earlier: Value = serde_json::from_str(&text).unwrap();
    earlier.as_object_mut().unwrap().remove("review");
    earlier["calibration"]
        .as_object_mut()
        .unwrap()
        .remove("review_threshold");
    for key in ["normal_review", "anomalous_review"] {
        earlier["photos"].as_object_mut().unwrap().remove(key);
    }
    let with = |content: &Value| {
        workplace.write("it.json", content.to_string());
        workplace.segment(&["good/00.png", "--calibration", "it.json"])
    };
    with(&above)
        .ends_with(2)
        .says("review threshold 1.5 is above its score threshold");
    let line = &with(&earlier).ends_with(0).lines()[0];
    assert_eq!(
        (line["decision"].as_str(), line.get("review_threshold")),
        (Some("ok"), None)
    );
}

#[test]
fn few_photos_allow_no_review_and_bad_ones_do_not_lower_it() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 12, 0);
    folder(&workplace, "bad", 9, 40);
    let few = calibrate(&workplace, &["good"])
        .ends_with(0)
        .says("There is no review threshold")
        .says("With 22 good photos there is one.");
    assert_eq!(document(&few)["calibration"].get("review_threshold"), None);

    let labelled = ["--normal", "good", "--anomalous", "bad"];
    // All of the bad ones are to be found, so that the score threshold is low.
    let recall = [&labelled[..], &["--target-recall", "1"]].concat();
    for (arguments, review) in [
        (&labelled[..], "0.5"),
        (&labelled[..], "0.9"),
        (&recall[..], "0.5"),
        (&recall[..], "0.9"),
    ] {
        let outcome = calibrate(&workplace, &[arguments, &["--review", review]].concat());
        let outcome = outcome.ends_with(0);
        let found = document(&outcome);
        let score = number(&found["calibration"]["score_threshold"]);
        match found["calibration"].get("review_threshold") {
            Some(threshold) => {
                assert!(number(threshold) < score, "{found}");
                assert_eq!(found["review"]["method"], "false-alarms");
                outcome.says("bad ones");
            }
            None => drop(outcome.says("does not lie below the score threshold")),
        }
    }
    // Of three good photos nothing can be said about others.
    let masks = workplace.path("masks");
    std::fs::create_dir(&masks).unwrap();
    for number in 0..9 {
        mask(&workplace, &format!("masks/{number:02}.png"), SIZE, is_left);
    }
    folder(&workplace, "three", 3, 80);
    calibrate(
        &workplace,
        &[
            "--normal",
            "three",
            "--anomalous",
            "bad",
            "--masks",
            "masks",
        ],
    )
    .ends_with(0)
    .says("There is no review threshold: it takes 10 good photos");
}

#[test]
fn only_what_the_masks_leave_counts() {
    let workplace = Workplace::with_photos(&["a.png", "b.png"]);
    mask(&workplace, "white.png", SIZE, |_, _| true);
    mask(&workplace, "black.png", (8, 6), |_, _| false);
    mask(&workplace, "left.png", SIZE, is_left);
    mask(&workplace, "right.png", (80, 60), |x, _| x >= 40);
    mask(&workplace, "top.png", SIZE, |_, y| y < 10);
    let run = |arguments: &[&str]| {
        let all = ["a.png", "b.png", "--pixel-threshold", "-1"];
        workplace
            .segment(&[&all[..], arguments].concat())
            .ends_with(0)
            .lines()
    };
    let same = |one: &[Value], other: &[Value]| {
        let keys = ["score", "max", "regions", "decision"];
        let same = |(one, other): (&Value, &Value)| keys.iter().all(|key| one[key] == other[key]);
        one.iter().zip(other).all(same)
    };
    for tiling in [&[][..], &["--tile", "16", "--global-weight", "0.25"]] {
        let with = |masks: &[&str]| run(&[masks, tiling].concat());
        let plain = with(&[]);
        assert_eq!(plain[0].get("mask_sha256"), None);
        let white = with(&["--inspect-mask", "white.png"]);
        assert_eq!(white[0]["mask_sha256"].as_str().map(str::len), Some(64));
        assert!(same(&plain, &white) && same(&plain, &with(&["--ignore-mask", "black.png"])));

        let left = with(&["--inspect-mask", "left.png"]);
        assert!(!same(&plain, &left));
        assert!(same(&left, &with(&["--ignore-mask", "right.png"])));
        let bounds = |line: &Value| line["regions"][0]["box"].to_string();
        assert_eq!(bounds(&left[0]), r#"{"x":0,"y":0,"width":20,"height":30}"#);
        assert_eq!(left[0]["regions"][0]["area"], 600);
        let corner = with(&["--inspect-mask", "left.png", "--ignore-mask", "top.png"]);
        assert_eq!(
            bounds(&corner[1]),
            r#"{"x":0,"y":10,"width":20,"height":20}"#
        );

        // A photo that differs only where nothing counts looks alike there.
        let arguments = [
            "--inspect-mask",
            "left.png",
            "--out",
            "out",
            "--save",
            "npy,mask,overlay",
        ];
        let lines = with(&arguments);
        let file = |kind: &str| workplace.path(lines[0]["files"][kind].as_str().unwrap());
        let picture = decode_file(&file("mask"), &DecodeOptions::default()).unwrap();
        for (at, value) in picture.pixels().iter().enumerate() {
            assert_eq!(*value == 255, is_left(at % SIZE.0, 0), "pixel {at}");
        }
        let photo = decode_file(&workplace.path("a.png"), &DecodeOptions::default()).unwrap();
        let overlay = decode_file(&file("overlay"), &DecodeOptions::default()).unwrap();
        // The line around the left half is two pixels wide; the photo to the right of it is as it was.
        for y in 0..SIZE.1 {
            assert!(
                overlay.row(y)[24 * 3..] == photo.row(y)[24 * 3..],
                "row {y}"
            );
        }
        let bytes = std::fs::read(file("map")).unwrap();
        let map: Vec<f32> = npyz::NpyFile::new(&bytes[..]).unwrap().into_vec().unwrap();
        let side = if tiling.is_empty() { 70 } else { SIZE.0 };
        for (at, value) in map.iter().enumerate() {
            assert_eq!(value.is_nan(), at % side >= side / 2, "value {at}");
        }
    }
}

#[test]
fn masks_that_cannot_be_used_are_explained() {
    let workplace = Workplace::with_photos(&["a.png"]);
    std::fs::create_dir(workplace.path("folder")).unwrap();
    workplace.write("text.png", "no picture");
    workplace.write("huge.png", "P5 200000 200000 255\n");
    mask(&workplace, "black.png", SIZE, |_, _| false);
    mask(&workplace, "white.png", SIZE, |_, _| true);
    mask(&workplace, "small.png", (8, 6), |_, _| true);
    let cut = std::fs::read(workplace.path("white.png")).unwrap();
    workplace.write("cut.png", &cut[..40]);
    for (arguments, says) in [
        (
            &["--inspect-mask", "none.png"][..],
            "none.png could not be read",
        ),
        (&["--ignore-mask", "folder"], "folder could not be read"),
        (&["--inspect-mask", "text.png"], "text.png is not a PNG"),
        (&["--inspect-mask", "cut.png"], "cut.png is not a valid PNG"),
        (
            &["--ignore-mask", "huge.png"],
            "more than the 200000000 that are allowed",
        ),
        (
            &["--inspect-mask", "black.png"],
            "The masks leave nothing to inspect",
        ),
        (
            &["--ignore-mask", "white.png"],
            "The masks leave nothing to inspect",
        ),
        (
            &["--inspect-mask", "white.png", "--ignore-mask", "white.png"],
            "The masks leave nothing to inspect",
        ),
        (
            &["--inspect-mask", "white.png", "--ignore-mask", "small.png"],
            "bring both to the same size",
        ),
        (&["--min-area", "0"], "from 1 to"),
    ] {
        workplace
            .segment(&[&["a.png"], arguments].concat())
            .ends_with(2)
            .says(says);
    }
    let good = calibrate(&workplace, &["a.png", "--inspect-mask", "black.png"]);
    good.ends_with(2).says("The masks leave nothing to inspect");

    // Another shape than a photo's: that photo fails, and the others are done.
    photos::write(&workplace.path("wide.png"), 60, 30, 1);
    let outcome = workplace
        .segment(&["a.png", "wide.png", "--inspect-mask", "small.png"])
        .ends_with(1);
    let lines = outcome.lines();
    assert_eq!(lines[0]["path"], "a.png");
    let error = lines[1]["error"].as_str().unwrap();
    assert!(
        error.contains("The photo has 60 × 30 pixels, but the mask 8 × 6"),
        "{error}"
    );

    // Of an animation the first picture is the mask.
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vcp-image/tests/fixtures");
    let animated = std::fs::read(fixtures.join("decoded/animated.webp")).unwrap();
    workplace.write("moving.webp", animated);
    let lines = workplace
        .segment(&["moving.webp", "--inspect-mask", "moving.webp"])
        .ends_with(0)
        .lines();
    assert!(lines[0]["mask_sha256"].is_string(), "{lines:?}");

    // 16 bits, of which any value above 0 is white.
    let samples = (0..1200).map(|at| u16::from(at % 40 < 20)).collect();
    photos::write_tiff16(&workplace.path("deep.tif"), 40, 30, &[samples]);
    mask(&workplace, "left.png", SIZE, is_left);
    let digest = |mask: &str| {
        let lines = workplace
            .segment(&["a.png", "--inspect-mask", mask])
            .ends_with(0)
            .lines();
        lines[0]["mask_sha256"].clone()
    };
    assert_eq!(digest("deep.tif"), digest("left.png"));
}

#[test]
fn a_calibration_counts_for_its_own_mask_only() {
    let workplace = Workplace::new();
    folder(&workplace, "good", 12, 0);
    mask(&workplace, "left.png", SIZE, is_left);
    mask(&workplace, "right.png", SIZE, |x, _| x >= 20);
    let left = ["--inspect-mask", "left.png"];
    let found = calibrate(
        &workplace,
        &[&["good", "--out", "it.json"], &left[..]].concat(),
    );
    let found = document(&found.ends_with(0));
    let lines = workplace
        .segment(&[&["good"], &left[..]].concat())
        .ends_with(0)
        .lines();
    let calibration = &found["calibration"];
    assert_eq!(calibration["mask_sha256"], lines[0]["mask_sha256"]);
    let scores = lines.iter().map(|line| number(&line["score"]));
    let largest = scores.fold(f32::MIN, f32::max);
    assert_eq!(
        number(&calibration["score_threshold"]).to_bits(),
        largest.next_up().to_bits()
    );
    let whole = document(&calibrate(&workplace, &["good", "--out", "whole.json"]).ends_with(0));
    assert_ne!(
        whole["calibration"]["pixel_threshold"],
        calibration["pixel_threshold"]
    );

    let with = |file: &str, arguments: &[&str]| {
        workplace.segment(&[&["good/00.png", "--calibration", file], arguments].concat())
    };
    with("it.json", &left).ends_with(0);
    // The same part, said the other way round.
    with("it.json", &["--ignore-mask", "right.png"]).ends_with(0);
    with("it.json", &["--inspect-mask", "right.png"])
        .ends_with(2)
        .says("was found with another mask");
    with("it.json", &[])
        .ends_with(2)
        .says("was found with --inspect-mask or --ignore-mask");
    with("whole.json", &left)
        .ends_with(2)
        .says("was found without a mask");
    let bundle = ["good", "--out", "own.safetensors"];
    calibrate(&workplace, &[&bundle[..], &left].concat()).ends_with(0);
    workplace
        .run(&["segment", "good/00.png", "--model", "own.safetensors"])
        .ends_with(0)
        .says("was found with --inspect-mask or --ignore-mask and is set aside");

    // Pixels that good and bad photos differ by may lie where nothing counts.
    folder(&workplace, "bad", 9, 40);
    std::fs::create_dir(workplace.path("masks")).unwrap();
    for number in 0..9 {
        mask(
            &workplace,
            &format!("masks/{number:02}.png"),
            SIZE,
            |x, y| y < 9 && x > 8,
        );
    }
    let labelled = ["--normal", "good", "--anomalous", "bad", "--masks", "masks"];
    for aim in [&[][..], &["--target-recall", "0.7"]] {
        let outcome = calibrate(&workplace, &[&labelled[..], &left, aim].concat()).ends_with(0);
        assert_eq!(document(&outcome)["pixel"]["masks"], 9);
    }
}

#[test]
fn small_regions_are_neither_reported_nor_drawn() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let arguments = ["a.png", "--out", "out", "--save", "mask,overlay"];
    let run = |further: &[&str]| {
        let lines = workplace
            .segment(&[&arguments[..], further].concat())
            .ends_with(0)
            .lines();
        let file = |kind: &str| workplace.path(lines[0]["files"][kind].as_str().unwrap());
        let mask = decode_file(&file("mask"), &DecodeOptions::default()).unwrap();
        let overlay = decode_file(&file("overlay"), &DecodeOptions::default()).unwrap();
        let pixels = mask.pixels().iter();
        let white = pixels.map(|&value| usize::from(value)).sum::<usize>() / 255;
        (lines[0].clone(), white, overlay)
    };
    // Around the largest values there is a region of some size.
    let max = run(&[]).0["max"].as_f64().unwrap();
    let threshold = (max - 0.005).to_string();
    let at = ["--pixel-threshold", &threshold];
    let (all, white, overlay) = run(&at);
    let areas = |line: &Value| -> Vec<u64> {
        let regions = line["regions"].as_array().unwrap().iter();
        regions
            .map(|region| region["area"].as_u64().unwrap())
            .collect()
    };
    let largest = areas(&all)[0];
    assert!(largest > 1 && (white as u64) < 1200, "{all}");
    assert_eq!(all.get("min_area"), None);
    let same = run(&[&at[..], &["--min-area", &largest.to_string()]].concat());
    let kept: Vec<u64> = areas(&all)
        .into_iter()
        .filter(|&area| area >= largest)
        .collect();
    assert_eq!(
        (areas(&same.0), same.1 as u64),
        (kept.clone(), kept.iter().sum())
    );
    assert_eq!(same.0["min_area"], largest);
    let (none, white, bare) = run(&[&at[..], &["--min-area", &(largest + 1).to_string()]].concat());
    assert!(areas(&none).is_empty() && white == 0);
    assert!(bare != overlay, "there is no line");
    for key in ["score", "max", "decision"] {
        assert_eq!(none[key], all[key], "the score does not depend on it");
    }
}
