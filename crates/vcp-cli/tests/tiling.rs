//! `vcp-clip segment --tile`: large photos in windows.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::cli::Workplace;
use support::photos;

/// The whole of an array of f32 and its shape.
fn array(path: &Path) -> (Vec<u64>, Vec<f32>) {
    let bytes = fs::read(path).unwrap();
    let array = npyz::NpyFile::new(&bytes[..]).unwrap();
    (array.shape().to_vec(), array.into_vec().unwrap())
}

/// The line without what differs from run to run.
fn timeless(line: &Value) -> Value {
    let mut line = line.clone();
    line.as_object_mut().unwrap().remove("milliseconds");
    line
}

/// The same photo as a TIFF of `rows` rows in a strip: grey, one sample after another.
fn write_tiff(path: &Path, width: u32, height: u32, rows: u32) {
    let pixels: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| ((x * 7 + y * y * 3) % 251) as u8))
        .collect();
    let strips: Vec<&[u8]> = pixels.chunks((width * rows) as usize).collect();
    let count = strips.len() as u32;
    let lists = 8 + pixels.len() as u32;
    let mut file = b"II\x2a\x00".to_vec();
    file.extend((lists + 8 * count).to_le_bytes());
    file.extend(&pixels);
    for index in 0..count {
        file.extend((8 + index * width * rows).to_le_bytes());
    }
    for strip in &strips {
        file.extend((strip.len() as u32).to_le_bytes());
    }
    let (offsets, lengths) = match count {
        1 => (8, width * height),
        _ => (lists, lists + 4 * count),
    };
    let tags = [
        (256, 1, width),
        (257, 1, height),
        (258, 1, 8),
        (259, 1, 1),
        (262, 1, 1),
        (273, count, offsets),
        (277, 1, 1),
        (278, 1, rows),
        (279, count, lengths),
    ];
    file.extend((tags.len() as u16).to_le_bytes());
    for (tag, count, value) in tags {
        file.extend(u16::to_le_bytes(tag));
        file.extend(4_u16.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    fs::write(path, file).unwrap();
}

#[test]
fn a_photo_of_one_tile_gives_what_it_gives_whole() {
    let workplace = Workplace::with_photos(&["a.png"]);
    let kinds = [
        "--save",
        "overlay,heatmap,mask,json",
        "--pixel-threshold",
        "0.4",
    ];
    let run = |more: &[&str]| {
        let arguments = [&["a.png", "--out", "out"], &kinds[..], more].concat();
        let outcome = workplace.segment(&arguments).ends_with(0);
        let files = ["overlay.png", "heatmap.png", "mask.png"]
            .map(|end| fs::read(workplace.path(&format!("out/a.{end}"))).unwrap());
        (timeless(&outcome.lines()[0]), files)
    };
    let whole = run(&[]);
    for more in [
        &["--tile", "518"][..],
        &["--tile", "40", "--overlap", "0.9"],
        &["--tile", "41", "--global-weight", "0.5"],
        &["--tile", "16", "--global-weight", "1"],
    ] {
        assert!(run(more) == whole, "{more:?}");
    }
}

#[test]
fn maps_of_tiles_have_the_photo_s_size() {
    let workplace = Workplace::new();
    photos::write(&workplace.path("a.png"), 61, 47, 1);
    let outcome = workplace
        .segment(&[
            "a.png",
            "--tile",
            "32",
            "--overlap",
            "0.3",
            "--global-weight",
            "0.25",
            "--out",
            "out",
            "--save",
            "npy,mask",
            "--pixel-threshold",
            "0",
        ])
        .ends_with(0);
    let line = &outcome.lines()[0];
    assert_eq!(line["regions"][0]["area"], 61 * 47);
    for name in ["map", "branch1", "branch2"] {
        let path = workplace.path(line["files"][name].as_str().unwrap());
        let (shape, values) = array(&path);
        assert_eq!(shape, [47, 61]);
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        if name == "map" {
            let largest = values.iter().copied().fold(0.0, f32::max);
            assert!(f64::from(largest) <= line["max"].as_f64().unwrap() + 1e-6);
            let peak = line["regions"][0]["peak"].as_f64().unwrap();
            assert!((f64::from(largest) - peak).abs() < 1e-6);
        }
    }
    // The photo whole is something else.
    let whole = workplace.segment(&["a.png"]).ends_with(0);
    assert_ne!(whole.lines()[0]["score"], line["score"]);
}

#[test]
fn strips_and_whole_files_give_the_same() {
    let workplace = Workplace::new();
    let run = |rows| {
        write_tiff(&workplace.path("a.tif"), 67, 53, rows);
        let arguments = [
            "a.tif",
            "--tile",
            "24",
            "--global-weight",
            "0.5",
            "--out",
            "out",
        ];
        let outcome = workplace.segment(&arguments).ends_with(0);
        let overlay = fs::read(workplace.path("out/a.overlay.png")).unwrap();
        (timeless(&outcome.lines()[0]), overlay)
    };
    let whole = run(53);
    assert!(run(7) == whole);
    assert!(run(1) == whole);
    // A strip that is cut off is an error of that photo alone.
    let file = workplace.path("a.tif");
    let mut bytes = fs::read(&file).unwrap();
    let lists = 8 + 67 * 53;
    bytes[lists + 4 * 50..][..4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    workplace.photo("b.png", 1);
    let outcome = workplace
        .segment(&["a.tif", "b.png", "--tile", "24"])
        .ends_with(1);
    let lines = outcome.lines();
    let message = lines[0]["error"].as_str().unwrap();
    assert!(
        message.contains("a.tif") && message.contains("TIFF"),
        "{message}"
    );
    assert!(lines[1]["score"].is_number());
}

#[test]
fn hostile_values_are_wrong_usage() {
    let workplace = Workplace::with_photos(&["a.png"]);
    for arguments in [
        &["--tile", "0"][..],
        &["--tile", "-5"],
        &["--tile", "1.5"],
        &["--tile", "99999999999999999999999"],
        &["--tile", "16", "--overlap", "1"],
        &["--tile", "16", "--overlap", "-0.1"],
        &["--tile", "16", "--overlap", "nan"],
        &["--tile", "16", "--overlap", "inf"],
        &["--tile", "16", "--overlap", "half"],
        &["--tile", "16", "--global-weight", "1.01"],
        &["--tile", "16", "--global-weight", "-1"],
        &["--tile", "16", "--global-weight", "NaN"],
        &["--overlap", "0.5"],
        &["--global-weight", "0.5"],
    ] {
        let outcome = workplace
            .segment(&[&["a.png"], arguments].concat())
            .ends_with(2);
        assert_eq!(outcome.stdout, "", "{arguments:?}");
    }
    // How many tiles there are shows with the photo.
    photos::write(&workplace.path("b.png"), 120, 120, 1);
    let outcome = workplace
        .segment(&["b.png", "a.png", "--tile", "1", "--overlap", "0"])
        .ends_with(1);
    let message = outcome.lines()[0]["error"].as_str().unwrap().to_owned();
    assert!(message.contains("14400"), "{message}");
    assert!(outcome.lines()[1]["score"].is_number());
}

#[test]
fn tiles_of_single_pixels_and_lines() {
    let workplace = Workplace::new();
    for (name, width, height) in [("dot.bmp", 1, 1), ("row.bmp", 83, 1), ("column.bmp", 1, 83)] {
        photos::write(&workplace.path(name), width, height, 1);
    }
    for tile in ["1", "2", "17", "100"] {
        let outcome = workplace
            .segment(&[
                "dot.bmp",
                "row.bmp",
                "column.bmp",
                "--tile",
                tile,
                "--out",
                "out",
            ])
            .ends_with(0);
        assert_eq!(outcome.lines().len(), 3);
    }
}
