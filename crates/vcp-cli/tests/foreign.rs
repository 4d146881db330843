//! Names, keys and arguments that try to steer a terminal: whatever the program repeats of them, it
//! repeats visibly, and on lines of its own.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use regex::Regex;
use serde_json::{Value, json};
use support::cli::{Outcome, Workplace, bundle};
use support::photos;

/// Colours, a title, a deletion, a C1 control, marks that turn text around, fillers, and a line that looks
/// like one of the program's.
const WICKED: &str = "x\u{1b}[31m\u{1b}]0;t\u{7}\u{8}\u{7f}\u{85}\u{9b}2J\u{202e}\u{2066}\u{200f}\u{61c}\
                      \u{2028}\u{feff}\u{3164}\nerror: FAKE\r\nnote: FAKE\ty";

/// Fails if what was printed holds a character that does not show itself, or a line that is not the
/// program's.
#[track_caller]
fn assert_harmless(what: &str, outcome: &Outcome) {
    let invisible = Regex::new(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\x{3164}--\n]").unwrap();
    for text in [&outcome.stdout, &outcome.stderr] {
        let found = invisible.find(text);
        assert!(found.is_none(), "{what}: {found:?} in {outcome:#?}");
        let mut lines = text.lines();
        let fake =
            lines.find(|line| line.starts_with("error: FAKE") || line.starts_with("note: FAKE"));
        assert!(fake.is_none(), "{what}: {outcome:#?}");
    }
}

/// Runs a command, which has to repeat the wicked name somewhere, and gives what it said.
#[track_caller]
fn run(mut command: Command) -> Outcome {
    let what = format!("{command:?}");
    let outcome = Outcome::of(command.output().unwrap());
    assert_harmless(&what, &outcome);
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(
        said.contains("FAKE"),
        "{what} does not repeat it: {outcome:#?}"
    );
    assert_ne!(outcome.status, Some(101), "{what}: {outcome:#?}");
    outcome
}

fn csv(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Commands that repeat what stands for `%`.
const COMMANDS: &[&str] = &[
    "%",
    "model %",
    "--%",
    "segment a.png --%",
    "segment --quiet=%",
    "segment %",
    "segment a.png --clip % --checkpoint x",
    "segment a.png --out a.png/%",
    "segment a.png --template-normal %",
    "segment a.png --device=%",
    "segment a.png --out o --save=%",
    "segment a.png --format=%",
    "segment a.png --range=%",
    "segment a.png --threads=%",
    "segment a.png --tile=%",
    "segment a.png --activation=%",
    "segment a.png --config=%",
    "segment a.png --calibration=%",
    "segment a.png --recursive=%",
    "segment a.png --image-size=%",
    "segment a.png --taps=1,%",
    "completions %",
    "data list %",
    "data check --dataset % --root x",
    "data check --dataset mvtec --root %",
    "data check --dataset visa --root %",
    "data convert --out o --dataset folder --root %",
    "eval --dataset mvtec --root % --out o",
    "eval --dataset mvtec --root x --split % --out o",
    "eval --compare % b.json",
    "calibrate a.png --out %",
    "calibrate --normal %",
    "model inspect %",
    "model pull %",
    "model pack b.safetensors --model %",
    "bench --model %",
    "model list --cache %",
    "model list --json --cache %",
    "model pull visa --offline --cache %",
    "data synth --count 1 --size 32 --out made%",
    "data synth --count 1 --size 32 --out made%",
];

/// The same for the commands that train.
const TRAINING: &[&str] = &[
    "train --out o --dataset mvtec --root x --epochs=%",
    "train --out o --dataset mvtec --root x --schedule=%",
    "train --out o --dataset mvtec --root x --device=%",
    "train --out o --dataset mvtec --root x --split=%",
    "train --out o --dataset mvtec --root %",
    "train --out o --dataset % --root x",
    "pretrain --out o --seed=%",
    "pretrain --out o --device=%",
    "pretrain --out o --from=%",
];

#[test]
fn arguments_are_repeated_visibly() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let training = if cfg!(feature = "train") {
        TRAINING
    } else {
        &[]
    };
    for line in COMMANDS.iter().chain(training) {
        let arguments = line.split(' ').map(|part| part.replace('%', WICKED));
        run(workplace.command(arguments));
    }
    let mut command = workplace.command(["model", "pack", WICKED, "--model"]);
    command.arg(bundle());
    run(command);
    // The name that it was called by.
    let mut command = workplace.command(["segment", "--quiet=FAKE"]);
    command.arg0(WICKED);
    run(command);
}

