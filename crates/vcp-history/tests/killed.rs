//! Processes that are killed while they add results.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use vcp_history::{FileKind, Filter, History, HistoryOptions, NewResult};

/// Says to a child where it is to add results.
const FOLDER: &str = "VCP_HISTORY_TEST_FOLDER";
const ROUND: &str = "VCP_HISTORY_TEST_ROUND";

fn record(score: f64) -> String {
    format!(
        r#"{{"score":{score},"score_threshold":0.5,"pixel_threshold":0.5,"decision":"{}","regions":[],"milliseconds":1.5}}"#,
        if score < 0.5 { "ok" } else { "defect" }
    )
}

/// The content of a file of a result, which tells of its name.
fn content(name: &str, kind: &str) -> Vec<u8> {
    format!("{name} {kind} ").repeat(3000).into_bytes()
}

/// Not a test: what the child does. It adds results and says their ids until it is killed.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let round = std::env::var(ROUND).unwrap();
    let history = History::open(Path::new(&folder), HistoryOptions::default()).unwrap();
    thread::scope(|scope| {
        for worker in 0..2 {
            let (history, round) = (history.clone(), &round);
            scope.spawn(move || {
                for number in 0.. {
                    let name = format!("{round}-{worker}-{number}");
                    let id = history
                        .add(&NewResult {
                            source: "watch:test",
                            key: Some(&name),
                            name: &name,
                            photo: &content(&name, "photo"),
                            record: &record(f64::from(number % 10) / 10.0),
                            model_name: "m",
                            overlay: Some(&content(&name, "overlay")),
                            thumbnail: &content(&name, "thumbnail"),
                            map: Some((&[0.5; 64], 8)),
                            ..NewResult::default()
                        })
                        .unwrap();
                    // On a line of its own, whatever the test harness prints.
                    println!("\nadded {id} {name}");
                }
            });
        }
    });
}

#[test]
fn nothing_answered_is_lost_and_nothing_is_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut answered = Vec::new();
    let mut state = 12345_u64;
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = thread::spawn(move || {
            let mut added = Vec::new();
            for line in output.lines().map_while(Result::ok) {
                if let Some((id, name)) = line
                    .strip_prefix("added ")
                    .and_then(|it| it.split_once(' '))
                {
                    added.push((id.to_owned(), name.to_owned()));
                }
            }
            added
        });
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        thread::sleep(Duration::from_millis(60 + (state >> 33) % 250));
        child.kill().unwrap();
        child.wait().unwrap();
        answered.extend(reader.join().unwrap());
    }
    assert!(answered.len() > 20, "{} were added", answered.len());

    let history = History::open(folder.path(), HistoryOptions::default()).unwrap();
    for (id, name) in &answered {
        let entry = history.get(&id.parse().unwrap()).unwrap();
        assert_eq!(&entry.unwrap().name, name);
    }
    let mut names = Vec::new();
    let mut cursor = None;
    loop {
        let page = history
            .list(&Filter::default(), cursor.as_ref(), 100)
            .unwrap();
        for entry in &page.results {
            let whole = |kind, expected: &str| {
                let file = history.file(&entry.id, kind).unwrap().unwrap();
                assert_eq!(
                    std::fs::read(file).unwrap(),
                    content(&entry.name, expected),
                    "{}",
                    entry.name
                );
            };
            whole(FileKind::Photo, "photo");
            whole(FileKind::Overlay, "overlay");
            whole(FileKind::Thumbnail, "thumbnail");
            let map = history.file(&entry.id, FileKind::Map).unwrap().unwrap();
            assert_eq!(std::fs::read(map).unwrap().len(), 128 + 2 * 64);
            assert_eq!(
                entry.sha256,
                vcp_files::sha256(content(&entry.name, "photo"))
            );
            assert!(history.contains("watch:test", &entry.name).unwrap());
            names.push(entry.name.clone());
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert!(names.len() >= answered.len());
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all, "a result is there twice");
}
