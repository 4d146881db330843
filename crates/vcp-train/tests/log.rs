//! What a run writes down, read back: lines, event files byte by byte, the picture.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use vcp_train::log::{
    ChartOptions, Error, EventWriter, MetricsLog, Record, RunLog, read_metrics, write_loss_chart,
};

fn record(step: u64) -> Record {
    let noise = ((step * 7919) % 101) as f64 / 101.0 - 0.5;
    let curve = |start: f64, end: f64| end + (start - end) * (-(step as f64) / 120.0).exp();
    let branch1 = curve(4.1, 1.2) + 0.6 * noise;
    let branch2 = curve(3.6, 1.9) - 0.4 * noise;
    let mut validation = BTreeMap::new();
    if step.is_multiple_of(50) {
        validation.insert("pixel_ap".to_owned(), curve(0.02, 0.46) + 0.03 * noise);
    }
    Record {
        step,
        epoch: 1 + step / 50,
        seconds: step as f64 * 1.5,
        loss: Some(branch1 + branch2),
        branch1: Some(branch1),
        branch2: Some(branch2),
        gradient_norm: None,
        images_per_second: Some(21.25),
        validation,
    }
}

fn written(path: &Path, steps: std::ops::RangeInclusive<u64>) -> Vec<u8> {
    let mut log = MetricsLog::create(path).unwrap();
    steps.for_each(|step| log.append(&record(step)).unwrap());
    std::fs::read(path).unwrap()
}

#[test]
fn lines_hold_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut log = MetricsLog::create(&path).unwrap();
    let first = Record {
        step: 1,
        epoch: 1,
        seconds: 0.5,
        loss: Some(5.5),
        ..Record::default()
    };
    let second = Record {
        validation: BTreeMap::from([("pixel_ap".to_owned(), 0.25)]),
        loss: None,
        ..first.clone()
    };
    log.append(&first).unwrap();
    log.append(&second).unwrap();
    log.sync().unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "{\"step\":1,\"epoch\":1,\"seconds\":0.5,\"loss\":5.5}\n\
         {\"step\":1,\"epoch\":1,\"seconds\":0.5,\"validation\":{\"pixel_ap\":0.25}}\n"
    );
    assert_eq!(read_metrics(&path).unwrap(), [first, second]);
    assert!(matches!(MetricsLog::create(&path), Err(Error::Io { .. })));
}

