//! The official tree and list.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use image::{DynamicImage, GrayImage, Luma, RgbImage};
use tempfile::TempDir;
use vcp_dataset::{Dataset, Error, Label, Options, check, convert_to_official, layout};
use vcp_image::DecodeOptions;

fn save(root: &Path, name: &str, picture: impl Into<DynamicImage>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.into().save(path).unwrap();
}

fn photo(shade: u8) -> RgbImage {
    RgbImage::from_fn(5, 3, |x, y| [shade, (x * 40) as u8, (y * 60) as u8].into())
}

fn mask(value: u8) -> GrayImage {
    GrayImage::from_fn(5, 3, |x, _| Luma([if x == 2 { value } else { 0 }]))
}

fn read(name: &str, root: &Path) -> Dataset {
    layout(name)
        .unwrap()
        .read(root, &Options::default())
        .unwrap()
}

fn convert(dataset: &Dataset, out: &Path) -> Result<vcp_dataset::Converted, Error> {
    let done = || ControlFlow::Continue(());
    convert_to_official(dataset, out, &DecodeOptions::default(), &done)
}

/// All files below a folder, sorted, with `/` between folders.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            found.push(
                entry
                    .path()
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    found
}

fn assert_list(list: &str) {
    let begin = r#"{
    "train": {
        "bottle": [
            {
                "img_path": "mvtec/bottle/train/good/mvtec_000000.bmp",
                "mask_path": "",
                "cls_name": "bottle",
                "specie_name": "good",
                "dataset_name": "mvtec",
                "anomaly": 0
            },
            {
                "img_path": "mvtec/bottle/train/good/mvtec_000001.bmp","#;
    assert!(list.starts_with(begin), "{list}");
    let end = r#"        "cable": [
            {
                "img_path": "mvtec/cable/test/anomaly/mvtec_bent_wire_000293.bmp",
                "mask_path": "mvtec/cable/ground_truth/anomaly/mvtec_bent_wire_000293.png",
                "cls_name": "cable",
                "specie_name": "anomaly",
                "dataset_name": "mvtec",
                "anomaly": 1
            }
        ],
        "zipper": [
            {
                "img_path": "mvtec/zipper/test/good/mvtec_good_000294.bmp",
                "mask_path": "",
                "cls_name": "zipper",
                "specie_name": "good",
                "dataset_name": "mvtec",
                "anomaly": 0
            }
        ]
    }
}
"#;
    assert!(list.ends_with(end), "{list}");
    // The mark of the official script for an empty folder.
    let empty = r#"        "zipper": [
            {
                "img_path": "",
                "mask_path": "",
                "cls_name": "zipper",
                "specie_name": "good",
                "dataset_name": "",
                "anomaly": 0
            }
        ]
    },
    "test": {"#;
    assert!(list.contains(empty), "{list}");
}

/// With the counts of the real set, the names are those of the official list: its read-me names
/// `mvtec_000000`, `mvtec_broken_large_000209` and `mvtec_good_000272`.
#[test]
fn mvtec_is_named_as_by_the_official_scripts() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let add = |folder: &str, count: usize| {
        for number in 0..count {
            save(
                from.path(),
                &format!("{folder}/{number:03}.png"),
                GrayImage::new(2, 1),
            );
            if let Some((category, defect)) = folder.split_once("/test/")
                && defect != "good"
            {
                let mask = GrayImage::from_fn(2, 1, |x, _| Luma([255 * x as u8]));
                let name = format!("{category}/ground_truth/{defect}/{number:03}_mask.png");
                save(from.path(), &name, mask);
            }
        }
    };
    // The second category first, and one whose training images are missing.
    add("cable/train/good", 1);
    add("cable/test/bent_wire", 1);
    add("bottle/train/good", 209);
    add("bottle/test/good", 20);
    add("bottle/test/broken_large", 20);
    add("bottle/test/broken_small", 22);
    add("bottle/test/contamination", 21);
    add("zipper/test/good", 1);
    let converted = convert(&read("mvtec", from.path()), to.path()).unwrap();
    assert_eq!(converted.images, 209 + 83 + 2 + 1);
    assert_eq!(converted.list, to.path().join("meta_mvtec.json"));
    for name in [
        "bottle/train/good/mvtec_000000.bmp",
        "bottle/train/good/mvtec_000208.bmp",
        "bottle/test/anomaly/mvtec_broken_large_000209.bmp",
        "bottle/ground_truth/anomaly/mvtec_broken_large_000209.png",
        "bottle/test/anomaly/mvtec_broken_small_000229.bmp",
        "bottle/test/anomaly/mvtec_contamination_000271.bmp",
        "bottle/test/good/mvtec_good_000272.bmp",
        "bottle/test/good/mvtec_good_000291.bmp",
        "cable/train/good/mvtec_000292.bmp",
        "cable/test/anomaly/mvtec_bent_wire_000293.bmp",
        "zipper/test/good/mvtec_good_000294.bmp",
    ] {
        assert!(converted.folder.join(name).is_file(), "{name}");
    }
    for folder in [
        "train/good",
        "test/good",
        "test/anomaly",
        "ground_truth/anomaly",
    ] {
        assert!(
            converted.folder.join("zipper").join(folder).is_dir(),
            "{folder}"
        );
    }
    let left: Vec<_> = fs::read_dir(to.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");

    assert_list(&fs::read_to_string(&converted.list).unwrap());
    let again = read("meta", to.path());
    assert_eq!(again.samples.len(), converted.images);
    assert_eq!(check(&again, true).problems, []);
}

