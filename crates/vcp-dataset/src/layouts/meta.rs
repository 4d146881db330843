//! The `meta_<name>.json` of the official VCP-CLIP code and its relatives (VAND, `AnomalyCLIP`, …).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files::Place;
use crate::json::{self, Entries};
use crate::names::{ANOMALY, GOOD};
use crate::table::Listed;
use crate::{
    Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Problem, Sample, Split, files,
    text,
};

pub(super) struct Meta;

#[derive(Deserialize)]
struct Entry {
    img_path: String,
    #[serde(default)]
    mask_path: Option<String>,
    #[serde(default)]
    specie_name: String,
    anomaly: u8,
}

impl Layout for Meta {
    fn name(&self) -> &'static str {
        "meta"
    }

    fn title(&self) -> &'static str {
        "Data prepared for the official VCP-CLIP code: meta_<name>.json"
    }

    fn describe(&self) -> &'static str {
        "ROOT/meta_mvtec.json   (or the only meta*.json in ROOT, or --manifest FILE)
{\"train\": {\"bottle\": [{\"img_path\": \"mvtec/bottle/train/good/mvtec_000045.bmp\", \"mask_path\": \"\",
 \"cls_name\": \"bottle\", \"specie_name\": \"good\", \"anomaly\": 0}, …]}, \"test\": {…}}
Paths begin at ROOT and may not leave it (--allow-outside-root lets them). Every mask value above 0 is
defect. What the official code prepared runs unchanged."
    }

    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error> {
        let list = match &options.manifest {
            Some(list) => list.clone(),
            None => default_list(self, root, options.name.as_deref())?,
        };
        let text = text::read(&list)?;
        let stem = list.file_stem().unwrap_or_default().to_string_lossy();
        let name = match (&options.name, stem.strip_prefix("meta_")) {
            (Some(name), _) => name.clone(),
            (None, Some(name)) if !name.is_empty() => name.to_owned(),
            _ => files::folder_name(root, self.name()),
        };
        let mut reading = Reading {
            dataset: Dataset::new(&name, root),
            listed: Listed::default(),
            place: Place {
                list: &list,
                line: None,
            },
            allow_outside_root: options.allow_outside_root,
        };
        json::read(&list, &text, 2, &mut reading)?;
        Ok(reading.dataset)
    }
}

struct Reading<'a> {
    dataset: Dataset,
    listed: Listed,
    place: Place<'a>,
    allow_outside_root: bool,
}

/// Under a split and a category.
impl Entries<'_> for Reading<'_> {
    type Entry = Entry;

    fn wants(&mut self, keys: &[String]) -> Result<bool, Error> {
        let reason = match keys {
            [split] if Split::parse(split).is_none() => format!(
                "it has a split '{}' where 'train' or 'test' was expected",
                text::shortened(split)
            ),
            [_, category] => match text::check_name("category", category) {
                Ok(()) => return Ok(true),
                Err(reason) => reason,
            },
            _ => return Ok(true),
        };
        Err(Error::Invalid {
            path: self.place.list.to_owned(),
            line: None,
            reason,
        })
    }

    fn entry(&mut self, keys: &[String], entry: Entry) -> Result<(), Error> {
        let [split, category] = keys else {
            return Ok(());
        };
        // What the official script writes for a class without training images has no image.
        let Some(split) = Split::parse(split).filter(|_| !entry.img_path.is_empty()) else {
            return Ok(());
        };
        let checked = text::check_path(&entry.img_path)
            .and_then(|()| text::check_path(entry.mask_path.as_deref().unwrap_or_default()))
            .and_then(|()| text::check_name("type of defect", &entry.specie_name));
        if let Err(reason) = checked {
            self.dataset.problems.push(self.place.bad_entry(reason));
            return Ok(());
        }
        let (place, outside) = (self.place, self.allow_outside_root);
        let dataset = &mut self.dataset;
        let image = place.resolve(&dataset.root, &entry.img_path, outside)?;
        if !files::is_file(&image) {
            dataset.problems.push(place.missing_image(image));
        } else if self.listed.image(&image) {
            let sample = sample(dataset, place, image, (category, split), entry, outside)?;
            dataset.samples.push(sample);
        } else {
            dataset.problems.push(place.duplicate_image(image));
        }
        Ok(())
    }
}

fn default_list(layout: &Meta, root: &Path, name: Option<&str>) -> Result<PathBuf, Error> {
    let mut found = files::list(root)?.files;
    let wanted = name.map(|name| format!("meta_{name}.json"));
    found.retain(|path| {
        let file = files::name(path);
        match &wanted {
            Some(wanted) => file == *wanted,
            None => file.starts_with("meta") && files::ending(path).as_deref() == Some("json"),
        }
    });
    match found.as_slice() {
        [] => Err(Error::Layout {
            layout: layout.name(),
            root: root.to_owned(),
            found: format!(
                "there is no {}",
                wanted.as_deref().unwrap_or("meta_<name>.json")
            ),
            expected: layout.describe(),
        }),
        [list] => Ok(list.clone()),
        several => Err(Error::SeveralLists {
            root: root.to_owned(),
            names: several
                .iter()
                .take(20)
                .map(|path| files::name(path))
                .collect(),
        }),
    }
}

