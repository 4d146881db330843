//! `BSData` (<https://github.com/2Obe/BSData>).

use std::path::Path;

use serde::Deserialize;

use crate::files::Place;
use crate::json::{self, Entries};
use crate::labelme::Annotation;
use crate::names::GOOD;
use crate::table::Listed;
use crate::{
    Dataset, Error, Label, Layout, MaskSource, Options, Problem, Sample, Split, files, text,
};

pub(super) struct Bsdata;

const LIST: &str = "image_data.json";

#[derive(Deserialize)]
struct Entry {
    filename: String,
    train_test_split: Option<String>,
    annotations: Option<String>,
}

impl Layout for Bsdata {
    fn name(&self) -> &'static str {
        "bsdata"
    }

    fn title(&self) -> &'static str {
        "BSData: pitting on ball screw drives"
    }

    fn describe(&self) -> &'static str {
        "ROOT/image_data.json   (names, splits and annotations of all images)
ROOT/data/01_200828110529_490000_180_crop_2.jpg
ROOT/label/01_200905041126_277500_315_crop_2.json   (polygons of labelme)
One category, bsdata. Images without annotation are normal and belong to no split. The series of one
position are a group."
    }

    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error> {
        let root = files::find_root(root, |folder| files::is_file(&folder.join(LIST)))?
            .ok_or_else(|| Error::Layout {
                layout: self.name(),
                root: root.to_owned(),
                found: format!("there is no {LIST}"),
                expected: self.describe(),
            })?;
        let path = root.join(LIST);
        let text = text::read(&path)?;
        let mut dataset = Dataset::new(self.name(), &root);
        dataset.notes.push(
            "Images of BSData without annotation are taken as normal; they come from the time \
             before the first pitting of their position and belong to no split."
                .to_owned(),
        );
        let mut reading = Reading {
            dataset,
            listed: Listed::default(),
            place: Place {
                list: &path,
                line: None,
            },
            options,
            has_list: false,
        };
        json::read(&path, &text, 1, &mut reading)?;
        if !reading.has_list {
            return Err(Error::Invalid {
                path,
                line: None,
                reason: "it has no 'images'".to_owned(),
            });
        }
        let Reading {
            mut dataset,
            listed,
            ..
        } = reading;
        listed.report_others(&path, &mut dataset.problems)?;
        report_other_labels(&listed, &mut dataset)?;
        Ok(dataset)
    }
}

struct Reading<'a> {
    dataset: Dataset,
    listed: Listed,
    place: Place<'a>,
    options: &'a Options,
    has_list: bool,
}

impl Entries<'_> for Reading<'_> {
    type Entry = Entry;

    fn wants(&mut self, keys: &[String]) -> Result<bool, Error> {
        let is_list = keys.last().is_some_and(|key| key == "images");
        self.has_list |= is_list;
        Ok(is_list)
    }

    fn entry(&mut self, _: &[String], entry: Entry) -> Result<(), Error> {
        let (place, options) = (self.place, self.options);
        let dataset = &mut self.dataset;
        let checked = text::check_path(&entry.filename)
            .and_then(|()| text::check_path(entry.annotations.as_deref().unwrap_or_default()));
        if let Err(reason) = checked {
            dataset.problems.push(place.bad_entry(reason));
            return Ok(());
        }
        let folder = dataset.root.join("data");
        let image = place.resolve(&folder, &entry.filename, options.allow_outside_root)?;
        if !files::is_file(&image) {
            dataset.problems.push(place.missing_image(image));
        } else if self.listed.image(&image) {
            add(dataset, &mut self.listed, place, image, &entry, options)?;
        } else {
            dataset.problems.push(place.duplicate_image(image));
        }
        Ok(())
    }
}

