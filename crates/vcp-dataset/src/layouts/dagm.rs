//! DAGM 2007 (<https://conferences.mpi-inf.mpg.de/dagm/2007/prizes.html>), in both of its shapes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::files::Place;
use crate::names::GOOD;
use crate::pairing::MaskFolder;
use crate::{
    Dataset, Ellipse, Error, Label, Layout, MaskRule, MaskSource, Options, Problem, Problems,
    Sample, Split, files, text,
};

pub(super) struct Dagm;

const SPLITS: [(&str, Split); 2] = [("Train", Split::Train), ("Test", Split::Test)];
const SUFFIX: &str = "_label";

impl Layout for Dagm {
    fn name(&self) -> &'static str {
        "dagm"
    }

    fn title(&self) -> &'static str {
        "DAGM 2007 textures; weak labels: ellipses around the defects"
    }

    fn describe(&self) -> &'static str {
        "Either, with all ten classes:
ROOT/Class1/Train/0576.PNG
ROOT/Class1/Train/Label/0576_label.PNG   (anomalous images only)
ROOT/Class1/Train/Label/Labels.txt       (number, 0 or 1, image, 0, mask; may be missing)
ROOT/Class1/Test/...
or, as first published, without splits:
ROOT/Class1/1.png
ROOT/Class1_def/1.png
ROOT/Class1_def/labels.txt   (number, semi-axes, rotation in radians, centre x and y)
The masks are weak labels: ellipses around the defects, larger than the defects themselves."
    }

    fn read(&self, root: &Path, _: &Options) -> Result<Dataset, Error> {
        let fits = |folder: &Path| {
            files::list(folder).is_ok_and(|listing| {
                listing
                    .folders
                    .iter()
                    .any(|folder| class_number(folder).is_some())
            })
        };
        let nothing = || Error::Layout {
            layout: self.name(),
            root: root.to_owned(),
            found: "there is no folder 'Class1' … 'Class10' with images".to_owned(),
            expected: self.describe(),
        };
        let root = files::find_root(root, fits)?.ok_or_else(nothing)?;
        let mut dataset = Dataset::new(self.name(), &root);
        dataset.weak_masks = true;
        dataset.notes.push(
            "The masks of DAGM 2007 are weak labels: ellipses around the defects, larger than the \
             defects themselves. Pixel figures measure how well an ellipse is found, not the defect."
                .to_owned(),
        );
        let mut classes = files::folders(&root, &mut dataset.problems)?;
        classes.retain(|folder| class_number(folder).is_some());
        classes.sort_by_key(|folder| class_number(folder));
        for folder in classes {
            read_class(&folder, &mut dataset)?;
        }
        if dataset.samples.is_empty() {
            return Err(nothing());
        }
        Ok(dataset)
    }
}

/// 1 for `Class1`.
fn class_number(folder: &Path) -> Option<u32> {
    folder
        .file_name()?
        .to_str()?
        .strip_prefix("Class")?
        .parse()
        .ok()
}

fn has_splits(folder: &Path) -> bool {
    SPLITS.iter().any(|(name, _)| folder.join(name).is_dir())
}

fn read_class(folder: &Path, dataset: &mut Dataset) -> Result<(), Error> {
    // Some unpackers make a folder for each archive: Class1/Class1/Train.
    let nested = folder.join(folder.file_name().unwrap_or_default());
    let inner = if has_splits(&nested) { &nested } else { folder };
    if has_splits(inner) {
        for (name, split) in SPLITS {
            read_split(folder, &inner.join(name), split, dataset)?;
        }
        return Ok(());
    }
    for image in files::images(folder, &mut dataset.problems)? {
        let sample = sample(dataset, folder, image, Split::Unassigned, None);
        dataset.samples.push(sample);
    }
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push("_def");
    read_ellipses(folder, &folder.with_file_name(name), dataset)
}

/// A sample that is normal if it has no mask.
fn sample(
    dataset: &Dataset,
    class: &Path,
    image: PathBuf,
    split: Split,
    mask: Option<MaskSource>,
) -> Sample {
    let (label, defect) = match mask {
        None => (Label::Normal, GOOD),
        Some(_) => (Label::Anomalous, "defect"),
    };
    Sample {
        id: files::id(&dataset.root, &image),
        image,
        mask: mask.unwrap_or(MaskSource::None),
        label,
        category: files::name(class),
        defect: defect.to_owned(),
        split,
        group: None,
    }
}

