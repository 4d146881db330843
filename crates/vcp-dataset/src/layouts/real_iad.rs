//! Real-IAD (<https://realiad4ad.github.io/Real-IAD>).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files::Place;
use crate::names::{ANOMALY, GOOD};
use crate::table::Listed;
use crate::{
    Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Problem, Sample, Split, files,
    text,
};

pub(super) struct RealIad;

/// A category's list.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    meta: Meta,
    #[serde(default)]
    train: Vec<Entry>,
    #[serde(default)]
    test: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(default)]
struct Meta {
    normal_class: String,
    /// The folder of the category's images.
    prefix: String,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            normal_class: "OK".to_owned(),
            prefix: String::new(),
        }
    }
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    category: Option<String>,
    anomaly_class: String,
    image_path: String,
    #[serde(default)]
    mask_path: Option<String>,
}

/// Folders in which the lists may lie; the archive holds a folder of its own name.
const LISTS: [&str; 3] = ["realiad_jsons/realiad_jsons", "realiad_jsons", ""];
/// Folders of the same images in several sizes, the largest first.
const IMAGES: [&str; 5] = [
    "realiad_1024",
    "realiad_raw",
    "realiad_512",
    "realiad_256",
    "",
];
/// Entries that are tried to find out in which folder a list's images lie.
const TRIED: usize = 50;

impl Layout for RealIad {
    fn name(&self) -> &'static str {
        "real-iad"
    }

    fn title(&self) -> &'static str {
        "Real-IAD: thirty products from five sides, listed in JSON files"
    }

    fn describe(&self) -> &'static str {
        "ROOT/realiad_jsons/audiojack.json   (also realiad_jsons/realiad_jsons; or --manifest with one list
                                     or a folder of lists, such as realiad_jsons_sv)
ROOT/realiad_1024/audiojack/OK/S0001/….jpg   (or realiad_512, realiad_256, realiad_raw)
ROOT/realiad_1024/audiojack/NG/BX/S0001/….jpg and .png
One list per category: {\"meta\": {\"normal_class\": \"OK\", \"prefix\": \"audiojack/\"}, \"train\": [{\"category\":
\"audiojack\", \"anomaly_class\": \"OK\", \"image_path\": \"OK/S0001/….jpg\", \"mask_path\": null}, …],
\"test\": […]}. Every mask value above 0 is defect. Photos of one object are a group."
    }

    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error> {
        let lists = match &options.manifest {
            Some(list) if list.is_dir() => lists_in(list)?,
            Some(list) => vec![list.clone()],
            None => {
                // Says so if there is no such folder at all.
                files::list(root)?;
                let mut lists = Vec::new();
                for folder in LISTS {
                    let folder = root.join(folder);
                    if lists.is_empty() && folder.is_dir() {
                        lists = lists_in(&folder)?;
                    }
                }
                lists
            }
        };
        if lists.is_empty() {
            return Err(Error::Layout {
                layout: self.name(),
                root: root.to_owned(),
                found: "there is no realiad_jsons/CATEGORY.json".to_owned(),
                expected: self.describe(),
            });
        }
        let mut reading = Reading {
            dataset: Dataset::new(self.name(), root),
            listed: Listed::default(),
            anywhere: options.allow_outside_root,
        };
        for path in lists {
            let text = text::read(&path)?;
            let list: List = serde_json::from_str(&text).map_err(|error| Error::Invalid {
                path: path.clone(),
                line: Some(error.line() as u64),
                reason: error.to_string(),
            })?;
            reading.list(&path, list)?;
        }
        Ok(reading.dataset)
    }
}

fn lists_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut lists = files::list(folder)?.files;
    lists.retain(|path| files::ending(path).as_deref() == Some("json"));
    Ok(lists)
}

struct Reading {
    dataset: Dataset,
    listed: Listed,
    anywhere: bool,
}

impl Reading {
    fn list(&mut self, path: &Path, list: List) -> Result<(), Error> {
        let List { meta, train, test } = list;
        let category = path.file_stem().unwrap_or_default().to_string_lossy();
        let place = Place {
            list: path,
            line: None,
        };
        if let Err(reason) = text::check_path(&meta.prefix) {
            self.dataset.problems.push(place.bad_entry(reason));
            return Ok(());
        }
        let base = self.base(place, &meta, &category, train.iter().chain(&test))?;
        for (split, entries) in [(Split::Train, train), (Split::Test, test)] {
            for entry in entries {
                self.entry(place, &base, &meta, (&category, split), entry)?;
            }
        }
        Ok(())
    }

