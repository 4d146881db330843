//! Folders of one's own.

mod masks;
mod place;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use masks::{Masks, is_annotation};
use place::Place;

use crate::names::{ANOMALY, GOOD};
use crate::{
    Dataset, Error, Label, Layout, Options, Problem, Problems, Sample, Split, files, words,
};

pub(super) struct Folder;

impl Layout for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn title(&self) -> &'static str {
        "Own photos: a folder of good ones, a folder of bad ones, masks if there are any"
    }

    fn describe(&self) -> &'static str {
        "ROOT/good/1.jpg            (or --normal DIR; also normal, OK and the like, in any case)
ROOT/bad/scratch/7.jpg     (or --anomalous DIR; also anomalous, anomaly, defect, NG and the like; folders
                           in it name the defect types)
ROOT/masks/scratch/7.png   (or --masks DIR; also ground_truth, gt, labels and the like; optional)
Either of the first two will do. Masks may have 7_mask.png, 7-gt.png and the like as names, and may lie
beside the photos; so may labelme's 7.json. Folders above good and bad name categories, or the splits
train, validation and test; else there is one category, named like ROOT or with --name, and no split. Mask
values above 0 are defect, above 127 in JPEG masks."
    }

    fn read(&self, root: &Path, options: &Options) -> Result<Dataset, Error> {
        let name = options.name.clone();
        let name = name.unwrap_or_else(|| files::folder_name(root, self.name()));
        let mut dataset = Dataset::new(&name, root);
        let mut found = Found::default();
        let photos = [options.normal.as_deref(), options.anomalous.as_deref()];
        if let Some(folder) = &options.masks
            // Masks beside the photos are found among them.
            && !photos.contains(&Some(folder.as_path()))
        {
            // Says so if somebody names a folder that is none.
            files::list(folder)?;
            let is_mask = |path: &Path| files::is_image(path) || is_annotation(path);
            for path in files::files_below(folder, is_mask, &mut dataset.problems) {
                let place = Place::of(&path, folder, None);
                found.masks.add(path, place);
            }
            found.masks.named = Some(folder.clone());
        }
        let is_named = options.normal.is_some() || options.anomalous.is_some();
        if is_named {
            read_named(root, options, &mut found, &mut dataset.problems)?;
        } else {
            // Says so if there is no such folder.
            files::list(root)?;
            found.search(root, None, &mut dataset.problems);
        }
        if found.images.is_empty() && !is_named {
            return Err(Error::Layout {
                layout: self.name(),
                root: root.to_owned(),
                found: format!(
                    "it holds {} images, but none in a folder that is called 'good' or 'bad', 'normal' \
                     or 'anomalous', 'OK' or 'NG' or the like",
                    found.unused.len()
                ),
                expected: self.describe(),
            });
        }
        found.into_samples(&mut dataset);
        Ok(dataset)
    }
}

/// Reads the folders that the user named, and of those not named the ones in the root that are
/// called so. What else is in the root is none of our business.
fn read_named(
    root: &Path,
    options: &Options,
    found: &mut Found,
    problems: &mut Problems,
) -> Result<(), Error> {
    let beside = files::list(root).unwrap_or_default();
    problems.extend(beside.missing);
    let beside = beside.folders;
    for (named, label) in [
        (&options.normal, Label::Normal),
        (&options.anomalous, Label::Anomalous),
    ] {
        if let Some(folder) = named {
            files::list(folder)?;
            found.search(folder, Some(label), problems);
            continue;
        }
        let called = |folder: &&PathBuf| words::label(&files::name(folder)) == Some(label);
        for folder in beside.iter().filter(called) {
            found.search(folder, Some(label), problems);
        }
    }
    if options.masks.is_none() {
        let called = |folder: &&PathBuf| words::means_masks(&files::name(folder));
        for folder in beside.iter().filter(called) {
            let is_mask = |path: &Path| files::is_image(path) || is_annotation(path);
            for path in files::files_below(folder, is_mask, problems) {
                let place = Place::of(&path, root, None);
                found.masks.add(path, place);
            }
        }
    }
    Ok(())
}

/// What lies in the folders.
#[derive(Default)]
struct Found {
    /// The images of which it is known whether they are good or bad.
    images: Vec<(PathBuf, Place)>,
    /// The others.
    unused: Vec<PathBuf>,
    masks: Masks,
}

