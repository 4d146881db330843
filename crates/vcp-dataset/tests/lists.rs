//! Lists as people's programs write them, and as nobody's do.

#![allow(clippy::unwrap_used)] // helpers of tests, too

use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use image::{GrayImage, RgbImage};
use tempfile::TempDir;
use vcp_dataset::{Dataset, Error, Label, MaskSource, Options, Problem, layout, read};
use vcp_image::DecodeOptions;

/// A photo and a mask in folders whose names are not plain ASCII.
fn place() -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in ["fotos/groß", "masks/groß"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    let save = |name: &str| RgbImage::new(4, 2).save(folder.path().join(name)).unwrap();
    save("fotos/groß/a b.png");
    save("fotos/groß/2.png");
    GrayImage::from_pixel(4, 2, [255].into())
        .save(folder.path().join("masks/groß/2.png"))
        .unwrap();
    folder
}

fn read_list(name: &str, folder: &TempDir, list: &str, bytes: &[u8]) -> Result<Dataset, Error> {
    let path = folder.path().join(list);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    let options = Options {
        manifest: (name != "visa" && name != "bsdata").then_some(path),
        ..Options::default()
    };
    read(layout(name).unwrap(), folder.path(), &options)
}

fn utf_16(text: &str) -> Vec<u8> {
    let text = format!("\u{feff}{text}");
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Both images, the second with its mask, and nothing wrong.
#[track_caller]
fn assert_both(dataset: &Dataset) {
    assert_eq!(dataset.problems, []);
    let [first, second] = dataset.samples.as_slice() else {
        panic!("{:?}", dataset.samples);
    };
    assert_eq!(first.id, "fotos/groß/a b.png");
    assert_eq!(
        (first.label, second.label),
        (Label::Normal, Label::Anomalous)
    );
    let mask = second.load_mask(4, 2, &DecodeOptions::default()).unwrap();
    assert_eq!(mask.pixels(), [255; 8]);
}

#[test]
fn tables_are_read_however_a_spreadsheet_saves_them() {
    let folder = place();
    for delimiter in [",", ";", "\t"] {
        for folders in ["/", "\\"] {
            for labels in [["OK", "NG"], ["0", "1"], ["good", "Defective"]] {
                let text = format!(
                    "image,label,mask,comment\r\nfotos/groß/a b.png,{},,\"1{delimiter}5\"\r\n\
                     fotos/groß/2.png,{},masks/groß/2.png\r\n",
                    labels[0], labels[1]
                );
                let text = text.replace('/', folders).replace(',', delimiter);
                let marked = format!("\u{feff}{text}");
                let hinted = format!("sep={delimiter}\r\n{text}");
                for bytes in [
                    text.clone().into_bytes(),
                    marked.into_bytes(),
                    utf_16(&text),
                    hinted.into_bytes(),
                ] {
                    for list in ["list.csv", "list.txt", "list.tsv"] {
                        let dataset = read_list("manifest", &folder, list, &bytes).unwrap();
                        assert_both(&dataset);
                    }
                }
            }
        }
    }
}

#[test]
fn lines_are_counted_below_a_hint() {
    let folder = place();
    let text = "sep=;\nimage;label\nfotos/groß/2.png;odd\n";
    let dataset = read_list("manifest", &folder, "list.csv", text.as_bytes()).unwrap();
    assert!(matches!(
        dataset.problems[..],
        [Problem::BadEntry { line: Some(3), .. }]
    ));
}

#[test]
fn every_list_made_on_windows_is_read() {
    let folder = place();
    let lines = r#"{"image": "fotos\\groß\\a b.png"}
{"image": ".\\fotos\\groß\\2.png", "mask": "masks\\groß\\2.png", "label": "NG"}"#;
    for bytes in [lines.as_bytes().to_vec(), utf_16(lines)] {
        assert_both(&read_list("manifest", &folder, "list.jsonl", &bytes).unwrap());
    }
    let meta = r#"{"test": {"part": [{"img_path": "fotos\\groß\\a b.png", "anomaly": 0},
        {"img_path": "fotos\\groß\\2.png", "mask_path": "masks\\groß\\2.png", "anomaly": 1}]}}"#;
    for bytes in [meta.as_bytes().to_vec(), utf_16(meta)] {
        assert_both(&read_list("meta", &folder, "meta.json", &bytes).unwrap());
    }
    let visa = "object,split,label,image,mask\ngroß,test,normal,fotos\\groß\\a b.png,\n\
                groß,test,anomaly,fotos\\groß\\2.png,masks\\groß\\2.png\n";
    fs::create_dir(folder.path().join("groß")).unwrap();
    let annotations = "image;label;mask\nfotos\\groß\\2.png;bent;\n";
    fs::write(folder.path().join("groß/image_anno.csv"), annotations).unwrap();
    for bytes in [visa.to_owned(), visa.replace(',', ";")] {
        let dataset = read_list("visa", &folder, "split_csv/1cls.csv", bytes.as_bytes()).unwrap();
        assert_both(&dataset);
        assert_eq!(dataset.samples[1].defect, "bent");
    }
    let line = |image: &str, class: &str, mask: &str| {
        format!(
            r#"{{"source-ref":"{image}","l":1,"l-metadata":{{"class-name":"{class}","type":"groundtruth/image-classification"}},
            "m":"{mask}","m-metadata":{{"type":"groundtruth/semantic-segmentation"}}}}"#
        )
        .replace('\n', "")
    };
    let lookout = [
        line(r"C:\\data\\fotos\\groß\\a b.png", "normal", ""),
        line(r"fotos\\groß\\2.png", "anomaly", r"masks\\groß\\2.png"),
    ];
    let dataset = read_list(
        "lookout",
        &folder,
        "test.manifest",
        lookout.join("\n").as_bytes(),
    );
    let dataset = dataset.unwrap();
    assert_eq!(dataset.samples.len(), 2, "{:?}", dataset.problems);
    assert!(matches!(dataset.samples[1].mask, MaskSource::File { .. }));
}

