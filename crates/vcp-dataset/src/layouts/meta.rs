//! The `meta_<name>.json` of the official VCP-CLIP code and its relatives (VAND, `AnomalyCLIP`, …).

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::dataset::{ANOMALY, GOOD};
use crate::files::Place;
use crate::table::Listed;
use crate::{
    Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Problem, Sample, Split, files,
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

/// An object whose keys keep their order, and may repeat.
struct Ordered<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }

        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
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
        let text = files::read_text(&list)?;
        let invalid = |line, reason| Error::Invalid {
            path: list.clone(),
            line,
            reason,
        };
        let splits: Ordered<Ordered<Vec<Entry>>> = serde_json::from_str(&text)
            .map_err(|error| invalid(Some(error.line() as u64), error.to_string()))?;
        let stem = list.file_stem().unwrap_or_default().to_string_lossy();
        let name = match (&options.name, stem.strip_prefix("meta_")) {
            (Some(name), _) => name.clone(),
            (None, Some(name)) if !name.is_empty() => name.to_owned(),
            _ => files::folder_name(root, self.name()),
        };
        let mut dataset = Dataset::new(&name, root);
        let mut listed = Listed::default();
        let place = Place {
            list: &list,
            line: None,
        };
        for (split, categories) in splits.0 {
            let Some(split) = Split::parse(&split) else {
                return Err(invalid(
                    None,
                    format!("it has a split '{split}' where 'train' or 'test' was expected"),
                ));
            };
            for (category, entries) in categories.0 {
                for entry in entries {
                    // What the official script writes for a class without training images.
                    if entry.img_path.is_empty() {
                        continue;
                    }
                    let outside = options.allow_outside_root;
                    let image = place.resolve(root, &entry.img_path, outside)?;
                    if !files::is_file(&image) {
                        dataset.problems.push(place.missing_image(image));
                    } else if listed.image(&image) {
                        let sample = sample(
                            &mut dataset,
                            place,
                            image,
                            (&category, split),
                            entry,
                            outside,
                        )?;
                        dataset.samples.push(sample);
                    } else {
                        dataset.problems.push(place.duplicate_image(image));
                    }
                }
            }
        }
        Ok(dataset)
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
            names: several.iter().map(|path| files::name(path)).collect(),
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
