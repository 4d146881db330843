//! What options, calibration and bundle change.

use std::path::Path;

use vcp_checkpoint::{Calibration, Storing};

use crate::support::cli::{Workplace, weights};
use crate::support::photos;

#[test]
fn thresholds_come_from_the_options_else_the_calibration_else_one_half() {
    let workplace = Workplace::with_photos(&["a.png", "b.png"]);
    let mut calibrated = weights();
    let calibration = Calibration {
        version: Calibration::VERSION,
        pixel_threshold: 0.25,
        score_threshold: 0.75,
        range: (0.0, 0.5),
        data: "nothing".to_owned(),
        date: "2026-01-01".to_owned(),
        images: 1,
        apply_orientation: true,
        review_threshold: None,
        mask_sha256: None,
        bits: None,
        references: None,
        windows: None,
    };
    calibrated.set_calibration(Some(calibration)).unwrap();
    calibrated
        .write_bundle(&workplace.path("it.safetensors"), Storing::AsStored)
        .unwrap();
    let both = ["--score-threshold", "0.1", "--pixel-threshold", "0.2"];
    let cases: [(&str, &[&str], [f64; 2], usize); 8] = [
        ("it.safetensors", &[], [0.75, 0.25], 0),
        ("it.safetensors", &both[..2], [0.1, 0.25], 0),
        ("it.safetensors", &["--image-size", "84"], [0.5, 0.5], 0),
        ("it.safetensors", &["--no-orientation"], [0.5, 0.5], 0),
        // What the bundle says anyway is no change.
        ("it.safetensors", &["--image-size", "70"], [0.75, 0.25], 0),
        ("random", &both, [0.1, 0.2], 0),
        ("random", &both[2..], [0.5, 0.2], 1),
        ("random", &["--quiet"], [0.5, 0.5], 0),
    ];
    for (model, arguments, [score, pixel], notes) in cases {
        let inputs = ["a.png", "b.png"];
        let outcome = if model == "random" {
            workplace.segment(&[&inputs, arguments].concat())
        } else {
            workplace.run(&[&["segment", "--model", model], &inputs[..], arguments].concat())
        };
        let outcome = outcome.ends_with(0);
        for line in outcome.lines() {
            let near = |key: &str, value: f64| (line[key].as_f64().unwrap() - value).abs() < 1e-6;
            assert!(
                near("score_threshold", score) && near("pixel_threshold", pixel),
                "{line}"
            );
        }
        let found = outcome.stderr.matches("is not calibrated").count();
        assert_eq!(found, notes, "{model} {arguments:?} {outcome:?}");
    }
    let with_bundle = |arguments: &[&str]| {
        workplace.run(
            &[
                &["segment", "--model", "it.safetensors", "a.png"],
                arguments,
            ]
            .concat(),
        )
    };
    for (arguments, why) in [
        (&["--image-size", "84"][..], "with another image size"),
        (&["--activation", "quickgelu"], "with another activation"),
        (&["--template-normal", "<|class|>"], "with other templates"),
        (&["--no-orientation"], "without --no-orientation"),
    ] {
        let said = format!("calibration was found {why} and is set aside, so 0.5 stands in");
        with_bundle(arguments).ends_with(0).says(&said);
        let quiet = with_bundle(&[arguments, &["--quiet"]].concat()).ends_with(0);
        assert_eq!(quiet.stderr, "", "{arguments:?}");
    }
    with_bundle(&[&both[..], &["--no-orientation"]].concat())
        .ends_with(0)
        .says("and is set aside.");
}

#[test]
fn settings_of_a_bundle_can_be_changed() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let score = |arguments: &[&str]| {
        let outcome = workplace
            .segment(&[&["a.png"], arguments].concat())
            .ends_with(0);
        outcome.lines()[0]["score"].as_f64().unwrap().to_bits()
    };
    let plain = score(&[]);
    assert_eq!(
        plain,
        score(&["--template-normal", "a photo of a good <|class|>"])
    );
    assert_eq!(plain, score(&["--threads", "1"]), "threads change no bit");
    for change in [
        ["--template-normal", "a perfect <|class|>"],
        ["--template-anomalous", "a broken <|class|>"],
        ["--image-size", "84"],
        ["--activation", "quickgelu"],
    ] {
        assert_ne!(plain, score(&change), "{change:?}");
    }
    workplace
        .segment(&["a.png", "--image-size", "13"])
        .ends_with(2)
        .says("image size is 13");
    workplace
        .segment(&["a.png", "--taps", "1,3"])
        .ends_with(2)
        .says("tap 3");
    workplace
        .segment(&["a.png", "--template-normal", "a thing"])
        .ends_with(2)
        .says("<|class|>");
}

#[test]
fn orientation_and_pixel_limit_reach_the_decoder() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vcp-image/tests/fixtures");
    let turned = fixtures.join("oriented/6.jpg");
    let turned = turned.to_str().unwrap();
    let workplace = Workplace::new();
    let size = |arguments: &[&str]| {
        let lines = workplace
            .segment(&[&[turned], arguments].concat())
            .ends_with(0)
            .lines();
        (lines[0]["width"].clone(), lines[0]["height"].clone())
    };
    let (width, height) = size(&[]);
    assert_ne!(width, height);
    assert_eq!(size(&["--no-orientation"]), (height, width));

    photos::write(&workplace.path("a.png"), 40, 30, 0);
    workplace
        .segment(&["a.png", "--max-pixels", "1200"])
        .ends_with(0);
    let outcome = workplace
        .segment(&["a.png", "--max-pixels", "1199"])
        .ends_with(1);
    assert!(
        outcome.lines()[0]["error"]
            .as_str()
            .unwrap()
            .contains("1199"),
        "{outcome:?}"
    );
}

#[test]
fn options_are_checked_before_anything_is_done() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let cases: [(&[&str], &str); 11] = [
        (&["a.png", "--save", "mask"], "--out DIR"),
        (&["a.png", "--save", "movie", "--out", "o"], "movie"),
        (&["a.png", "--range", "1,0"], "--range takes two numbers"),
        (&["a.png", "--range", "0.5"], "--range takes two numbers"),
        (&["a.png", "--range", "0,nan"], "from -1000 to 1000"),
        (&["a.png", "--pixel-threshold", "inf"], "from -1000 to 1000"),
        (&["a.png", "--score-threshold", "high"], "--score-threshold"),
        (&["a.png", "--threads", "0"], "--threads"),
        (&["a.png", "--clip", "x"], "cannot be used with"),
        (&["a.png", "--frobnicate"], "--frobnicate"),
        (
            &["a.png", "--out", "a.png/x"],
            "output folder a.png/x cannot be created",
        ),
    ];
    for (arguments, message) in cases {
        let outcome = workplace.segment(arguments).ends_with(2).says(message);
        assert_eq!(outcome.stdout, "");
    }
    assert_eq!(workplace.files(""), ["a.png"]);
}
