//! `vcp-clip data`: checking, converting, listing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;

use serde_json::Value;
use support::cli::{Outcome, Workplace, bundle};
use support::data::{drawn_mask, mvtec};

fn data(workplace: &Workplace, command: &str, further: &[&str]) -> Outcome {
    let usual = ["data", command, "--dataset", "mvtec", "--root", "set"];
    workplace.run(&[&usual, further].concat())
}

#[test]
fn checking_counts() {
    let workplace = mvtec();
    let outcome = data(&workplace, "check", &[]).ends_with(0);
    assert!(
        outcome.stdout.contains("No problems; all images"),
        "{outcome:#?}"
    );
    let line = outcome.stdout.lines().find(|line| {
        let mut words = line.split_whitespace();
        (words.next(), words.next()) == (Some("bolt"), Some("test"))
    });
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[2..], ["7", "3", "4", "0", "bent", "2,", "rust", "2"]);
}

#[test]
fn every_problem_is_reported() {
    let workplace = mvtec();
    fs::remove_file(workplace.path("set/nut/ground_truth/rust/001_mask.png")).unwrap();
    workplace.write("set/bolt/test/good/000.png", "not an image");
    let shallow = data(&workplace, "check", &["--shallow"]).ends_with(1);
    assert!(shallow.stdout.contains("001_mask.png"), "{shallow:#?}");
    assert!(
        !shallow.stdout.contains("bolt/test/good/000.png"),
        "{shallow:#?}"
    );
    let deep = data(&workplace, "check", &["--json"]).ends_with(1);
    let lines = deep.lines();
    let kinds: Vec<&Value> = lines[0]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| &problem["kind"])
        .collect();
    assert_eq!(kinds, ["missing-mask", "unreadable-image"]);
    assert_eq!(lines[0]["images"], 15);
}

