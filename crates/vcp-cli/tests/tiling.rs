//! `--tile` of `vcp-clip segment` and `vcp-clip eval`: large photos in windows.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle};
use support::data::{category, scaled_category};
use support::photos;

/// The whole of an array of f32 and its shape.
fn array(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let bytes = fs::read(path).unwrap();
    let array = npyz::NpyFile::new(&bytes[..]).unwrap();
    (array.shape().to_vec(), array.into_vec().unwrap())
}

/// The line without what differs from run to run.
fn timeless(line: &Value) -> Value {
    let mut line = line.clone();
    line.as_object_mut().unwrap().remove("milliseconds");
    line
}

/// The same photo as a TIFF of `rows` rows in a strip: grey, one sample after another.
fn write_tiff(path: &Path, width: u32, height: u32, rows: u32) {
    let pixels: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| ((x * 7 + y * y * 3) % 251) as u8))
        .collect();
    let strips: Vec<&[u8]> = pixels.chunks((width * rows) as usize).collect();
    let count = strips.len() as u32;
    let lists = 8 + pixels.len() as u32;
    let mut file = b"II\x2a\x00".to_vec();
    file.extend((lists + 8 * count).to_le_bytes());
    file.extend(&pixels);
    for index in 0..count {
        file.extend((8 + index * width * rows).to_le_bytes());
    }
    for strip in &strips {
        file.extend((strip.len() as u32).to_le_bytes());
    }
    let (offsets, lengths) = match count {
        1 => (8, width * height),
        _ => (lists, lists + 4 * count),
    };
    let tags = [
        (256, 1, width),
        (257, 1, height),
        (258, 1, 8),
        (259, 1, 1),
        (262, 1, 1),
        (273, count, offsets),
        (277, 1, 1),
        (278, 1, rows),
        (279, count, lengths),
    ];
    file.extend((tags.len() as u16).to_le_bytes());
    for (tag, count, value) in tags {
        file.extend(u16::to_le_bytes(tag));
        file.extend(4_u16.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    fs::write(path, file).unwrap();
}

#[test]
fn a_photo_of_one_tile_gives_what_it_gives_whole() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let kinds = [
        "--save",
        "overlay,heatmap,mask,json",
        "--pixel-threshold",
        "0.4",
    ];
    let run = |more: &[&str]| {
        let arguments = [&["a.png", "--out", "out"], &kinds[..], more].concat();
        let outcome = workplace.segment(&arguments).ends_with(0);
        let files = ["overlay.png", "heatmap.png", "mask.png"]
            .map(|end| fs::read(workplace.path(&format!("out/a.{end}"))).unwrap());
        (timeless(&outcome.lines()[0]), files)
    };
    let whole = run(&[]);
    for more in [
        &["--tile", "518"][..],
        &["--tile", "40", "--overlap", "0.9"],
        &["--tile", "41", "--global-weight", "0.5"],
        &["--tile", "16", "--global-weight", "1"],
    ] {
        assert!(run(more) == whole, "{more:?}");
    }
}

#[test]
fn maps_of_tiles_have_the_photo_s_size() {
    let workplace = Workplace::new();
    photos::write(&workplace.path("a.png"), 61, 47, 1);
    let outcome = workplace
        .segment(&[
            "a.png",
            "--tile",
            "32",
            "--overlap",
            "0.3",
            "--global-weight",
            "0.25",
            "--out",
            "out",
            "--save",
            "npy,mask",
            "--pixel-threshold",
            "0",
        ])
        .ends_with(0);
    let line = &outcome.lines()[0];
    assert_eq!(line["regions"][0]["area"], 61 * 47);
    for name in ["map", "branch1", "branch2"] {
        let path = workplace.path(line["files"][name].as_str().unwrap());
        let (shape, values) = array(&path);
        assert_eq!(shape, [47, 61]);
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        if name == "map" {
            let largest = values.iter().copied().fold(0.0, f32::max);
            assert!(f64::from(largest) <= line["max"].as_f64().unwrap() + 1e-6);
            let peak = line["regions"][0]["peak"].as_f64().unwrap();
            assert!((f64::from(largest) - peak).abs() < 1e-6);
        }
    }
    // The photo whole is something else.
    let whole = workplace.segment(&["a.png"]).ends_with(0);
    assert_ne!(whole.lines()[0]["score"], line["score"]);
}