#[test]
fn the_environment_and_files_are_repeated_visibly() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let mut command = workplace.command(["segment", "a.png"]);
    command
        .env(format!("VCP_CLIP_{WICKED}"), "1")
        .arg("--model")
        .arg(bundle());
    run(command);
    let mut command = workplace.command(["segment", "a.png"]);
    run_with(&mut command, "VCP_CLIP_THREADS", WICKED);
    let mut command = workplace.command(["segment", "a.png"]);
    run_with(&mut command, "VCP_CLIP_MODEL", WICKED);

    let quoted = json!(WICKED).to_string();
    for toml in [
        format!("{quoted} = 1"),
        format!("[segment]\n{quoted} = 1"),
        format!("threads = {quoted}"),
        format!("model = {quoted}"),
        format!("format = {quoted}"),
        format!("threads = 1\n{WICKED}"),
        format!("[{quoted}]\nthreads = 1 FAKE"),
    ] {
        // What TOML does not allow in a string is written out in others.
        workplace.write("c.toml", toml.replace('\u{7f}', "\\u007f"));
        let mut command = workplace.command(["segment", "a.png", "--config", "c.toml"]);
        let outcome = Outcome::of(command.output().unwrap());
        assert_harmless(&toml, &outcome);
        assert_eq!(outcome.status, Some(2), "{toml:?}: {outcome:#?}");
    }
    for text in [
        json!({ WICKED: 1 }).to_string(),
        json!({ "vcp_clip_calibration": WICKED }).to_string(),
        json!({ "vcp_clip_calibration": 1, "calibration": { WICKED: 1 }, "model": {} }).to_string(),
        WICKED.to_owned(),
    ] {
        workplace.write("c.json", &text);
        let outcome = workplace
            .segment(&["a.png", "--calibration", "c.json"])
            .ends_with(2);
        assert_harmless(&text, &outcome);
    }
}

#[track_caller]
fn run_with(command: &mut Command, variable: &str, value: &str) {
    command.env(variable, value);
    let outcome = Outcome::of(command.output().unwrap());
    assert_harmless(variable, &outcome);
    assert_eq!(outcome.status, Some(2), "{outcome:#?}");
    assert!(outcome.stderr.contains("FAKE"), "{outcome:#?}");
}

#[test]
fn photos_are_named_visibly_and_json_keeps_their_names() {
    let workplace = Workplace::new();
    let good = format!("photos/{WICKED}.png");
    photos::write(&workplace.path(&good), 40, 30, 1);
    workplace.write(&format!("photos/{WICKED}-bad.png"), "not a picture");
    for format in ["json", "table"] {
        let mut command = workplace.segment_command(&["photos", "--format", format]);
        command.args(["--out", WICKED, "--save", "overlay,json"]);
        let outcome = run(command).ends_with(1);
        if format == "json" {
            let paths = outcome.paths();
            assert!(paths.contains(&good), "{outcome:#?}");
            let file = outcome
                .lines()
                .into_iter()
                .find_map(|line| Some(line["files"]["json"].as_str()?.to_owned()));
            let file = fs::read_to_string(workplace.path(&file.unwrap())).unwrap();
            let read: Value = serde_json::from_str(&file).unwrap();
            assert_eq!(read["path"], good.as_str());
            assert!(!file.contains(['\u{7f}', '\u{9b}', '\u{202e}']), "{file}");
        }
    }
    let lines = format!("photos/\u{1b}\u{9b}FAKE.png\n{good}\n");
    let outcome = workplace.segment_with_input(&["-"], &lines);
    assert_harmless("standard input", &outcome);
    for number in 0..10 {
        photos::write(
            &workplace.path(&format!("photos/{number}.png")),
            40,
            30,
            number + 2,
        );
    }
    let mut command = workplace.command(["calibrate", "photos", "--model"]);
    command.arg(bundle());
    run(command);
}