#[test]
fn of_many_problems_the_first_are_said() {
    let workplace = mvtec();
    workplace.write("list.csv", format!("image\n{}", "gone.png\n".repeat(5000)));
    let check = |further: &[&str]| {
        let usual = ["data", "check", "--dataset", "manifest", "--root", "."];
        let list = ["--manifest", "list.csv"];
        workplace
            .run(&[&usual[..], &list, further].concat())
            .ends_with(1)
    };
    let outcome = check(&[]);
    assert!(outcome.stdout.contains("Problems: 5000;"), "{outcome:#?}");
    assert!(
        outcome
            .stdout
            .contains("- and 4900 more: of each kind, the first 100"),
        "{outcome:#?}"
    );
    assert!(outcome.stdout.lines().count() < 120);
    let lines = check(&["--json"]).lines();
    assert_eq!(lines[0]["problem_count"], 5000);
    assert_eq!(lines[0]["problems"].as_array().unwrap().len(), 100);
    // No split is to blame for a list of which nothing is there.
    let mut command = workplace.command(["eval", "--dataset", "manifest", "--root", "."]);
    command.args(["--manifest", "list.csv", "--out", "o", "--model"]);
    let outcome = Outcome::of(command.arg(bundle()).output().unwrap()).ends_with(2);
    outcome.says("No image of the data set 'list' can be used (5000 problems).");
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_missing_files() {
    let workplace = mvtec();
    let place = workplace.path("set/nut/test/rust/001.png");
    fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink("/annex/001.png", &place).unwrap();
    let outcome = data(&workplace, "check", &["--json"]).ends_with(1);
    let kinds: Vec<String> = outcome.lines()[0]["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["kind"].as_str().unwrap().to_owned())
        .collect();
    assert!(kinds.contains(&"missing-file".to_owned()), "{kinds:?}");
}

/// Whatever a list says, files are written below the folder of results only.
#[test]
fn conversions_stay_in_their_folder() {
    let workplace = mvtec();
    for name in ["..", "../out", "/tmp/x", "a/b", "a\\b", "C:", "."] {
        let list = format!("image,category\nset/nut/test/good/000.png,{name}\n");
        workplace.write("list.csv", list);
        let before = workplace.files(".");
        let usual = ["data", "convert", "--dataset", "manifest", "--root", "."];
        let list = ["--manifest", "list.csv", "--out", "deep/out"];
        workplace
            .run(&[&usual[..], &list].concat())
            .ends_with(1)
            .says("cannot be used as the name of a file or folder");
        assert_eq!(workplace.files("."), before, "{name}");
    }
}

#[test]
fn converted_data_give_the_same_figures() {
    let workplace = mvtec();
    data(&workplace, "convert", &["--out", "official"]).ends_with(0);
    assert!(workplace.path("official/meta_mvtec.json").is_file());
    let eval = |layout: &str, root: &str, out: &str| {
        let mut command = workplace.command(["eval", "--dataset", layout, "--root", root]);
        command.args(["--out", out, "--model"]).arg(bundle());
        Outcome::of(command.output().unwrap()).ends_with(0);
        let results = fs::read(workplace.path(out).join("results.json")).unwrap();
        serde_json::from_slice::<Value>(&results).unwrap()
    };
    let (raw, converted) = (
        eval("mvtec", "set", "raw"),
        eval("meta", "official", "converted"),
    );
    for key in [
        "name",
        "images",
        "pixel_auroc",
        "aupro_200",
        "image_ap",
        "map_range",
    ] {
        for category in 0..2 {
            assert_eq!(
                raw["categories"][category][key], converted["categories"][category][key],
                "{key}"
            );
        }
    }
    // Nothing is overwritten.
    data(&workplace, "convert", &["--out", "official"])
        .ends_with(1)
        .says("exists already");
}

#[test]
fn layouts_are_described() {
    let workplace = Workplace::new();
    let all = workplace.run(&["data", "list"]).ends_with(0).stdout;
    for name in ["mvtec: ", "visa: ", "folder: ", "meta: "] {
        assert!(all.contains(name), "{name}: {all}");
    }
    let one = workplace
        .run(&["data", "list", "bsdata"])
        .ends_with(0)
        .stdout;
    assert!(
        one.starts_with("bsdata: ") && !one.contains("mvtec: "),
        "{one}"
    );
    let json = workplace
        .run(&["data", "list", "--json"])
        .ends_with(0)
        .lines();
    assert_eq!(
        json[0]["layouts"].as_array().unwrap().len(),
        vcp_dataset::layouts().len()
    );
    workplace
        .run(&["data", "list", "bsdate"])
        .ends_with(2)
        .says("Did you mean 'bsdata'?");
}

#[test]
fn synthetic_images_are_a_data_set() {
    let workplace = Workplace::new();
    let synth = |out: &str, further: &[&str]| {
        let usual = [
            "data", "synth", "--count", "12", "--size", "48", "--out", out,
        ];
        workplace.run(&[&usual, further].concat())
    };
    let made = synth("deep/made", &["--seed", "7", "--sheet"]).ends_with(0);
    assert!(made.stdout.contains("12 images, "), "{made:#?}");
    let check = ["data", "check", "--dataset", "mvtec", "--root", "deep/made"];
    let checked = workplace.run(&check).ends_with(0);
    assert!(
        checked.stdout.contains("No problems; all images"),
        "{checked:#?}"
    );
    assert!(workplace.path("deep/made/sheet.png").is_file());
    // The same seed gives the same files on any number of threads, another seed others.
    synth("again", &["--seed", "7", "--threads", "1"]).ends_with(0);
    synth("other", &["--seed", "19"]).ends_with(0);
    let list = |out: &str| fs::read(workplace.path(out).join("images.csv")).unwrap();
    assert_eq!(list("deep/made"), list("again"));
    assert_ne!(list("deep/made"), list("other"));
    synth("again", &[]).ends_with(1).says("exists already");
    workplace
        .run(&["data", "synth", "--size", "8", "--out", "tiny"])
        .ends_with(2)
        .says("from 32 to 2048");
    assert!(!workplace.path("tiny").exists());
}

/// A mask that is no defect but in one corner, whose pixels have the given value.
fn corner(workplace: &Workplace, place: &str, (width, height): (usize, usize), faint: u8) {
    drawn_mask(&workplace.path(place), width, height, |x, y| {
        match (x < 8 && y < 8, x < 10 && y < 10) {
            (true, _) => 255,
            (false, true) => faint,
            _ => 0,
        }
    });
}

#[test]
fn folders_are_known_by_the_words_that_people_use() {
    let workplace = Workplace::with_photos(&["set/Good/0.jpg", "set/NG/crack/1.jpg"]);
    let photo = fs::read(workplace.path("set/NG/crack/1.jpg")).unwrap();
    // The size of the photos that the tests make stands in their headers.
    let side = |at: usize| u32::from_le_bytes(photo[at..at + 4].try_into().unwrap()) as usize;
    corner(&workplace, "set/MASK/crack/1.png", (side(18), side(22)), 0);
    let check = ["data", "check", "--dataset", "folder", "--root", "set"];
    let outcome = workplace.run(&check).ends_with(0);
    assert!(outcome.stdout.contains("crack 1"), "{outcome:#?}");
    assert!(outcome.stdout.contains("No problems"), "{outcome:#?}");
    // What says nothing is named.
    workplace.photo("set/scratch/2.jpg", 2);
    let outcome = workplace.run(&check).ends_with(1);
    assert!(
        outcome
            .stdout
            .contains("set/scratch with 1 image is skipped"),
        "{outcome:#?}"
    );
}

#[test]
fn turned_photos_name_the_option_that_turns_them() {
    let workplace = Workplace::new();
    let turned = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../vcp-image/tests/fixtures/oriented/6.jpg");
    workplace.write("set/part/test/hole/0.jpg", fs::read(turned).unwrap());
    workplace.photo("set/part/test/good/0.jpg", 1);
    let upright = upright_size(&workplace);
    corner(
        &workplace,
        "set/part/ground_truth/hole/0_mask.png",
        upright,
        0,
    );
    let outcome = data(&workplace, "check", &[]).ends_with(1);
    assert!(
        outcome
            .stdout
            .contains("--orientation turns images as their EXIF data say"),
        "{outcome:#?}"
    );
    data(&workplace, "convert", &["--out", "stored"])
        .ends_with(1)
        .says("--orientation");
    data(&workplace, "check", &["--orientation"]).ends_with(0);
    data(
        &workplace,
        "convert",
        &["--orientation", "--out", "upright"],
    )
    .ends_with(0);
    workplace
        .run(&["data", "check", "--dataset", "meta", "--root", "upright"])
        .ends_with(0);
}

/// Width and height of the turned photo once it is upright.
fn upright_size(workplace: &Workplace) -> (usize, usize) {
    let photo = workplace.path("set/part/test/hole/0.jpg");
    let photo = vcp_image::decode_file(&photo, &vcp_image::DecodeOptions::default()).unwrap();
    (photo.width(), photo.height())
}

#[test]
fn soft_masks_and_masks_a_little_off_are_said_once_and_used() {
    let workplace = mvtec();
    // Twice: each kind is said once nevertheless.
    for number in ["000", "001"] {
        let place = |defect: &str| format!("set/nut/ground_truth/{defect}/{number}_mask.png");
        corner(&workplace, &place("crack"), (40, 30), 60);
        corner(&workplace, &place("rust"), (80, 60), 0);
    }
    let eval = |out: &str, further: &[&str]| {
        let mut command = workplace.command(["eval", "--dataset", "mvtec", "--root", "set"]);
        command.args(["--category", "nut", "--out", out, "--model"]);
        Outcome::of(command.arg(bundle()).args(further).output().unwrap()).ends_with(0)
    };
    let outcome = eval("plain", &[]);
    for (text, times) in [
        ("2 masks have more than two values", 1),
        ("--mask-threshold 127", 1),
        ("2 masks have another size than their images", 1),
    ] {
        assert_eq!(
            outcome.stderr.matches(text).count(),
            times,
            "{text}: {outcome:#?}"
        );
    }
    let outcome = eval("strict", &["--mask-threshold", "127"]);
    assert!(
        !outcome.stderr.contains("more than two values"),
        "{outcome:#?}"
    );
    let figure = |out: &str| {
        let results = fs::read(workplace.path(out).join("results.json")).unwrap();
        let results: Value = serde_json::from_slice(&results).unwrap();
        assert_eq!(results["categories"][0]["images"], 6);
        results["categories"][0]["pixel_auroc"].clone()
    };
    assert_ne!(figure("plain"), figure("strict"));

    let outcome = data(&workplace, "check", &["--json"]).ends_with(1);
    let report = &outcome.lines()[0];
    assert_eq!(report["problems"].as_array().unwrap().len(), 2, "{report}");
    assert_eq!(report["problems"][0]["mismatch"], "resized");
    assert_eq!(report["notes"].as_array().unwrap().len(), 1, "{report}");
    let outcome = data(&workplace, "convert", &["--out", "official"]).ends_with(0);
    assert!(
        outcome.stderr.contains("more than two values"),
        "{outcome:#?}"
    );
    data(&workplace, "check", &["--mask-threshold", "255"]).ends_with(2);

    // Inverted, they are said to be so, in eval too.
    for number in ["000", "001"] {
        for defect in ["crack", "rust"] {
            let place = format!("set/nut/ground_truth/{defect}/{number}_mask.png");
            let inverted = |x, y| 255 * u8::from(x > 8 || y > 8);
            drawn_mask(&workplace.path(&place), 40, 30, inverted);
        }
    }
    eval("inverted", &[])
        .says("The masks of 'nut'")
        .says("inverted");
}

/// The rows of the table of data sets in docs/formats.md: what lies there, what happens, what to do.
fn rows() -> Vec<[String; 3]> {
    let text = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
    let text = fs::read_to_string(text).unwrap();
    let (_, section) = text.split_once("\n## Data sets\n").unwrap();
    let lines = section.lines().skip_while(|line| !line.starts_with('|'));
    let lines = lines.take_while(|line| line.starts_with('|')).skip(2);
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, kind, outcome, advice, _] = cells[..] else {
                panic!("three columns: {line}")
            };
            [kind, outcome, advice].map(str::to_owned)
        })
        .collect()
}

