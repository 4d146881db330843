//! A list of one's own: CSV with a header, or JSON lines.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::files::Place;
use crate::names::{ANOMALY, GOOD};
use crate::table::{Listed, Table};
use crate::{
    Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Problem, Sample, Split, files,
    text,
};

pub(super) struct Manifest;

const NAMES: [&str; 3] = ["manifest.csv", "manifest.tsv", "manifest.jsonl"];
const COLUMNS: [&str; 6] = ["image", "mask", "label", "category", "split", "defect"];

impl Layout for Manifest {
    fn name(&self) -> &'static str {
        "manifest"
    }

    fn title(&self) -> &'static str {
        "A list of images: CSV with a header, or JSON lines"
    }

    fn describe(&self) -> &'static str {
        "ROOT/manifest.csv, manifest.tsv or manifest.jsonl   (or --manifest FILE)
image,mask,label,category,split,defect
photos/1.jpg,,normal,bottle,train,
photos/2.jpg,masks/2.png,anomalous,bottle,test,scratch
or {\"image\": \"photos/1.jpg\", \"label\": \"normal\"} on each line. Only image is needed. label: normal, good,
ok, 0 or false; anomalous, anomaly, abnormal, defect, defective, bad, ng, ko, 1 or true, in any case; if
empty, an image with a mask is anomalous. category: named like the list if empty. split: train,
validation, test or empty.
Commas, semicolons or tabs between columns; UTF-8, or UTF-16 with a byte order mark; names of up to 255
bytes. Paths begin at ROOT and may not leave it (--allow-outside-root lets them); \\ between folders will do. Mask values above 0 are
defect, above 127 in JPEG masks."
    }

    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error> {
        let list = match &options.manifest {
            Some(list) => list.clone(),
            None => default_list(self, root)?,
        };
        let name = match (&options.name, list.file_stem()) {
            (Some(name), _) => name.clone(),
            (None, Some(stem)) if stem != "manifest" => stem.to_string_lossy().into_owned(),
            (None, _) => files::folder_name(root, self.name()),
        };
        let mut reading = Reading {
            dataset: Dataset::new(&name, root),
            list: &list,
            listed: Listed::default(),
            allow_outside_root: options.allow_outside_root,
        };
        let text = text::read(&list)?;
        if holds_json(&list, &text)? {
            for (line, text) in (1..).zip(text.lines()) {
                if text.trim().is_empty() {
                    continue;
                }
                match text::check_line(text).and_then(|()| cells(text)) {
                    Ok(cells) => reading.entry(Some(line), &cells)?,
                    Err(reason) => {
                        let place = reading.place(Some(line));
                        reading.dataset.problems.push(place.bad_entry(reason));
                    }
                }
            }
        } else {
            let table = Table::new(&list, &text, &COLUMNS)?;
            table.require(COLUMNS[0])?;
            let columns = COLUMNS.map(|name| table.column(name));
            table.rows(|line, row| {
                let cells = columns.map(|column| {
                    let cell = column.and_then(|column| row.get(column));
                    cell.unwrap_or_default().to_owned()
                });
                reading.entry(line, &cells)
            })?;
        }
        Ok(reading.dataset)
    }
}

/// Whether a list has a JSON object on each line: what its name says, or else its first letter.
fn holds_json(list: &Path, text: &str) -> Result<bool, Error> {
    let first = text.trim_start().chars().next();
    let is_named = matches!(
        files::ending(list).as_deref(),
        Some("jsonl" | "ndjson" | "json")
    );
    if first == Some('[') && is_named {
        return Err(Error::Invalid {
            path: list.to_owned(),
            line: None,
            reason: "it is one JSON array, where an object on each line was expected; \
                     `jq -c '.[]' FILE` makes such lines of it"
                .to_owned(),
        });
    }
    Ok(is_named || first == Some('{'))
}

fn default_list(layout: &Manifest, root: &Path) -> Result<PathBuf, Error> {
    let found: Vec<&str> = NAMES
        .into_iter()
        .filter(|name| files::is_file(&root.join(name)))
        .collect();
    match found.as_slice() {
        [name] => Ok(root.join(name)),
        [] => {
            // Says so if there is no such folder at all.
            files::list(root)?;
            Err(Error::Layout {
                layout: layout.name(),
                root: root.to_owned(),
                found: format!("there is neither {}", NAMES.join(" nor ")),
                expected: layout.describe(),
            })
        }
        several => Err(Error::SeveralLists {
            root: root.to_owned(),
            names: several.iter().map(|name| (*name).to_owned()).collect(),
        }),
    }
}

