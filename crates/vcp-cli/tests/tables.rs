//! `vcp-clip segment` with tables and parts of the photos.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::cli::Workplace;

fn with_photos(count: usize) -> Workplace {
    let workplace = Workplace::new();
    for number in 0..count {
        workplace.photo(&format!("p/{number:03}.png"), number);
    }
    workplace
}

/// A column of a table in CSV.
fn column(workplace: &Workplace, table: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(workplace.path(table)).unwrap();
    let place = reader
        .headers()
        .unwrap()
        .iter()
        .position(|it| it == name)
        .unwrap();
    reader
        .records()
        .map(|row| row.unwrap()[place].to_owned())
        .collect()
}

#[test]
fn a_table_has_the_records_that_are_printed() {
    let workplace = with_photos(3);
    let lines = workplace
        .segment(&["p", "missing.png"])
        .ends_with(1)
        .lines();
    let run = workplace
        .segment(&["p", "missing.png", "--out-table", "t/all.csv"])
        .ends_with(1);
    assert_eq!(run.stdout, "", "the table is in place of the lines");
    assert_eq!(workplace.files("t"), ["all.csv"]);
    let paths = column(&workplace, "t/all.csv", "path");
    let printed: Vec<_> = lines
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, printed);
    let scores = column(&workplace, "t/all.csv", "score");
    assert_eq!(scores[2], lines[2]["score"].to_string());
    assert_eq!(scores[3], "");
    let errors = column(&workplace, "t/all.csv", "error");
    assert_eq!(errors[3], lines[3]["error"].as_str().unwrap());
    let both = ["p", "--out-table", "both.parquet", "--format", "json"];
    assert_eq!(workplace.segment(&both).ends_with(0).lines().len(), 3);
    for wrong in [
        &["p", "--out-table", "table.txt"][..],
        &["p", "--format", "csv"],
        &["p", "--resume"],
        &["p", "--shard", "2/2"],
        &["p", "--from", "t/all.csv"],
    ] {
        workplace.segment(wrong).ends_with(2);
    }
}

#[test]
fn a_table_that_is_there_is_replaced_only_on_demand() {
    let workplace = with_photos(2);
    let run =
        |more: &[&str]| workplace.segment(&[&["p", "--out-table", "t.parquet"], more].concat());
    run(&[]).ends_with(0);
    let first = fs::read(workplace.path("t.parquet")).unwrap();
    run(&[]).ends_with(2).says("exists already");
    run(&["--resume"]).ends_with(0).says("finished already");
    assert_eq!(fs::read(workplace.path("t.parquet")).unwrap(), first);
    run(&["--resume", "--pixel-threshold", "0.25"])
        .ends_with(2)
        .says("pixel_threshold");
    workplace.photo("p/new.png", 9);
    run(&["--force"]).ends_with(0);
    let all = ["--from", "t.parquet", "--column", "path"];
    assert_eq!(workplace.segment(&all).ends_with(0).paths().len(), 3);
}

#[test]
fn a_killed_run_is_resumed_and_every_photo_is_there_once() {
    let workplace = with_photos(60);
    let arguments = ["p", "--out-table", "t.parquet", "--resume"];
    let mut kills = 0;
    for turn in 0..40_u64 {
        let mut command = workplace.segment_command(&arguments);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 + turn * 53 % 190));
        if child.try_wait().unwrap().is_none() {
            kills += 1;
        }
        let _ = child.kill();
        child.wait().unwrap();
        if workplace.path("t.parquet").exists() {
            break;
        }
    }
    workplace.segment(&arguments).ends_with(0);
    assert!(kills > 0, "nothing was interrupted");
    assert!(!workplace.path("t.parquet.unfinished").exists());
    let read = [
        "--from",
        "t.parquet",
        "--column",
        "path",
        "--out-table",
        "read.csv",
    ];
    workplace.segment(&read).ends_with(0);
    let mut paths = column(&workplace, "read.csv", "path");
    paths.sort();
    let expected: Vec<_> = (0..60).map(|number| format!("p/{number:03}.png")).collect();
    assert_eq!(paths, expected);
}