#[test]
fn refused_records_leave_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let before = written(&path, 1..=3);
    let mut log = MetricsLog::resume(&path, 3).unwrap();
    assert_eq!(log.last_step(), Some(3));
    assert!(matches!(
        log.append(&record(2)),
        Err(Error::Order {
            found: 2,
            last: 3,
            ..
        })
    ));
    for value in [f64::NAN, f64::INFINITY] {
        let mut wrong = record(4);
        wrong.validation.insert("pixel_f1".to_owned(), value);
        let message = log.append(&wrong).unwrap_err().to_string();
        assert!(message.contains("validation/pixel_f1"), "{message}");
        assert!(message.contains("step 4"), "{message}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Killed after any byte, resumed from any step that had been finished, and run to the end: the
    /// file is that of an unbroken run.
    #[test]
    fn a_resumed_log_reads_as_an_unbroken_one(cut in 0.0..1.0_f64, from in 0.0..1.0_f64) {
        let folder = tempfile::tempdir().unwrap();
        let unbroken = written(&folder.path().join("unbroken.jsonl"), 1..=20);
        let killed_at = (cut * (unbroken.len() + 1) as f64) as usize;
        let path = folder.path().join("metrics.jsonl");
        std::fs::write(&path, &unbroken[..killed_at]).unwrap();
        let finished = unbroken[..killed_at].split(|byte| *byte == b'\n').count() as u64 - 1;
        prop_assert_eq!(read_metrics(&path).unwrap().len() as u64, finished);

        let step = (from * (finished + 1) as f64) as u64;
        let mut log = MetricsLog::resume(&path, step).unwrap();
        prop_assert_eq!(log.last_step().unwrap_or(0), step);
        for step in step + 1..=20 {
            log.append(&record(step)).unwrap();
        }
        prop_assert_eq!(std::fs::read(&path).unwrap(), unbroken);
    }
}

#[test]
fn damaged_lines_are_named_and_nothing_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let good = "{\"step\":5,\"epoch\":1,\"seconds\":1.0}\n";
    let long = format!("{{\"step\":6,\"x\":\"{}\"}}\n", "x".repeat(1 << 16));
    for (name, second, expected) in [
        ("no JSON", "loss 5\n", "line 2 is not a record"),
        ("zeros", "\0\0\0\n", "line 2 is not a record"),
        (
            "no step",
            "{\"epoch\":1,\"seconds\":1}\n",
            "missing field `step`",
        ),
        (
            "negative",
            "{\"step\":-1,\"epoch\":1,\"seconds\":1}\n",
            "line 2",
        ),
        ("long", &long, "longer than"),
        (
            "back",
            "{\"step\":4,\"epoch\":1,\"seconds\":1}\n",
            "step 4 cannot follow",
        ),
    ] {
        let path = folder.path().join(name);
        let content = format!("{good}{second}{good}");
        std::fs::write(&path, &content).unwrap();
        for error in [
            MetricsLog::resume(&path, 9).unwrap_err(),
            read_metrics(&path).unwrap_err(),
        ] {
            assert!(error.to_string().contains(expected), "{name}: {error}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "{name}");
    }
}

#[test]
fn a_log_that_is_not_there_is_begun_when_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    assert_eq!(MetricsLog::resume(&path, 7).unwrap().last_step(), None);
    assert!(read_metrics(&path).unwrap().is_empty());
}

/// CRC-32C bit by bit: the reflected polynomial 0x82f63b78, begun and ended inverted.
fn plain_crc32c(data: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

fn masked(data: &[u8]) -> [u8; 4] {
    let crc = plain_crc32c(data);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// The records' data; every length and checksum is looked at.
fn unframe(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !file.is_empty() {
        let (length, rest) = file.split_at(8);
        let (checksum, rest) = rest.split_at(4);
        assert_eq!(checksum, masked(length));
        let count = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let (data, rest) = rest.split_at(count);
        let (checksum, rest) = rest.split_at(4);
        assert_eq!(checksum, masked(data));
        records.push(data.to_vec());
        file = rest;
    }
    records
}

/// Takes the time off the front of an event, which has to be recent.
fn without_time(event: &[u8]) -> &[u8] {
    assert_eq!(event[0], 0x09);
    let time = f64::from_le_bytes(event[1..9].try_into().unwrap());
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!((now - 600.0..=now).contains(&time), "{time} at {now}");
    &event[9..]
}

#[test]
fn event_files_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(folder.path()).unwrap();
    let scalars = [("loss".to_owned(), 1.5), ("a/b".to_owned(), -0.1)];
    writer.scalars(300, &scalars).unwrap();
    writer.scalars(301, &[]).unwrap();
    for (step, value) in [(301, f64::NAN), (301, 1e39), (u64::MAX, 1.0)] {
        let refused = writer.scalars(step, &[("loss".to_owned(), value)]);
        assert!(refused.is_err(), "{step} {value}");
    }
    let events = unframe(&std::fs::read(writer.path()).unwrap());
    assert_eq!(events.len(), 2);
    assert_eq!(without_time(&events[0]), b"\x1a\x0dbrain.Event:2");
    let expected = [
        &b"\x10\xac\x02"[..],        // 2: step 300
        b"\x2a\x19",                 // 5: summary of 13 + 12 bytes
        b"\x0a\x0b\x0a\x04loss\x15", // 1: value of 11 bytes, 1: tag, 2: number
        &1.5_f32.to_le_bytes(),
        b"\x0a\x0a\x0a\x03a/b\x15",
        &(-0.1_f32).to_le_bytes(),
    ];
    assert_eq!(
        without_time(&events[1]),
        expected.concat(),
        "{:x?}",
        events[1]
    );

    let resumed = EventWriter::resume(folder.path(), 299).unwrap();
    let events = unframe(&std::fs::read(resumed.path()).unwrap());
    assert_eq!(events.len(), 2);
    assert_eq!(without_time(&events[0]), b"\x1a\x0dbrain.Event:2");
    assert_eq!(without_time(&events[1]), b"\x10\xac\x02\x3a\x02\x08\x01");
}

#[test]
fn later_event_files_sort_after_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let name = |writer: &EventWriter| writer.path().file_name().unwrap().to_owned();
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(name(&EventWriter::create(folder.path()).unwrap()));
    }
    // Of another program, and of a clock that was ahead.
    for other in ["4000000000.zebra.77", "4000000001.vcp-clip.9999"] {
        let other = format!("events.out.tfevents.{other}");
        std::fs::write(folder.path().join(&other), b"").unwrap();
        names.push(other.into());
        names.push(name(&EventWriter::create(folder.path()).unwrap()));
    }
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}

/// A run of 200 steps, killed in the middle of an event at step 120 and resumed from 100.
fn broken_run(folder: &Path) {
    let mut log = RunLog::create(folder).unwrap();
    (1..=120).for_each(|step| {
        let mut record = record(step);
        if step > 100 {
            record.loss = Some(99.0);
        }
        log.write(&record).unwrap();
    });
    drop(log);
    let first = event_files(folder).remove(0);
    let half = b"\x20\x00\x00\x00\x00\x00\x00\x00\x01\x02";
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(first)
        .unwrap();
    file.write_all(half).unwrap();
    let mut log = RunLog::resume(folder, 100).unwrap();
    assert_eq!(log.last_step(), Some(100));
    (101..=200).for_each(|step| log.write(&record(step)).unwrap());
    log.sync().unwrap();
    log.draw(&ChartOptions::default()).unwrap();
}

fn event_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().contains("tfevents"));
    files.sort();
    files
}

