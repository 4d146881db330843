//! `vcp-clip eval`: figures, files, and going on after an interruption.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::cli::{Outcome, Workplace, bundle};
use support::data::{category, mask, mvtec};
use vcp_image::{DecodeOptions, decode_file, decode_mask_file, resize_mask};
use vcp_metrics::{Collector, ImageMap, ImageReport, PixelOptions};

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

#[test]
fn results_have_the_promised_form() {
    let workplace = mvtec();
    let outcome = eval_set(&workplace, "out", &["--by-defect"]).ends_with(0);
    assert_eq!(
        workplace.files("out"),
        [
            "categories/mvtec-bolt.json",
            "categories/mvtec-nut.json",
            "images.csv",
            "report.html",
            "results.csv",
            "results.json",
            "results.md",
        ]
    );
    let results = results(&workplace, "out");
    assert_eq!(
        keys(&results),
        [
            "categories",
            "mean",
            "datasets",
            "model",
            "protocol",
            "device",
            "program"
        ]
    );
    let figures = [
        "name",
        "images",
        "pixel_auroc",
        "pixel_ap",
        "pixel_f1_max",
        "pixel_iou",
        "threshold",
        "aupro_200",
        "aupro_exact",
        "aupimo",
        "image_auroc",
        "image_ap",
        "image_f1_max",
    ];
    for (category, name, defects) in [(0, "bolt", ["bent", "rust"]), (1, "nut", ["crack", "rust"])]
    {
        let category = &results["categories"][category];
        assert_eq!(keys(category)[..figures.len()], figures);
        assert_eq!(category["name"], name);
        for (at, defect) in defects.iter().enumerate() {
            let row = &category["defects"][at];
            assert_eq!(keys(row)[..figures.len()], figures);
            assert_eq!(row["name"], *defect);
        }
    }
    for key in &figures[2..] {
        let of = |row: &Value| row[*key].as_f64().unwrap_or_else(|| panic!("{key}: {row}"));
        let categories = &results["categories"];
        let mean = f64::midpoint(of(&categories[0]), of(&categories[1]));
        assert!((of(&results["mean"]) - mean).abs() < 1e-12, "{key}");
    }
    assert_eq!(results["mean"]["images"], 13);
    let constants = &results["protocol"];
    assert_eq!(constants["blend"], json!([0.2, 0.8]));
    assert_eq!(constants["smoothing"], 8.0);
    assert_eq!(constants["aupro_steps"], 200);
    assert_eq!(constants["image_size"], SIDE);
    assert_eq!(constants["apply_orientation"], false);
    assert_eq!(results["model"]["digest"].as_str().unwrap().len(), 64);
    assert_eq!(results["model"]["settings"]["taps"], json!([1, 2]));

    let table: Vec<&str> = outcome.stdout.lines().collect();
    assert!(table[0].starts_with("category"), "{table:#?}");
    let names: Vec<&str> = table[1..8]
        .iter()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(
        names,
        ["bolt", "bent", "rust", "nut", "crack", "rust", "mean"]
    );
    let auroc = results["categories"][0]["pixel_auroc"].as_f64().unwrap();
    let printed = format!("{:.2}", 100.0 * auroc);
    assert!(table[1].contains(&printed), "{printed} in {}", table[1]);

    let rows = fs::read_to_string(workplace.path("out/results.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 6 + 1);
    let images = fs::read_to_string(workplace.path("out/images.csv")).unwrap();
    assert_eq!(images.lines().count(), 1 + 13);
    let page = fs::read_to_string(workplace.path("out/report.html")).unwrap();
    assert!(page.contains("bolt") && page.contains("</html>"));
}

#[test]
fn maps_are_those_of_segment_and_figures_follow_from_them() {
    let workplace = mvtec();
    eval_set(&workplace, "out", &["--save", "npy"]).ends_with(0);
    workplace
        .segment(&["set/bolt/test", "--out", "seg", "--save", "npy"])
        .ends_with(0);
    let mut images = Vec::new();
    for (defect, count) in [("bent", 2), ("good", 3), ("rust", 2)] {
        images.extend((0..count).map(|number| format!("{defect}/{number:03}")));
    }
    for image in &images {
        for kind in ["map", "branch1", "branch2"] {
            let read = |folder: &str| {
                let path = workplace.path(&format!("{folder}/{image}.{kind}.npy"));
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            };
            assert_eq!(
                read("out/maps/mvtec/bolt/test"),
                read("seg"),
                "{image} {kind}"
            );
        }
    }

    // The figures by hand, from what segment has written and printed.
    let maps: Vec<Vec<f32>> = images
        .iter()
        .map(|image| npy(&workplace.path(&format!("seg/{image}.map.npy"))))
        .collect();
    let low = maps.iter().flatten().copied().fold(f32::INFINITY, f32::min);
    let high = maps.iter().flatten().copied().fold(0.0_f32, f32::max);
    let mut collector = Collector::new(PixelOptions {
        aupimo_bounds: [1e-3, 1e-1],
        ..PixelOptions::default()
    })
    .unwrap();
    for (image, map) in images.iter().zip(&maps) {
        let map: Vec<f32> = map
            .iter()
            .map(|value| (value - low) / (high - low))
            .collect();
        let place = format!("set/bolt/ground_truth/{image}_mask.png");
        let mask = (!image.starts_with("good")).then(|| {
            let mask = decode_mask_file(&workplace.path(&place), &DecodeOptions::default());
            resize_mask(&mask.unwrap(), SIDE, SIDE).into_pixels()
        });
        let image = ImageMap {
            map: &map,
            mask: mask.as_deref(),
            width: SIDE,
            height: SIDE,
        };
        collector.add(&image).unwrap();
    }
    let results = results(&workplace, "out");
    let found = &results["categories"][0];
    for (key, outcome) in collector.report().figures() {
        let expected = outcome.unwrap().value;
        let found = found[key].as_f64().unwrap();
        assert!(
            (found - expected).abs() < 1e-12,
            "{key}: {found}, not {expected}"
        );
    }

    let segmented = workplace.segment(&["set/bolt/test"]).ends_with(0).lines();
    let mut scores: Vec<f32> = segmented
        .iter()
        .map(|line| line["score"].as_f64().unwrap() as f32)
        .collect();
    let (low, high) = (
        scores.iter().copied().fold(f32::INFINITY, f32::min),
        scores.iter().copied().fold(0.0_f32, f32::max),
    );
    for score in &mut scores {
        *score = (*score - low) / (high - low);
    }
    let labels: Vec<bool> = segmented
        .iter()
        .map(|line| !line["path"].as_str().unwrap().contains("good"))
        .collect();
    for (key, outcome) in ImageReport::new(&scores, &labels).unwrap().figures() {
        let (expected, found) = (outcome.unwrap().value, found[key].as_f64().unwrap());
        assert!(
            (found - expected).abs() < 1e-12,
            "{key}: {found}, not {expected}"
        );
    }
}

#[test]
fn finished_categories_are_not_evaluated_again() {
    let workplace = mvtec();
    eval_set(&workplace, "out", &[]).ends_with(0);
    let whole = results(&workplace, "out");
    let report = fs::read(workplace.path("out/report.html")).unwrap();
    // Only the first is finished, and its record is not what evaluating it would give.
    fs::remove_file(workplace.path("out/categories/mvtec-nut.json")).unwrap();
    let first = workplace.path("out/categories/mvtec-bolt.json");
    let record = fs::read_to_string(&first).unwrap();
    let mut changed: Value = serde_json::from_str(&record).unwrap();
    changed["report"]["result"]["pixel_auroc"] = json!(0.125);
    fs::write(&first, changed.to_string()).unwrap();
    eval_set(&workplace, "out", &[])
        .ends_with(0)
        .says("1 of 2 categories were finished by an earlier run");
    let resumed = results(&workplace, "out");
    assert_eq!(resumed["categories"][0]["pixel_auroc"], 0.125);
    assert_eq!(resumed["categories"][1], whole["categories"][1]);

    // With the true record, everything is as if there had been no interruption.
    fs::remove_file(workplace.path("out/categories/mvtec-nut.json")).unwrap();
    fs::write(&first, record).unwrap();
    eval_set(&workplace, "out", &[]).ends_with(0);
    assert_eq!(results(&workplace, "out"), whole);
    assert_eq!(fs::read(workplace.path("out/report.html")).unwrap(), report);

    // The same folder by another name is the same data set.
    let arguments = [
        "--dataset",
        "mvtec",
        "--root",
        "./set/../set",
        "--out",
        "out",
    ];
    eval(
        &workplace,
        &[&arguments[..], &["--aupimo-bounds", "1e-3,1e-1"]].concat(),
    )
    .ends_with(0)
    .says("2 of 2 categories");

    // What cannot be read, or does not hold everything that is asked for now, counts for nothing.
    fs::write(&first, "{").unwrap();
    eval_set(&workplace, "out", &["--save", "npy"]).ends_with(0);
    assert_eq!(results(&workplace, "out"), whole);
    assert!(
        workplace
            .path("out/maps/mvtec/nut/test/good/000.map.npy")
            .is_file()
    );

    fs::write(&first, changed.to_string()).unwrap();
    eval_set(&workplace, "out", &["--restart"]).ends_with(0);
    assert_eq!(results(&workplace, "out"), whole);
}

#[test]
fn a_damaged_record_counts_for_nothing() {
    let workplace = mvtec();
    eval_set(&workplace, "out", &[]).ends_with(0);
    let whole = results(&workplace, "out");
    let first = workplace.path("out/categories/mvtec-bolt.json");
    let record = fs::read_to_string(&first).unwrap();
    let record: Value = serde_json::from_str(&record).unwrap();
    let damages: [(&str, Value); 12] = [
        ("/report/misses/0/branch1", json!([])),
        ("/report/misses/0/branch1/0", json!([0.5])),
        ("/report/misses/0/branch2/1/3", json!(1e300)),
        ("/report/misses/0/image", json!(1000)),
        ("/report/misses/0/map", json!([0.5, 0.5])),
        ("/report/false_alarms", json!([])),
        ("/report/images", json!([])),
        ("/report/images/2/id", json!("bolt/test/bent/001.png")),
        ("/report/images/2/score", json!(1e300)),
        ("/report/result/map_range", json!([0.7, 0.6])),
        ("/report/result/score_range", Value::Null),
        ("/report/result/name", json!("nut")),
    ];
    for (place, value) in damages {
        let mut damaged = record.clone();
        match damaged.pointer_mut(place) {
            Some(found) => *found = value,
            // A map, which images that were looked at whole do not have.
            None => damaged["report"]["misses"][0]["map"] = value,
        }
        fs::write(&first, damaged.to_string()).unwrap();
        eval_set(&workplace, "out", &[])
            .ends_with(0)
            .says("1 of 2 categories were finished by an earlier run");
        assert_eq!(results(&workplace, "out"), whole, "{place}");
    }
}

#[test]
fn another_constant_or_image_starts_anew_and_says_so() {
    let workplace = mvtec();
    eval_set(&workplace, "out", &[]).ends_with(0);
    let first = results(&workplace, "out");
    let outcome = eval_set(
        &workplace,
        "out",
        &["--smoothing", "2", "--aupro-steps", "50"],
    )
    .ends_with(0)
    .says("from an evaluation with another protocol");
    assert!(
        outcome
            .stdout
            .contains("AUPRO-200 is over 50 thresholds here.")
    );
    let second = results(&workplace, "out");
    assert_ne!(first["categories"], second["categories"]);
    eval_set(
        &workplace,
        "out",
        &["--smoothing", "2", "--image-size", "84"],
    )
    .ends_with(0)
    .says("with another model");
    eval_set(&workplace, "out", &["--smoothing", "2"]).ends_with(0);
    workplace.photo("set/nut/test/good/777.png", 7);
    eval_set(&workplace, "out", &["--smoothing", "2"])
        .ends_with(0)
        .says("mvtec/nut from an evaluation with other images")
        .says("1 of 2 categories");
}

#[test]
fn comparing_prints_differences() {
    let workplace = mvtec();
    eval_set(&workplace, "a", &[]).ends_with(0);
    eval_set(&workplace, "b", &["--smoothing", "1", "--category", "nut"]).ends_with(0);
    let compare = |further: &[&str]| {
        let arguments = ["eval", "--compare", "a/results.json", "b/results.json"];
        workplace.run(&[&arguments, further].concat()).ends_with(0)
    };
    let (a, b) = (results(&workplace, "a"), results(&workplace, "b"));
    let expected = b["categories"][0]["pixel_ap"].as_f64().unwrap()
        - a["categories"][1]["pixel_ap"].as_f64().unwrap();
    let text = compare(&[]).stdout;
    let line = text.lines().find(|line| line.starts_with("nut")).unwrap();
    let printed = format!("{:+.2}", 100.0 * expected);
    assert!(line.contains(&printed), "{printed} in {line}");
    assert!(text.contains("Only in A: bolt."), "{text}");
    assert!(
        text.contains("protocol.smoothing: 8.0 in A, 1.0 in B"),
        "{text}"
    );
    let lines = compare(&["--format", "json"]).lines();
    let found = lines[0]["categories"][0]["difference"]["pixel_ap"].as_f64();
    assert!((found.unwrap() - expected).abs() < 1e-12);
    workplace
        .run(&["eval", "--compare", "a/results.json", "a/images.csv"])
        .ends_with(2)
        .says("does not hold results of an evaluation");
}

#[test]
fn fixed_memory_gives_nearly_the_same() {
    let workplace = mvtec();
    eval_set(&workplace, "exact", &["--by-defect"]).ends_with(0);
    eval_set(&workplace, "streaming", &["--by-defect", "--streaming"]).ends_with(0);
    let (exact, streaming) = (
        results(&workplace, "exact"),
        results(&workplace, "streaming"),
    );
    for (exact, streaming) in [
        (&exact["categories"][0], &streaming["categories"][0]),
        (
            &exact["categories"][1]["defects"][1],
            &streaming["categories"][1]["defects"][1],
        ),
    ] {
        for key in FRACTIONS {
            let of = |row: &Value| row[key].as_f64().unwrap_or_else(|| panic!("{key}: {row}"));
            let difference = (of(exact) - of(streaming)).abs();
            assert!(difference <= 1e-4, "{key} differs by {difference}");
        }
    }
}

#[test]
fn bad_files_are_reported_and_the_rest_goes_on() {
    let workplace = mvtec();
    eval_set(&workplace, "whole", &[]).ends_with(0);
    workplace.write("set/bolt/test/good/666.png", "not an image");
    workplace.photo("set/bolt/test/rust/667.png", 5);
    workplace.write("set/bolt/ground_truth/rust/667_mask.png", "not a mask");
    workplace.photo("set/bolt/test/rust/668.png", 5);
    support::photos::write(
        &workplace.path("set/bolt/ground_truth/rust/668_mask.png"),
        20,
        20,
        1,
    );
    eval_set(&workplace, "out", &[])
        .ends_with(1)
        .says("666.png")
        .says("667_mask.png")
        .says("668_mask.png")
        .says("3 of 16 images failed");
    let (whole, found) = (results(&workplace, "whole"), results(&workplace, "out"));
    let failures = found["categories"][0]["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 3, "{failures:?}");
    for key in FRACTIONS {
        assert_eq!(
            found["categories"][0][key], whole["categories"][0][key],
            "{key} does not see them"
        );
    }
    // The next run does not forget them.
    eval_set(&workplace, "out", &[]).ends_with(1);
}

#[test]
fn a_missing_mask_is_said_and_leaves_pixel_figures() {
    let workplace = mvtec();
    fs::remove_file(workplace.path("set/nut/ground_truth/rust/001_mask.png")).unwrap();
    let outcome = eval_set(&workplace, "out", &[])
        .ends_with(1)
        .says("001_mask.png");
    assert!(
        outcome
            .stdout
            .contains("nut: 1 anomalous images have no mask"),
        "{outcome:#?}"
    );
    let results = results(&workplace, "out");
    assert_eq!(results["categories"][1]["images_without_mask"], 1);
    assert_eq!(results["categories"][1]["images"], 6);
}

#[test]
fn an_empty_mask_is_said_with_both_paths() {
    let workplace = mvtec();
    let empty = workplace.path("set/nut/ground_truth/rust/001_mask.png");
    let mut file = fs::read(&empty).unwrap();
    file[54..].fill(0);
    fs::write(&empty, file).unwrap();
    let outcome = eval_set(&workplace, "out", &[]).ends_with(0);
    let line = outcome
        .stdout
        .lines()
        .find(|line| line.contains("has no defect at 70 pixels"));
    let line = line.unwrap().replace('\\', "/");
    assert!(line.contains("set/nut/test/rust/001.png"), "{line}");
    assert!(line.contains("ground_truth/rust/001_mask.png"), "{line}");
}

#[test]
fn what_is_undefined_is_null_and_said() {
    let workplace = mvtec();
    category(&workplace, "perfect", 2, &[]);
    let outcome = eval_set(&workplace, "out", &[]).ends_with(0);
    let results = results(&workplace, "out");
    let perfect = &results["categories"][2];
    assert_eq!(perfect["name"], "perfect");
    for key in FRACTIONS {
        assert_eq!(perfect[key], Value::Null, "{key}");
        assert!(results["mean"][key].is_f64(), "{key}");
        assert_eq!(results["mean"]["left_out"][key], 1, "{key}");
    }
    assert_eq!(perfect["undefined"]["pixel_ap"], "no anomalous pixels");
    assert_eq!(perfect["undefined"]["image_ap"], "no anomalous images");
    for text in [
        "undefined: no anomalous pixels",
        "leaves out 1 of 3 categories",
        "–",
    ] {
        assert!(outcome.stdout.contains(text), "{text}: {outcome:#?}");
    }
}

#[test]
fn several_data_sets_stand_in_one_table() {
    let workplace = mvtec();
    mask(&workplace.path("own/masks/1.png"), 3);
    workplace.photo("own/anomalous/1.png", 1);
    workplace.photo("own/normal/2.png", 2);
    let arguments = ["--dataset", "folder", "--root", "own"];
    let outcome = eval_set(&workplace, "out", &arguments).ends_with(0);
    let results = results(&workplace, "out");
    let names: Vec<&Value> = results["categories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|category| &category["dataset"])
        .collect();
    assert_eq!(names, ["mvtec", "mvtec", "own"]);
    for text in ["mvtec/bolt", "own/own", "mean of mvtec", "mean of own"] {
        assert!(outcome.stdout.contains(text), "{text}: {outcome:#?}");
    }
    let of_folder = &results["datasets"][1];
    assert_eq!(
        of_folder["mean"]["pixel_ap"],
        results["categories"][2]["pixel_ap"]
    );
}

#[test]
fn strips_have_four_panels() {
    let workplace = mvtec();
    eval_set(&workplace, "out", &["--save", "strips", "--limit", "2"]).ends_with(0);
    let strips = workplace.files("out/strips");
    assert_eq!(strips.len(), 4, "{strips:?}");
    let strip = workplace.path("out/strips").join(&strips[0]);
    let strip = decode_file(&strip, &DecodeOptions::default()).unwrap();
    assert_eq!((strip.width(), strip.height()), (1054, 256));
}

#[test]
fn wrong_usage_is_explained_before_any_work() {
    let workplace = mvtec();
    let usual = ["--dataset", "mvtec", "--root", "set", "--out", "o"];
    for blend in [
        "3e38",
        "3e38,3e38",
        "3e38,0",
        "-1,2",
        "0,0",
        "NaN,1",
        "1,2,3",
        "-1",
        "inf,1",
    ] {
        eval(&workplace, &[&usual[..], &["--blend", blend]].concat())
            .ends_with(2)
            .says("--blend takes two shares A,B");
    }
    let cases: [(&[&str], &str); 9] = [
        (&["--out", "o"], "No data set is given"),
        (
            &["--dataset", "mvtec", "--out", "o"],
            "1 --dataset and 0 --root",
        ),
        (
            &["--dataset", "mvtek", "--root", "set", "--out", "o"],
            "Did you mean 'mvtec'?",
        ),
        (&["--dataset", "mvtec", "--root", "set"], "--out DIR"),
        (
            &["--dataset", "visa", "--root", "set", "--out", "o"],
            "does not hold a data set of the layout 'visa'",
        ),
        (
            &[
                "--dataset",
                "mvtec",
                "--root",
                "set",
                "--out",
                "o",
                "--category",
                "gear",
            ],
            "There is no category 'gear'; there are bolt, nut.",
        ),
        (
            &[
                "--dataset",
                "mvtec",
                "--root",
                "set",
                "--out",
                "o",
                "--split",
                "best",
            ],
            "not 'best'",
        ),
        (
            &[
                "--dataset",
                "mvtec",
                "--root",
                "set",
                "--out",
                "o",
                "--blend",
                "1",
            ],
            "--blend takes two shares",
        ),
        (
            &[
                "--dataset",
                "mvtec",
                "--root",
                "set",
                "--out",
                "o",
                "--aupro-limit",
                "2",
            ],
            "fpr_limit",
        ),
    ];
    for (arguments, said) in cases {
        eval(&workplace, arguments).ends_with(2).says(said);
    }
    assert!(!workplace.path("o").exists());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let workplace = Workplace::new();
    category(&workplace, "bolt", 2, &["bent"]);
    category(&workplace, "nut", 300, &["rust"]);
    let mut command = workplace.command(["eval", "--dataset", "mvtec", "--root", "set"]);
    command.args(["--out", "out", "--model"]).arg(bundle());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    let first = workplace.path("out/categories/mvtec-bolt.json");
    let begun = Instant::now();
    while !first.exists() {
        assert!(begun.elapsed() < Duration::from_mins(2), "no category");
        std::thread::sleep(Duration::from_millis(2));
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    Outcome::of(child.wait_with_output().unwrap())
        .ends_with(130)
        .says("Stopped after 1 of 2 categories");
    assert!(!workplace.path("out/results.json").exists());
    let arguments = ["--dataset", "mvtec", "--root", "set", "--out", "out"];
    eval(&workplace, &arguments)
        .ends_with(0)
        .says("1 of 2 categories were finished");
    assert_eq!(results(&workplace, "out")["mean"]["images"], 306);
}

#[test]
fn constants_reach_maps_and_scores() {
    let workplace = mvtec();
    let arguments = ["--blend", "1,0", "--smoothing", "0", "--save", "npy"];
    let arguments = [&arguments[..], &["--score-pixels", "4900"]].concat();
    eval_set(&workplace, "out", &arguments).ends_with(0);
    let place = |kind: &str| {
        let name = format!("out/maps/mvtec/bolt/test/bent/000.{kind}.npy");
        workplace.path(&name)
    };
    let [map, first, second] = ["map", "branch1", "branch2"].map(|kind| npy(&place(kind)));
    assert_eq!(map, first);
    let mean = |map: &[f32]| map.iter().map(|&value| f64::from(value)).sum::<f64>() / 4900.0;
    let expected = f64::midpoint(mean(&first), mean(&second));
    let images = fs::read_to_string(workplace.path("out/images.csv")).unwrap();
    let line = images
        .lines()
        .find(|line| line.contains("bolt/test/bent/000.png"));
    let score: f64 = line.unwrap().split(',').nth(5).unwrap().parse().unwrap();
    assert!((score - expected).abs() < 1e-6, "{score}, not {expected}");
}

#[test]
fn orientation_is_looked_at_only_if_asked_for() {
    let workplace = mvtec();
    let turned =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../vcp-image/tests/fixtures/oriented/6.jpg");
    let photo = workplace.path("set/nut/test/good/turned.jpg");
    fs::copy(turned, &photo).unwrap();
    let map = |path: &str| fs::read(workplace.path(path)).unwrap();
    let segmented = |out: &str, further: &[&str]| {
        let arguments = [
            "set/nut/test/good/turned.jpg",
            "--save",
            "npy",
            "--out",
            out,
        ];
        workplace
            .segment(&[&arguments, further].concat())
            .ends_with(0);
        map(&format!("{out}/turned.map.npy"))
    };
    let (upright, stored) = (
        segmented("upright", &[]),
        segmented("stored", &["--no-orientation"]),
    );
    assert_ne!(upright, stored);
    for (out, further, expected) in [
        ("official", &[][..], stored),
        ("oriented", &["--orientation"], upright),
    ] {
        let arguments = [&["--save", "npy"], further].concat();
        eval_set(&workplace, out, &arguments).ends_with(0);
        let found = map(&format!("{out}/maps/mvtec/nut/test/good/turned.map.npy"));
        assert!(found == expected, "{out}");
    }
}

/// A calibration with thresholds in the midst of what the test model says of the data set.
fn calibrate(workplace: &Workplace, out: &str) -> Value {
    let arguments = [
        "calibrate",
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--split",
        "test",
        "--no-orientation",
        "--out",
        out,
    ];
    let mut command = workplace.command(arguments);
    command.arg("--model").arg(bundle());
    let outcome = Outcome::of(command.output().unwrap()).ends_with(0);
    serde_json::from_str(&outcome.stdout).unwrap()
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one run of the program, looked at from all sides"
)]
fn a_calibration_decides_and_changes_no_official_figure() {
    let workplace = mvtec();
    eval_set(&workplace, "plain", &["--by-defect", "--save", "strips"]).ends_with(0);
    let document = calibrate(&workplace, "it.json");
    let with_file = [
        "--by-defect",
        "--calibration",
        "it.json",
        "--save",
        "npy,strips",
    ];
    let outcome = eval_set(&workplace, "out", &with_file).ends_with(0);
    let heading = outcome.stdout.lines().next().unwrap();
    assert!(
        heading.contains("false alarms") && heading.contains("detected"),
        "{heading}"
    );
    assert!(outcome.stdout.contains("the model's calibration"));

    // The official figures are the same, but for what stands beside them.
    let (plain, mut found) = (results(&workplace, "plain"), results(&workplace, "out"));
    let calibrated = found["categories"][0]["calibrated"].clone();
    for category in found["categories"].as_array_mut().unwrap() {
        category.as_object_mut().unwrap().remove("calibrated");
        for defect in category["defects"].as_array_mut().unwrap() {
            let rates = defect.as_object_mut().unwrap().remove("calibrated");
            assert_eq!(rates.unwrap()["anomalous_images"], 2);
        }
    }
    assert_eq!(plain["categories"], found["categories"]);
    assert!(found["mean"]["calibrated"]["detected_rate"].is_number());
    assert!(plain["mean"].get("calibrated").is_none());
    assert_eq!(
        found["protocol"]["calibration"]["score_threshold"],
        document["calibration"]["score_threshold"]
    );

    // By hand, from what segment says with the same calibration.
    let segmented = workplace
        .segment(&[
            "set/bolt/test",
            "--no-orientation",
            "--calibration",
            "it.json",
        ])
        .ends_with(0)
        .lines();
    let rows = fs::read_to_string(workplace.path("out/images.csv")).unwrap();
    let (mut false_alarms, mut detected) = (0, 0);
    for line in &segmented {
        let path = line["path"].as_str().unwrap().replace('\\', "/");
        let place = path.strip_prefix("set/").unwrap();
        let row = rows.lines().find(|row| row.contains(place));
        let row = row.unwrap_or_else(|| panic!("{place} in {rows}"));
        assert!(row.ends_with(&format!(",{}", line["anomalous"])), "{row}");
        if line["anomalous"] == true {
            let count = if place.contains("good") {
                &mut false_alarms
            } else {
                &mut detected
            };
            *count += 1;
        }
    }
    assert_eq!(calibrated["false_alarms"], false_alarms);
    assert_eq!(calibrated["detected"], detected);
    assert_eq!(
        calibrated["false_alarm_rate"],
        f64::from(false_alarms) / 3.0
    );
    assert_eq!(calibrated["detected_rate"], f64::from(detected) / 4.0);
    let threshold = calibrated["pixel_threshold"].as_f64().unwrap() as f32;
    let (mut both, mut marked, mut truth) = (0.0, 0.0, 0.0);
    for (defect, count) in [("bent", 2), ("good", 3), ("rust", 2)] {
        for number in 0..count {
            let place = format!("{defect}/{number:03}");
            let map = npy(&workplace.path(&format!("out/maps/mvtec/bolt/test/{place}.map.npy")));
            let mask = if defect == "good" {
                vec![0; map.len()]
            } else {
                let path = workplace.path(&format!("set/bolt/ground_truth/{place}_mask.png"));
                let mask = decode_mask_file(&path, &DecodeOptions::default()).unwrap();
                resize_mask(&mask, SIDE, SIDE).into_pixels()
            };
            for (value, mask) in map.iter().zip(mask) {
                let (reaches, inside) = (*value >= threshold, mask != 0);
                both += f64::from(u8::from(reaches && inside));
                marked += f64::from(u8::from(reaches));
                truth += f64::from(u8::from(inside));
            }
        }
    }
    let normal = 7.0 * (SIDE * SIDE) as f64 - truth;
    assert!(marked > 0.0 && marked < 7.0 * (SIDE * SIDE) as f64);
    assert_eq!(calibrated["pixel_recall"], both / truth);
    assert_eq!(
        calibrated["pixel_false_positive_rate"],
        (marked - both) / normal
    );
    assert_eq!(calibrated["pixel_iou"], both / (truth + marked - both));

    let page = fs::read_to_string(workplace.path("out/report.html")).unwrap();
    assert!(page.contains("false alarms") && page.contains("(UTC)"));
    // Colours stand on the calibration's scale.
    let strip = |out: &str| {
        fs::read(
            workplace
                .path(out)
                .join("strips/mvtec/bolt/test/bent/000.png"),
        )
    };
    assert_ne!(strip("plain").unwrap(), strip("out").unwrap());
}

#[test]
fn a_bundle_brings_its_calibration() {
    let workplace = mvtec();
    calibrate(&workplace, "it.json");
    calibrate(&workplace, "it.safetensors");
    eval_set(&workplace, "file", &["--calibration", "it.json"]).ends_with(0);
    let with_bundle = |out: &str, further: &[&str]| {
        let usual = [
            "eval",
            "--dataset",
            "mvtec",
            "--root",
            "set",
            "--aupimo-bounds",
            "1e-3,1e-1",
            "--model",
            "./it.safetensors",
            "--out",
            out,
        ];
        workplace.run(&[&usual, further].concat())
    };
    with_bundle("bundle", &[]).ends_with(0);
    let (file, bundle) = (results(&workplace, "file"), results(&workplace, "bundle"));
    assert!(file["categories"][0]["calibrated"].is_object());
    assert_eq!(file["categories"], bundle["categories"]);

    // Values lie elsewhere with other constants.
    for option in ["--smoothing", "--score-pixels"] {
        with_bundle("other", &[option, "2"])
            .ends_with(0)
            .says(&format!(
                "The model's calibration was found without {option} and is set aside."
            ));
        assert!(results(&workplace, "other")["mean"]["calibrated"].is_null());
        eval_set(
            &workplace,
            "refused",
            &["--calibration", "it.json", option, "2"],
        )
        .ends_with(2)
        .says(&format!("was found without {option}"));
    }
    with_bundle("smaller", &["--image-size", "84"])
        .ends_with(0)
        .says("The model's calibration was found with another image size and is set aside.");
    // Finished categories were judged without thresholds.
    with_bundle("other", &[])
        .ends_with(0)
        .says("from an evaluation with another protocol");
    eval_set(
        &workplace,
        "refused",
        &["--calibration", "it.json", "--image-size", "84"],
    )
    .ends_with(2)
    .says("was found with other settings");
    assert!(!workplace.path("refused").exists());
}