/// What is refused says what to do.
#[test]
fn tables_that_cannot_be_read_say_why() {
    let folder = place();
    for (bytes, expected) in [
        (
            &b"image;label\nfotos/gro\xdf/2.png;NG\n"[..],
            "save it as UTF-8",
        ),
        (
            b"photo;label\nfotos/2.png;NG\n",
            "no column 'image', only photo, label",
        ),
        (b"[{\"image\": \"fotos/2.png\"}]", "an object on each line"),
    ] {
        let list = if bytes.starts_with(b"[") {
            "list.json"
        } else {
            "list.csv"
        };
        let error = read_list("manifest", &folder, list, bytes).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// Millions of short lines cost neither problems nor rows.
#[test]
fn of_many_problems_the_first_are_kept() {
    let folder = place();
    let count = 200_000;
    for (name, list, text) in [
        (
            "manifest",
            "list.csv",
            format!("image\n{}", "a\n".repeat(count)),
        ),
        ("manifest", "list.jsonl", "{}\n".repeat(count)),
        ("lookout", "test.manifest", "{}\n".repeat(count)),
        (
            "visa",
            "split_csv/1cls.csv",
            format!("object,split,label,image,mask\n{}", "a\n".repeat(count)),
        ),
    ] {
        let dataset = read_list(name, &folder, list, text.as_bytes()).unwrap();
        assert_eq!(dataset.problems.count(), count, "{name} {list}");
        assert!(dataset.problems.len() <= 100, "{name} {list}");
        assert!(dataset.samples.is_empty());
    }
    let entry = r#"{"img_path": "a", "anomaly": 0}"#;
    let entries = vec![entry; count].join(",");
    let meta = format!(r#"{{"test": {{"part": [{entries}]}}}}"#);
    let dataset = read_list("meta", &folder, "meta.json", meta.as_bytes()).unwrap();
    assert_eq!(dataset.problems.count(), count);
    let why = dataset.why_empty().unwrap();
    assert!(
        why.contains("200000 problems") && why.contains("a does not exist"),
        "{why}"
    );
}

#[test]
fn names_and_paths_have_a_length() {
    let folder = place();
    let long = "x".repeat(100_000);
    for (name, list, text) in [
        (
            "manifest",
            "list.csv",
            format!("image,category\nfotos/groß/2.png,{long}\n"),
        ),
        (
            "manifest",
            "list.csv",
            format!("image,defect\nfotos/groß/2.png,{long}\n"),
        ),
        ("manifest", "list.csv", format!("image\n{long}\n")),
        (
            "manifest",
            "list.csv",
            format!("image,mask\nfotos/groß/2.png,{long}\n"),
        ),
        (
            "manifest",
            "list.jsonl",
            format!(r#"{{"image": "fotos/groß/2.png", "category": "{long}"}}"#),
        ),
        (
            "visa",
            "split_csv/1cls.csv",
            format!("object,split,label,image,mask\n{long},test,normal,fotos/groß/2.png,\n"),
        ),
    ] {
        let dataset = read_list(name, &folder, list, text.as_bytes()).unwrap();
        assert_eq!(dataset.samples, [], "{name}");
        let problem = dataset.problems[0].sentence();
        assert!(
            problem.contains("100000 bytes") && problem.len() < 400,
            "{problem}"
        );
    }
    for (name, list, text) in [
        (
            "meta",
            "meta.json",
            format!(r#"{{"test": {{"{long}": []}}}}"#),
        ),
        ("meta", "meta.json", format!(r#"{{"{long}": {{}}}}"#)),
        (
            "manifest",
            "list.csv",
            format!("{}\n", "x,".repeat(400_000)),
        ),
        ("manifest", "list.csv", format!("{long}\n")),
    ] {
        let error = read_list(name, &folder, list, text.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.len() < 1000, "{}", error.len());
    }
}

#[test]
fn paths_of_many_parts_end_soon() {
    let folder = place();
    let start = Instant::now();
    let label =
        r#""l":0,"l-metadata":{"class-name":"normal","type":"groundtruth/image-classification"}"#;
    let mut text = String::new();
    for parts in [1000, 2000, 50_000] {
        let path = "a/".repeat(parts);
        writeln!(text, r#"{{"source-ref":"s3://{path}1.png",{label}}}"#).unwrap();
    }
    let dataset = read_list("lookout", &folder, "test.manifest", text.as_bytes()).unwrap();
    assert_eq!(dataset.problems.count(), 3);
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// A list of circles, each over the whole of a large photo.
#[test]
fn annotations_cost_what_they_cover() {
    let folder = TempDir::new().unwrap();
    for name in ["data", "label"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    RgbImage::new(4000, 3000)
        .save(folder.path().join("data/a.png"))
        .unwrap();
    let list =
        r#"{"images":[{"filename":"a.png","train_test_split":"test","annotations":"a.json"}]}"#;
    let annotate = |shape: &str, count: usize| {
        let shapes = vec![shape; count].join(",");
        let path = folder.path().join("label/a.json");
        fs::write(path, format!(r#"{{"shapes":[{shapes}]}}"#)).unwrap();
        let dataset = read_list("bsdata", &folder, "image_data.json", list.as_bytes()).unwrap();
        dataset.samples[0].load_mask(4000, 3000, &DecodeOptions::default())
    };
    let start = Instant::now();
    let circle = r#"{"label":"x","points":[[2000,1500],[2000,9000]],"shape_type":"circle"}"#;
    let error = annotate(circle, 50_000).unwrap_err();
    assert!(
        error.to_string().contains("50000 shapes are too many"),
        "{error}"
    );
    let triangle = r#"{"label":"x","points":[[0,0],[3999,0],[0,2999]]}"#;
    assert!(annotate(triangle, 33_000).is_err());
    let small = r#"{"label":"x","points":[[2000,1500],[2003,1500]],"shape_type":"circle"}"#;
    let mask = annotate(small, 50_000).unwrap();
    assert_eq!(
        mask.row(1500)[1996..2004],
        [0, 255, 255, 255, 255, 255, 255, 0]
    );
    assert!(
        annotate(circle, 500)
            .unwrap()
            .pixels()
            .iter()
            .all(|&pixel| pixel == 255)
    );
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[cfg(unix)]
fn link(folder: &Path, target: &str, name: &str) {
    let place = folder.join(name);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(target, place).unwrap();
}

/// As git-annex and DVC leave files whose content was not fetched.
#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_missing_files() {
    let place = TempDir::new().unwrap();
    let folder = place.path();
    let save = |name: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::new(4, 2).save(path).unwrap();
    };
    save("set/part/train/good/000.png");
    save("set/part/test/hole/000.png");
    link(
        folder,
        "../../../../annex/1.png",
        "set/part/test/hole/001.png",
    );
    link(
        folder,
        "../../../../annex/0.png",
        "set/part/ground_truth/hole/000_mask.png",
    );
    link(folder, "/mnt/share/other", "set/other");
    // Of no consequence.
    link(folder, "nowhere.txt", "set/part/test/hole/notes.txt");
    link(folder, "user@host.1", "set/part/test/hole/.#000.png");
    let read = |name: &str, root: &str| {
        read(
            layout(name).unwrap(),
            &folder.join(root),
            &Options::default(),
        )
    };
    let dataset = read("mvtec", "set").unwrap();
    assert_eq!(dataset.samples.len(), 2);
    let missing: Vec<String> = dataset
        .problems
        .iter()
        .filter(|problem| matches!(problem, Problem::MissingFile { .. }))
        .map(Problem::sentence)
        .collect();
    assert_eq!(missing.len(), 3, "{missing:?}");
    let sentence = missing.join("\n");
    assert!(
        sentence.contains("a link to /mnt/share/other, which does not exist"),
        "{sentence}"
    );
    assert!(
        dataset
            .problems
            .iter()
            .any(|it| matches!(it, Problem::MissingMask { .. })),
        "{:?}",
        dataset.problems
    );

    for name in [
        "gone/part/test/hole/000.png",
        "gone/part/train/good/000.png",
    ] {
        link(folder, "../../../../annex/1.png", name);
    }
    link(folder, "/mnt/share/bottle", "share/bottle");
    for root in ["gone", "share"] {
        let error = read("mvtec", root).unwrap_err().to_string();
        assert!(error.contains("links in it lead nowhere"), "{error}");
        assert!(error.contains("git annex get, dvc pull"), "{error}");
    }

    save("own/good/1.png");
    link(folder, "../../annex/2.png", "own/good/2.png");
    link(folder, "../annex/masks", "own/bad");
    let dataset = read("folder", "own").unwrap();
    assert_eq!(dataset.samples.len(), 1);
    assert!(
        matches!(
            dataset.problems[..],
            [Problem::MissingFile { .. }, Problem::MissingFile { .. }]
        ),
        "{:?}",
        dataset.problems
    );
}

/// Twelve folders with links to the eleven others: in every order, they would never end.
#[cfg(unix)]
#[test]
fn folders_linked_into_each_other_are_searched_once() {
    let place = TempDir::new().unwrap();
    for from in 0..12 {
        let folder = place.path().join(format!("normal/{from}"));
        fs::create_dir_all(&folder).unwrap();
        RgbImage::new(4, 2).save(folder.join("1.png")).unwrap();
        for to in (0..12).filter(|&to| to != from) {
            link(
                place.path(),
                &format!("../{to}"),
                &format!("normal/{from}/to{to}"),
            );
        }
    }
    // Elsewhere, and twice.
    let elsewhere = TempDir::new().unwrap();
    RgbImage::new(4, 2)
        .save(elsewhere.path().join("1.png"))
        .unwrap();
    for name in ["normal/a", "normal/b"] {
        link(place.path(), elsewhere.path().to_str().unwrap(), name);
    }
    link(place.path(), "..", "normal/up");
    let dataset = read(layout("folder").unwrap(), place.path(), &Options::default()).unwrap();
    assert_eq!(dataset.samples.len(), 13);
    assert_eq!(dataset.problems.count(), 12 * 11 + 2);
}

/// A type of defect may have a longer name than fits into that of a file.
#[test]
fn long_types_of_defect_are_cut_in_names_of_files() {
    let folder = place();
    let long = "ß".repeat(120);
    let text = format!("image,mask,defect\nfotos/groß/2.png,masks/groß/2.png,{long}\n");
    let dataset = read_list("manifest", &folder, "list.csv", text.as_bytes()).unwrap();
    let out = TempDir::new().unwrap();
    let options = DecodeOptions::default();
    let go_on = || ControlFlow::Continue(());
    let converted = vcp_dataset::convert_to_official(&dataset, out.path(), &options, &go_on);
    let list = fs::read_to_string(converted.unwrap().list).unwrap();
    assert!(
        list.contains(&format!("list_{}_000000.bmp", "ß".repeat(60))),
        "{list}"
    );
}

/// Every row of the page's table, tried.
#[test]
fn the_page_of_formats_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/formats.md");
    let page = fs::read_to_string(page).unwrap();
    let section = page.split("\n## ").find(|text| text.starts_with("Lists\n"));
    let rows = section.unwrap().lines().filter_map(|line| {
        let cells = line.strip_prefix("| ")?.strip_suffix(" |")?;
        cells.split_once(" | ")
    });
    let table = "image\nfotos/groß/2.png\n";
    let rows: Vec<(&str, &str)> = rows.skip(1).collect();
    assert_eq!(rows.len(), 13);
    let folder = place();
    for (list, happens) in rows {
        let long = "x".repeat(300_000);
        let (name, texts) = match list {
            "UTF-8, with or without a byte order mark" => {
                let marked = format!("\u{feff}{table}");
                (
                    "list.csv",
                    vec![table.as_bytes().to_vec(), marked.into_bytes()],
                )
            }
            "UTF-16 with a byte order mark" => ("list.csv", vec![utf_16(table)]),
            "Windows-1252, Latin-1 and other encodings" => {
                ("list.csv", vec![b"image\nfotos/gro\xdf/2.png\n".to_vec()])
            }
            "UTF-16 without a byte order mark, UTF-32" => {
                let wide = table
                    .chars()
                    .flat_map(|letter| u32::from(letter).to_le_bytes());
                let marked = [0xff, 0xfe, 0, 0].into_iter().chain(wide);
                (
                    "list.csv",
                    vec![utf_16(table)[2..].to_vec(), marked.collect()],
                )
            }
            "commas, semicolons or tabs between cells" => {
                let text = "image,label\nfotos/groß/2.png,NG\n";
                let texts = [",", ";", "\t"].map(|cell| text.replace(',', cell).into_bytes());
                ("list.csv", texts.to_vec())
            }
            "`sep=;` before the header" => {
                ("list.csv", vec![format!("sep=;\n{table}").into_bytes()])
            }
            "a JSON object on each line" => {
                let text = r#"{"image": "fotos/groß/2.png"}"#;
                ("list.jsonl", vec![text.as_bytes().to_vec()])
            }
            "one JSON array as a manifest" => ("list.json", vec![b"[{}]".to_vec()]),
            "a table without a column `image`" => ("list.csv", vec![b"photo\n".to_vec()]),
            "`\\` between folders, where there is no file of that name" => {
                ("list.csv", vec![table.replace('/', "\\").into_bytes()])
            }
            "more than 64 MiB" => ("list.csv", vec![vec![b'\n'; (64 << 20) + 1]]),
            "a line of more than 256 KiB in a table" => {
                ("list.csv", vec![format!("{table}{long}\n").into_bytes()])
            }
            "a category of more than 255 bytes, a path of more than 4096" => {
                let long = &long[..5000];
                let category = format!("image,category\nfotos/groß/2.png,{long}\n");
                let path = format!("image\n{long}\n");
                ("list.csv", vec![category.into_bytes(), path.into_bytes()])
            }
            other => panic!("nothing tries '{other}'"),
        };
        for bytes in texts {
            match (happens, read_list("manifest", &folder, name, &bytes)) {
                ("read", Ok(dataset)) => {
                    assert_eq!(dataset.problems, [], "{list}");
                    assert_eq!(dataset.samples.len(), 1, "{list}");
                }
                ("the entry is skipped, as a problem", Ok(dataset)) => {
                    assert!(
                        matches!(dataset.problems[..], [Problem::BadEntry { .. }]),
                        "{list}"
                    );
                }
                (refused, Err(error)) => {
                    let error = error.to_string();
                    let advice = match refused.strip_prefix("refused: ").unwrap() {
                        "the error lists the columns" => "only photo",
                        "the error names the line" => "(line 3)",
                        advice => advice,
                    };
                    assert!(error.contains(advice), "{list}: {error}");
                }
                (_, Ok(dataset)) => panic!("{list}: {dataset:?}"),
            }
        }
    }
}
