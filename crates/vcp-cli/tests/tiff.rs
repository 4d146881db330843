//! Photos of 10 and 12 bits, files with several pages, and what their notes say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::cli::{Workplace, bundle};
use support::data::mvtec;
use support::photos::write_tiff16;

const SIDES: (usize, usize) = (40, 30);

/// Samples of 8 bits with some structure.
fn samples(seed: usize) -> Vec<u16> {
    let (width, height) = SIDES;
    let value = |at: usize| ((at % width) * (3 + seed) + (at / width) * 5) % 250;
    (0..width * height).map(|at| value(at) as u16).collect()
}

fn shifted(samples: &[u16], bits: u32) -> Vec<u16> {
    samples.iter().map(|sample| sample << bits).collect()
}

fn write(workplace: &Workplace, name: &str, pages: &[Vec<u16>]) {
    write_tiff16(&workplace.path(name), SIDES.0, SIDES.1, pages);
}

fn scores(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["score"].to_string()).collect()
}

#[test]
fn photos_of_12_bits_look_as_those_of_16() {
    let workplace = Workplace::new();
    write(&workplace, "full.tif", &[shifted(&samples(1), 8)]);
    write(&workplace, "low.tif", &[shifted(&samples(1), 4)]);
    let full = workplace.segment(&["full.tif"]).ends_with(0);
    assert!(!full.stderr.contains("--bits"), "{full:?}");
    let low = workplace.segment(&["low.tif"]).ends_with(0);
    let low = low.says("No 16-bit sample of the photos is above 3984");
    let low = low.says("12 of their bits").says("--bits");
    assert_eq!(scores(&low.lines()), scores(&full.lines()));
    assert_eq!(low.stderr.matches("--bits").count(), 1, "{low:?}");
    let warning = low.lines()[0]["warnings"].to_string();
    assert!(
        warning.contains("12 bits are used as brightness"),
        "{warning}"
    );
    let table = workplace
        .segment(&["low.tif", "--format", "table"])
        .ends_with(0);
    assert_eq!(table.stderr.matches("--bits").count(), 1, "{table:?}");
    // In windows, where the file is read by strips.
    let [full, low] = ["full.tif", "low.tif"].map(|name| {
        let outcome = workplace.segment(&[name, "--tile", "28"]).ends_with(0);
        scores(&outcome.lines())
    });
    assert_eq!(full, low);
    // Said otherwise, it is dark.
    let dark = workplace.segment(&["low.tif", "--bits", "16"]).ends_with(0);
    assert!(!dark.stderr.contains("16-bit"), "{dark:?}");
    assert_ne!(scores(&dark.lines()), full);
    workplace.segment(&["low.tif", "--bits", "9"]).ends_with(2);
}

/// 10 bits would hold the first photo alone; beside the second, which has one brighter pixel, it is
/// read with the same 12.
#[test]
fn a_run_has_one_depth() {
    let workplace = Workplace::new();
    let dark = shifted(&samples(2), 2);
    let mut spotted = dark.clone();
    spotted[77] = 3000;
    write(&workplace, "photos/a.tif", &[dark]);
    write(&workplace, "photos/b.tif", &[spotted]);
    let said = workplace
        .segment(&["photos/a.tif", "photos/b.tif", "--bits", "12"])
        .ends_with(0);
    for threads in ["1", "3"] {
        let guessed = workplace
            .segment(&["photos", "--threads", threads])
            .ends_with(0);
        let guessed = guessed.says("2 of 2 such photos");
        assert_eq!(scores(&guessed.lines()), scores(&said.lines()));
    }
    // Of paths on standard input the first settles it.
    let piped = workplace.segment_with_input(&["-"], "photos/b.tif\nphotos/a.tif\n");
    let piped = piped.ends_with(0).says("above 3000");
    let mut backwards = scores(&piped.lines());
    backwards.reverse();
    assert_eq!(backwards, scores(&said.lines()));
}

#[test]
fn a_calibration_keeps_the_depth() {
    let workplace = Workplace::new();
    for index in 0..12 {
        let name = format!("good/{index}.tif");
        write(&workplace, &name, &[shifted(&samples(index), 4)]);
    }
    let model = bundle().to_str().unwrap();
    let calibrated = workplace
        .run(&[
            "calibrate",
            "good",
            "--model",
            model,
            "--out",
            "all.json",
            "--false-alarms-per-image",
            "0.5",
        ])
        .ends_with(0)
        .says("12 of their bits");
    let document: Value = serde_json::from_str(&calibrated.stdout).unwrap();
    assert_eq!(document["calibration"]["bits"], 12);
    // This one alone would be taken for 10 bits.
    write(&workplace, "dark.tif", &[shifted(&samples(3), 2)]);
    let found = workplace
        .segment(&["dark.tif", "--calibration", "all.json"])
        .ends_with(0);
    let said = workplace
        .segment(&["dark.tif", "--bits", "12"])
        .ends_with(0);
    assert_eq!(scores(&found.lines()), scores(&said.lines()));
    workplace
        .segment(&["dark.tif", "--calibration", "all.json", "--bits", "10"])
        .ends_with(2)
        .says("was found with --bits 12");
}

