//! `vcp-clip segment`: what is printed, written and returned.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "says which tests are skipped")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::cli::{Workplace, weights};
use support::photos;
use vcp_checkpoint::{Calibration, Precision};

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
            "milliseconds"
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
fn every_kind_of_file_is_written() {
    let workplace = Workplace::with_photos(&["x/a.b.png"]);
    let outcome = workplace
        .segment(&[
            "x/a.b.png",
            "--out",
            "out",
            "--save",
            "overlay,heatmap,mask,npy,json",
        ])
        .ends_with(0);
    let line = &outcome.lines()[0];
    let expected = [
        ("overlay", "a.b.overlay.png"),
        ("heatmap", "a.b.heatmap.png"),
        ("mask", "a.b.mask.png"),
        ("map", "a.b.map.npy"),
        ("branch1", "a.b.branch1.npy"),
        ("branch2", "a.b.branch2.npy"),
        ("json", "a.b.json"),
    ];
    let files = line["files"].as_object().unwrap();
    assert_eq!(files.len(), expected.len());
    for (key, name) in expected {
        let path = files[key].as_str().unwrap();
        assert_eq!(Path::new(path), Path::new("out").join(name));
        let bytes = fs::read(workplace.path(path)).unwrap();
        match key {
            "overlay" | "heatmap" | "mask" => {
                assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
                assert_eq!(&bytes[16..24], [0, 0, 0, 40, 0, 0, 0, 30], "{key}");
            }
            "json" => assert_eq!(&bytes, outcome.stdout.as_bytes()),
            _ => {
                let array = npyz::NpyFile::new(&bytes[..]).unwrap();
                assert_eq!(array.shape(), [70, 70]);
                let values: Vec<f32> = array.into_vec().unwrap();
                assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
                if key == "map" {
                    let max = values.iter().copied().fold(0.0, f32::max);
                    assert!((f64::from(max) - line["max"].as_f64().unwrap()).abs() < 1e-6);
                }
            }
        }
    }
    assert_eq!(
        workplace.files("out").len(),
        expected.len(),
        "nothing else is left there"
    );
}

#[test]
fn out_alone_writes_overlays() {
    let workplace = Workplace::with_photos(&["a.png"]);
    workplace
        .segment(&["a.png", "--out", "new/folder"])
        .ends_with(0);
    assert_eq!(workplace.files("new/folder"), ["a.overlay.png"]);
}

#[test]
fn a_folder_is_searched_in_order() {
    let workplace = Workplace::with_photos(&[
        "photos/b.PNG",
        "photos/a.jpeg",
        "photos/c/a.tif",
        "photos/.hidden.png",
        "photos/.hidden/a.png",
    ]);
    workplace.write("photos/notes.txt", "no photo");
    let outcome = workplace.segment(&["photos"]).ends_with(0);
    assert_eq!(
        outcome.paths(),
        ["photos/a.jpeg", "photos/b.PNG", "photos/c/a.tif"]
    );
    let outcome = workplace
        .segment(&["photos", "--recursive=false"])
        .ends_with(0);
    assert_eq!(outcome.paths(), ["photos/a.jpeg", "photos/b.PNG"]);
}

#[test]
fn what_is_named_is_tried_whatever_its_name() {
    let workplace = Workplace::with_photos(&["photo.of.part", ".hidden", "odd[1].png"]);
    let outcome = workplace
        .segment(&["photo.of.part", ".hidden", "odd[1].png"])
        .ends_with(0);
    assert_eq!(outcome.lines().len(), 3);
}

#[test]
fn equal_names_do_not_collide() {
    let names = ["p/good/000.png", "p/bad/000.png", "p/bad/000.jpg"];
    let workplace = Workplace::with_photos(&names);
    let ways: [&[&str]; 4] = [&["p"], &["p/good", "p/bad"], &["p/*/*"], &names];
    for (number, inputs) in ways.iter().enumerate() {
        let out = format!("out{number}");
        let arguments = [inputs, &["--out", &out][..]].concat();
        let outcome = workplace.segment(&arguments).ends_with(0);
        let written = workplace.files(&out);
        // The photo that comes later keeps its ending.
        let second = if number == 3 {
            "bad/000.jpg"
        } else {
            "bad/000.png"
        };
        let mut expected = ["bad/000", second, "good/000"].map(|it| format!("{it}.overlay.png"));
        expected.sort();
        assert_eq!(written, expected, "{inputs:?}");
        for line in outcome.lines() {
            assert!(
                workplace
                    .path(line["files"]["overlay"].as_str().unwrap())
                    .is_file()
            );
        }
    }
}