/// A data set whose list holds the wicked name wherever a list has room for one.
fn listed(workplace: &Workplace, normal: usize) {
    let mut list = format!("image,mask,label,category,split,defect,{}\n", csv(WICKED));
    let category = csv(&format!("=c{WICKED}"));
    let mut add = |image: &str, label: &str, split: &str, defect: &str| {
        let mask = if label == "bad" { "mask.png" } else { "" };
        let image = csv(image);
        let line = [&image, mask, label, &category, split, defect, "x\n"];
        list += &line.join(",");
    };
    for number in 0..normal {
        let name = format!("{number}-{WICKED}.png");
        photos::write(&workplace.path(&format!("set/{name}")), 40, 30, number);
        add(&name, "good", "test", "");
    }
    photos::write(&workplace.path("set/bad.png"), 40, 30, 7);
    support::data::mask(&workplace.path("set/mask.png"), 1);
    add("bad.png", "bad", "test", &csv(&format!("@d{WICKED}")));
    add(&format!("gone-{WICKED}.png"), "good", "test", "");
    add("bad.png", &csv(WICKED), "test", "");
    add("bad.png", "good", &csv(WICKED), "");
    workplace.write("set/manifest.csv", list);
}

#[test]
fn lists_are_repeated_visibly() {
    let workplace = Workplace::new();
    listed(&workplace, 3);
    let set = ["--dataset", "manifest", "--root", "set"];
    let own = |arguments: &[&str]| workplace.command([arguments, &set[..]].concat());
    run(own(&["data", "check"]));
    run(own(&["data", "check", "--shallow"]));
    run(own(&["data", "check", "--json"]));
    run(own(&["data", "convert", "--out", "converted"]));
    run(own(&["data", "check", "--category", "none"]));

    let evaluate = |format: &str, out: &str| {
        let mut command = own(&["eval", "--by-defect", "--format", format, "--out", out]);
        command.arg("--model").arg(bundle());
        run(command)
    };
    evaluate("table", "one");
    let found = evaluate("json", "two").lines().remove(0);
    assert_eq!(
        found["categories"][0]["name"],
        format!("=c{WICKED}").as_str()
    );
    let mut command = workplace.command(["eval", "--compare"]);
    command.args(["one/results.json", "two/results.json"]);
    run(command);

    let read = |name: &str| fs::read_to_string(workplace.path("one").join(name)).unwrap();
    for name in ["results.json", "results.md", "report.html"] {
        let text = read(name);
        assert!(text.contains("FAKE"), "{name}");
        assert!(
            !text.contains(['\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2028}']),
            "{name}: {text}"
        );
        assert!(
            !text.lines().any(|line| line.starts_with("error: FAKE")),
            "{name}"
        );
    }
    for (name, cell) in [
        ("results.csv", 1),
        ("images.csv", 1),
        ("results.csv", 2),
        ("images.csv", 4),
    ] {
        let text = read(name);
        let rows = csv_rows(&text);
        let cells: Vec<&String> = rows.iter().map(|row| &row[cell]).collect();
        assert!(
            cells.iter().any(|cell| cell.starts_with('\'')),
            "{name}: {cells:?}"
        );
        assert!(
            !cells.iter().any(|cell| cell.starts_with(['=', '@'])),
            "{name}: {cells:?}"
        );
    }

    for outside in [format!("../{WICKED}.png"), format!("/{WICKED}")] {
        workplace.write("set/manifest.csv", format!("image\n{}\n", csv(&outside)));
        run(own(&["data", "check"]));
        run(own(&["data", "convert", "--out", "again"]));
    }
    workplace.write("set/manifest.csv", format!("{}\nx\n", csv(WICKED)));
    run(own(&["data", "check"]));
    fs::remove_file(workplace.path("set/manifest.csv")).unwrap();
    let line = json!({ "image": 1, WICKED: WICKED, "label": WICKED });
    workplace.write(
        "set/manifest.jsonl",
        format!("{line}\n{{\"image\": \"a\", \"label\": {line}}}\n{WICKED}\n"),
    );
    let mut command = own(&["data", "check"]);
    let outcome = Outcome::of(command.output().unwrap());
    assert_harmless("JSON lines", &outcome);

    #[cfg(feature = "train")]
    {
        listed(&workplace, 2);
        fs::remove_file(workplace.path("set/manifest.jsonl")).unwrap();
        let mut command = own(&[
            "train", "--epochs", "1", "--out", WICKED, "--split", "train",
        ]);
        command.arg("--model").arg(bundle());
        let outcome = Outcome::of(command.output().unwrap());
        assert_harmless("train", &outcome);
    }
}

fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| row.iter().map(str::to_owned).collect())
        .collect()
}

#[test]
fn weight_files_are_described_visibly() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let header = json!({
        "__metadata__": { WICKED: WICKED },
        WICKED: { "dtype": "F32", "shape": [1], "data_offsets": [0, 4] },
    });
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend([0; 4]);
    workplace.write("w.safetensors", &file);
    run(workplace.command(["model", "inspect", "w.safetensors", "--tensors"]));
    run(workplace.command(["model", "inspect", "w.safetensors", "--tensors", "--json"]));
    for options in [
        &["--model", "w.safetensors"][..],
        &["--clip", "w.safetensors", "--checkpoint", "w.safetensors"],
    ] {
        let mut command = workplace.command(["segment", "a.png"]);
        let outcome = Outcome::of(command.args(options).output().unwrap()).ends_with(2);
        assert_harmless("segment", &outcome);
    }
}

#[test]
fn a_name_of_any_length_fits_a_table() {
    let workplace = Workplace::new();
    photos::write(&workplace.path("set/a.png"), 40, 30, 1);
    photos::write(&workplace.path("set/b.png"), 40, 30, 2);
    support::data::mask(&workplace.path("set/mask.png"), 1);
    // Names longer than 255 bytes are refused with a problem, whose text is bounded too.
    let names = [
        "n".repeat(255),
        "写".repeat(85),
        "n".repeat(100_000),
        "写".repeat(40_000),
    ];
    for (number, name) in names.iter().enumerate() {
        let (checked, evaluated) = if name.len() <= 255 { (0, 0) } else { (1, 2) };
        let list = format!(
            "image,mask,label,category,split,defect\na.png,,good,{name},test,\nb.png,mask.png,bad,{name},test,{name}\n"
        );
        workplace.write("set/manifest.csv", list);
        let set = ["--dataset", "manifest", "--root", "set"];
        let check = workplace
            .run(&[&["data", "check"], &set[..]].concat())
            .ends_with(checked);
        assert!(
            check.stdout.lines().all(|line| line.chars().count() < 700),
            "{}",
            check.stdout
        );
        let out = format!("o{number}");
        let mut command =
            workplace.command([&["eval", "--by-defect", "--out", &out], &set[..]].concat());
        command.arg("--model").arg(bundle());
        let outcome = Outcome::of(command.output().unwrap()).ends_with(evaluated);
        let table = outcome.stdout.lines().take(4);
        assert!(table.into_iter().all(|line| line.chars().count() < 400));
    }
}
