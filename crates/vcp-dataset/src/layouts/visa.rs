//! `VisA` (<https://github.com/amazon-science/spot-diff>).

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use crate::files::Place;
use crate::names::{ANOMALY, GOOD};
use crate::official::VISA;
use crate::table::{Listed, Table};
use crate::{
    Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Problem, Sample, Split, files,
    text,
};

pub(super) struct Visa;

const LIST: &str = "split_csv/1cls.csv";
const COLUMNS: [&str; 5] = ["object", "split", "label", "image", "mask"];

impl Layout for Visa {
    fn name(&self) -> &'static str {
        "visa"
    }

    fn title(&self) -> &'static str {
        "VisA, with its one-class split"
    }

    fn describe(&self) -> &'static str {
        "ROOT/split_csv/1cls.csv   (object,split,label,image,mask)
ROOT/candle/Data/Images/Normal/0000.JPG
ROOT/candle/Data/Images/Anomaly/000.JPG
ROOT/candle/Data/Masks/Anomaly/000.png
ROOT/candle/image_anno.csv   (names the defect types; may be missing)
ROOT may hold the archive's top folder. Masks number their defects 1, 2, 3: every value above 0 is
defect."
    }

    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error> {
        let root = files::find_root(root, |folder| files::is_file(&folder.join(LIST)))?
            .ok_or_else(|| Error::Layout {
                layout: self.name(),
                root: root.to_owned(),
                found: format!("there is no {LIST}"),
                expected: self.describe(),
            })?;
        let list = root.join(LIST);
        let text = text::read(&list)?;
        let table = Table::new(&list, &text, &COLUMNS)?;
        let mut columns = [0; COLUMNS.len()];
        for (column, name) in columns.iter_mut().zip(COLUMNS) {
            *column = table.require(name)?;
        }
        let mut reading = Reading {
            dataset: Dataset::new(self.name(), &root),
            list: &list,
            listed: Listed::default(),
            options,
        };
        table.rows(|line, row| {
            let cells = columns.map(|column| row.get(column).unwrap_or_default());
            reading.row(line, cells)
        })?;
        let Reading {
            mut dataset,
            listed,
            ..
        } = reading;
        // As the official converter goes through them: object by object, training before test
        // images, each in the list's order, which a stable sort keeps.
        let objects: HashMap<String, usize> = dataset
            .categories()
            .into_iter()
            .enumerate()
            .map(|(index, name)| (name, index))
            .collect();
        dataset.samples.sort_by_cached_key(|sample| {
            let name = &sample.category;
            let official = VISA.iter().position(|known| known == name);
            (
                official.unwrap_or(usize::MAX),
                objects.get(name).copied(),
                sample.split,
            )
        });
        name_defects(&mut dataset)?;
        listed.report_others(&list, &mut dataset.problems)?;
        Ok(dataset)
    }
}

struct Reading<'a> {
    dataset: Dataset,
    list: &'a Path,
    listed: Listed,
    options: &'a Options,
}

impl Reading<'_> {
    fn row(
        &mut self,
        line: Option<u64>,
        [object, split, label, image, mask]: [&str; 5],
    ) -> Result<(), Error> {
        let place = Place {
            list: self.list,
            line,
        };
        let problems = &mut self.dataset.problems;
        let checked = text::check_name("object", object)
            .and_then(|()| text::check_path(image))
            .and_then(|()| text::check_path(mask));
        if let Err(reason) = checked {
            problems.push(place.bad_entry(reason));
            return Ok(());
        }
        let Some(split @ (Split::Train | Split::Test)) = Split::parse(split) else {
            problems.push(place.bad_entry(format!(
                "its split is '{}' where 'train' or 'test' was expected",
                text::shortened(split)
            )));
            return Ok(());
        };
        let label = match label {
            "normal" => Label::Normal,
            "anomaly" => Label::Anomalous,
            other => {
                problems.push(place.bad_entry(format!(
                    "its label is '{}' where 'normal' or 'anomaly' was expected",
                    text::shortened(other)
                )));
                return Ok(());
            }
        };
        let outside = self.options.allow_outside_root;
        let path = place.resolve(&self.dataset.root, image, outside)?;
        if !files::is_file(&path) {
            problems.push(place.missing_image(path));
            return Ok(());
        }
        if !self.listed.image(&path) {
            problems.push(place.duplicate_image(path));
            return Ok(());
        }
        let mask = match label {
            Label::Normal => MaskSource::None,
            Label::Anomalous => {
                let file = place.resolve(&self.dataset.root, mask, outside)?;
                if files::is_file(&file) {
                    self.listed.mask(&file);
                    MaskSource::File {
                        path: file,
                        rule: MaskRule::AboveZero,
                    }
                } else {
                    problems.push(Problem::MissingMask {
                        image: path.clone(),
                        expected: file,
                    });
                    MaskSource::Unknown
                }
            }
        };
        let defect = match label {
            Label::Normal => GOOD,
            // Until the object's annotations are read.
            Label::Anomalous => ANOMALY,
        };
        self.dataset.samples.push(Sample {
            id: files::id(&self.dataset.root, &path),
            image: path,
            mask,
            label,
            category: object.to_owned(),
            defect: defect.to_owned(),
            split,
            group: None,
        });
        Ok(())
    }
}