fn read_split(
    class: &Path,
    folder: &Path,
    split: Split,
    dataset: &mut Dataset,
) -> Result<(), Error> {
    let label_folder = folder.join("Label");
    let mut masks = MaskFolder::read(&label_folder, &mut dataset.problems)?;
    let list = label_folder.join("Labels.txt");
    let images = files::images(folder, &mut dataset.problems)?;
    let listed = if files::is_file(&list) {
        read_labels(&list, &images, &mut dataset.problems)?
    } else {
        HashMap::new()
    };
    for image in images {
        let mut mask = masks.find(&image, &[SUFFIX, ""], &mut dataset.problems);
        let mut is_anomalous = mask.is_some();
        // Without a list, a mask that is lost makes an image normal without anybody noticing.
        if let Some(&said) = listed.get(files::stem(&image).as_slice()) {
            is_anomalous = said;
            match (said, mask.take()) {
                (true, None) => dataset.problems.push(Problem::MissingMask {
                    image: image.clone(),
                    expected: label_folder.join(format!("{}{SUFFIX}.PNG", stem_text(&image))),
                }),
                (false, Some(found)) => dataset.problems.push(Problem::LabelConflict {
                    image: image.clone(),
                    mask: found,
                    list: list.clone(),
                }),
                (_, found) => mask = found,
            }
        }
        let mask = match mask {
            Some(path) => Some(MaskSource::File {
                path,
                rule: MaskRule::AboveZero,
            }),
            None => is_anomalous.then_some(MaskSource::Unknown),
        };
        let sample = sample(dataset, class, image, split, mask);
        dataset.samples.push(sample);
    }
    masks.finish(folder, &[SUFFIX], &mut dataset.problems);
    Ok(())
}

fn stem_text(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Whether each image is anomalous, by its name without ending. The first line is a number of its own.
/// Of a list as long as it may be, only what it says of `images` is kept.
fn read_labels(
    list: &Path,
    images: &[PathBuf],
    problems: &mut Problems,
) -> Result<HashMap<Vec<u8>, bool>, Error> {
    let known: HashSet<Vec<u8>> = images.iter().map(|image| files::stem(image)).collect();
    let text = text::read(list)?;
    let mut labels = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut cells = line.split_whitespace();
        match (cells.next(), cells.next(), cells.next()) {
            (_, None, _) => {}
            (_, Some(flag @ ("0" | "1")), Some(image)) => {
                let stem = files::stem(Path::new(image));
                if known.contains(&stem) {
                    labels.insert(stem, flag == "1");
                }
            }
            _ => {
                let place = Place {
                    list,
                    line: Some(number),
                };
                problems.push(place.bad_entry(format!(
                    "it is '{}' where a number, 0 or 1, an image, 0 and a mask were expected",
                    text::shortened(line.trim())
                )));
            }
        }
    }
    Ok(labels)
}

/// The anomalous images as first published.
fn read_ellipses(class: &Path, folder: &Path, dataset: &mut Dataset) -> Result<(), Error> {
    let images = files::images(folder, &mut dataset.problems)?;
    let list = folder.join("labels.txt");
    let known: HashSet<Vec<u8>> = images.iter().map(|image| number_of(image)).collect();
    let mut ellipses = HashMap::new();
    if files::is_file(&list) {
        for (number, line) in (1..).zip(text::read(&list)?.lines()) {
            match parse_ellipse(line) {
                None if line.trim().is_empty() => {}
                Some((image, ellipse)) => {
                    let image = image.into_bytes();
                    if known.contains(&image) {
                        ellipses.insert(image, ellipse);
                    } else {
                        dataset.problems.push(Problem::ExtraMask {
                            mask: list.clone(),
                            expected: folder.join(String::from_utf8_lossy(&image).as_ref()),
                        });
                    }
                }
                None => {
                    let place = Place {
                        list: &list,
                        line: Some(number),
                    };
                    dataset.problems.push(place.bad_entry(format!(
                        "it is '{}' where a number, two semi-axes, an angle and a position were expected",
                        text::shortened(line.trim())
                    )));
                }
            }
        }
    }
    for image in images {
        let mask = if let Some(ellipse) = ellipses.remove(&number_of(&image)) {
            MaskSource::Ellipse {
                list: list.clone(),
                ellipse,
            }
        } else {
            dataset.problems.push(Problem::MissingMask {
                image: image.clone(),
                expected: list.clone(),
            });
            MaskSource::Unknown
        };
        let sample = sample(dataset, class, image, Split::Unassigned, Some(mask));
        dataset.samples.push(sample);
    }
    Ok(())
}

/// Images may have been given leading zeros to sort well.
fn number_of(image: &Path) -> Vec<u8> {
    let mut stem = files::stem(image);
    let zeros = stem.iter().take_while(|&&byte| byte == b'0').count();
    stem.drain(..zeros);
    stem
}

