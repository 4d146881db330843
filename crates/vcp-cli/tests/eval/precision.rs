//! `--compare-precision`: what another precision changes.

use std::fs;

use serde_json::{Value, json};
use vcp_checkpoint::Storing;

use crate::calibrated::calibrate;
use crate::support::cli::{Outcome, Workplace, bundle, weights};
use crate::support::data::mvtec;
use crate::{SIDE, eval, eval_set, keys, npy, results};

/// Whether this machine computes in int8; elsewhere the program refuses to.
fn has_int8() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

fn compare(workplace: &Workplace, further: &[&str]) -> Outcome {
    eval_set(
        workplace,
        "out",
        &[&["--compare-precision", "int8"], further].concat(),
    )
}

fn report(workplace: &Workplace) -> Value {
    let path = workplace.path("out/precision.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The scores of a category's images, in order.
fn scores(workplace: &Workplace, out: &str, category: &str) -> Vec<f32> {
    let text = fs::read_to_string(workplace.path(out).join("images.csv")).unwrap();
    let rows = text.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let rows = rows.filter(|row| row[1] == category);
    rows.map(|row| row[5].parse().unwrap()).collect()
}

fn close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
}

#[test]
fn another_precision_is_reported_beside_f32() {
    if !has_int8() {
        return;
    }
    let workplace = mvtec();
    eval_set(&workplace, "plain", &[]).ends_with(0);
    let outcome = compare(&workplace, &["--save", "npy"]).ends_with(0);
    let report = report(&workplace);
    let [plain, f32, int8] = ["plain", "out/f32", "out/int8"].map(|out| results(&workplace, out));
    // Both are ordinary evaluations.
    assert_eq!(plain["categories"], f32["categories"]);
    assert_eq!(plain["model"], f32["model"]);
    assert_eq!(int8["model"]["settings"]["precision"], "int8");
    assert_ne!(
        f32["categories"][0]["score_range"],
        int8["categories"][0]["score_range"]
    );
    let mut of_mean = (0.0, 0.0, 0_u64);
    for (at, category) in ["bolt", "nut"].into_iter().enumerate() {
        let row = &report["categories"][at];
        assert_eq!(row["name"], category);
        for (key, value) in row["first"].as_object().unwrap() {
            assert_eq!(value, &f32["categories"][at][key], "{key}");
            assert_eq!(row["second"][key], int8["categories"][at][key], "{key}");
        }
        let [first, second] =
            ["f32", "int8"].map(|it| &row[if it == "f32" { "first" } else { "second" }]);
        close(
            &row["difference"]["pixel_ap"],
            second["pixel_ap"].as_f64().unwrap() - first["pixel_ap"].as_f64().unwrap(),
        );

        // By hand, from the maps that were written.
        let (mut pixels, mut sum, mut largest, mut noticeable) = (0_u64, 0.0, 0.0_f32, 0_u64);
        for place in workplace.files("out/f32/maps") {
            if !place.contains(&format!("/{category}/")) || !place.ends_with(".map.npy") {
                continue;
            }
            let [first, second] =
                ["f32", "int8"].map(|it| npy(&workplace.path(&format!("out/{it}/maps/{place}"))));
            for (first, second) in first.iter().zip(second) {
                let difference = (first - second).abs();
                sum += f64::from(difference);
                largest = largest.max(difference);
                noticeable += u64::from(difference > 0.02);
            }
            pixels += first.len() as u64;
        }
        let images = row["images"].as_u64().unwrap();
        assert_eq!(pixels, images * (SIDE * SIDE) as u64);
        assert!(sum > 0.0);
        let maps = &row["maps"];
        assert_eq!(maps["pixels"], pixels);
        close(&maps["mean_absolute"], sum / pixels as f64);
        close(&maps["largest"], f64::from(largest));
        close(&maps["noticeable_share"], noticeable as f64 / pixels as f64);
        of_mean = (of_mean.0 + sum, largest.max(of_mean.1), of_mean.2 + pixels);

        let [first, second] = ["out/f32", "out/int8"].map(|out| scores(&workplace, out, category));
        let differences = first.iter().zip(&second);
        let differences: Vec<f64> = differences
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs())
            .collect();
        close(
            &row["scores"]["mean_absolute"],
            differences.iter().sum::<f64>() / images as f64,
        );
        close(
            &row["scores"]["largest"],
            differences.iter().copied().fold(0.0, f64::max),
        );
        let decisions = &row["decisions"];
        assert_eq!(decisions["images"], images);
        assert_eq!(decisions["review_threshold"], Value::Null);
        let threshold = &f32["categories"][at]["image_threshold_unscaled"];
        assert_eq!(&decisions["score_threshold"], threshold);
    }
    let maps = &report["mean"]["maps"];
    close(&maps["mean_absolute"], of_mean.0 / of_mean.2 as f64);
    close(&maps["largest"], f64::from(of_mean.1));
    assert_eq!(report["mean"]["images"], 13);
    assert_eq!(report["mean"]["decisions"]["images"], 13);

    // What is printed begins with what matters most.
    let summary = report["summary"].as_str().unwrap();
    assert_eq!(outcome.stdout.lines().next(), Some(summary));
    assert!(summary.starts_with("int8 instead of f32: "), "{summary}");
    assert!(summary.contains(" of 13 images ("), "{summary}");
    let markdown = fs::read_to_string(workplace.path("out/precision.md")).unwrap();
    for text in [&outcome.stdout, &markdown] {
        for part in [
            "difference",
            "decisions changed",
            "the best F1 of the scores in f32",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let mean = format!(
        "{:.2}",
        100.0 * int8["mean"]["pixel_auroc"].as_f64().unwrap()
    );
    assert!(
        outcome.stdout.contains(&mean),
        "{mean} in {}",
        outcome.stdout
    );
}

/// Programs read these.
#[test]
fn the_keys_of_the_report_are_these() {
    if !has_int8() {
        return;
    }
    let workplace = mvtec();
    let printed = compare(&workplace, &["--format", "json", "--category", "nut"]).ends_with(0);
    let report = report(&workplace);
    assert_eq!(printed.lines(), std::slice::from_ref(&report));
    assert_eq!(
        keys(&report),
        [
            "precision",
            "summary",
            "largest",
            "largest_of_mean",
            "thresholds",
            "categories",
            "mean",
            "notes",
            "models",
            "program"
        ]
    );
    let row = &report["categories"][0];
    for row in [row, &report["mean"]] {
        assert_eq!(
            keys(row),
            [
                "name",
                "first",
                "second",
                "difference",
                "images",
                "maps",
                "scores",
                "decisions"
            ]
        );
    }
    assert_eq!(keys(&row["first"]).len(), 12);
    assert_eq!(
        keys(&row["maps"]),
        ["pixels", "mean_absolute", "largest", "noticeable_share"]
    );
    assert_eq!(keys(&row["scores"]), ["mean_absolute", "largest"]);
    assert_eq!(
        keys(&row["decisions"]),
        [
            "images",
            "changed",
            "score_threshold",
            "review_threshold",
            "ok",
            "review",
            "defect"
        ]
    );
    assert_eq!(keys(&row["decisions"]["ok"]), ["ok", "review", "defect"]);
    assert_eq!(keys(&report["largest"]), ["name", "figure", "difference"]);
    assert_eq!(
        (&report["precision"], &report["thresholds"]),
        (&json!("int8"), &json!("best_f1"))
    );
}

#[test]
fn images_are_decided_by_the_calibration() {
    if !has_int8() {
        return;
    }
    let workplace = mvtec();
    let document = calibrate(&workplace, "it.json");
    // Between the scores of one image in both precisions, so that its decision changes.
    compare(&workplace, &[]).ends_with(0);
    let all = |out: &str| {
        let categories = ["bolt", "nut"].into_iter();
        let scores = categories.flat_map(|it| scores(&workplace, out, it));
        scores.collect::<Vec<f32>>()
    };
    let (f32, int8) = (all("out/f32"), all("out/int8"));
    let at = (0..f32.len())
        .find(|&at| f32[at].total_cmp(&int8[at]).is_ne())
        .unwrap();
    let threshold = f32[at].max(int8[at]);
    let review = f32.iter().chain(&int8).copied().fold(threshold, f32::min);
    let mut changed = document.clone();
    changed["calibration"]["score_threshold"] = json!(threshold);
    changed["calibration"]["review_threshold"] = json!(review);
    workplace.write("it.json", changed.to_string());
    let outcome = compare(&workplace, &["--calibration", "it.json"])
        .ends_with(0)
        .says("with another protocol");
    let report = report(&workplace);
    assert_eq!(report["thresholds"], "calibration");
    let decide = |score: f32| {
        if score >= threshold {
            2
        } else {
            usize::from(score >= review)
        }
    };
    let mut expected = [[0; 3]; 3];
    for (first, second) in f32.iter().zip(&int8) {
        expected[decide(*first)][decide(*second)] += 1;
    }
    let words = ["ok", "review", "defect"];
    let decisions = &report["mean"]["decisions"];
    let mut changed = 0;
    for (from, row) in expected.iter().enumerate() {
        for (to, &count) in row.iter().enumerate() {
            let (from_word, to_word) = (words[from], words[to]);
            assert_eq!(decisions[from_word][to_word], count, "{decisions}");
            if from != to && count > 0 {
                changed += count;
                let sentence = format!("From {from_word} to {to_word}: {count} image");
                assert!(outcome.stdout.contains(&sentence), "{}", outcome.stdout);
            }
        }
    }
    assert!(changed > 0);
    assert_eq!(decisions["changed"], changed);
    assert!(
        outcome
            .stdout
            .contains(&format!("changes for {changed} of 13 images")),
        "{}",
        outcome.stdout
    );
    assert!(
        outcome
            .stdout
            .contains("Images are decided by the calibration: defect from")
    );
}

#[test]
fn finished_categories_are_not_compared_again() {
    if !has_int8() {
        return;
    }
    let workplace = mvtec();
    let whole = compare(&workplace, &[]).ends_with(0);
    let first = report(&workplace);
    let again = compare(&workplace, &[])
        .ends_with(0)
        .says("2 of 2 categories were finished by an earlier run");
    assert_eq!(
        (&again.stdout, &report(&workplace)),
        (&whole.stdout, &first)
    );

    // What either evaluation lacks, or the difference of which is not known, is done again in both.
    let nut = "mvtec-nut.json";
    let record = workplace.path("out/differences").join(nut);
    let kept: Value = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    for folder in ["differences", "f32/categories", "int8/categories"] {
        fs::remove_file(workplace.path("out").join(folder).join(nut)).unwrap();
        compare(&workplace, &[])
            .ends_with(0)
            .says("1 of 2 categories");
        assert_eq!(report(&workplace), first, "{folder}");
    }
    for (place, value) in [
        ("/maps/pixels", json!(7)),
        ("/maps/largest", json!(2.0)),
        ("/maps/noticeable", json!(u64::MAX)),
        ("/version", json!(0)),
        ("/circumstances", json!("")),
    ] {
        let mut damaged = kept.clone();
        *damaged.pointer_mut(place).expect(place) = value;
        fs::write(&record, damaged.to_string()).unwrap();
        compare(&workplace, &[])
            .ends_with(0)
            .says("1 of 2 categories");
        assert_eq!(report(&workplace), first, "{place}");
    }
    let outcome = compare(&workplace, &["--restart"]).ends_with(0);
    assert!(!outcome.stderr.contains("earlier run"), "{outcome:?}");
    assert_eq!(report(&workplace), first);
    compare(&workplace, &["--smoothing", "1"])
        .ends_with(0)
        .says("with another protocol");
}

#[test]
fn images_that_fail_and_reference_images_count_for_both() {
    if !has_int8() {
        return;
    }
    let workplace = mvtec();
    workplace.write("set/bolt/test/good/666.png", "not an image");
    compare(&workplace, &["--references", "1", "--seed", "3"])
        .ends_with(1)
        .says("1 of 14 images failed");
    let report = report(&workplace);
    assert_eq!(report["categories"][0]["images"], 7);
    assert_eq!(
        report["notes"],
        json!(["bolt: 1 images could not be used and are in no figure of either."])
    );
    for out in ["out/f32", "out/int8"] {
        let results = results(&workplace, out);
        assert_eq!(
            results["categories"][0]["failures"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(results["protocol"]["references"]["seed"], 3);
    }
}

/// A bundle that is stored narrow computes with the same numbers in f32.
#[test]
fn a_bundle_stored_in_int8_says_what_is_compared() {
    if !has_int8() {
        return;
    }
    let workplace = mvtec();
    let path = workplace.path("narrow.safetensors");
    weights().write_bundle(&path, Storing::Int8).unwrap();
    let arguments = [
        "eval",
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--category",
        "nut",
        "--model",
        "./narrow.safetensors",
        "--compare-precision",
        "int8",
        "--out",
        "out",
    ];
    workplace.run(&arguments).ends_with(0);
    let report = report(&workplace);
    let note = report["notes"][0].as_str().unwrap();
    assert!(note.contains("stored in int8"), "{note}");
    assert!(report["mean"]["maps"]["mean_absolute"].as_f64().unwrap() > 0.0);
}

#[test]
fn reference_photos_of_one_precision_are_not_used_in_another() {
    if !has_int8() {
        return;
    }
    let workplace = mvtec();
    for seed in 0..14 {
        workplace.photo(&format!("good/{seed}.png"), seed);
    }
    let mut command = workplace.command([
        "calibrate",
        "good",
        "--no-orientation",
        "--references",
        "2",
        "--out",
        "part.safetensors",
    ]);
    command.arg("--model").arg(bundle());
    Outcome::of(command.output().unwrap()).ends_with(0);
    let run = |further: &[&str]| {
        let arguments = [
            "eval",
            "--dataset",
            "mvtec",
            "--root",
            "set",
            "--model",
            "./part.safetensors",
            "--compare-precision",
            "int8",
            "--out",
            "out",
        ];
        workplace.run(&[&arguments, further].concat())
    };
    run(&[])
        .ends_with(2)
        .says("processed in one precision and say nothing about another");
    assert!(!workplace.path("out").exists());
    run(&["--no-references"]).ends_with(0);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let workplace = mvtec();
    for (further, sentence) in [
        (&["f32"][..], "give bf16 or int8"),
        (&["int8", "--device", "gpu"], "GPUs compute in f32"),
        (
            &["int8", "--references", "1", "--seed", "1,2"],
            "give one --seed",
        ),
    ] {
        eval_set(
            &workplace,
            "out",
            &[&["--compare-precision"], further].concat(),
        )
        .ends_with(2)
        .says(sentence);
    }
    eval(
        &workplace,
        &[
            "--compare",
            "a.json",
            "b.json",
            "--compare-precision",
            "int8",
        ],
    )
    .ends_with(2)
    .says("leave out one of them");
    eval_set(&workplace, "out", &["--compare-precision", "int4"])
        .ends_with(2)
        .says("int8");
    if !has_int8() {
        compare(&workplace, &[])
            .ends_with(2)
            .says("cannot compute in int8");
    }
    assert!(!workplace.path("out").exists());
}