#[test]
fn results_never_leave_the_output_folder() {
    let workplace = Workplace::with_photos(&["a.png", "inner/b.png"]);
    let mut command = workplace.segment_command(&["../a.png", "b.png", "--out", "out"]);
    let output = command
        .current_dir(workplace.path("inner"))
        .output()
        .unwrap();
    support::cli::Outcome::of(output).ends_with(0);
    assert_eq!(
        workplace.files("inner/out"),
        ["a.overlay.png", "inner/b.overlay.png"]
    );
}

#[test]
fn a_second_run_does_not_take_overlays_for_photos() {
    let workplace = Workplace::with_photos(&["photos/a.png"]);
    let save = "overlay,heatmap,mask,npy,json";
    for out in ["photos/out", "photos"] {
        for _ in 0..2 {
            let outcome = workplace
                .segment(&["photos", "--out", out, "--save", save])
                .ends_with(0);
            assert!(outcome.paths().contains(&"photos/a.png".to_owned()));
            fs::remove_dir_all(workplace.path("photos/out")).unwrap_or_default();
            if out == "photos" {
                assert_eq!(outcome.lines().len(), 1);
            }
        }
    }
}

#[test]
fn patterns_match_photos() {
    let workplace = Workplace::with_photos(&["p/a1.png", "p/a2.png", "p/b1.png", "p/q/a3.png"]);
    workplace.write("p/a4.txt", "no photo");
    let outcome = workplace.segment(&["p/a*"]).ends_with(0);
    assert_eq!(outcome.paths(), ["p/a1.png", "p/a2.png"]);
    let outcome = workplace.segment(&["p/**/a?.png"]).ends_with(0);
    assert_eq!(outcome.paths(), ["p/a1.png", "p/a2.png", "p/q/a3.png"]);
}

#[test]
fn inputs_without_a_photo_are_wrong_usage() {
    let workplace = Workplace::with_photos(&["p/a.png"]);
    workplace.write("empty/notes.txt", "no photo");
    workplace
        .segment(&["empty"])
        .ends_with(2)
        .says("The folder empty holds no photo");
    workplace
        .segment(&["p/*.tif"])
        .ends_with(2)
        .says("The pattern p/*.tif matches nothing");
    workplace
        .segment(&["empty/*"])
        .ends_with(2)
        .says("The pattern empty/* matches no photo");
    workplace
        .segment(&["p/[.png"])
        .ends_with(2)
        .says("neither a file nor a pattern");
    workplace
        .segment(&["-", "-"])
        .ends_with(2)
        .says("only once");
    workplace
        .segment(&["-"])
        .ends_with(2)
        .says("Standard input held no path");
    workplace.segment(&[]).ends_with(2).says("<INPUT>");
}

#[test]
fn paths_come_on_standard_input() {
    let workplace = Workplace::with_photos(&["a.png", "sub dir/b.png", "c.png", "z/b.png"]);
    let outcome = workplace
        .segment_with_input(
            &["c.png", "-", "--out", "out"],
            "a.png\n\nsub dir/b.png\r\nz/b.png",
        )
        .ends_with(0);
    assert_eq!(
        outcome.paths(),
        ["c.png", "a.png", "sub dir/b.png", "z/b.png"]
    );
    assert_eq!(
        workplace.files("out"),
        [
            "a.overlay.png",
            "c.overlay.png",
            "sub dir/b.overlay.png",
            "z/b.overlay.png"
        ]
    );
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
    let outcome = support::cli::Outcome::of(
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
    assert!(rows[0].starts_with(" score  anomalous"));
    assert!(
        rows[1].contains("  yes  ") && rows[1].ends_with("  a.png"),
        "{rows:?}"
    );
    assert!(rows[2].starts_with("failed: bad.png: "), "{rows:?}");
}

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
        bits: None,
        windows: None,
    };
    calibrated.set_calibration(Some(calibration)).unwrap();
    calibrated
        .write_bundle(&workplace.path("it.safetensors"), Precision::AsStored)
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