fn add(
    dataset: &mut Dataset,
    listed: &mut Listed,
    place: Place<'_>,
    image: std::path::PathBuf,
    entry: &Entry,
    options: &Options,
) -> Result<(), Error> {
    let split = entry.train_test_split.as_deref().unwrap_or_default();
    let Some(split) = Split::parse(split) else {
        dataset.problems.push(place.bad_entry(format!(
            "the split of {} is '{}' where 'train', 'test' or null was expected",
            text::shortened(&entry.filename),
            text::shortened(split)
        )));
        return Ok(());
    };
    let mut defect = GOOD.to_owned();
    let (label, mask) = match &entry.annotations {
        None => (Label::Normal, MaskSource::None),
        Some(name) => {
            let label_folder = dataset.root.join("label");
            let path = place.resolve(&label_folder, name, options.allow_outside_root)?;
            crate::names::ANOMALY.clone_into(&mut defect);
            listed.mask(&path);
            let mask = if files::is_file(&path) {
                match Annotation::read(&path) {
                    Ok(annotation) => {
                        defect = annotation.defect();
                        MaskSource::Labelme { path }
                    }
                    Err(error) => {
                        dataset.problems.push(Problem::UnreadableMask {
                            image: image.clone(),
                            mask: path,
                            reason: error.to_string(),
                        });
                        MaskSource::Unknown
                    }
                }
            } else {
                dataset.problems.push(Problem::MissingMask {
                    image: image.clone(),
                    expected: path,
                });
                MaskSource::Unknown
            };
            (Label::Anomalous, mask)
        }
    };
    dataset.samples.push(Sample {
        id: files::id(&dataset.root, &image),
        group: position(&files::name(&image)),
        image,
        mask,
        label,
        category: dataset.name.clone(),
        defect,
        split,
    });
    Ok(())
}

/// The place on the spindle that an image of a series shows: `490000_180_crop_2` for
/// `01_200828110529_490000_180_crop_2.jpg`. The other images stand for themselves.
fn position(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".jpg")?;
    let (_, series) = stem.strip_prefix("01_")?.split_once('_')?;
    Some(series.to_owned())
}