fn parse_ellipse(line: &str) -> Option<(String, Ellipse)> {
    let mut cells = line.split_whitespace();
    let image = cells.next()?.trim_start_matches('0').to_owned();
    let mut numbers = [0.0; 5];
    for number in &mut numbers {
        *number = cells.next()?.parse().ok()?;
    }
    if cells.next().is_some() {
        return None;
    }
    let [first, second, rotation, x, y] = numbers;
    let ellipse = Ellipse {
        x,
        y,
        first,
        second,
        rotation,
    };
    ellipse.is_sound().then_some((image, ellipse))
}

#[cfg(test)]
mod tests {
    use vcp_image::DecodeOptions;

    use crate::testing::{Fixture, summary};
    use crate::{Label, Problem};

    #[test]
    fn the_set_with_masks() {
        let fixture = Fixture::new();
        let rename = |from: &str, to: &str| {
            std::fs::rename(fixture.path(from), fixture.path(to)).unwrap();
        };
        for class in ["Class10", "Class2/Class2"] {
            for image in ["Train/0001", "Train/0002", "Train/0003", "Test/0001"] {
                fixture.picture(&format!("{class}/{image}.png"), 6, 6);
                rename(
                    &format!("{class}/{image}.png"),
                    &format!("{class}/{image}.PNG"),
                );
            }
        }
        fixture.mask("Class10/Train/Label/0002_label.png", 6, 6, 4);
        fixture.mask("Class10/Train/Label/0009_label.png", 6, 6, 4);
        fixture.mask("Class2/Class2/Train/Label/0002_label.png", 6, 6, 4);
        fixture.text(
            "Class2/Class2/Train/Label/Labels.txt",
            "1\r\n1\t1\t0001.PNG\t1\t0001_label.PNG\r\n2\t0\t0002.PNG\t0\t0\r\n3\tx\t0003.PNG\r\n",
        );

        let dataset = fixture.read("dagm");
        assert!(dataset.weak_masks);
        assert_eq!(dataset.notes.len(), 1);
        assert_eq!(
            summary(&dataset),
            "train Class2 defect Class2/Class2/Train/0001.PNG ?
             train Class2 good Class2/Class2/Train/0002.PNG -
             train Class2 good Class2/Class2/Train/0003.PNG -
             test Class2 good Class2/Class2/Test/0001.PNG -
             train Class10 good Class10/Train/0001.PNG -
             train Class10 defect Class10/Train/0002.PNG Class10/Train/Label/0002_label.png
             train Class10 good Class10/Train/0003.PNG -
             test Class10 good Class10/Test/0001.PNG -"
        );
        let train = fixture.path("Class2/Class2/Train");
        let list = train.join("Label/Labels.txt");
        assert_eq!(
            dataset.problems,
            [
                Problem::BadEntry {
                    list: list.clone(),
                    line: Some(4),
                    reason:
                        "it is '3\tx\t0003.PNG' where a number, 0 or 1, an image, 0 and a mask \
                             were expected"
                            .to_owned(),
                },
                Problem::MissingMask {
                    image: train.join("0001.PNG"),
                    expected: train.join("Label/0001_label.PNG"),
                },
                Problem::LabelConflict {
                    image: train.join("0002.PNG"),
                    mask: train.join("Label/0002_label.png"),
                    list,
                },
                Problem::ExtraMask {
                    mask: fixture.path("Class10/Train/Label/0009_label.png"),
                    expected: fixture.path("Class10/Train/0009"),
                },
            ]
        );
    }

    #[test]
    fn the_set_with_ellipses() {
        let fixture = Fixture::new();
        fixture.picture("Class1/1.png", 20, 20);
        for image in ["1", "2", "3"] {
            fixture.picture(&format!("Class1_def/{image}.png"), 20, 20);
        }
        fixture.text(
            "Class1_def/labels.txt",
            "1\t6.5\t1.5\t1.5707963\t9\t10\n2\t-1\t2\t0\t5\t5\n8\t3\t2\t0\t5\t5\n",
        );
        let dataset = fixture.read("dagm");
        assert_eq!(
            summary(&dataset),
            "unassigned Class1 good Class1/1.png -
             unassigned Class1 defect Class1_def/1.png Class1_def/labels.txt
             unassigned Class1 defect Class1_def/2.png ?
             unassigned Class1 defect Class1_def/3.png ?"
        );
        assert_eq!(dataset.samples[1].label, Label::Anomalous);
        let mask = dataset.samples[1]
            .load_mask(20, 20, &DecodeOptions::default())
            .unwrap();
        let set = |x: usize, y: usize| mask.row(y)[x] == 255;
        assert!(set(9, 4) && set(9, 16) && !set(9, 3) && !set(11, 10) && set(10, 10));
        let kinds: Vec<bool> = dataset
            .problems
            .iter()
            .map(|problem| matches!(problem, Problem::MissingMask { .. }))
            .collect();
        assert_eq!(kinds, [false, false, true, true]);
        assert!(matches!(dataset.problems[1], Problem::ExtraMask { .. }));
    }
}
