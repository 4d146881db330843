//! A line for each photo, and the status at the end.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::cli::{Outcome, Workplace};

#[test]
fn a_photo_gives_a_line() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let outcome = workplace
        .segment(&["a.png", "--pixel-threshold", "0"])
        .ends_with(0);
    let lines = outcome.lines();
    let [line] = &lines[..] else {
        panic!("{outcome:?}")
    };
    let keys: Vec<&str> = line
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "path",
            "score",
            "score_threshold",
            "anomalous",
            "max",
            "pixel_threshold",
            "regions",
            "width",
            "height",
            "files",
            "milliseconds",
            "decision"
        ]
    );
    assert_eq!(line["path"], "a.png");
    assert_eq!((&line["width"], &line["height"]), (&40.into(), &30.into()));
    assert_eq!(
        (&line["score_threshold"], &line["pixel_threshold"]),
        (&0.5.into(), &0.0.into())
    );
    let number = |key: &str| line[key].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&number("score")) && (0.0..=1.0).contains(&number("max")));
    assert_eq!(line["anomalous"], number("score") >= 0.5);
    assert_eq!(line["decision"] == "defect", number("score") >= 0.5);
    assert!(number("milliseconds") > 0.0);
    assert_eq!(line["files"], Value::Object(serde_json::Map::new()));
    // Above 0 is everything.
    let region = &line["regions"][0];
    let keys: Vec<&str> = region
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        ["box", "area", "centroid", "peak", "peak_position", "mean"]
    );
    assert_eq!(
        region["box"].to_string(),
        r#"{"x":0,"y":0,"width":40,"height":30}"#
    );
    assert_eq!(region["area"], 1200);
    assert_eq!(region["centroid"].to_string(), "[19.5,14.5]");
}

#[test]
fn a_bad_photo_does_not_stop_the_rest() {
    let workplace = Workplace::with_photos(&["p/a.png", "p/c.png"]);
    workplace.write("p/b.png", "no picture at all");
    let whole = fs::read(workplace.path("p/a.png")).unwrap();
    workplace.write("p/cut.png", &whole[..whole.len() / 2]);
    let outcome = workplace
        .segment(&["p", "missing.png", "--out", "out"])
        .ends_with(1)
        .says("note: 3 of 5 inputs failed.");
    assert_eq!(
        outcome.paths(),
        ["p/a.png", "p/b.png", "p/c.png", "p/cut.png", "missing.png"]
    );
    for line in outcome.lines() {
        let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
        match line["path"].as_str().unwrap() {
            "p/a.png" | "p/c.png" => assert!(line["score"].is_number()),
            "missing.png" => assert_eq!(
                line["error"]
                    .as_str()
                    .unwrap()
                    .matches("os error 2")
                    .count(),
                1,
                "{line}"
            ),
            path => {
                assert_eq!(keys, ["path", "error"]);
                assert!(line["error"].as_str().unwrap().contains(path), "{line}");
            }
        }
    }
    assert_eq!(workplace.files("out").len(), 2);
}

#[test]
fn real_photos_of_every_kind_are_segmented() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let tiny = shared.join("goldens/tiny");
    let cookies = shared.join("data/cookies/test-images");
    let odd = shared.join("goldens/preprocess");
    if ![&tiny, &cookies, &odd].iter().all(|folder| folder.is_dir()) {
        eprintln!(
            "skipped: {} does not hold the shared data",
            shared.display()
        );
        return;
    }
    let workplace = Workplace::new();
    let outcome = Outcome::of(
        workplace
            .command([
                "segment",
                "--image-size",
                "98",
                "--out",
                "out",
                "--save",
                "overlay,mask",
            ])
            .args([&cookies, &odd])
            .arg("--clip")
            .arg(tiny.join("clip.pt"))
            .arg("--checkpoint")
            .arg(tiny.join("vcp_saved_on_gpu.pth"))
            .output()
            .unwrap(),
    )
    .ends_with(0);
    let lines = outcome.lines();
    let named = |name: &str| {
        lines
            .iter()
            .find(|line| line["path"].as_str().unwrap().ends_with(name))
            .unwrap()
    };
    for (name, width, height) in [
        ("gray16_300x200.png", 300, 200),
        ("palette_140x100.png", 140, 100),
        ("rgba_199x176.png", 199, 176),
        ("rgb_260x180.bmp", 260, 180),
        ("rgb_576x768.jpg", 576, 768),
    ] {
        let line = named(name);
        assert_eq!(
            (&line["width"], &line["height"]),
            (&width.into(), &height.into()),
            "{name}"
        );
    }
    // A photo and what Pillow made of it look alike to the model.
    let score = |name: &str| named(name)["score"].as_f64().unwrap();
    assert!((score("rgb_320x240.png") - score("rgb_320x240_png_to_518.png")).abs() < 0.01);
    let written = workplace.files("out");
    assert_eq!(written.len(), 2 * lines.len());
    assert!(
        written.contains(&"data/cookies/test-images/test-normal-1.overlay.png".to_owned()),
        "{written:?}"
    );
}

#[test]
fn statuses_tell_what_was_found() {
    let workplace = Workplace::with_photos(&["a.png"]);
    workplace.write("bad.png", "no picture");
    let cases: [(&[&str], i32); 6] = [
        (&["a.png", "--score-threshold", "0"], 0),
        (&["a.png", "--score-threshold", "0", "--fail-on-anomaly"], 3),
        (
            &["a.png", "--score-threshold", "0", "--fail-on-anomaly=false"],
            0,
        ),
        (
            &["a.png", "--score-threshold", "1.1", "--fail-on-anomaly"],
            0,
        ),
        (
            &[
                "a.png",
                "bad.png",
                "--score-threshold",
                "0",
                "--fail-on-anomaly",
            ],
            1,
        ),
        (&["bad.png", "--fail-on-anomaly"], 1),
    ];
    for (arguments, status) in cases {
        workplace.segment(arguments).ends_with(status);
    }
}

#[test]
fn the_table_is_for_people() {
    let workplace = Workplace::with_photos(&["a.png"]);
    workplace.write("bad.png", "no picture");
    let outcome = workplace
        .segment(&[
            "a.png",
            "bad.png",
            "--format",
            "table",
            "--score-threshold",
            "0",
        ])
        .ends_with(1);
    let rows: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[0].starts_with(" score  decision"));
    assert!(
        rows[1].contains("  defect  ") && rows[1].ends_with("  a.png"),
        "{rows:?}"
    );
    assert!(rows[2].starts_with("failed: bad.png: "), "{rows:?}");
}
