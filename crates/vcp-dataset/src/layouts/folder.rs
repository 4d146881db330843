//! Folders of one's own.

use std::path::{Path, PathBuf};

use crate::dataset::{ANOMALY, GOOD};
use crate::pairing::MaskFolder;
use crate::{
    Dataset, Error, Label, Layout, MaskRule, MaskSource, Options, Problem, Sample, Split, files,
};

pub(super) struct Folder;

/// The names that folders usually have, for those who give only the root.
const NORMAL: [&str; 5] = ["normal", "good", "ok", "Normal", "Good"];
const ANOMALOUS: [&str; 8] = [
    "anomalous",
    "anomaly",
    "abnormal",
    "defect",
    "defects",
    "bad",
    "ko",
    "Anomaly",
];
const MASKS: [&str; 5] = ["masks", "mask", "ground_truth", "Masks", "GroundTruth"];
const SUFFIXES: [&str; 6] = ["", "_mask", "_GT", "_gt", "_label", "-mask"];

impl Layout for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn title(&self) -> &'static str {
        "Own photos: a folder of good ones, a folder of bad ones, masks if there are any"
    }

    fn describe(&self) -> &'static str {
        "ROOT/normal/1.jpg               (or --normal DIR)
ROOT/anomalous/scratch/7.jpg    (or --anomalous DIR; folders in it name the defect types)
ROOT/masks/scratch/7.png        (or --masks DIR; optional; also 7_mask.png)
Either of the first two will do. One category, named like ROOT or with --name. Mask values above 0 are
defect, above 127 in JPEG masks. No split."
    }

    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error> {
        let folder = |given: &Option<PathBuf>, usual: &[&str]| match given {
            Some(folder) => Some(folder.clone()),
            None => usual
                .iter()
                .map(|name| root.join(name))
                .find(|folder| folder.is_dir()),
        };
        let normal = folder(&options.normal, &NORMAL);
        let anomalous = folder(&options.anomalous, &ANOMALOUS);
        let masks = folder(&options.masks, &MASKS);
        if normal.is_none() && anomalous.is_none() {
            return Err(Error::Layout {
                layout: self.name(),
                root: root.to_owned(),
                found: "there is no folder 'normal' and none 'anomalous'".to_owned(),
                expected: self.describe(),
            });
        }
        for folder in [&normal, &anomalous, &masks].into_iter().flatten() {
            // Says so if somebody names a folder that is none.
            files::list(folder)?;
        }
        let name = options.name.clone();
        let name = name.unwrap_or_else(|| files::folder_name(root, self.name()));
        let mut dataset = Dataset::new(&name, root);
        if let Some(folder) = &normal {
            for image in files::images_below(folder, &mut dataset.problems) {
                dataset.samples.push(sample(
                    root,
                    &name,
                    image,
                    Label::Normal,
                    GOOD,
                    MaskSource::None,
                ));
            }
        }
        if let Some(folder) = &anomalous {
            read_anomalous(folder, masks.as_deref(), &mut dataset)?;
        }
        Ok(dataset)
    }
}

fn sample(
    root: &Path,
    category: &str,
    image: PathBuf,
    label: Label,
    defect: &str,
    mask: MaskSource,
) -> Sample {
    Sample {
        id: files::id(root, &image),
        image,
        mask,
        label,
        category: category.to_owned(),
        defect: defect.to_owned(),
        split: Split::Unassigned,
        group: None,
    }
}