#[test]
fn visa_is_named_as_by_the_official_scripts_and_keeps_its_pixels() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let root = from.path();
    let mut list = String::from("object,split,label,image,mask\n");
    for (row, (object, split, name)) in [
        ("pcb1", "train", "0005"),
        ("candle", "test", "0001"),
        ("candle", "train", "0002.b"),
        ("candle", "train", "0000"),
    ]
    .into_iter()
    .enumerate()
    {
        let image = format!("{object}/Data/Images/Normal/{name}.png");
        save(root, &image, photo(row as u8));
        list += &[object, split, "normal", &image, "\n"].join(",");
    }
    save(root, "candle/Data/Images/Anomaly/000.png", photo(99));
    save(root, "candle/Data/Masks/Anomaly/000.png", mask(3));
    list += "candle,test,anomaly,candle/Data/Images/Anomaly/000.png,candle/Data/Masks/Anomaly/000.png\n";
    fs::create_dir(root.join("split_csv")).unwrap();
    fs::write(root.join("split_csv/1cls.csv"), list).unwrap();

    let converted = convert(&read("visa", root), to.path()).unwrap();
    assert_eq!(
        files(to.path()),
        [
            "meta_visa.json",
            "visa/candle/ground_truth/anomaly/visa_000_000003.png",
            "visa/candle/test/anomaly/visa_000_000003.bmp",
            "visa/candle/test/good/visa_0001_000002.bmp",
            "visa/candle/train/good/visa_0000_000001.bmp",
            "visa/candle/train/good/visa_0002_000000.bmp",
            "visa/pcb1/train/good/visa_0005_000004.bmp",
        ]
    );
    let found = image::open(
        converted
            .folder
            .join("candle/test/anomaly/visa_000_000003.bmp"),
    );
    let DynamicImage::ImageRgb8(found) = found.unwrap() else {
        panic!("it is no RGB picture");
    };
    assert_eq!(found, photo(99));
    let place = converted
        .folder
        .join("candle/ground_truth/anomaly/visa_000_000003.png");
    assert_eq!(image::open(place).unwrap().into_luma8(), mask(255));
    // What is read back equals what was read.
    let again = read("meta", to.path());
    let labels: Vec<Label> = again.samples.iter().map(|sample| sample.label).collect();
    assert_eq!(
        labels
            .iter()
            .filter(|&&label| label == Label::Anomalous)
            .count(),
        1
    );
    assert_eq!(again.categories(), ["candle", "pcb1"]);
}

#[test]
fn other_sets_follow_the_same_pattern() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let root = from.path();
    for name in ["a", "b", "c"] {
        save(root, &format!("{name}.png"), photo(7));
    }
    save(root, "m.png", mask(255));
    fs::write(
        root.join("my_set.csv"),
        "image,mask,label,category,split,defect\n\
         a.png,,normal,x,val,\nb.png,m.png,anomalous,x,train,a/b:c\nc.png,,,x,,\n",
    )
    .unwrap();
    let options = Options {
        manifest: Some(root.join("my_set.csv")),
        ..Options::default()
    };
    let dataset = layout("manifest").unwrap().read(root, &options).unwrap();
    let converted = convert(&dataset, to.path()).unwrap();
    assert_eq!(
        files(to.path()),
        [
            "meta_my_set.json",
            "my_set/x/ground_truth/anomaly/my_set_a-b-c_000000.png",
            "my_set/x/test/good/my_set_good_000001.bmp",
            "my_set/x/test/good/my_set_good_000002.bmp",
            "my_set/x/train/anomaly/my_set_a-b-c_000000.bmp",
        ]
    );
    let list = fs::read_to_string(converted.list).unwrap();
    assert!(list.contains(r#""dataset_name": "my""#), "{list}");
}

#[test]
fn nothing_is_overwritten_and_nothing_left_behind() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let root = from.path();
    save(root, "tile/test/good/000.png", photo(1));
    save(root, "tile/test/crack/000.png", photo(1));
    let without_mask = read("mvtec", root);
    assert!(matches!(
        convert(&without_mask, to.path()),
        Err(Error::NoMask { .. })
    ));
    save(
        root,
        "tile/ground_truth/crack/000_mask.png",
        GrayImage::new(4, 4),
    );
    let wrong_mask = read("mvtec", root);
    assert!(matches!(
        convert(&wrong_mask, to.path()),
        Err(Error::MaskSize { .. })
    ));
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);

    save(root, "tile/ground_truth/crack/000_mask.png", mask(255));
    let sound = read("mvtec", root);
    for name in ["", ".", "..", "a/b", "../x", "/tmp", "a\\b", "c:x", "a\0b"] {
        let mut odd = sound.clone();
        odd.samples[0].category = name.to_owned();
        assert!(
            matches!(convert(&odd, to.path()), Err(Error::UnsafeName { .. })),
            "{name:?}"
        );
        let mut odd = sound.clone();
        odd.name = name.to_owned();
        assert!(
            matches!(convert(&odd, to.path()), Err(Error::UnsafeName { .. })),
            "{name:?}"
        );
    }
    for place in ["meta_mvtec.json", "mvtec"] {
        fs::write(to.path().join(place), "mine").unwrap();
        assert!(
            matches!(convert(&sound, to.path()), Err(Error::Exists { .. })),
            "{place}"
        );
        fs::remove_file(to.path().join(place)).unwrap();
    }
    let stop = || ControlFlow::Break(());
    let stopped = convert_to_official(&sound, to.path(), &DecodeOptions::default(), &stop);
    assert!(matches!(stopped, Err(Error::Stopped)));
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
    // A folder that does not exist yet is made.
    convert(&sound, &to.path().join("new/folder")).unwrap();
}
