//! The files that are written for each photo.

use std::fs;
use std::path::Path;

use crate::support::cli::{Outcome, Workplace};

#[test]
fn every_kind_of_file_is_written() {
    let workplace = Workplace::with_photos(&["x/a.b.png"]);
    let outcome = workplace
        .segment(&[
            "x/a.b.png",
            "--out",
            "out",
            "--save",
            "overlay,heatmap,mask,npy,json",
        ])
        .ends_with(0);
    let line = &outcome.lines()[0];
    let expected = [
        ("overlay", "a.b.overlay.png"),
        ("heatmap", "a.b.heatmap.png"),
        ("mask", "a.b.mask.png"),
        ("map", "a.b.map.npy"),
        ("branch1", "a.b.branch1.npy"),
        ("branch2", "a.b.branch2.npy"),
        ("json", "a.b.json"),
    ];
    let files = line["files"].as_object().unwrap();
    assert_eq!(files.len(), expected.len());
    for (key, name) in expected {
        let path = files[key].as_str().unwrap();
        assert_eq!(Path::new(path), Path::new("out").join(name));
        let bytes = fs::read(workplace.path(path)).unwrap();
        match key {
            "overlay" | "heatmap" | "mask" => {
                assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
                assert_eq!(&bytes[16..24], [0, 0, 0, 40, 0, 0, 0, 30], "{key}");
            }
            "json" => assert_eq!(&bytes, outcome.stdout.as_bytes()),
            _ => {
                let array = npyz::NpyFile::new(&bytes[..]).unwrap();
                assert_eq!(array.shape(), [70, 70]);
                let values: Vec<f32> = array.into_vec().unwrap();
                assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
                if key == "map" {
                    let max = values.iter().copied().fold(0.0, f32::max);
                    assert!((f64::from(max) - line["max"].as_f64().unwrap()).abs() < 1e-6);
                }
            }
        }
    }
    assert_eq!(
        workplace.files("out").len(),
        expected.len(),
        "nothing else is left there"
    );
}

#[test]
fn out_alone_writes_overlays() {
    let workplace = Workplace::with_photos(&["a.png"]);
    workplace
        .segment(&["a.png", "--out", "new/folder"])
        .ends_with(0);
    assert_eq!(workplace.files("new/folder"), ["a.overlay.png"]);
}

#[test]
fn equal_names_do_not_collide() {
    let names = ["p/good/000.png", "p/bad/000.png", "p/bad/000.jpg"];
    let workplace = Workplace::with_photos(&names);
    let ways: [&[&str]; 4] = [&["p"], &["p/good", "p/bad"], &["p/*/*"], &names];
    for (number, inputs) in ways.iter().enumerate() {
        let out = format!("out{number}");
        let arguments = [inputs, &["--out", &out][..]].concat();
        let outcome = workplace.segment(&arguments).ends_with(0);
        let written = workplace.files(&out);
        // The photo that comes later keeps its ending.
        let second = if number == 3 {
            "bad/000.jpg"
        } else {
            "bad/000.png"
        };
        let mut expected = ["bad/000", second, "good/000"].map(|it| format!("{it}.overlay.png"));
        expected.sort();
        assert_eq!(written, expected, "{inputs:?}");
        for line in outcome.lines() {
            assert!(
                workplace
                    .path(line["files"]["overlay"].as_str().unwrap())
                    .is_file()
            );
        }
    }
}

#[test]
fn results_never_leave_the_output_folder() {
    let workplace = Workplace::with_photos(&["a.png", "inner/b.png"]);
    let mut command = workplace.segment_command(&["../a.png", "b.png", "--out", "out"]);
    let output = command
        .current_dir(workplace.path("inner"))
        .output()
        .unwrap();
    Outcome::of(output).ends_with(0);
    assert_eq!(
        workplace.files("inner/out"),
        ["a.overlay.png", "inner/b.overlay.png"]
    );
}

#[test]
fn a_second_run_does_not_take_overlays_for_photos() {
    let workplace = Workplace::with_photos(&["photos/a.png"]);
    let save = "overlay,heatmap,mask,npy,json";
    for out in ["photos/out", "photos"] {
        for _ in 0..2 {
            let outcome = workplace
                .segment(&["photos", "--out", out, "--save", save])
                .ends_with(0);
            assert!(outcome.paths().contains(&"photos/a.png".to_owned()));
            fs::remove_dir_all(workplace.path("photos/out")).unwrap_or_default();
            if out == "photos" {
                assert_eq!(outcome.lines().len(), 1);
            }
        }
    }
}

#[test]
fn files_that_cannot_be_written_fail_their_photo() {
    let workplace = Workplace::with_photos(&["p/x/a.png", "p/b.png"]);
    workplace.write("out/x", "a file where a folder has to be");
    let outcome = workplace.segment(&["p", "--out", "out"]).ends_with(1);
    let lines = outcome.lines();
    assert!(lines[0]["score"].is_number(), "{outcome:?}");
    assert!(
        lines[1]["error"].as_str().unwrap().contains("out"),
        "{outcome:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_cannot_be_written_to_is_found_out_at_once() {
    let workplace = Workplace::with_photos(&["a.png"]);
    // A folder that is there and takes no files from anybody, the superuser included.
    let outcome = workplace
        .segment(&["a.png", "--out", "/proc/self"])
        .ends_with(2)
        .says("Nothing can be written into the output folder /proc/self");
    assert_eq!(outcome.stdout, "");
}
