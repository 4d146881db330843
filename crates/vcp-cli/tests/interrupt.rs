//! Stopping a run half-way, by a signal or by a reader that goes away.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::cli::Workplace;

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