/// The cells of a JSON line, as a row of the table would have them.
fn cells(text: &str) -> Result<[String; 6], String> {
    let entry: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("it is not a JSON object: {error}"))?;
    let mut cells = <[String; 6]>::default();
    for (cell, name) in cells.iter_mut().zip(COLUMNS) {
        *cell = match entry.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
            Some(_) => return Err(format!("its '{name}' is neither a text nor a number")),
        };
    }
    Ok(cells)
}

struct Reading<'a> {
    dataset: Dataset,
    list: &'a Path,
    listed: Listed,
    allow_outside_root: bool,
}

impl<'a> Reading<'a> {
    fn place(&self, line: Option<u64>) -> Place<'a> {
        Place {
            list: self.list,
            line,
        }
    }

    fn entry(&mut self, line: Option<u64>, cells: &[String; 6]) -> Result<(), Error> {
        let [image, mask, label, category, split, defect] = cells;
        let place = self.place(line);
        let dataset = &mut self.dataset;
        let mut bad = |reason| dataset.problems.push(place.bad_entry(reason));
        if image.is_empty() {
            bad("it names no image".to_owned());
            return Ok(());
        }
        let checked = text::check_path(image)
            .and_then(|()| text::check_path(mask))
            .and_then(|()| text::check_name("category", category))
            .and_then(|()| text::check_name("type of defect", defect));
        if let Err(reason) = checked {
            bad(reason);
            return Ok(());
        }
        let Some(split) = Split::parse(split) else {
            let split = text::shortened(split);
            bad(format!(
                "its split is '{split}' where 'train', 'validation', 'test' or nothing was expected"
            ));
            return Ok(());
        };
        let label = match Label::parse(label) {
            Some(label) => label,
            None if !label.is_empty() => {
                let label = text::shortened(label);
                bad(format!(
                    "its label is '{label}' where 'normal', 'anomalous' or nothing was expected"
                ));
                return Ok(());
            }
            None if mask.is_empty() => Label::Normal,
            None => Label::Anomalous,
        };
        let image = place.resolve(&dataset.root, image, self.allow_outside_root)?;
        if !files::is_file(&image) {
            dataset.problems.push(place.missing_image(image));
            return Ok(());
        }
        if !self.listed.image(&image) {
            dataset.problems.push(place.duplicate_image(image));
            return Ok(());
        }
        let file = if mask.is_empty() {
            None
        } else {
            let path = place.resolve(&dataset.root, mask, self.allow_outside_root)?;
            if files::is_file(&path) {
                Some(path)
            } else {
                dataset.problems.push(Problem::MissingMask {
                    image: image.clone(),
                    expected: path,
                });
                None
            }
        };
        let mask = match (file, label) {
            (Some(path), _) => MaskSource::File {
                rule: MaskRule::usual(&path),
                path,
            },
            (None, Label::Normal) => MaskSource::None,
            (None, Label::Anomalous) => MaskSource::Unknown,
        };
        let or = |given: &String, otherwise: &str| {
            if given.is_empty() { otherwise } else { given }.to_owned()
        };
        let sample = Sample {
            id: files::id(&dataset.root, &image),
            image,
            mask,
            label,
            category: or(category, &dataset.name),
            defect: match label {
                Label::Normal => GOOD.to_owned(),
                Label::Anomalous => or(defect, ANOMALY),
            },
            split,
            group: None,
        };
        dataset.samples.push(sample);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, summary};
    use crate::{Error, Options, Problem, layout};

    fn build() -> Fixture {
        let fixture = Fixture::new();
        for image in ["a b.PNG", "sub/c.jpg", "d,ü.png", "e.png", "f.png"] {
            fixture.picture(&format!("photos/{image}"), 4, 4);
        }
        fixture.mask("masks/c.png", 4, 4, 2);
        fixture
    }

    const EXPECTED: &str = "train bottle good photos/a b.PNG -
             test bottle scratch photos/sub/c.jpg masks/c.png
             unassigned SET anomaly photos/d,ü.png ?
             validation SET good photos/e.png -
             unassigned SET anomaly photos/f.png masks/c.png";

    #[test]
    fn csv() {
        let fixture = build();
        fixture.text(
            "manifest.csv",
            "\u{feff}Label, image ,split,MASK,category,defect,comment\r\n\
             OK,photos/a b.PNG,train,,bottle,,first\r\n\
             1,photos/sub/c.jpg,TEST,masks/c.png,bottle,scratch\r\n\
             NG,\"photos/d,ü.png\",,masks/none.png\r\n\
             ,photos/e.png,val\r\n\
             ,./photos/f.png,,masks/c.png\r\n\
             \r\n\
             odd,photos/f.png\r\n\
             ,photos/f.png,sometimes\r\n\
             ,photos/gone.png\r\n\
             ,,test\r\n\
             ,photos/e.png\r\n",
        );
        let dataset = fixture.read("manifest");
        let folder = fixture.root().file_name().unwrap().to_str().unwrap();
        assert_eq!(summary(&dataset).replace(folder, "SET"), EXPECTED);
        let problems: Vec<String> = dataset.problems.iter().map(Problem::sentence).collect();
        let root = format!("{}/", fixture.root().display());
        assert_eq!(
            problems.join("\n").replace(&root, ""),
            "photos/d,ü.png has no mask; expected is masks/none.png.
An entry of manifest.csv (line 8) is skipped: its label is 'odd' where 'normal', 'anomalous' or nothing was expected.
An entry of manifest.csv (line 9) is skipped: its split is 'sometimes' where 'train', 'validation', 'test' or nothing was expected.
photos/gone.png does not exist, but manifest.csv names it (line 10).
An entry of manifest.csv (line 11) is skipped: it names no image.
photos/e.png is named a second time in manifest.csv (line 12)."
        );
    }

    #[test]
    fn an_empty_list_is_called_empty() {
        for text in ["", "\n\n", "\u{feff}"] {
            let fixture = build();
            fixture.text("manifest.csv", text);
            let manifest = layout("manifest").unwrap();
            let error = manifest.read(fixture.root(), &Options::default());
            let message = error.unwrap_err().to_string();
            assert!(message.contains("it is empty"), "{message}");
        }
    }

    #[test]
    fn json_lines() {
        let fixture = build();
        fixture.text(
            "lists/SET.jsonl",
            r#"{"image": "photos/a b.PNG", "label": false, "split": "train", "category": "bottle"}

{"image": "photos/sub/c.jpg", "mask": "masks/c.png", "label": 1, "split": "test", "category": "bottle", "defect": "scratch"}
{"image": "photos/d,ü.png", "mask": null, "label": "anomaly"}
{"image": "photos/e.png", "split": "validation", "more": [1]}
{"image": "photos/f.png", "mask": "masks/c.png"}
{"image": ["photos/f.png"]}
[]
"#,
        );
        let options = Options {
            manifest: Some(fixture.path("lists/SET.jsonl")),
            ..Options::default()
        };
        let dataset = fixture.read_with("manifest", &options);
        assert_eq!(summary(&dataset), EXPECTED);
        assert!(matches!(
            dataset.problems[..],
            [
                Problem::BadEntry { line: Some(7), .. },
                Problem::BadEntry { line: Some(8), .. }
            ]
        ));
    }

    #[test]
    fn lists_lead_elsewhere_only_when_allowed() {
        let fixture = build();
        let root = fixture.path("masks");
        let absolute = fixture.path("photos/e.png");
        for image in ["../photos/e.png", absolute.to_str().unwrap()] {
            let list = format!("image\n{image}\n");
            fixture.text("masks/manifest.csv", &list);
            let mut options = Options::default();
            let manifest = layout("manifest").unwrap();
            let error = manifest.read(&root, &options).unwrap_err();
            assert!(matches!(error, Error::OutsideRoot { .. }), "{error}");
            assert!(error.to_string().contains(image), "{error}");
            options.allow_outside_root = true;
            assert_eq!(manifest.read(&root, &options).unwrap().samples.len(), 1);
        }
        // An absolute path that stays inside is no harm.
        fixture.text("manifest.csv", &format!("image\n{}\n", absolute.display()));
        assert_eq!(fixture.read("manifest").samples.len(), 1);
    }

    #[test]
    fn lists_that_are_none() {
        for (list, expected) in [
            ("photo,mask\n1.png,\n", "no column 'image'"),
            ("image\n\"open\n", ""),
            ("", "it is empty"),
        ] {
            let fixture = build();
            fixture.text("manifest.csv", list);
            let read = layout("manifest")
                .unwrap()
                .read(fixture.root(), &Options::default());
            match read {
                Ok(dataset) => assert!(dataset.samples.is_empty() && expected.is_empty()),
                Err(error) => assert!(error.to_string().contains(expected), "{error}"),
            }
        }
        let fixture = build();
        std::fs::write(fixture.path("manifest.csv"), b"image\n\xff.png\n").unwrap();
        let read = layout("manifest")
            .unwrap()
            .read(fixture.root(), &Options::default());
        assert!(read.unwrap_err().to_string().contains("not UTF-8"));
        fixture.text("manifest.jsonl", "");
        let read = layout("manifest")
            .unwrap()
            .read(fixture.root(), &Options::default());
        assert!(matches!(read, Err(Error::SeveralLists { .. })));
    }
}