#[test]
fn rows_are_resumed_with_the_same_settings_only() {
    let workplace = with_photos(300);
    let rows = workplace.path("t.csv.unfinished");
    let mut command = workplace.segment_command(&["p", "--out-table", "t.csv"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while fs::read_to_string(&rows)
        .unwrap_or_default()
        .lines()
        .count()
        < 5
    {
        assert!(begun.elapsed() < Duration::from_mins(1), "no row comes");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!workplace.path("t.csv").exists());
    let run = |more: &[&str]| workplace.segment(&[&["p", "--out-table", "t.csv"], more].concat());
    run(&[]).ends_with(2).says("--resume");
    run(&["--resume", "--min-area", "7"])
        .ends_with(2)
        .says("min_area");
    // The row in which it was killed.
    let mut text = fs::read_to_string(&rows).unwrap();
    let kept = text.lines().count() - 1;
    text.push_str("{\"row\":{\"path\":\"p/");
    fs::write(&rows, text).unwrap();
    run(&["--resume"])
        .ends_with(0)
        .says(&format!("{kept} photos have their rows"));
    let paths = column(&workplace, "t.csv", "path");
    let once: BTreeSet<_> = paths.iter().collect();
    assert_eq!((paths.len(), once.len()), (300, 300));
}

#[test]
fn parts_are_all_photos_and_stay_when_some_are_added() {
    let workplace = with_photos(30);
    let parts = || -> Vec<BTreeSet<String>> {
        let part = |index| {
            let shard = format!("{index}/3");
            let run = workplace.segment(&["p", "--shard", &shard]).ends_with(0);
            run.paths().into_iter().collect()
        };
        (0..3).map(part).collect()
    };
    let before = parts();
    assert_eq!(before.iter().map(BTreeSet::len).sum::<usize>(), 30);
    assert_eq!(before.iter().flatten().collect::<BTreeSet<_>>().len(), 30);
    for number in 0..6 {
        workplace.photo(&format!("p/a{number}.png"), number);
    }
    let after = parts();
    for (before, after) in before.iter().zip(&after) {
        assert!(before.is_subset(after));
    }
    assert_eq!(after.iter().map(BTreeSet::len).sum::<usize>(), 36);
}

#[test]
fn rows_without_a_photo_are_failures_of_their_own() {
    let workplace = Workplace::with_photos(&["lists/a.png"]);
    workplace.write(
        "lists/list.csv",
        "image\na.png\n\"new\nline.png\"\n\0.png\ngone.png\n",
    );
    let run = workplace
        .segment(&["--from", "lists/list.csv"])
        .ends_with(1);
    let failed: Vec<_> = run
        .lines()
        .iter()
        .map(|line| line.get("error").is_some())
        .collect();
    assert_eq!(failed, [false, true, true, true]);
    let wrong = ["--from", "lists/list.csv", "--column", "photo"];
    workplace
        .segment(&wrong)
        .ends_with(2)
        .says("has no column photo");
    workplace.write("lists/cut.parquet", "PAR1 and no more");
    workplace
        .segment(&["--from", "lists/cut.parquet"])
        .ends_with(2)
        .says("cut.parquet");
}

#[test]
fn what_is_no_table_of_this_program_is_neither_finished_nor_a_reason_to_forget_rows() {
    let workplace = with_photos(3);
    for name in ["t.csv", "t.parquet"] {
        let rows = format!("{name}.unfinished");
        let run = |more: &[&str]| workplace.segment(&[&["p", "--out-table", name], more].concat());
        run(&[]).ends_with(0);
        let own = fs::read(workplace.path(name)).unwrap();
        for content in [
            &b"file,decision\r\nx,maybe\r\ny,ok\r\n"[..],
            b"",
            b"nonsense",
            &own[..own.len() / 2],
        ] {
            fs::write(workplace.path(name), content).unwrap();
            workplace.write(&rows, "rows of hours\n");
            run(&["--resume"]).ends_with(2).says(name);
            assert!(workplace.path(&rows).exists());
        }
        // Rows that were left right after the table was finished.
        fs::write(workplace.path(name), &own).unwrap();
        run(&["--resume"]).ends_with(0).says("finished already");
        assert!(!workplace.path(&rows).exists());
    }
}

#[test]
fn nothing_is_replaced_before_the_run_begins() {
    let workplace = with_photos(2);
    let run = |more: &[&str]| workplace.segment(&[&["p", "--out-table", "t.csv"], more].concat());
    workplace.write("wrong.json", "{}");
    // What a run that could not begin has left is in nobody's way.
    run(&["--calibration", "wrong.json"]).ends_with(2);
    run(&[]).ends_with(0);
    let own = fs::read(workplace.path("t.csv")).unwrap();
    run(&["--force", "--calibration", "wrong.json"]).ends_with(2);
    assert_eq!(fs::read(workplace.path("t.csv")).unwrap(), own);
    for existing in ["--force", "--resume"] {
        let list = ["--from", "./t.csv", "--column", "path"];
        let run = workplace.segment(&[&list[..], &["--out-table", "t.csv", existing]].concat());
        run.ends_with(2).says("both name");
    }
}

#[test]
fn a_list_that_breaks_off_finishes_no_table() {
    let workplace = with_photos(3);
    let cut = format!("image\np/000.png\n\"{}", "x".repeat(17 << 20));
    fs::write(workplace.path("list.csv"), cut).unwrap();
    let arguments = ["--from", "list.csv", "--out-table", "t.csv", "--resume"];
    workplace
        .segment(&arguments)
        .ends_with(1)
        .says("could not be read to its end");
    assert!(!workplace.path("t.csv").exists());
    workplace.write("list.csv", "image\np/000.png\np/001.png\n");
    workplace.segment(&arguments).ends_with(0);
    let paths = column(&workplace, "t.csv", "path");
    assert_eq!(paths, ["p/000.png", "p/001.png"]);
}
