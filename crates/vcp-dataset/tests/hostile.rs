//! Files made to do harm: each ends in an error or a problem, soon and without much memory.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use image::RgbImage;
use tempfile::TempDir;
use vcp_dataset::{Dataset, Error, MaskRule, MaskSource, Options, Problem, check, layout};
use vcp_image::DecodeOptions;

fn read(name: &str, root: &Path) -> Result<Dataset, Error> {
    layout(name).unwrap().read(root, &Options::default())
}

/// The lists that layouts look for, with a photo they could name.
const LISTS: [(&str, &str); 5] = [
    ("visa", "split_csv/1cls.csv"),
    ("bsdata", "image_data.json"),
    ("lookout", "manifests/test.manifest"),
    ("manifest", "manifest.csv"),
    ("meta", "meta_x.json"),
];

fn place(list: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(list);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    (folder, path)
}

#[test]
fn lists_longer_than_any_real_one_are_not_read() {
    for (name, list) in LISTS {
        let (folder, path) = place(list);
        // Sparse: it takes no space.
        File::create(path).unwrap().set_len(1 << 40).unwrap();
        let error = read(name, folder.path()).unwrap_err();
        assert!(matches!(error, Error::TooLong { .. }), "{name}: {error}");
    }
}

#[test]
fn lists_of_nonsense_are_errors_or_problems() {
    let nonsense: [&[u8]; 6] = [
        b"\xff\xfe\x00",
        b"{",
        b"[[[[",
        b"{\"images\": 7, \"train\": 7}",
        b"object,split,label,image,mask\n\"",
        b"\0\0\0\0",
    ];
    for (name, list) in LISTS {
        for bytes in nonsense {
            let (folder, path) = place(list);
            fs::write(path, bytes).unwrap();
            if let Ok(dataset) = read(name, folder.path()) {
                assert_eq!(dataset.samples, [], "{name}: {bytes:?}");
            }
        }
    }
}

/// Nobody writes to these pipes: opening one would wait for ever.
#[cfg(unix)]
#[test]
fn pipes_are_not_opened() {
    let pipe = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    for (name, list) in LISTS {
        let (folder, path) = place(list);
        pipe(&path);
        assert!(read(name, folder.path()).is_err(), "{name}");
    }
    let (folder, path) = place("manifest.csv");
    pipe(&folder.path().join("pipe.png"));
    RgbImage::new(2, 2)
        .save(folder.path().join("photo.png"))
        .unwrap();
    fs::write(path, "image,mask\npipe.png,\nphoto.png,pipe.png\n").unwrap();
    let mut dataset = read("manifest", folder.path()).unwrap();
    assert!(matches!(
        dataset.problems[..],
        [Problem::MissingImage { .. }, Problem::MissingMask { .. }]
    ));
    // Not even when the file becomes one afterwards.
    for rule in [
        MaskRule::AboveZero,
        MaskRule::AboveHalf,
        MaskRule::Alpha { background: None },
    ] {
        dataset.samples[0].mask = MaskSource::File {
            path: folder.path().join("pipe.png"),
            rule,
        };
        let mask = dataset.samples[0].load_mask(2, 2, &DecodeOptions::default());
        assert!(matches!(mask, Err(Error::Read { .. })));
    }
}

#[test]
fn masks_with_alpha_are_decoded_with_care() {
    let (folder, path) = place("manifest.csv");
    let root = folder.path();
    RgbImage::new(2, 2).save(root.join("photo.png")).unwrap();
    let mask = image::RgbaImage::from_pixel(2, 2, [1, 2, 3, 200].into());
    mask.save(root.join("mask.png")).unwrap();
    fs::write(path, "image,mask\nphoto.png,mask.png\n").unwrap();
    let mut dataset = read("manifest", root).unwrap();
    let load = |dataset: &Dataset| {
        let options = DecodeOptions {
            max_pixels: 100,
            ..DecodeOptions::default()
        };
        dataset.samples[0].load_mask(2, 2, &options)
    };
    dataset.samples[0].mask = MaskSource::File {
        path: root.join("mask.png"),
        rule: MaskRule::Alpha { background: None },
    };
    assert_eq!(load(&dataset).unwrap().pixels(), [255; 4]);

    let sound = fs::read(root.join("mask.png")).unwrap();
    // A header that claims four thousand million pixels by four thousand million.
    let mut huge = sound.clone();
    huge[16..24].fill(0xff);
    fs::write(root.join("mask.png"), &huge).unwrap();
    let error = load(&dataset).unwrap_err();
    assert!(
        matches!(error, Error::Image(vcp_image::Error::TooManyPixels { .. })),
        "{error}"
    );
    // Cut at every place, and damaged at every place.
    for end in 0..sound.len() - 12 {
        fs::write(root.join("mask.png"), &sound[..end]).unwrap();
        assert!(load(&dataset).is_err(), "{end}");
    }
    for at in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[at] ^= 0xff;
        fs::write(root.join("mask.png"), damaged).unwrap();
        let _ = load(&dataset);
    }
}

#[test]
fn annotations_with_wild_shapes_end_soon() {
    let (folder, path) = place("image_data.json");
    let root = folder.path();
    for name in ["data", "label"] {
        fs::create_dir(root.join(name)).unwrap();
    }
    RgbImage::new(300, 200)
        .save(root.join("data/a.jpg"))
        .unwrap();
    let entry = r#"{"filename":"a.jpg","train_test_split":"test","annotations":"a.json"}"#;
    fs::write(path, format!(r#"{{"images":[{entry}]}}"#)).unwrap();
    // As many edges as allowed, each over the whole image and far beyond it.
    let points: Vec<String> = (0..100_000)
        .map(|index| {
            let y = if index % 2 == 0 { -9e8 } else { 9e8 };
            format!("[{}, {y}]", index * 7 % 300)
        })
        .collect();
    let shape = format!(r#"{{"label":"x","points":[{}]}}"#, points.join(","));
    fs::write(
        root.join("label/a.json"),
        format!(r#"{{"shapes":[{shape}]}}"#),
    )
    .unwrap();
    let dataset = read("bsdata", root).unwrap();
    assert_eq!(check(&dataset, true).problems, []);
    // No shapes at all.
    fs::write(root.join("label/a.json"), r#"{"shapes":[]}"#).unwrap();
    let report = check(&dataset, true);
    assert!(matches!(report.problems[..], [Problem::EmptyMask { .. }]));
}