fn read_anomalous(folder: &Path, masks: Option<&Path>, dataset: &mut Dataset) -> Result<(), Error> {
    let mut images = files::images_below(folder, &mut dataset.problems);
    let mut mask_folders: Vec<(PathBuf, MaskFolder)> = Vec::new();
    if let Some(masks) = masks {
        // Masks may lie below the images.
        if masks != folder {
            images.retain(|image| !image.starts_with(masks));
        }
        for mask in files::images_below(masks, &mut dataset.problems) {
            let below = mask
                .parent()
                .and_then(|parent| parent.strip_prefix(masks).ok());
            let below = below.unwrap_or(Path::new("")).to_owned();
            if !mask_folders.iter().any(|(known, _)| *known == below) {
                let folder = MaskFolder::read(&masks.join(&below))?;
                mask_folders.push((below, folder));
            }
        }
    } else if !images.is_empty() {
        dataset
            .notes
            .push("There are no masks, so that figures per pixel are undefined.".to_owned());
    }
    for image in images {
        let below = image
            .parent()
            .and_then(|parent| parent.strip_prefix(folder).ok());
        let below = below.unwrap_or(Path::new("")).to_owned();
        let defect = below.iter().next();
        let defect = defect.map_or_else(|| ANOMALY.into(), |name| name.to_string_lossy());
        let mask = masks.map_or(MaskSource::Unknown, |masks| {
            let found = mask_folders.iter_mut().find(|(known, _)| *known == below);
            let path = if let Some((_, found)) = found {
                found.require(&image, &SUFFIXES, &mut dataset.problems)
            } else {
                let name = Path::new(image.file_name().unwrap_or_default());
                dataset.problems.push(Problem::MissingMask {
                    image: image.clone(),
                    expected: masks.join(&below).join(name).with_extension("png"),
                });
                None
            };
            path.map_or(MaskSource::Unknown, |path| MaskSource::File {
                rule: MaskRule::usual(&path),
                path,
            })
        });
        let sample = sample(
            &dataset.root,
            &dataset.name,
            image,
            Label::Anomalous,
            &defect,
            mask,
        );
        dataset.samples.push(sample);
    }
    for (below, masks) in mask_folders {
        masks.finish(&folder.join(below), &SUFFIXES, &mut dataset.problems);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, summary};
    use crate::{MaskRule, MaskSource, Options, Problem, layout};

    #[test]
    fn folders_with_their_usual_names() {
        let fixture = Fixture::new();
        for image in [
            "normal/a.jpg",
            "normal/deep/b ü.PNG",
            "anomalous/c.bmp",
            "anomalous/bent/1.jpg",
            "anomalous/bent/2.jpg",
        ] {
            fixture.picture(image, 4, 4);
        }
        fixture.text("normal/.DS_Store", "");
        fixture.text("normal/notes.txt", "");
        fixture.picture("normal/.hidden/x.png", 4, 4);
        fixture.mask("masks/c_mask.png", 4, 4, 1);
        fixture.mask("masks/bent/1.jpg", 4, 4, 8);
        fixture.mask("masks/bent/3.png", 4, 4, 1);
        let options = Options {
            name: Some("screws".to_owned()),
            ..Options::default()
        };
        let dataset = fixture.read_with("folder", &options);
        assert_eq!(
            summary(&dataset),
            "unassigned screws good normal/a.jpg -
             unassigned screws good normal/deep/b ü.PNG -
             unassigned screws bent anomalous/bent/1.jpg masks/bent/1.jpg
             unassigned screws bent anomalous/bent/2.jpg ?
             unassigned screws anomaly anomalous/c.bmp masks/c_mask.png"
        );
        assert!(matches!(
            dataset.samples[2].mask,
            MaskSource::File {
                rule: MaskRule::AboveHalf,
                ..
            }
        ));
        assert_eq!(
            dataset.problems,
            [
                Problem::MissingMask {
                    image: fixture.path("anomalous/bent/2.jpg"),
                    expected: fixture.path("masks/bent/2.png"),
                },
                Problem::ExtraMask {
                    mask: fixture.path("masks/bent/3.png"),
                    expected: fixture.path("anomalous/bent/3"),
                },
            ]
        );
    }

    #[test]
    fn folders_given_by_hand() {
        let fixture = Fixture::new();
        let elsewhere = Fixture::new();
        elsewhere.picture("broken/1.jpg", 4, 4);
        let options = Options {
            anomalous: Some(elsewhere.path("broken")),
            ..Options::default()
        };
        let dataset = fixture.read_with("folder", &options);
        assert_eq!(dataset.samples.len(), 1);
        assert_eq!(dataset.samples[0].mask, MaskSource::Unknown);
        assert_eq!(dataset.problems, []);
        assert_eq!(dataset.notes.len(), 1);
        let options = Options {
            masks: Some(elsewhere.path("nowhere")),
            ..options
        };
        assert!(
            layout("folder")
                .unwrap()
                .read(fixture.root(), &options)
                .is_err()
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_holds_itself_is_reported() {
        let fixture = Fixture::new();
        fixture.picture("normal/a.jpg", 4, 4);
        std::os::unix::fs::symlink(fixture.path("normal"), fixture.path("normal/again")).unwrap();
        std::os::unix::fs::symlink("nowhere", fixture.path("normal/b.png")).unwrap();
        let dataset = fixture.read("folder");
        assert_eq!(dataset.samples.len(), 1);
        assert!(
            matches!(&dataset.problems[..], [Problem::UnreadableFolder { folder, .. }]
                if folder.ends_with("normal/again")),
            "{:?}",
            dataset.problems
        );
    }
}