impl Found {
    /// Sorts what lies below a folder. If the folder's label is known, what lies below it has that label.
    fn search(&mut self, root: &Path, label: Option<Label>, problems: &mut Problems) {
        let is_wanted = |path: &Path| files::is_image(path) || is_annotation(path);
        let masks = self.masks.named.clone();
        let mut by_folder: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for path in files::files_below(root, is_wanted, problems) {
            let is_known_mask = masks.as_ref().is_some_and(|masks| path.starts_with(masks));
            if let Some(folder) = path.parent().filter(|_| !is_known_mask) {
                by_folder
                    .entry(folder.to_owned())
                    .or_default()
                    .push(path.clone());
            }
        }
        for paths in by_folder.into_values() {
            // All of them lie in the same place.
            let Some(place) = paths.first().map(|path| Place::of(path, root, label)) else {
                continue;
            };
            if place.masks.is_some() {
                for path in paths {
                    self.masks.add(path, place.clone());
                }
            } else if place.label.is_some() {
                let images = self.masks.take_from(&paths, &place);
                let images = images.into_iter().map(|image| (image, place.clone()));
                self.images.extend(images);
            } else {
                let images = paths.into_iter().filter(|path| files::is_image(path));
                self.unused.extend(images);
            }
        }
    }

    fn into_samples(mut self, dataset: &mut Dataset) {
        self.report_unused(dataset);
        // By category and split, the good ones first; else as they lie.
        self.images.sort_by_cached_key(|(image, place)| {
            (place.category(), place.split, place.label(), image.clone())
        });
        let mut bad: Vec<Place> = Vec::new();
        let mut without_mask = 0;
        for (image, place) in self.images {
            let label = place.label().unwrap_or(Label::Normal);
            let (mask, named) = self.masks.find(&image, &place, &mut dataset.problems);
            without_mask += usize::from(mask == crate::MaskSource::Unknown);
            let defect = match label {
                Label::Normal => GOOD.to_owned(),
                Label::Anomalous => {
                    let defect = place.defect().map(str::to_owned).or(named);
                    defect.unwrap_or_else(|| ANOMALY.to_owned())
                }
            };
            dataset.samples.push(Sample {
                id: files::id(&dataset.root, &image),
                image,
                mask,
                label,
                category: place.category().unwrap_or_else(|| dataset.name.clone()),
                defect,
                split: place.split.unwrap_or(Split::Unassigned),
                group: None,
            });
            let above = place.above_label();
            if label == Label::Anomalous && !bad.iter().any(|known| known.label == above.label) {
                bad.push(above);
            }
        }
        if without_mask > 0 && self.masks.is_empty() {
            dataset
                .notes
                .push("There are no masks, so that figures per pixel are undefined.".to_owned());
        }
        if let Some(first) = self.masks.namesakes().next() {
            dataset.notes.push(format!(
                "{} PNG or BMP pictures that lie beside a photo of the same name, such as {}, are taken \
                 for masks.",
                self.masks.namesakes().count(),
                first.display()
            ));
        }
        self.masks.finish(&bad, &mut dataset.problems);
    }

