//! What `eval` says and writes.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use vcp_image::{DecodeOptions, decode_file, decode_mask_file, resize_mask};
use vcp_metrics::{Collector, ImageMap, ImageReport, PixelOptions};

use crate::support::data::{category, mask, mvtec};
use crate::{FRACTIONS, SIDE, eval_set, keys, npy, results};

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