#[test]
fn pages_are_photos_on_request() {
    let workplace = Workplace::new();
    let pages: Vec<Vec<u16>> = (1..4).map(|seed| shifted(&samples(seed), 8)).collect();
    for (index, page) in pages.iter().enumerate() {
        write(
            &workplace,
            &format!("{}.tif", index + 1),
            std::slice::from_ref(page),
        );
    }
    write(&workplace, "stack.tif", &pages);
    let alone = workplace.segment(&["1.tif", "2.tif", "3.tif"]).ends_with(0);
    let alone = scores(&alone.lines());
    let first = workplace.segment(&["stack.tif"]).ends_with(0);
    assert_eq!(scores(&first.lines()), alone[..1]);
    let warning = first.lines()[0]["warnings"].to_string();
    assert!(
        warning.contains("3 pages") && warning.contains("--page"),
        "{warning}"
    );
    let second = workplace
        .segment(&["stack.tif", "--page", "2"])
        .ends_with(0);
    assert_eq!(scores(&second.lines()), alone[1..2]);
    let all = workplace
        .segment(&[
            "stack.tif",
            "1.tif",
            "--page",
            "all",
            "--out",
            "out",
            "--save",
            "mask",
        ])
        .ends_with(0);
    let lines = all.lines();
    assert_eq!(scores(&lines)[..3], alone);
    let numbers: Vec<&Value> = lines.iter().map(|line| &line["page"]).collect();
    assert_eq!(
        numbers,
        [&Value::from(1), &2.into(), &3.into(), &Value::Null]
    );
    let files = workplace.files("out");
    let expected = [
        "1.mask.png",
        "stack.page1.mask.png",
        "stack.page2.mask.png",
        "stack.page3.mask.png",
    ];
    assert_eq!(files, expected);
    workplace
        .segment(&["stack.tif", "--page", "9"])
        .ends_with(1)
        .says("1 of 1 inputs failed");
    for page in ["0", "first"] {
        workplace
            .segment(&["stack.tif", "--page", page])
            .ends_with(2);
    }
}

/// A kind that made a decoder panic, the message of which was printed.
#[test]
fn no_panic_is_printed() {
    let workplace = Workplace::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vcp-image/tests/fixtures/tiff");
    let bytes = std::fs::read(fixtures.join("rgb_tiles_planar.tif")).unwrap();
    workplace.write("whole.tif", &bytes);
    workplace.write("cut.tif", &bytes[..bytes.len() / 2]);
    let outcome = workplace.segment(&["whole.tif", "cut.tif"]).ends_with(1);
    assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    assert!(outcome.lines()[0]["score"].is_number());
}

/// A data set of 12-bit images gives the figures, and becomes the files, that it does in 16 bits.
#[test]
fn data_sets_are_settled_too() {
    let results = [8, 4].map(|bits| {
        let workplace = mvtec();
        let mut seed = 0;
        for place in workplace.files("set") {
            if place.contains("/test/") {
                seed += 1;
                let place = format!("set/{place}");
                write(&workplace, &place, &[shifted(&samples(seed), bits)]);
            }
        }
        let set = ["--dataset", "mvtec", "--root", "set"];
        let model = bundle().to_str().unwrap();
        let out = [
            "--out",
            "out",
            "--model",
            model,
            "--aupimo-bounds",
            "1e-3,1e-1",
        ];
        let outcome = workplace
            .run(&[&["eval"], &set[..], &out].concat())
            .ends_with(0);
        assert_eq!(
            outcome.stderr.contains("12 of their bits"),
            bits == 4,
            "{outcome:?}"
        );
        let results = std::fs::read(workplace.path("out/results.json")).unwrap();
        let results: Value = serde_json::from_slice(&results).unwrap();
        assert_eq!(results["protocol"]["bits"], bits + 8);
        let convert = ["data", "convert", "--out", "official"];
        workplace.run(&[&convert, &set[..]].concat()).ends_with(0);
        let converted: Vec<Vec<u8>> = workplace
            .files("official")
            .iter()
            .map(|name| std::fs::read(workplace.path("official").join(name)).unwrap())
            .collect();
        (results["mean"].clone(), converted)
    });
    assert_eq!(results[0].0, results[1].0);
    assert!(results[0].1 == results[1].1);
}
