//! What an earlier run has done is not done again, unless it no longer holds.

use std::fs;

use serde_json::{Value, json};

use crate::support::cli::{Outcome, Workplace, bundle};
use crate::support::data::{category, mvtec};
use crate::{eval, eval_set, results};

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
    let damages: [(&str, Value); 13] = [
        ("/report/misses/0/values", json!([])),
        ("/report/misses/0/taps", json!([2, 0])),
        ("/report/misses/0/values", json!([0.5])),
        ("/report/misses/0/values/3", json!(1e300)),
        ("/report/misses/0/image", json!(1000)),
        // A map of so many values does not fit.
        ("/report/misses/0/taps", json!([0, 0])),
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
        *damaged.pointer_mut(place).expect(place) = value;
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