#[test]
fn a_resumed_run_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    broken_run(folder.path());
    let expected: Vec<Record> = (1..=200).map(record).collect();
    let lines = folder.path().join("metrics.jsonl");
    assert_eq!(read_metrics(&lines).unwrap(), expected);
    assert_eq!(event_files(folder.path()).len(), 2);
    assert!(folder.path().join("loss.png").is_file());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
    assert!(matches!(
        RunLog::create(folder.path()),
        Err(Error::Io { .. })
    ));
    assert_eq!(event_files(folder.path()).len(), 2);
}

#[test]
fn tensorboard_reads_a_resumed_run() {
    let python = std::env::var_os("VCP_CLIP_PYTHON").unwrap_or_else(|| "python3".into());
    let has_module = Command::new(&python)
        .args(["-c", "import tensorboard"])
        .output();
    if !has_module.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "skipped: {} cannot import tensorboard",
            python.to_string_lossy()
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    broken_run(folder.path());
    let script = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
log = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})
log.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in log.Scalars(tag)] for tag in log.Tags()['scalars']}))
";
    let output = Command::new(&python)
        .args(["-c", script])
        .arg(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let found: BTreeMap<String, Vec<(u64, f64)>> = serde_json::from_slice(&output.stdout).unwrap();
    let mut expected: BTreeMap<String, Vec<(u64, f64)>> = BTreeMap::new();
    for step in 1..=200 {
        for (tag, value) in record(step).scalars() {
            let value = f64::from(value as f32);
            expected.entry(tag).or_default().push((step, value));
        }
    }
    assert_eq!(expected.len(), 5);
    assert_eq!(found, expected, "{errors}");
}

fn decoded(path: &Path) -> image::RgbImage {
    image::open(path).unwrap().to_rgb8()
}

/// How many pixels have a colour.
fn count(picture: &image::RgbImage, color: [u8; 3]) -> usize {
    picture.pixels().filter(|pixel| pixel.0 == color).count()
}

const TOTAL: [u8; 3] = [0, 90, 181];
const FIGURE: [u8; 3] = [170, 30, 110];

#[test]
fn the_chart_shows_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loss.png");
    let draw = |records: &[Record], options: &ChartOptions| {
        write_loss_chart(&path, records, options).unwrap();
        let picture = decoded(&path);
        assert_eq!(picture.dimensions(), (options.width, options.height));
        picture
    };
    let options = ChartOptions::default();
    let records: Vec<Record> = (1..=400).map(record).collect();
    let picture = draw(&records, &options);
    if let Some(copy) = std::env::var_os("VCP_TRAIN_TEST_CHART") {
        std::fs::copy(&path, copy).unwrap();
    }
    assert!(count(&picture, TOTAL) > 1000);
    assert!(count(&picture, FIGURE) > 400);
    // Ink of the axes and their labels, on a page that is mostly white.
    assert!(count(&picture, [40, 40, 40]) > 2000);
    assert!(count(&picture, [255; 3]) > 500_000);
    let named = ChartOptions {
        figures: vec!["unknown".to_owned()],
        ..options.clone()
    };
    assert_eq!(count(&draw(&records, &named), FIGURE), 0);
    assert_eq!(count(&draw(&[], &options), TOTAL), 0);
    // A long run takes no more of a picture than a short one.
    let long: Vec<Record> = (1..=100_000).map(record).collect();
    assert!(count(&draw(&long, &options), TOTAL) > 1000);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_chart_survives_odd_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loss.png");
    let values = [
        0.0,
        -1.0,
        1e-300,
        1e300,
        1e99,
        -1e99,
        f64::NAN,
        f64::INFINITY,
        0.3,
    ];
    let steps = [0, 1, 2, 1 << 53, u64::MAX - 1, u64::MAX];
    for width in [320, 333] {
        let options = ChartOptions {
            width,
            height: 320,
            ..ChartOptions::default()
        };
        for value in values {
            for other in values {
                for step in steps {
                    let make = |step, value| Record {
                        step,
                        loss: Some(value),
                        validation: BTreeMap::from([("x".repeat(99), value)]),
                        ..Record::default()
                    };
                    let records = [make(step, value), make(step.saturating_add(1), other)];
                    write_loss_chart(&path, &records[..1], &options).unwrap();
                    write_loss_chart(&path, &records, &options).unwrap();
                }
            }
        }
    }
}

#[test]
fn chart_options_out_of_range_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loss.png");
    let usual = ChartOptions::default;
    for (options, expected) in [
        (
            ChartOptions {
                width: 0,
                ..usual()
            },
            "width is 0",
        ),
        (
            ChartOptions {
                height: 9000,
                ..usual()
            },
            "height is 9000",
        ),
        (
            ChartOptions {
                smoothing: 1.0,
                ..usual()
            },
            "smoothing is 1",
        ),
        (
            ChartOptions {
                smoothing: f64::NAN,
                ..usual()
            },
            "smoothing is NaN",
        ),
    ] {
        let error = write_loss_chart(&path, &[], &options).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert!(!path.exists());
    let nowhere = folder.path().join("missing/loss.png");
    let error = write_loss_chart(&nowhere, &[], &usual()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}