fn sample(
    dataset: &mut Dataset,
    place: Place<'_>,
    image: PathBuf,
    (category, split): (&str, Split),
    entry: Entry,
    allow_outside_root: bool,
) -> Result<Sample, Error> {
    let (label, mask, defect) = if entry.anomaly == 0 {
        // Whatever the list calls it, this is what all layouts call normal images.
        (Label::Normal, MaskSource::None, GOOD.to_owned())
    } else {
        let named = entry.mask_path.as_deref().unwrap_or_default();
        let path = place.resolve(&dataset.root, named, allow_outside_root)?;
        let mask = if files::is_file(&path) {
            // Also for JPEG, as in the official code.
            MaskSource::File {
                path,
                rule: MaskRule::AboveZero,
            }
        } else {
            dataset.problems.push(Problem::MissingMask {
                image: image.clone(),
                expected: path,
            });
            MaskSource::Unknown
        };
        let defect = if entry.specie_name.is_empty() {
            ANOMALY.to_owned()
        } else {
            entry.specie_name
        };
        (Label::Anomalous, mask, defect)
    };
    Ok(Sample {
        id: files::id(&dataset.root, &image),
        image,
        mask,
        label,
        category: category.to_owned(),
        defect,
        split,
        group: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, summary};
    use crate::{Error, Options, Problem, layout};

    const LIST: &str = r#"{
    "train": {
        "wood": [{"img_path": "", "mask_path": "", "cls_name": "wood", "specie_name": "good", "dataset_name": "", "anomaly": 0}],
        "bottle": [
            {"img_path": "mvtec/bottle/train/good/mvtec_000045.bmp", "mask_path": "", "cls_name": "bottle", "specie_name": "good", "dataset_name": "mvtec", "anomaly": 0}
        ]
    },
    "test": {
        "wood": [
            {"img_path": "mvtec/wood/test/anomaly/mvtec_hole_000226.bmp", "mask_path": "mvtec/wood/ground_truth/anomaly/mvtec_hole_000226.png", "cls_name": "wood", "specie_name": "anomaly", "dataset_name": "mvtec", "anomaly": 1},
            {"img_path": "mvtec/wood/test/anomaly/mvtec_hole_000227.bmp", "mask_path": "mvtec/wood/ground_truth/anomaly/mvtec_hole_000227.png", "cls_name": "wood", "specie_name": "anomaly", "dataset_name": "mvtec", "anomaly": 1},
            {"img_path": "mvtec/wood/test/good/gone.bmp", "mask_path": "", "cls_name": "wood", "specie_name": "good", "anomaly": 0}
        ],
        "bottle": []
    }
}
"#;

    #[test]
    fn official_lists_are_read_in_their_order() {
        let fixture = Fixture::new();
        fixture.text("meta_mvtec.json", LIST);
        for image in [
            "bottle/train/good/mvtec_000045",
            "wood/test/anomaly/mvtec_hole_000226",
            "wood/test/anomaly/mvtec_hole_000227",
        ] {
            fixture.picture(&format!("mvtec/{image}.bmp"), 4, 4);
        }
        fixture.mask(
            "mvtec/wood/ground_truth/anomaly/mvtec_hole_000226.png",
            4,
            4,
            1,
        );
        let dataset = fixture.read("meta");
        assert_eq!(dataset.name, "mvtec");
        assert_eq!(
            summary(&dataset).replace("mvtec/", ""),
            "train bottle good bottle/train/good/mvtec_000045.bmp -
             test wood anomaly wood/test/anomaly/mvtec_hole_000226.bmp wood/ground_truth/anomaly/mvtec_hole_000226.png
             test wood anomaly wood/test/anomaly/mvtec_hole_000227.bmp ?"
        );
        assert!(matches!(
            dataset.problems[..],
            [Problem::MissingMask { .. }, Problem::MissingImage { .. }]
        ));
    }

    #[test]
    fn one_of_several_lists_is_chosen_by_name() {
        let fixture = Fixture::new();
        fixture.picture("a/1.png", 4, 4);
        fixture.text("meta_mvtec.json", r#"{"train": {}, "test": {}}"#);
        // Some relatives begin the splits with capitals.
        fixture.text(
            "meta_visa.json",
            r#"{"Train": {}, "Test": {"a": [{"img_path": "a/1.png", "mask_path": "", "anomaly": 1}]}}"#,
        );
        let meta = layout("meta").unwrap();
        let mut options = Options::default();
        let error = meta.read(fixture.root(), &options).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("meta_mvtec.json, meta_visa.json"),
            "{error}"
        );
        options.name = Some("visa".to_owned());
        let dataset = meta.read(fixture.root(), &options).unwrap();
        assert_eq!(summary(&dataset), "test a anomaly a/1.png ?");
    }

    #[test]
    fn lists_that_are_none_or_lead_elsewhere_are_refused() {
        let entry = r#"{"img_path": "../x.png", "mask_path": "", "anomaly": 0}"#;
        for (list, is_outside) in [
            (format!(r#"{{"test": {{"a": [{entry}]}}}}"#), true),
            (r#"{"test": {"a": [{"mask_path": ""}]}}"#.to_owned(), false),
            (r#"{"exam": {"a": []}}"#.to_owned(), false),
            ("[".repeat(100_000), false),
        ] {
            let fixture = Fixture::new();
            fixture.text("meta.json", &list);
            let read = layout("meta")
                .unwrap()
                .read(fixture.root(), &Options::default());
            let error = read.unwrap_err();
            assert_eq!(
                matches!(error, Error::OutsideRoot { .. }),
                is_outside,
                "{error}"
            );
            assert!(
                is_outside || matches!(error, Error::Invalid { .. }),
                "{error}"
            );
        }
    }
}
