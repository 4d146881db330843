//! `vcp-clip watch` with the real binary.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod mqtt;
mod running;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use running::{Running, name};
use support::cli::Workplace;
use vcp_history::{Filter, History};

/// With a history, and decisions that depend on the photo only by its being readable.
const USUAL: [&str; 6] = [
    "--history",
    "kept",
    "--score-threshold",
    "1000",
    "--settle",
    "0.3",
];

fn with<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    USUAL.iter().chain(arguments).copied().collect()
}

/// The names in the history, in alphabetical order.
fn kept(workplace: &Workplace) -> Vec<String> {
    let history = History::open_existing(&workplace.path("kept")).unwrap();
    let page = history.list(&Filter::default(), None, 1000).unwrap();
    assert_eq!(page.next_cursor, None);
    let mut names: Vec<String> = page
        .results
        .iter()
        .map(|entry| {
            for kind in [
                vcp_history::FileKind::Photo,
                vcp_history::FileKind::Overlay,
                vcp_history::FileKind::Thumbnail,
                vcp_history::FileKind::Map,
            ] {
                let file = history.file(&entry.id, kind).unwrap().unwrap();
                assert!(file.is_file(), "{}", file.display());
            }
            entry.name.strip_prefix("in/").unwrap().to_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn photos_are_inspected_once_each_and_rewritten_ones_anew() {
    let workplace = Workplace::with_photos(&["in/there.png", "in/below/too.png"]);
    workplace.write("in/notes.txt", "no photo");
    workplace.photo("in/.hidden.png", 1);
    let running = Running::start(&workplace, &USUAL);
    let mut first = [running.name(), running.name()];
    first.sort();
    assert_eq!(first, ["below/too.png", "there.png"]);
    workplace.photo("in/new.png", 3);
    let line = running.line();
    assert_eq!(name(&line), "new.png");
    assert_eq!(line["decision"], "ok");
    assert_eq!(line["width"], 40);
    running.is_silent(Duration::from_secs(1));
    support::photos::write(&workplace.path("in/new.png"), 41, 30, 4);
    assert_eq!(running.line()["width"], 41);
    fs::rename(workplace.path("in/new.png"), workplace.path("in/newer.png")).unwrap();
    assert_eq!(running.name(), "newer.png");
    let (status, said) = running.stop();
    assert_eq!(status, Some(0));
    assert!(
        said.contains("Stopped; 5 photos were inspected, 0 failed."),
        "{said}"
    );

    // The same record as from `segment`, but for the time that it took.
    let mut same = workplace
        .segment(&["in/newer.png", "--score-threshold", "1000"])
        .ends_with(0)
        .lines()
        .remove(0);
    let history = History::open_existing(&workplace.path("kept")).unwrap();
    let entry = history.list(&Filter::default(), None, 1).unwrap().results;
    let mut record = entry[0].record.clone();
    for record in [&mut same, &mut record] {
        record.as_object_mut().unwrap().remove("milliseconds");
    }
    assert_eq!(record, same);
    assert_eq!(entry[0].model.name, "random");

    // Afterwards only what is new.
    workplace.photo("in/next.png", 5);
    let running = Running::start(&workplace, &USUAL);
    assert_eq!(running.name(), "next.png");
    running.is_silent(Duration::from_secs(1));
    assert_eq!(running.stop().0, Some(0));
    let all = [
        "below/too.png",
        "new.png",
        "new.png",
        "newer.png",
        "next.png",
        "there.png",
    ];
    assert_eq!(kept(&workplace), all);
}

#[test]
fn half_a_photo_is_waited_for() {
    for poll in [&[][..], &["--poll", "0.2"]] {
        let workplace = Workplace::with_photos(&["whole.png"]);
        let content = fs::read(workplace.path("whole.png")).unwrap();
        let running = Running::start(&workplace, &with(poll));
        let mut file = File::create(workplace.path("in/a.png")).unwrap();
        for piece in content.chunks(content.len() / 8) {
            file.write_all(piece).unwrap();
            file.flush().unwrap();
            std::thread::sleep(Duration::from_millis(100));
        }
        drop(file);
        let line = running.line();
        assert!(
            line.get("error").is_none() && line.get("warnings").is_none(),
            "{line}"
        );
        running.is_silent(Duration::from_millis(800));
        assert_eq!(running.stop().0, Some(0));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_photo_is_not_waited_for() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let running = Running::start(&workplace, &["--history", "kept", "--settle", "3600"]);
    // Nothing was there when it began to listen.
    std::thread::sleep(Duration::from_secs(2));
    workplace.photo("in/written.png", 1);
    assert_eq!(running.name(), "written.png");
    fs::rename(workplace.path("a.png"), workplace.path("in/moved.png")).unwrap();
    assert_eq!(running.name(), "moved.png");
    fs::create_dir(workplace.path("in/below")).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    workplace.photo("in/below/b.png", 2);
    assert_eq!(running.name(), "below/b.png");
    assert_eq!(running.stop().0, Some(0));
}

#[test]
fn photos_are_moved_by_outcome_and_replace_nothing() {
    let workplace = Workplace::with_photos(&["in/a.png", "in/below/b.png"]);
    workplace.write("in/cut.png", b"\x89PNG\r\n\x1a\n");
    workplace.write("good/a.png", "somebody's");
    let moves = ["--csv", "table.csv", "--move", "ok=good,failed=in/failed"];
    let running = Running::start(&workplace, &with(&moves));
    let lines = [running.line(), running.line(), running.line()];
    let failed = lines.iter().find(|line| line.get("error").is_some());
    assert_eq!(name(failed.unwrap()), "cut.png");
    // What comes to the same name later.
    workplace.photo("in/a.png", 9);
    assert_eq!(running.name(), "a.png");
    running.is_silent(Duration::from_secs(1));
    assert_eq!(running.stop().0, Some(0));
    assert_eq!(workplace.files("in"), ["failed/cut.png"]);
    assert_eq!(
        workplace.files("good"),
        ["a-2.png", "a-3.png", "a.png", "below/b.png"]
    );
    assert_eq!(
        fs::read(workplace.path("good/a.png")).unwrap(),
        b"somebody's"
    );

    let mut reader = csv::Reader::from_path(workplace.path("table.csv")).unwrap();
    let rows: Vec<HashMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 4);
    for row in &rows {
        let file = |column: &str| {
            let path = row[column].strip_prefix("file://").unwrap();
            Path::new(path).is_file()
        };
        assert!(file("photo"), "{row:?}");
        if row["outcome"] == "failed" {
            assert!(row["error"].contains("cut.png") && row["score"].is_empty());
        } else {
            assert!(file("overlay"), "{row:?}");
        }
    }
    // A second run adds to the table.
    workplace.photo("in/c.png", 4);
    let running = Running::start(&workplace, &with(&moves));
    running.name();
    assert_eq!(running.stop().0, Some(0));
    let table = fs::read_to_string(workplace.path("table.csv")).unwrap();
    assert_eq!(table.lines().count(), 6);
    // What failed is not tried again either.
    assert_eq!(kept(&workplace), ["a.png", "a.png", "below/b.png", "c.png"]);
}

#[test]
fn names_of_any_bytes_are_photos() {
    let workplace = Workplace::new();
    let odd = Path::new(OsStr::from_bytes(b"\xff\xfe \x1b[2J'\".png"));
    fs::create_dir(workplace.path("in")).unwrap();
    support::photos::write(&workplace.path("in").join(odd), 40, 30, 1);
    let running = Running::start(
        &workplace,
        &with(&["--move", "ok=good", "--csv", "table.csv"]),
    );
    let line = running.line();
    assert!(line.get("error").is_none(), "{line}");
    assert_eq!(running.stop().0, Some(0));
    assert!(workplace.path("good").join(odd).is_file());
    let table = fs::read_to_string(workplace.path("table.csv")).unwrap();
    assert!(table.contains("/good/%FF%FE%20%1B[2J'%22.png"), "{table}");
}

#[test]
fn a_journal_remembers_where_no_history_does() {
    let workplace = Workplace::with_photos(&["in/a.png"]);
    workplace.write("in/cut.png", b"\x89PNG\r\n\x1a\n");
    let arguments = [
        "--history",
        "none",
        "--settle",
        "0.1",
        "--journal",
        "seen.journal",
    ];
    let running = Running::start(&workplace, &arguments);
    let mut names = [running.name(), running.name()];
    names.sort();
    assert_eq!(names, ["a.png", "cut.png"]);
    assert_eq!(running.stop().0, Some(0));
    workplace.photo("in/b.png", 3);
    let running = Running::start(&workplace, &arguments);
    assert_eq!(running.name(), "b.png");
    running.is_silent(Duration::from_secs(1));
    // Nobody else at the same time.
    let other = Running::start(&workplace, &arguments);
    let (status, said) = other.end();
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("Another run is writing to seen.journal"),
        "{said}"
    );
    assert_eq!(running.stop().0, Some(0));
    assert!(!workplace.path("kept").exists());
}

#[test]
fn a_kill_loses_no_photo_and_doubles_none() {
    let workplace = Workplace::new();
    let arguments = with(&["--csv", "table.csv", "--move", "ok=good"]);
    let mut number = 0;
    for round in 0..20 {
        let running = Running::start(&workplace, &arguments);
        for _ in 0..3 {
            number += 1;
            workplace.photo(&format!("in/{number:03}.png"), number);
        }
        // At another moment each time: before the first, amid them, after the last.
        std::thread::sleep(Duration::from_millis(150 + 83 * (round * 7 % 20)));
        running.kill();
    }
    let running = Running::start(&workplace, &arguments);
    let expected: Vec<String> = (1..=number).map(|it| format!("{it:03}.png")).collect();
    let begun = std::time::Instant::now();
    while !workplace.files("in").is_empty() {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "{:?}",
            workplace.files("in")
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(running.stop().0, Some(0));
    assert_eq!(kept(&workplace), expected);
    assert_eq!(workplace.files("good"), expected);
    let mut reader = csv::Reader::from_path(workplace.path("table.csv")).unwrap();
    let mut paths: Vec<String> = reader
        .records()
        .map(|row| row.unwrap()[1].strip_prefix("in/").unwrap().to_owned())
        .collect();
    paths.sort();
    assert_eq!(paths, expected);
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let workplace = Workplace::with_photos(&["photo.png"]);
    workplace.write("table.csv", "my,own\n");
    fs::create_dir(workplace.path("in")).unwrap();
    for (arguments, said) in [
        (&["none"][..], "is no folder"),
        (&["photo.png"], "is no folder"),
        (&["in", "--page", "all"], "--page"),
        (&["in", "--move", "ok=a,ok=b"], "two folders for ok"),
        (&["in", "--move", "good=a"], "expected ok=DIR"),
        (&["in", "--move", "ok=in"], "Photos cannot be moved to in"),
        (&["in", "--csv", "table.csv"], "no table that this version"),
        (&["in", "--journal", "j"], "--history none"),
        (
            &["in", "--mqtt", "http://broker"],
            "no address of an MQTT broker",
        ),
        (
            &["in", "--mqtt", "mqtt://broker", "--topic", "a/#"],
            "no topic",
        ),
        (&["in", "--mqtt-login", "x"], "--mqtt URL"),
        (
            &["in", "--mqtt", "mqtt://broker", "--mqtt-login", "photo.png"],
            "first line",
        ),
    ] {
        let mut words = vec!["watch", "--history", "kept"];
        words.extend(arguments);
        workplace.run(&words).ends_with(2).says(said);
    }
    assert_eq!(fs::read(workplace.path("table.csv")).unwrap(), b"my,own\n");
}