#[test]
fn files_that_cannot_be_written_fail_their_photo() {
    let workplace = Workplace::with_photos(&["p/x/a.png", "p/b.png"]);
    workplace.write("out/x", "a file where a folder has to be");
    let outcome = workplace.segment(&["p", "--out", "out"]).ends_with(1);
    let lines = outcome.lines();
    assert!(lines[0]["score"].is_number(), "{outcome:?}");
    assert!(
        lines[1]["error"].as_str().unwrap().contains("out"),
        "{outcome:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_to_is_found_out_at_once() {
    let workplace = Workplace::with_photos(&["a.png"]);
    // A folder that is there and takes no files from anybody, the superuser included.
    let outcome = workplace
        .segment(&["a.png", "--out", "/proc/self"])
        .ends_with(2)
        .says("Nothing can be written into the output folder /proc/self");
    assert_eq!(outcome.stdout, "");
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_end() {
    let workplace = Workplace::with_photos(&["p/a.png", "p/q/b.png"]);
    std::os::unix::fs::symlink("..", workplace.path("p/q/up")).unwrap();
    std::os::unix::fs::symlink("self", workplace.path("p/self")).unwrap();
    std::os::unix::fs::symlink("nowhere.txt", workplace.path("p/dangling.txt")).unwrap();
    std::os::unix::fs::symlink("../p/a.png", workplace.path("p/z.png")).unwrap();
    let outcome = workplace.segment(&["p"]).ends_with(0);
    assert_eq!(outcome.paths(), ["p/a.png", "p/q/b.png", "p/z.png"]);
}

/// Photos whose content was not fetched (git-annex, DVC), and a folder that is not mounted.
#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_files_that_are_missing() {
    let workplace = Workplace::with_photos(&["p/a.png"]);
    std::os::unix::fs::symlink("/annex/b", workplace.path("p/b.png")).unwrap();
    std::os::unix::fs::symlink("/mnt/share/line 3", workplace.path("p/line 3")).unwrap();
    for inputs in [&["p"][..], &["p/*.png"], &["p/b.png", "p/a.png"]] {
        let outcome = workplace.segment(inputs).ends_with(1);
        let error = outcome
            .lines()
            .into_iter()
            .find(|line| line["path"] == "p/b.png");
        assert!(error.unwrap()["error"].is_string(), "{outcome:#?}");
    }
    let outcome = workplace.segment(&["p"]).ends_with(1);
    assert_eq!(outcome.paths(), ["p/a.png", "p/b.png", "p/line 3"]);
    let message = outcome.lines()[1]["error"].as_str().unwrap().to_owned();
    assert!(
        message.contains("it is a link to /annex/b, which does not exist"),
        "{message}"
    );
    std::fs::remove_file(workplace.path("p/a.png")).unwrap();
    let outcome = workplace.segment(&["p/*.png"]).ends_with(1);
    assert_eq!(outcome.paths(), ["p/b.png"]);
}

#[test]
fn lists_made_on_windows_are_read() {
    let workplace = Workplace::with_photos(&["p/a.png", "p/b c.png"]);
    let list = "\u{feff}p/a.png\r\np\\b c.png\r\n";
    let outcome = workplace.segment_with_input(&["-"], list).ends_with(0);
    assert_eq!(outcome.paths(), ["p/a.png", "p/b c.png"]);
}

#[cfg(unix)]
#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let workplace = Workplace::new();
    let name = std::ffi::OsStr::from_bytes(b"a\xff.png");
    photos::write(&workplace.path("p").join(name), 40, 30, 0);
    let outcome = workplace.segment(&["p", "--out", "out"]).ends_with(0);
    assert_eq!(outcome.lines().len(), 1);
    assert!(
        workplace
            .path("out")
            .join(std::ffi::OsStr::from_bytes(b"a\xff.overlay.png"))
            .exists()
    );
}

#[cfg(unix)]
#[test]
fn a_file_of_a_folder_that_cannot_be_read_is_said_in_plain_words() {
    let workplace = Workplace::with_photos(&["in/a.png"]);
    std::os::unix::fs::symlink("loop.png", workplace.path("in/loop.png")).unwrap();
    let outcome = workplace.segment(&["in"]).ends_with(1);
    let line = &outcome.lines()[1];
    let message = line["error"].as_str().unwrap();
    assert!(
        message.starts_with("in/loop.png cannot be read: "),
        "{message}"
    );
    assert!(!message.contains("IO error"), "{message}");
}
