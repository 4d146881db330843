//! What cannot be read, and wrong usage.

use std::fs;

use crate::support::data::mvtec;
use crate::{FRACTIONS, eval, eval_set, results};

#[test]
fn bad_files_are_reported_and_the_rest_goes_on() {
    let workplace = mvtec();
    eval_set(&workplace, "whole", &[]).ends_with(0);
    workplace.write("set/bolt/test/good/666.png", "not an image");
    workplace.photo("set/bolt/test/rust/667.png", 5);
    workplace.write("set/bolt/ground_truth/rust/667_mask.png", "not a mask");
    workplace.photo("set/bolt/test/rust/668.png", 5);
    crate::support::photos::write(
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
fn wrong_usage_is_explained_before_any_work() {
    let workplace = mvtec();
    let usual = ["--dataset", "mvtec", "--root", "set", "--out", "o"];
    for (blend, said) in [
        ("3e38", "from 0 to 1"),
        ("1,3e38", "from 0 to 1"),
        ("-1,2", "from 0 to 1"),
        ("NaN,1", "from 0 to 1"),
        ("inf,1", "from 0 to 1"),
        ("0,0", "--blend takes two weights A,B"),
        ("0.1,0.2,0.3", "--blend takes two weights A,B"),
        ("1", "--blend takes two weights A,B"),
    ] {
        eval(&workplace, &[&usual[..], &["--blend", blend]].concat())
            .ends_with(2)
            .says(said);
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
            "--blend takes two weights",
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
            "above 0 and up to 1",
        ),
    ];
    for (arguments, said) in cases {
        eval(&workplace, arguments).ends_with(2).says(said);
    }
    assert!(!workplace.path("o").exists());
}
