//! Stopping a run half-way, by a signal or by a reader that goes away.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::cli::{Outcome, Workplace, bundle};
use support::data::{category, mvtec};

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// Waits, but not for ever.
fn end(mut child: Child) -> (Option<i32>, String) {
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    (status.code(), said)
}

#[test]
fn a_signal_ends_a_run_that_waits_for_input() {
    for name in ["-INT", "-TERM"] {
        let workplace = Workplace::with_photos(&["a.png"]);
        let mut child = workplace
            .segment_command(&["-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "a.png").unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert!(
            first.starts_with(r#"{"path":"a.png""#),
            "each result comes at once: {first}"
        );
        signal(&child, name);
        let (status, said) = end(child);
        assert_eq!(status, Some(130), "{said}");
        assert!(said.contains("Stopped after 1 photo"), "{said}");
        drop(input);
    }
}

#[test]
fn a_signal_leaves_only_whole_files() {
    let workplace = Workplace::new();
    for number in 0..200 {
        workplace.photo(&format!("p/{number:03}.png"), number);
    }
    let mut child = workplace
        .segment_command(&[
            "p",
            "--out",
            "out",
            "--save",
            "overlay,heatmap,mask,npy,json",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let mut printed = vec![lines.next().unwrap(), lines.next().unwrap()];
    signal(&child, "-INT");
    printed.extend(lines);
    let (status, said) = end(child);
    assert_eq!(status, Some(130), "{said}");
    assert!(printed.len() < 200, "it was stopped on its way");
    let mut named = Vec::new();
    for line in &printed {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for file in line["files"].as_object().unwrap().values() {
            let path = workplace.path(file.as_str().unwrap());
            let bytes = fs::read(&path).unwrap();
            let is_whole = match path.extension().unwrap().to_str().unwrap() {
                "png" => bytes.ends_with(b"IEND\xaeB`\x82"),
                "npy" => {
                    npyz::NpyFile::new(&bytes[..])
                        .unwrap()
                        .into_vec::<f32>()
                        .unwrap()
                        .len()
                        == 4900
                }
                _ => serde_json::from_slice::<serde_json::Value>(&bytes).is_ok(),
            };
            assert!(is_whole, "{}", path.display());
            named.push(
                path.strip_prefix(workplace.path("out"))
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    named.sort();
    assert_eq!(
        workplace.files("out"),
        named,
        "what was not printed was not begun"
    );
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let workplace = Workplace::new();
    for number in 0..100 {
        workplace.photo(&format!("p/{number:03}.png"), number);
    }
    let mut child = workplace
        .segment_command(&["p", "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let (status, said) = end(child);
    assert_eq!((status, said.as_str()), (Some(0), ""));
}

#[test]
fn help_and_completions_survive_a_closed_pipe() {
    for arguments in [
        &["completions", "bash"][..],
        &["segment", "--help"],
        &["model", "list"],
    ] {
        let workplace = Workplace::new();
        let mut child = workplace
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let (status, said) = end(child);
        assert_eq!((status, said.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

/// Longest time from a signal to the end. A second is promised; a busy machine may wake a thread late.
const LONGEST: Duration = Duration::from_millis(2500);

/// Names of files and folders anywhere below that are no results.
fn unfinished(workplace: &Workplace) -> Vec<String> {
    let entries = walkdir::WalkDir::new(workplace.path("."));
    let names = entries
        .into_iter()
        // What is just going away need not be looked at.
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with(".vcp-clip-") || name.starts_with(".tmp"))
        .filter(|name| !workplace.path(".").ends_with(name))
        .collect()
}

/// The same, not of folders below.
fn unfinished_at_top(workplace: &Workplace) -> Vec<String> {
    let entries = fs::read_dir(workplace.path(".")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with(".vcp-clip-"))
        .collect();
    names.sort();
    names
}

fn start(workplace: &Workplace, arguments: &[&str]) -> Child {
    let mut command = workplace.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_mins(1), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ends_soon(child: Child, what: &str) {
    let begun = Instant::now();
    let (status, said) = end(child);
    let spent = begun.elapsed();
    assert_eq!(status, Some(130), "{what}: {said}");
    assert!(spent < LONGEST, "{what}: {spent:?}");
}

#[test]
fn a_signal_ends_a_run_amid_an_image() {
    // Attention over 20,736 patches takes long.
    let workplace = Workplace::new();
    for number in 0..10 {
        workplace.photo(&format!("p/{number}.png"), number);
    }
    let model = bundle().to_str().unwrap();
    let size = ["--model", model, "--image-size", "2016", "--threads", "1"];
    for (name, command) in [
        ("-INT", &["segment", "p", "--out", "out"][..]),
        ("-TERM", &["calibrate", "p", "--out", "c.json"]),
    ] {
        let child = start(&workplace, &[command, &size].concat());
        std::thread::sleep(Duration::from_millis(1500));
        signal(&child, name);
        ends_soon(child, command[0]);
        assert_eq!(
            unfinished(&workplace),
            Vec::<String>::new(),
            "{}",
            command[0]
        );
    }
}

#[test]
fn a_signal_ends_what_asks_for_nothing() {
    let workplace = Workplace::new();
    // It makes random weights, and computes with them.
    let child = start(
        &workplace,
        &["bench", "--geometry", "vit-b-16", "--repeat", "100"],
    );
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, "-TERM");
    ends_soon(child, "bench");
}

#[test]
fn one_signal_leaves_nothing_unfinished() {
    let workplace = mvtec();
    category(&workplace, "many", 1500, &["crack"]);
    let model = bundle().to_str().unwrap();
    let commands: [&[&str]; 4] = [
        &["data", "synth", "--count", "100000", "--out", "synth"],
        // A picture takes seconds.
        &[
            "data", "synth", "--count", "9", "--size", "2048", "--out", "large",
        ],
        &[
            "data",
            "convert",
            "--dataset",
            "mvtec",
            "--root",
            "set",
            "--to",
            "official",
            "--out",
            "converted",
        ],
        &[
            "eval",
            "--dataset",
            "mvtec",
            "--root",
            "set",
            "--save",
            "strips",
            "--out",
            "eval",
            "--model",
            model,
        ],
    ];
    for command in commands {
        for name in ["-INT", "-TERM"] {
            let mut child = start(&workplace, command);
            wait_until("something is begun", || {
                !unfinished(&workplace).is_empty() || child.try_wait().unwrap().is_some()
            });
            assert!(
                child.try_wait().unwrap().is_none(),
                "{command:?} is over already"
            );
            signal(&child, name);
            ends_soon(child, &command.join(" "));
            assert_eq!(unfinished(&workplace), Vec::<String>::new(), "{command:?}");
            for place in ["synth", "large", "converted/mvtec"] {
                assert!(!workplace.path(place).exists(), "{command:?}");
            }
        }
    }
}

#[test]
fn a_second_signal_ends_at_once_and_leaves_nothing() {
    let workplace = Workplace::new();
    let command = [
        "data", "synth", "--count", "9", "--size", "2048", "--out", "large",
    ];
    let child = start(&workplace, &command);
    wait_until("something is begun", || !unfinished(&workplace).is_empty());
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(50));
    signal(&child, "-INT");
    ends_soon(child, "synth");
    assert_eq!(unfinished(&workplace), Vec::<String>::new());
}

#[test]
fn what_a_dead_run_left_is_removed_and_what_a_living_one_writes_is_not() {
    let workplace = Workplace::new();
    let synth =
        |out: &'static str, count: &'static str| ["data", "synth", "--count", count, "--out", out];
    let living = start(&workplace, &synth("living", "100000"));
    wait_until("the first has begun", || {
        unfinished_at_top(&workplace).len() == 3
    });
    let before = unfinished_at_top(&workplace);
    let mut dead = start(&workplace, &synth("dead", "100000"));
    wait_until("the second has begun", || {
        unfinished_at_top(&workplace).len() == 6
    });
    dead.kill().unwrap();
    dead.wait().unwrap();
    assert_eq!(
        unfinished_at_top(&workplace).len(),
        6,
        "nobody could tidy up"
    );
    // Of an earlier version, which knew no locks.
    workplace.write(".vcp-clip-a1B2c3.png.part", "half");
    workplace.write(".vcp-clip-a1B2c4.part/set/good/0.png", "half");
    workplace.write(".vcp-clip-notes", "mine");

    Outcome::of(workplace.command(synth("next", "2")).output().unwrap()).ends_with(0);
    let mut found = unfinished_at_top(&workplace);
    found.retain(|name| name != ".vcp-clip-notes");
    assert_eq!(found, before);
    signal(&living, "-INT");
    ends_soon(living, "synth");
    assert_eq!(unfinished(&workplace), [".vcp-clip-notes"]);
}

#[test]
fn two_runs_do_not_write_to_one_place() {
    let workplace = mvtec();
    let model = bundle().to_str().unwrap();
    let eval = [
        "eval",
        "--dataset",
        "mvtec",
        "--root",
        "set",
        "--out",
        "out",
        "--model",
        model,
    ];
    let synth = ["data", "synth", "--count", "2", "--out", "made"];
    fs::create_dir(workplace.path("out")).unwrap();
    {
        let _of_eval = vcp_files::Lock::of_folder(&workplace.path("out")).unwrap();
        let _of_synth = vcp_files::Lock::of_place(&workplace.path("made")).unwrap();
        workplace
            .run(&eval)
            .ends_with(2)
            .says("Another run is writing to out");
        workplace
            .run(&synth)
            .ends_with(1)
            .says("Another run is writing to made");
    }
    workplace.run(&eval).ends_with(0);
    workplace.run(&synth).ends_with(0);
    assert_eq!(unfinished(&workplace), Vec::<String>::new());
}
