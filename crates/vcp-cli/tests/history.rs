//! `vcp-clip history` with a history that is made by the library.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use support::cli::Workplace;
use vcp_history::{History, HistoryOptions, NewResult, Time, Verdict};

/// 2026-11-27T00:00:00Z.
const DAY: i64 = 1_795_737_600_000;

fn filled() -> Workplace {
    let workplace = Workplace::new();
    let history = History::open(&workplace.path("kept"), HistoryOptions::default()).unwrap();
    for (hour, score, name) in [
        (1, 0.25, "a.png"),
        (2, 0.75, "=b\u{1b}[2J.png"),
        (30, 0.5, "c.png"),
    ] {
        let decision = if score < 0.6 { "ok" } else { "defect" };
        let record = format!(
            r#"{{"score":{score},"score_threshold":0.6,"max":0.8,"pixel_threshold":0.5,"regions":[],"width":4,"height":3,"milliseconds":1.5,"decision":"{decision}"}}"#
        );
        let id = history
            .add(&NewResult {
                time: Some(Time::from_milliseconds(DAY + hour * 3_600_000)),
                source: "http",
                name,
                photo: name.as_bytes(),
                record: &record,
                model_name: "visa",
                ..NewResult::default()
            })
            .unwrap();
        if hour == 2 {
            history
                .set_verdict(&id, Some(Verdict::Good), "Ada")
                .unwrap();
        }
    }
    workplace
}

fn export(workplace: &Workplace, arguments: &str) -> support::cli::Outcome {
    let words = ["history", "export", "--history", "kept"];
    let words: Vec<&str> = words
        .into_iter()
        .chain(arguments.split_whitespace())
        .collect();
    workplace.run(&words)
}

#[test]
fn results_are_exported_in_every_format() {
    let workplace = filled();
    let table = export(&workplace, "").ends_with(0).stdout;
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let names: Vec<String> = reader
        .records()
        .map(|row| row.unwrap()[3].to_owned())
        .collect();
    assert_eq!(names, ["a.png", "'=b\u{1b}[2J.png", "c.png"]);

    let json = export(&workplace, "--format json").ends_with(0).stdout;
    let entries: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(entries[1]["verdict"]["who"], "Ada");
    let lines = export(&workplace, "--format jsonl").ends_with(0).lines();
    assert_eq!(lines, entries);

    export(&workplace, "--format json --out all.json").ends_with(0);
    let file = std::fs::read_to_string(workplace.path("all.json")).unwrap();
    assert_eq!(file, json);
    export(&workplace, "--out all.json")
        .ends_with(2)
        .says("--force");
    export(&workplace, "--out all.json --force").ends_with(0);
    let file = std::fs::read_to_string(workplace.path("all.json")).unwrap();
    assert_eq!(file, table);
}

#[test]
fn filters_choose_results() {
    let workplace = filled();
    for (filter, expected) in [
        ("--after 2026-11-28", 1),
        ("--before 2026-11-27T02:00:00Z", 1),
        ("--decision defect", 1),
        ("--verdict none", 2),
        ("--verdict good", 1),
        ("--of-model visa", 3),
        ("--source page", 0),
    ] {
        let outcome = export(&workplace, &format!("--format jsonl {filter}")).ends_with(0);
        assert_eq!(outcome.lines().len(), expected, "{filter}");
        assert_eq!(outcome.stderr.contains("no such result"), expected == 0);
    }
    for filter in [
        "--after yesterday",
        "--decision bad",
        "--verdict ok",
        "--format xml",
    ] {
        export(&workplace, filter).ends_with(2);
    }
}

#[test]
fn a_folder_without_a_history_is_left_alone() {
    let workplace = Workplace::new();
    workplace.write("kept/file", "mine");
    export(&workplace, "")
        .ends_with(2)
        .says("There is no history in kept");
    assert_eq!(workplace.files("kept"), ["file"]);
    // The default is in the platform's folder for data.
    let mut command = workplace.command(["history", "export"]);
    command.env("XDG_DATA_HOME", workplace.path("data"));
    let outcome = support::cli::Outcome::of(command.output().unwrap()).ends_with(2);
    if cfg!(target_os = "linux") {
        outcome.says("data/vcp-clip/history");
    }
}