    /// Names the outermost folders of which nothing is used, and images that lie beside used folders.
    fn report_unused(&self, dataset: &mut Dataset) {
        let images = self.images.iter().map(|(image, _)| image.as_path());
        let used: BTreeSet<&Path> = images
            .chain(self.masks.paths())
            .flat_map(|path| path.ancestors().skip(1))
            .collect();
        let mut unused: BTreeMap<&Path, usize> = BTreeMap::new();
        for image in &self.unused {
            let folders = image.ancestors().skip(1);
            match folders.take_while(|folder| !used.contains(folder)).last() {
                Some(folder) => *unused.entry(folder).or_default() += 1,
                None => dataset.problems.push(Problem::UnplacedImage {
                    image: image.clone(),
                }),
            }
        }
        for (folder, images) in unused {
            dataset.problems.push(Problem::UnusedFolder {
                folder: folder.to_owned(),
                images,
                reason: "neither its name nor those of the folders around it say whether they are good \
                         or bad; call it 'good', 'bad' or 'masks', put it into one that is called so, or \
                         name it with --normal, --anomalous or --masks"
                    .to_owned(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Fixture, summary};
    use crate::{Label, MaskRule, MaskSource, Options, Problem, layout};

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

    /// The words that people use, in any case, and whatever else lies above and below them.
    #[test]
    fn other_words_and_other_nestings() {
        for (good, bad, mask) in [
            ("good", "NG/crack", "mask/crack"),
            ("OK", "bad/crack", "bad/crack/mask"),
            ("Normal", "anomalies/crack", "Ground_Truth/anomalies/crack"),
            (
                "images/ok",
                "images/Defective/crack",
                "labels/Defective/crack",
            ),
            ("GOOD", "Not Good/Crack", "GT/crack"),
            ("pass", "fail/crack", "masks"),
        ] {
            let fixture = Fixture::new();
            fixture.picture(&format!("{good}/00.jpg"), 4, 4);
            fixture.picture(&format!("{bad}/00.jpg"), 4, 4);
            fixture.picture(&format!("{bad}/01.png"), 4, 4);
            fixture.mask(&format!("{mask}/00.bmp"), 4, 4, 1);
            fixture.mask(&format!("{mask}/01.jpg"), 4, 4, 1);
            let dataset = fixture.read("folder");
            let found: Vec<_> = dataset
                .samples
                .iter()
                .map(|sample| {
                    (
                        sample.label,
                        sample.defect.to_lowercase(),
                        sample.mask.path(),
                    )
                })
                .collect();
            let [first, second] = ["00.bmp", "01.jpg"].map(|name| fixture.path(mask).join(name));
            assert_eq!(
                found,
                [
                    (Label::Normal, "good".to_owned(), None),
                    (Label::Anomalous, "crack".to_owned(), Some(first.as_path())),
                    (Label::Anomalous, "crack".to_owned(), Some(second.as_path())),
                ],
                "{bad}"
            );
            assert_eq!(dataset.problems, [], "{bad}");
        }
    }

    #[test]
    fn folders_above_are_categories_and_splits() {
        let fixture = Fixture::new();
        for image in [
            "nut/train/good/1.png",
            "nut/test/good/2.png",
            "nut/test/bad/3.png",
            "bolt/OK/1.png",
            "bolt/NG/1.png",
        ] {
            fixture.picture(image, 4, 4);
        }
        fixture.mask("nut/test/masks/3_mask.png", 4, 4, 1);
        fixture.mask("bolt/masks/1.png", 4, 4, 1);
        let dataset = fixture.read("folder");
        assert_eq!(
            summary(&dataset),
            "unassigned bolt good bolt/OK/1.png -
             unassigned bolt anomaly bolt/NG/1.png bolt/masks/1.png
             train nut good nut/train/good/1.png -
             test nut good nut/test/good/2.png -
             test nut anomaly nut/test/bad/3.png nut/test/masks/3_mask.png"
        );
        assert_eq!(dataset.problems, []);
    }

    #[test]
    fn masks_and_annotations_beside_the_photos() {
        let fixture = Fixture::new();
        for image in [
            "good/g.jpg",
            "good/g_x.jpg",
            "bad/a.jpg",
            "bad/b.jpg",
            "bad/c.png",
            "bad/d.jpg",
            "bad/e.jpg",
            "bad/f.jpg",
        ] {
            fixture.picture(image, 4, 4);
        }
        fixture.mask("good/g_mask.png", 4, 4, 0);
        fixture.mask("bad/a_mask.png", 4, 4, 1);
        fixture.mask("bad/b.mask.png", 4, 4, 1);
        fixture.mask("bad/c-GT.bmp", 4, 4, 1);
        fixture.mask("bad/d.png", 4, 4, 1);
        fixture.text(
            "bad/e.json",
            r#"{"shapes": [{"label": "dent", "points": [[0, 0], [2, 2]], "shape_type": "rectangle"}]}"#,
        );
        fixture.text("bad/f.json", r#"{"camera": 7}"#);
        let dataset = fixture.read("folder");
        let found = summary(&dataset);
        let found: Vec<&str> = found.lines().map(str::trim).collect();
        let category = &dataset.name;
        let expected = [
            "good good/g.jpg good/g_mask.png",
            "good good/g_x.jpg -",
            "anomaly bad/a.jpg bad/a_mask.png",
            "anomaly bad/b.jpg bad/b.mask.png",
            "anomaly bad/c.png bad/c-GT.bmp",
            "anomaly bad/d.jpg bad/d.png",
            "dent bad/e.jpg bad/e.json",
            "anomaly bad/f.jpg ?",
        ]
        .map(|line| format!("unassigned {category} {line}"));
        assert_eq!(found, expected);
        // The file beside it is no annotation.
        assert!(
            matches!(&dataset.problems[..], [Problem::UnreadableMask { image, .. }]
                if image.ends_with("bad/f.jpg")),
            "{:?}",
            dataset.problems
        );
    }

    #[test]
    fn what_is_not_used_is_named() {
        let fixture = Fixture::new();
        for image in [
            "good/1.png",
            "scratch/deep/1.png",
            "scratch/deep/2.png",
            "lost.png",
        ] {
            fixture.picture(image, 4, 4);
        }
        fixture.text("notes/readme.txt", "nothing");
        let dataset = fixture.read("folder");
        assert_eq!(dataset.samples.len(), 1);
        assert!(
            matches!(&dataset.problems[..], [
                Problem::UnplacedImage { image },
                Problem::UnusedFolder { folder, images: 2, .. },
            ] if *image == fixture.path("lost.png") && *folder == fixture.path("scratch")),
            "{:?}",
            dataset.problems
        );
        assert!(dataset.problems[1].sentence().contains("--anomalous"));
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
            matches!(&dataset.problems[..],
                [Problem::UnreadableFolder { folder, .. }, Problem::MissingFile { file, .. }]
                if folder.ends_with("normal/again") && file.ends_with("b.png")),
            "{:?}",
            dataset.problems
        );
    }
}
