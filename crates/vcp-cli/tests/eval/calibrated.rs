//! Thresholds in an evaluation.

use std::fs;

use serde_json::Value;
use vcp_image::{DecodeOptions, decode_mask_file, resize_mask};

use crate::support::cli::{Outcome, Workplace, bundle};
use crate::support::data::mvtec;
use crate::{SIDE, eval_set, npy, results};

/// A calibration with thresholds in the midst of what the test model says of the data set.
pub(crate) fn calibrate(workplace: &Workplace, out: &str) -> Value {
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