    /// The folder below the root at which the list's paths begin: the first in which there is one of its
    /// images.
    fn base<'e>(
        &self,
        place: Place<'_>,
        meta: &Meta,
        category: &str,
        entries: impl Iterator<Item = &'e Entry>,
    ) -> Result<String, Error> {
        let prefix = meta.prefix.trim_end_matches('/');
        let bases: Vec<String> = IMAGES
            .iter()
            .flat_map(|images| [prefix, category, ""].map(|below| joined(images, below)))
            .collect();
        let usable = entries.filter(|entry| text::check_path(&entry.image_path).is_ok());
        for entry in usable.take(TRIED) {
            for base in &bases {
                let image = joined(base, &entry.image_path);
                let image = place.resolve(&self.dataset.root, &image, self.anywhere)?;
                if files::is_file(&image) {
                    return Ok(base.clone());
                }
            }
        }
        // None is there, and each will be reported where it is usual.
        Ok(bases.into_iter().next().unwrap_or_default())
    }

    fn entry(
        &mut self,
        place: Place<'_>,
        base: &str,
        meta: &Meta,
        (category, split): (&str, Split),
        entry: Entry,
    ) -> Result<(), Error> {
        let dataset = &mut self.dataset;
        let checked = text::check_path(&entry.image_path)
            .and_then(|()| text::check_path(entry.mask_path.as_deref().unwrap_or_default()))
            .and_then(|()| text::check_name("type of defect", &entry.anomaly_class))
            .and_then(|()| {
                let category = entry.category.as_deref().unwrap_or_default();
                text::check_name("category", category)
            });
        if let Err(reason) = checked {
            dataset.problems.push(place.bad_entry(reason));
            return Ok(());
        }
        let named = joined(base, &entry.image_path);
        let image = place.resolve(&dataset.root, &named, self.anywhere)?;
        if !files::is_file(&image) {
            dataset.problems.push(place.missing_image(image));
            return Ok(());
        }
        if !self.listed.image(&image) {
            dataset.problems.push(place.duplicate_image(image));
            return Ok(());
        }
        let is_normal = entry.anomaly_class == meta.normal_class;
        let mask = match entry.mask_path.as_deref() {
            None | Some("") => None,
            Some(named) => {
                let named = joined(base, named);
                Some(place.resolve(&dataset.root, &named, self.anywhere)?)
            }
        };
        let (label, mask, defect) = if is_normal {
            (Label::Normal, MaskSource::None, GOOD.to_owned())
        } else {
            let mask = match mask {
                Some(path) if files::is_file(&path) => MaskSource::File {
                    path,
                    rule: MaskRule::AboveZero,
                },
                lost => {
                    dataset.problems.push(Problem::MissingMask {
                        expected: lost.unwrap_or_else(|| image.with_extension("png")),
                        image: image.clone(),
                    });
                    MaskSource::Unknown
                }
            };
            let defect = match entry.anomaly_class {
                name if name.is_empty() => ANOMALY.to_owned(),
                name => name,
            };
            (Label::Anomalous, mask, defect)
        };
        // The photos of one object, from five sides, lie in a folder of its own.
        let object = image
            .parent()
            .map(|folder| files::id(&dataset.root, folder));
        dataset.samples.push(Sample {
            id: files::id(&dataset.root, &image),
            image,
            mask,
            label,
            category: entry.category.unwrap_or_else(|| category.to_owned()),
            defect,
            split,
            group: object,
        });
        Ok(())
    }
}

/// Two parts of a path in a list, of which either may be empty.
fn joined(first: &str, second: &str) -> String {
    match (first, second) {
        ("", path) | (path, "") => path.to_owned(),
        (first, second) => format!("{first}/{second}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, summary};
    use crate::{Error, Options, Problem, layout};

    const LIST: &str = r#"{"meta": {"normal_class": "OK", "prefix": "audiojack/"},
"train": [{"category": "audiojack", "anomaly_class": "OK", "image_path": "OK/S0001/a_C1.jpg", "mask_path": null}],
"test": [
{"category": "audiojack", "anomaly_class": "OK", "image_path": "OK/S0002/b_C1.jpg", "mask_path": null},
{"category": "audiojack", "anomaly_class": "BX", "image_path": "NG/BX/S0003/c_C1.jpg", "mask_path": "NG/BX/S0003/c_C1.png"},
{"category": "audiojack", "anomaly_class": "BX", "image_path": "NG/BX/S0003/c_C2.jpg", "mask_path": "NG/BX/S0003/c_C2.png"},
{"category": "audiojack", "anomaly_class": "OK", "image_path": "OK/S0009/gone.jpg", "mask_path": null}]}"#;

    #[test]
    fn lists_are_read_wherever_the_archives_were_unpacked() {
        for (lists, images) in [
            ("realiad_jsons/", "realiad_1024/audiojack/"),
            ("realiad_jsons/realiad_jsons/", "realiad_256/audiojack/"),
            ("", "audiojack/"),
            ("realiad_jsons/", ""),
        ] {
            let fixture = Fixture::new();
            fixture.text(&format!("{lists}audiojack.json"), LIST);
            for image in [
                "OK/S0001/a_C1",
                "OK/S0002/b_C1",
                "NG/BX/S0003/c_C1",
                "NG/BX/S0003/c_C2",
            ] {
                fixture.picture(&format!("{images}{image}.jpg"), 8, 8);
            }
            fixture.mask(&format!("{images}NG/BX/S0003/c_C1.png"), 8, 8, 3);
            let dataset = fixture.read("real-iad");
            let found = summary(&dataset);
            let found = if images.is_empty() {
                found
            } else {
                found.replace(images, "")
            };
            assert_eq!(
                found,
                "train audiojack good OK/S0001/a_C1.jpg -
             test audiojack good OK/S0002/b_C1.jpg -
             test audiojack BX NG/BX/S0003/c_C1.jpg NG/BX/S0003/c_C1.png
             test audiojack BX NG/BX/S0003/c_C2.jpg ?",
                "{lists} {images}"
            );
            assert_eq!(dataset.samples[2].group, dataset.samples[3].group);
            assert_ne!(dataset.samples[0].group, dataset.samples[1].group);
            assert!(matches!(
                dataset.problems[..],
                [Problem::MissingMask { .. }, Problem::MissingImage { .. }]
            ));
        }
    }

    #[test]
    fn lists_that_lead_elsewhere_or_are_none_are_refused() {
        let outside = LIST.replace("OK/S0001/a_C1.jpg", "../../../a.jpg");
        for (list, is_outside) in [(outside.as_str(), true), (r#"{"train": 3}"#, false)] {
            let fixture = Fixture::new();
            fixture.text("realiad_jsons/audiojack.json", list);
            let error = layout("real-iad")
                .unwrap()
                .read(fixture.root(), &Options::default())
                .unwrap_err();
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