/// A data set of each kind in that table, and the layout it is read as.
#[allow(clippy::too_many_lines, reason = "an arm for each kind")]
fn built(kind: &str) -> Option<(Workplace, &'static str)> {
    // Of the size that the tests' photos have.
    const SIZE: (usize, usize) = (40, 30);
    let workplace = Workplace::with_photos(&["set/good/0.jpg", "set/bad/1.jpg"]);
    let tree = || Workplace::with_photos(&["set/nut/test/good/0.jpg", "set/nut/test/hole/1.jpg"]);
    let mask = "set/nut/ground_truth/hole/1_mask.png";
    Some(match kind {
        "folders good, NG and mask, in any case" => {
            let workplace = Workplace::with_photos(&["set/Good/0.jpg", "set/NG/1.jpg"]);
            corner(&workplace, "set/MASK/1.png", SIZE, 0);
            (workplace, "folder")
        }
        "a folder whose name says nothing" => {
            workplace.photo("set/scratch/2.jpg", 2);
            (workplace, "folder")
        }
        "masks beside the photos" => {
            corner(&workplace, "set/bad/1_mask.png", SIZE, 0);
            (workplace, "folder")
        }
        "annotations of labelme beside the photos" => {
            let shape = r#"{"label": "dent", "points": [[1, 1], [9, 1], [9, 9]]}"#;
            workplace.write("set/bad/1.json", format!(r#"{{"shapes": [{shape}]}}"#));
            (workplace, "folder")
        }
        "masks with alpha, white under transparent pixels" => {
            let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/fixtures/white_under_transparent.png");
            let size = vcp_image::decode_file(&fixture, &vcp_image::DecodeOptions::default());
            let size = size.unwrap();
            let workplace = tree();
            support::photos::write(
                &workplace.path("set/nut/test/hole/1.jpg"),
                size.width(),
                size.height(),
                1,
            );
            workplace.write(mask, fs::read(fixture).unwrap());
            (workplace, "mvtec")
        }
        "masks with soft edges" => {
            let workplace = tree();
            corner(&workplace, mask, SIZE, 60);
            (workplace, "mvtec")
        }
        "inverted masks" => {
            let workplace = tree();
            let inverted = |x, y| 255 * u8::from(x > 8 || y > 8);
            drawn_mask(&workplace.path(mask), SIZE.0, SIZE.1, inverted);
            (workplace, "mvtec")
        }
        "masks of another size in the same proportion" => {
            let workplace = tree();
            corner(&workplace, mask, (80, 60), 0);
            (workplace, "mvtec")
        }
        "masks of another proportion" => {
            let workplace = tree();
            corner(&workplace, mask, (60, 30), 0);
            (workplace, "mvtec")
        }
        "upright masks of photos that EXIF data turn" => {
            let workplace = tree();
            fs::remove_file(workplace.path("set/nut/test/hole/1.jpg")).unwrap();
            let turned = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../vcp-image/tests/fixtures/oriented/6.jpg");
            let upright = vcp_image::decode_file(&turned, &vcp_image::DecodeOptions::default());
            let upright = upright.unwrap();
            workplace.write("set/nut/test/hole/1.jpg", fs::read(turned).unwrap());
            corner(&workplace, mask, (upright.width(), upright.height()), 0);
            (workplace, "mvtec")
        }
        "MVTec LOCO as mvtec" => {
            let workplace = tree();
            for part in ["000", "001"] {
                let place = format!("set/nut/ground_truth/hole/1/{part}.png");
                corner(&workplace, &place, SIZE, 0);
            }
            (workplace, "mvtec")
        }
        "MVTec AD 2 as mvtec" => {
            let workplace = Workplace::with_photos(&[
                "set/can/test_public/good/0.png",
                "set/can/test_public/bad/1.png",
                "set/can/test_private/2.png",
            ]);
            let place = "set/can/test_public/ground_truth/bad/1_mask.png";
            corner(&workplace, place, SIZE, 0);
            (workplace, "mvtec")
        }
        "Real-IAD" => {
            let images = "set/realiad_1024/toy";
            let workplace = Workplace::with_photos(&[
                &format!("{images}/OK/S1/0.jpg"),
                &format!("{images}/NG/BX/S2/1.jpg"),
            ]);
            corner(&workplace, &format!("{images}/NG/BX/S2/1.png"), SIZE, 0);
            workplace.write(
                "set/realiad_jsons/toy.json",
                r#"{"meta": {"normal_class": "OK", "prefix": "toy/"}, "train": [], "test": [
                {"anomaly_class": "OK", "image_path": "OK/S1/0.jpg", "mask_path": null},
                {"anomaly_class": "BX", "image_path": "NG/BX/S2/1.jpg", "mask_path": "NG/BX/S2/1.png"}]}"#,
            );
            (workplace, "real-iad")
        }
        _ => return None,
    })
}

#[test]
fn the_table_of_data_sets_is_true() {
    let mut tried = 0;
    for [kind, outcome, advice] in rows() {
        let Some((workplace, layout)) = built(&kind) else {
            continue;
        };
        tried += 1;
        let found = workplace.run(&["data", "check", "--dataset", layout, "--root", "set"]);
        let outcome = outcome.split(':').next().unwrap();
        let (status, has_note) = match outcome {
            "read" => (0, Some(false)),
            "read with a note" => (0, Some(true)),
            "problem" => (1, None),
            other => panic!("{kind}: {other} is no outcome"),
        };
        let found = found.ends_with(status);
        let has_note = has_note.unwrap_or(found.stdout.contains("\nNote: "));
        assert_eq!(
            found.stdout.contains("\nNote: "),
            has_note,
            "{kind}: {found:#?}"
        );
        for option in advice.split('`').skip(1).step_by(2) {
            assert!(found.stdout.contains(option), "{kind}: {found:#?}");
        }
    }
    assert_eq!(tried, 13);
}