/// Gives anomalous samples the defect types of their objects' annotations: several, if there are
/// several, separated by commas. Of the annotations, only what is said of samples is kept.
fn name_defects(dataset: &mut Dataset) -> Result<(), Error> {
    let mut objects: BTreeMap<String, HashMap<PathBuf, usize>> = BTreeMap::new();
    for (index, sample) in dataset.samples.iter().enumerate() {
        let mut parts = Path::new(&sample.category).components();
        let is_folder =
            matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none();
        if sample.label == Label::Anomalous && is_folder {
            let images = objects.entry(sample.category.clone()).or_default();
            images.insert(sample.image.clone(), index);
        }
    }
    for (object, images) in objects {
        let folder = dataset.root.join(&object);
        let path = folder.join("image_anno.csv");
        if !files::is_file(&path) {
            continue;
        }
        let content = text::read(&path)?;
        let table = Table::new(&path, &content, &["image", "label", "mask"])?;
        let (Some(image), Some(label)) = (table.column("image"), table.column("label")) else {
            continue;
        };
        table.rows(|line, row| {
            let (Some(image), Some(label)) = (row.get(image), row.get(label)) else {
                return Ok(());
            };
            let image = files::with_slashes(image);
            // Begins at the root, or at the object's folder.
            let found = [&dataset.root, &folder]
                .into_iter()
                .find_map(|base| images.get(&base.join(&image)));
            let Some(&index) = found else {
                return Ok(());
            };
            if let Err(reason) = text::check_name("type of defect", label) {
                let place = Place { list: &path, line };
                dataset.problems.push(place.bad_entry(reason));
            } else if !matches!(label, "" | "normal") {
                label.clone_into(&mut dataset.samples[index].defect);
            }
            Ok(())
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use crate::testing::{Fixture, summary};
    use crate::{Error, Options, Problem, layout};

    /// Two objects in another order than the official one.
    fn build() -> Fixture {
        let fixture = Fixture::new();
        let mut list = String::from("\u{feff}object,split,label,image,mask\n");
        for object in ["pcb1", "candle", "soap"] {
            let folder = format!("{object}/Data/Images");
            for (split, name) in [("test", "0007"), ("train", "0003"), ("train", "0001")] {
                fixture.picture(&format!("{folder}/Normal/{name}.jpg"), 6, 4);
                // As the camera names them. The image crate judges by the ending when it writes.
                let place = |ending| fixture.path(&format!("{folder}/Normal/{name}.{ending}"));
                std::fs::rename(place("jpg"), place("JPG")).unwrap();
                writeln!(list, "{object},{split},normal,{folder}/Normal/{name}.JPG,").unwrap();
            }
            fixture.picture(&format!("{folder}/Anomaly/000.png"), 6, 4);
            fixture.mask_of(&format!("{object}/Data/Masks/Anomaly/000.png"), 6, 4, 3, 2);
            writeln!(
                list,
                "{object},test,anomaly,{folder}/Anomaly/000.png,{object}/Data/Masks/Anomaly/000.png"
            )
            .unwrap();
            fixture.text(&format!("{folder}/Anomaly/.DS_Store"), "");
        }
        fixture.text("split_csv/1cls.csv", &list);
        fixture.text(
            "pcb1/image_anno.csv",
            "image,label,mask\npcb1/Data/Images/Normal/0003.JPG,normal,\n\
             pcb1/Data/Images/Anomaly/000.png,\"melt,scratch\",pcb1/Data/Masks/Anomaly/000.png\n",
        );
        fixture
    }

    #[test]
    fn the_list_says_what_is_what() {
        let fixture = build();
        let dataset = fixture.read("visa");
        assert_eq!(
            summary(&dataset),
            "train candle good candle/Data/Images/Normal/0003.JPG -
             train candle good candle/Data/Images/Normal/0001.JPG -
             test candle good candle/Data/Images/Normal/0007.JPG -
             test candle anomaly candle/Data/Images/Anomaly/000.png candle/Data/Masks/Anomaly/000.png
             train pcb1 good pcb1/Data/Images/Normal/0003.JPG -
             train pcb1 good pcb1/Data/Images/Normal/0001.JPG -
             test pcb1 good pcb1/Data/Images/Normal/0007.JPG -
             test pcb1 melt,scratch pcb1/Data/Images/Anomaly/000.png pcb1/Data/Masks/Anomaly/000.png
             train soap good soap/Data/Images/Normal/0003.JPG -
             train soap good soap/Data/Images/Normal/0001.JPG -
             test soap good soap/Data/Images/Normal/0007.JPG -
             test soap anomaly soap/Data/Images/Anomaly/000.png soap/Data/Masks/Anomaly/000.png"
        );
        assert_eq!(dataset.problems, []);
    }

    #[test]
    fn what_is_missing_left_over_or_odd_is_reported() {
        let fixture = build();
        let list = fixture.path("split_csv/1cls.csv");
        let mut text = std::fs::read_to_string(&list).unwrap();
        text += "candle,test,normal,candle/Data/Images/Normal/0009.JPG,\n\
                 candle,test,normal,candle/Data/Images/Normal/0007.JPG,\n\
                 candle,dev,normal,candle/Data/Images/Normal/0007.JPG,\n\
                 candle,test,odd,candle/Data/Images/Normal/0007.JPG,\n";
        std::fs::write(&list, text).unwrap();
        fixture.picture("candle/Data/Images/Anomaly/001.png", 6, 4);
        fixture.mask("candle/Data/Masks/Anomaly/009.png", 6, 4, 1);
        std::fs::remove_file(fixture.path("pcb1/Data/Masks/Anomaly/000.png")).unwrap();
        let dataset = fixture.read("visa");
        assert_eq!(dataset.samples.len(), 12);
        let problems: Vec<String> = dataset.problems.iter().map(Problem::sentence).collect();
        let root = format!("{}/", fixture.root().display());
        let problems = problems.join("\n").replace(&root, "");
        assert_eq!(
            problems,
            "pcb1/Data/Images/Anomaly/000.png has no mask; expected is pcb1/Data/Masks/Anomaly/000.png.
candle/Data/Images/Normal/0009.JPG does not exist, but split_csv/1cls.csv names it (line 14).
candle/Data/Images/Normal/0007.JPG is named a second time in split_csv/1cls.csv (line 15).
An entry of split_csv/1cls.csv (line 16) is skipped: its split is 'dev' where 'train' or 'test' was expected.
An entry of split_csv/1cls.csv (line 17) is skipped: its label is 'odd' where 'normal' or 'anomaly' was expected.
candle/Data/Images/Anomaly/001.png is not named in split_csv/1cls.csv and is skipped.
The mask candle/Data/Masks/Anomaly/009.png is not named in split_csv/1cls.csv."
        );
    }

    #[test]
    fn a_list_that_leads_elsewhere_is_refused() {
        for image in ["../secret.png", "/etc/passwd"] {
            let fixture = Fixture::new();
            let list = format!("object,split,label,image,mask\ncandle,test,normal,{image},\n");
            fixture.text("split_csv/1cls.csv", &list);
            let read = layout("visa")
                .unwrap()
                .read(fixture.root(), &Options::default());
            assert!(
                matches!(read, Err(Error::OutsideRoot { line: Some(2), .. })),
                "{image}"
            );
        }
    }
}