#[test]
fn strips_and_whole_files_give_the_same() {
    let workplace = Workplace::new();
    let run = |rows| {
        write_tiff(&workplace.path("a.tif"), 67, 53, rows);
        let arguments = [
            "a.tif",
            "--tile",
            "24",
            "--global-weight",
            "0.5",
            "--out",
            "out",
        ];
        let outcome = workplace.segment(&arguments).ends_with(0);
        let overlay = fs::read(workplace.path("out/a.overlay.png")).unwrap();
        (timeless(&outcome.lines()[0]), overlay)
    };
    let whole = run(53);
    assert!(run(7) == whole);
    assert!(run(1) == whole);
    // A strip that is cut off is an error of that photo alone.
    let file = workplace.path("a.tif");
    let mut bytes = fs::read(&file).unwrap();
    let lists = 8 + 67 * 53;
    bytes[lists + 4 * 50..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    workplace.photo("b.png", 1);
    let outcome = workplace
        .segment(&["a.tif", "b.png", "--tile", "24"])
        .ends_with(1);
    let lines = outcome.lines();
    let message = lines[0]["error"].as_str().unwrap();
    assert!(
        message.contains("a.tif") && message.contains("TIFF"),
        "{message}"
    );
    assert!(lines[1]["score"].is_number());
}

#[test]
fn hostile_values_are_wrong_usage() {
    let workplace = Workplace::with_photos(&["a.png"]);
    for arguments in [
        &["--tile", "0"][..],
        &["--tile", "1"],
        &["--tile", "15"],
        &["--tile", "-5"],
        &["--tile", "1.5"],
        &["--tile", "99999999999999999999999"],
        &["--tile", "16", "--overlap", "1"],
        &["--tile", "16", "--overlap", "-0.1"],
        &["--tile", "16", "--overlap", "nan"],
        &["--tile", "16", "--overlap", "inf"],
        &["--tile", "16", "--overlap", "half"],
        &["--tile", "16", "--global-weight", "1.01"],
        &["--tile", "16", "--global-weight", "-1"],
        &["--tile", "16", "--global-weight", "NaN"],
        &["--overlap", "0.5"],
        &["--global-weight", "0.5"],
    ] {
        let outcome = workplace
            .segment(&[&["a.png"], arguments].concat())
            .ends_with(2);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
    // How many tiles there are shows with the photo.
    photos::write(&workplace.path("b.png"), 120, 120, 1);
    let outcome = workplace
        .segment(&["b.png", "a.png", "--tile", "16", "--overlap", "0.95"])
        .ends_with(1);
    let message = outcome.lines()[0]["error"].as_str().unwrap().to_owned();
    assert!(message.contains("11025"), "{message}");
    assert!(outcome.lines()[1]["score"].is_number());
}

#[test]
fn tiles_of_single_pixels_and_lines() {
    let workplace = Workplace::new();
    for (name, width, height) in [("dot.bmp", 1, 1), ("row.bmp", 83, 1), ("column.bmp", 1, 83)] {
        photos::write(&workplace.path(name), width, height, 1);
    }
    for tile in ["16", "17", "100"] {
        let outcome = workplace
            .segment(&[
                "dot.bmp",
                "row.bmp",
                "column.bmp",
                "--tile",
                tile,
                "--out",
                "out",
            ])
            .ends_with(0);
        assert_eq!(outcome.lines().len(), 3);
    }
}

fn eval(workplace: &Workplace, out: &str, further: &[&str]) -> Outcome {
    let usual = ["eval", "--dataset", "mvtec", "--root", "set", "--out", out];
    let mut command = workplace.command(usual);
    command.args(["--aupimo-bounds", "1e-3,1e-1"]).args(further);
    Outcome::of(command.arg("--model").arg(bundle()).output().unwrap())
}

fn results(workplace: &Workplace, out: &str) -> Value {
    let path = workplace.path(out).join("results.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Photos of 40 by 30 pixels in one category, of 120 by 90 in another.
fn small_and_large() -> Workplace {
    let workplace = Workplace::new();
    category(&workplace, "bolt", 2, &["bent"]);
    scaled_category(&workplace, "plate", 2, &["bent"], 3);
    workplace
}

#[test]
fn tiles_change_figures_of_large_photos_only() {
    let workplace = small_and_large();
    eval(&workplace, "whole", &[]).ends_with(0);
    let tiled = ["--tile", "48", "--overlap", "0.3", "--global-weight", "0.5"];
    let further = [&tiled[..], &["--save", "strips"]].concat();
    eval(&workplace, "tiled", &further).ends_with(0);
    let (whole, tiled) = (results(&workplace, "whole"), results(&workplace, "tiled"));
    assert_eq!(whole["categories"][0], tiled["categories"][0]);
    let of = |results: &Value, key: &str| results["categories"][1][key].clone();
    for key in ["pixel_auroc", "pixel_ap", "map_range", "score_range"] {
        assert_ne!(of(&whole, key), of(&tiled, key), "{key}");
    }
    assert_eq!(tiled["protocol"]["tiling"]["tile"], 48);
    assert_eq!(tiled["protocol"]["tiling"]["global_weight"], 0.5);
    assert!(whole["protocol"].get("tiling").is_none());

    // Scores are those of segment.
    let segmented = workplace
        .segment(&[
            "set/plate/test",
            "--tile",
            "48",
            "--overlap",
            "0.3",
            "--global-weight",
            "0.5",
        ])
        .ends_with(0)
        .lines();
    let rows = fs::read_to_string(workplace.path("tiled/images.csv")).unwrap();
    assert_eq!(segmented.len(), 4);
    for line in &segmented {
        let path = line["path"].as_str().unwrap().replace('\\', "/");
        let place = path.strip_prefix("set/").unwrap();
        let row = rows.lines().find(|row| row.contains(place)).unwrap();
        let score: f64 = row.split(',').nth(5).unwrap().parse().unwrap();
        let segmented = line["score"].as_f64().unwrap();
        assert_eq!(
            (score as f32).to_bits(),
            (segmented as f32).to_bits(),
            "{place}"
        );
    }
    assert_eq!(workplace.files("tiled/strips").len(), 8);
}

#[test]
fn a_tiled_evaluation_goes_on_where_it_stopped() {
    let workplace = small_and_large();
    let tiled = ["--tile", "48"];
    eval(&workplace, "out", &tiled).ends_with(0);
    let first = results(&workplace, "out");
    let page = fs::read(workplace.path("out/report.html")).unwrap();
    fs::remove_file(workplace.path("out/categories/mvtec-bolt.json")).unwrap();
    eval(&workplace, "out", &tiled)
        .ends_with(0)
        .says("1 of 2 categories were finished by an earlier run");
    assert_eq!(results(&workplace, "out"), first);
    assert!(fs::read(workplace.path("out/report.html")).unwrap() == page);
    // What was found with other windows does not count.
    for other in [
        &[][..],
        &["--tile", "50"],
        &["--tile", "48", "--overlap", "0.5"],
    ] {
        eval(&workplace, "out", other)
            .ends_with(0)
            .says("with another protocol");
    }
    let kinds = ["--tile", "48", "--save", "npy"];
    eval(&workplace, "refused", &kinds)
        .ends_with(2)
        .says("Leave out --save npy");
    eval(&workplace, "refused", &["--overlap", "0.5"])
        .ends_with(2)
        .says("--tile");
    assert!(!workplace.path("refused").exists());
}

fn calibrate(workplace: &Workplace, out: &str, further: &[&str]) -> Outcome {
    let usual = ["calibrate", "--dataset", "mvtec", "--root", "set"];
    let mut command = workplace.command(usual);
    command
        .args(["--split", "test", "--out", out])
        .args(further);
    Outcome::of(command.arg("--model").arg(bundle()).output().unwrap()).ends_with(0)
}

#[test]
fn a_calibration_of_whole_photos_is_not_used_with_tiles() {
    let workplace = small_and_large();
    calibrate(&workplace, "it.json", &[]);
    calibrate(&workplace, "it.safetensors", &[]);
    let photo = "set/plate/test/good/000.png";
    workplace
        .segment(&[photo, "--tile", "48", "--calibration", "it.json"])
        .ends_with(2)
        .says("it.json was found without --tile");
    let outcome = workplace
        .run(&[
            "segment",
            photo,
            "--tile",
            "48",
            "--model",
            "./it.safetensors",
        ])
        .ends_with(0)
        .says("The model's calibration was found without --tile and is set aside");
    assert!(!outcome.stderr.contains("is not calibrated"), "{outcome:?}");
    let line = &outcome.lines()[0];
    assert_eq!(line["score_threshold"], 0.5);
    assert_eq!(line["pixel_threshold"], 0.5);
    let outcome = workplace
        .run(&["segment", photo, "--model", "./it.safetensors"])
        .ends_with(0);
    assert_ne!(outcome.lines()[0]["score_threshold"], 0.5);
}

#[test]
fn a_calibration_of_tiled_photos_is_used_with_the_same_tiles_only() {
    let workplace = small_and_large();
    let tiled = ["--tile", "48", "--overlap", "0.3"];
    let found = calibrate(&workplace, "it.json", &tiled);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let windows = &found["calibration"]["windows"];
    assert_eq!(windows["tile"], 48);
    assert_eq!(windows["overlap"], 0.3);
    calibrate(&workplace, "it.safetensors", &tiled);

    let photo = "set/plate/test/good/000.png";
    let segment = |further: &[&str]| {
        workplace.segment(&[&[photo, "--calibration", "it.json"], further].concat())
    };
    let line = segment(&tiled).ends_with(0).lines().remove(0);
    for key in ["score_threshold", "pixel_threshold"] {
        assert_eq!(line[key], found["calibration"][key], "{key}");
    }
    let how = "it.json was found with --tile 48 --overlap 0.3 --global-weight 0";
    for other in [
        &[][..],
        &["--tile", "48"],
        &["--tile", "50", "--overlap", "0.3"],
    ] {
        segment(other).ends_with(2).says(how);
    }
    workplace
        .run(&["segment", photo, "--model", "./it.safetensors"])
        .ends_with(0)
        .says("was found with --tile 48 --overlap 0.3 --global-weight 0 and is set aside");

    let with_file = ["--calibration", "it.json"];
    eval(&workplace, "tiled", &[&with_file[..], &tiled].concat()).ends_with(0);
    let tiled = results(&workplace, "tiled");
    assert!(tiled["mean"]["calibrated"].is_object());
    assert_eq!(tiled["protocol"]["calibration"]["windows"]["tile"], 48);
    eval(&workplace, "whole", &with_file).ends_with(2).says(how);
}

/// The threshold lies just above the largest score that `segment` gives the same photos.
#[test]
fn good_photos_in_windows_stay_below_their_threshold() {
    let workplace = Workplace::new();
    for number in 0..12 {
        // All are larger than a window.
        let scale = 2 + number % 2;
        let path = workplace.path(&format!("good/{number:02}.png"));
        photos::write(&path, 40 * scale, 30 * scale, number);
    }
    let tiled = ["--tile", "48", "--global-weight", "0.2"];
    let threshold = |further: &[&str]| {
        let mut command = workplace.command(["calibrate", "good"]);
        command.args(further).arg("--model").arg(bundle());
        let found = Outcome::of(command.output().unwrap()).ends_with(0);
        let found: Value = serde_json::from_str(&found.stdout).unwrap();
        found["calibration"]["score_threshold"].as_f64().unwrap() as f32
    };
    let lines = workplace.segment(&[&["good"], &tiled[..]].concat()).lines();
    let scores = lines
        .iter()
        .map(|line| line["score"].as_f64().unwrap() as f32);
    let largest = scores.fold(f32::MIN, f32::max);
    let next = largest.next_up().to_bits();
    assert_eq!(threshold(&tiled).to_bits(), next);
    assert_ne!(threshold(&[]).to_bits(), next);
}