/// The annotations that no image has.
fn report_other_labels(listed: &Listed, dataset: &mut Dataset) -> Result<(), Error> {
    let folder = dataset.root.join("label");
    if !folder.is_dir() {
        return Ok(());
    }
    for mask in files::list(&folder)?.files {
        if files::ending(&mask).as_deref() == Some("json") && !listed.names_mask(&mask) {
            let image = mask.file_stem().unwrap_or_default();
            dataset.problems.push(Problem::ExtraMask {
                expected: dataset.root.join("data").join(image).with_extension("jpg"),
                mask,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use vcp_image::DecodeOptions;

    use crate::testing::{Fixture, defect_pixels, summary};
    use crate::{Error, Options, Problem, Split, layout};

    fn annotation(shapes: &str, width: u32) -> String {
        format!(
            r#"{{"version":"4.5.6","flags":{{}},"shapes":[{shapes}],"imagePath":"a.jpg",
            "imageData":"/9j/4AAQ","imageHeight":6,"imageWidth":{width}}}"#
        )
    }

    const SQUARE: &str = r#"{"label":"Pitting","points":[[1,1],[4,1],[4,3],[1,3]],"shape_type":"polygon","flags":{}}"#;

    #[test]
    fn the_list_and_the_polygons_are_read() {
        let fixture = Fixture::new();
        let names = [
            "01_2008_49_180_crop_2",
            "01_2009_49_180_crop_2",
            "KGT1 ü",
            "lost",
            "left",
        ];
        for name in names {
            fixture.picture(&format!("data/{name}.jpg"), 8, 6);
        }
        fixture.text(
            "image_data.json",
            r#"{"images":[
            {"filename":"01_2009_49_180_crop_2.jpg","train_test_split":"test","type":2,"annotations":"01_2009_49_180_crop_2.json"},
            {"filename":"01_2008_49_180_crop_2.jpg","train_test_split":null,"type":2,"wear_dev":["x"],"annotations":null},
            {"filename":"KGT1 ü.jpg","train_test_split":"train","type":1,"wear_dev":null,"annotations":"KGT1 ü.json"},
            {"filename":"KGT1 ü.jpg","train_test_split":"train","type":1,"annotations":"KGT1 ü.json"},
            {"filename":"lost.jpg","train_test_split":"train","type":1,"annotations":"lost.json"},
            {"filename":"gone.jpg","train_test_split":"train","type":1,"annotations":"gone.json"}]}"#,
        );
        fixture.text("label/01_2009_49_180_crop_2.json", &annotation(SQUARE, 8));
        let others = r#"{"label":"Rust","points":[[5,0],[8,2]],"shape_type":"rectangle"},
            {"label":"Pitting","points":[[1.5,4.5],[2.2,4.5]],"shape_type":"circle"}"#;
        fixture.text("label/KGT1 ü.json", &annotation(others, 9));
        fixture.text("label/nobody.json", &annotation(SQUARE, 8));

        let mut dataset = fixture.read("bsdata");
        assert_eq!(
            summary(&dataset),
            "test bsdata Pitting data/01_2009_49_180_crop_2.jpg label/01_2009_49_180_crop_2.json
             unassigned bsdata good data/01_2008_49_180_crop_2.jpg -
             train bsdata Pitting+Rust data/KGT1 ü.jpg label/KGT1 ü.json
             train bsdata anomaly data/lost.jpg ?"
        );
        assert!(matches!(
            dataset.problems[..],
            [
                Problem::DuplicateImage { .. },
                Problem::MissingMask { .. },
                Problem::MissingImage { .. },
                Problem::UnlistedImage { .. },
                Problem::ExtraMask { .. }
            ]
        ));
        let groups: Vec<_> = dataset
            .samples
            .iter()
            .map(|sample| sample.group.as_deref())
            .collect();
        let group = Some("49_180_crop_2");
        assert_eq!(groups, [group, group, None, None]);

        let options = DecodeOptions::default();
        let mask = dataset.samples[0].load_mask(8, 6, &options).unwrap();
        assert_eq!(mask.row(1), [0, 255, 255, 255, 255, 0, 0, 0]);
        assert_eq!(defect_pixels(mask.pixels()), 12);
        // Its annotation is for an image of another width.
        assert!(matches!(
            dataset.samples[2].load_mask(8, 6, &options),
            Err(Error::MaskSize {
                mask_size: (9, 6),
                ..
            })
        ));
        let mask = dataset.samples[2].load_mask(9, 6, &options).unwrap();
        assert_eq!(mask.row(1), [0, 0, 0, 0, 0, 255, 255, 255, 255]);
        assert_eq!(mask.row(4), [0, 255, 0, 0, 0, 0, 0, 0, 0]);

        dataset.split_by_group();
        let splits: Vec<Split> = dataset.samples.iter().map(|it| it.split).collect();
        // The unassigned image shows the same place as the one for testing.
        assert_eq!(
            splits,
            [Split::Test, Split::Test, Split::Train, Split::Train]
        );
    }

    #[test]
    fn annotations_that_cannot_be_read_are_reported() {
        let far = SQUARE.replace("[4,1]", "[4,1e300]");
        let line = SQUARE.replace("polygon", "linestrip");
        let two = SQUARE.replace("[1,1],[4,1],", "");
        let many = format!(
            r#"{{"label":"x","points":[{}[1,1]]}}"#,
            "[1,1],".repeat(100_000)
        );
        for shapes in [&far, &line, &two, &many, "}"] {
            let fixture = Fixture::new();
            fixture.picture("data/a.jpg", 8, 6);
            fixture.text(
                "image_data.json",
                r#"{"images":[{"filename":"a.jpg","train_test_split":"train","annotations":"a.json"}]}"#,
            );
            fixture.text("label/a.json", &annotation(shapes, 8));
            let dataset = fixture.read("bsdata");
            assert!(
                matches!(dataset.problems[..], [Problem::UnreadableMask { .. }]),
                "{:?}",
                dataset.problems
            );
            assert_eq!(summary(&dataset), "train bsdata anomaly data/a.jpg ?");
        }
    }

    #[test]
    fn lists_that_lead_elsewhere_or_are_none_are_refused() {
        let entry = |filename: &str, annotations: &str| {
            format!(
                r#"{{"images":[{{"filename":"{filename}","train_test_split":"train","annotations":"{annotations}"}}]}}"#
            )
        };
        for (list, is_outside) in [
            (entry("../image_data.json", "a.json"), true),
            (entry("a.jpg", "/etc/passwd"), true),
            ("[1]".to_owned(), false),
        ] {
            let fixture = Fixture::new();
            fixture.picture("data/a.jpg", 8, 6);
            fixture.text("image_data.json", &list);
            let read = layout("bsdata")
                .unwrap()
                .read(fixture.root(), &Options::default());
            let error = read.unwrap_err();
            assert_eq!(
                matches!(error, Error::OutsideRoot { .. }),
                is_outside,
                "{error}"
            );
        }
    }
}
