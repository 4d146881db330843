//! The tree that MVTec-AD made common: category / split / defect type / image, and the masks in
//! category / `ground_truth` / defect type.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use crate::dataset::GOOD;
use crate::pairing::MaskFolder;
use crate::{Dataset, Error, Label, Layout, MaskRule, MaskSource, Problem, Sample, Split, files};

/// What differs between the data sets that lie in such a tree.
#[derive(Debug)]
pub(crate) struct ClassTree {
    /// The categories in their official order; others follow, sorted.
    pub(crate) categories: &'static [&'static str],
    /// The folder of normal images.
    pub(crate) normal: &'static str,
    /// What may stand between an image's name and its mask's ending, the most usual first.
    pub(crate) suffixes: &'static [&'static str],
}

const SPLITS: [(&str, Split); 2] = [("train", Split::Train), ("test", Split::Test)];

fn is_category(folder: &Path) -> bool {
    SPLITS.iter().any(|(name, _)| folder.join(name).is_dir())
}

impl ClassTree {
    pub(crate) fn read(&self, layout: &dyn Layout, root: &Path) -> Result<Dataset, Error> {
        let holds_categories = |folder: &Path| {
            is_category(folder)
                || files::list(folder)
                    .is_ok_and(|listing| listing.folders.iter().any(|folder| is_category(folder)))
        };
        let nothing = || Error::Layout {
            layout: layout.name(),
            root: root.to_owned(),
            found: "no folder in it has a folder 'train' or 'test'".to_owned(),
            expected: layout.describe(),
        };
        let root = files::find_root(root, holds_categories)?.ok_or_else(nothing)?;
        let mut dataset = Dataset::new(layout.name(), &root);
        if is_category(&root) {
            // Somebody gave the folder of one category.
            let category = files::folder_name(&root, layout.name());
            self.read_category(&root, &category, &mut dataset)?;
        } else {
            let mut categories = files::list(&root)?.folders;
            categories.retain(|folder| is_category(folder));
            categories.sort_by_cached_key(|folder| {
                let name = files::name(folder);
                let official = self.categories.iter().position(|known| *known == name);
                (official.unwrap_or(usize::MAX), name)
            });
            for folder in categories {
                self.read_category(&folder, &files::name(&folder), &mut dataset)?;
            }
        }
        if dataset.samples.is_empty() {
            return Err(nothing());
        }
        Ok(dataset)
    }

    fn read_category(
        &self,
        folder: &Path,
        category: &str,
        dataset: &mut Dataset,
    ) -> Result<(), Error> {
        let truth = folder.join("ground_truth");
        // By defect type. A type may have images in both splits, so that masks left over are known
        // at the end only.
        let mut masks: BTreeMap<String, MaskFolder> = BTreeMap::new();
        for (name, split) in SPLITS {
            let split_folder = folder.join(name);
            if !split_folder.is_dir() {
                continue;
            }
            let listing = files::list(&split_folder)?;
            let unplaced = listing
                .files
                .into_iter()
                .filter(|path| files::is_image(path));
            dataset
                .problems
                .extend(unplaced.map(|image| Problem::UnplacedImage { image }));
            for defect_folder in listing.folders {
                let defect = files::name(&defect_folder);
                let masks = match masks.entry(defect.clone()) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(vacant) => {
                        let name = defect_folder.file_name().unwrap_or_default();
                        vacant.insert(MaskFolder::read(&truth.join(name))?)
                    }
                };
                for image in files::images(&defect_folder)? {
                    let sample = self.sample(dataset, image, category, &defect, split, masks);
                    dataset.samples.push(sample);
                }
            }
        }
        if truth.is_dir() {
            // Defect types that have masks, but no images.
            for folder in files::list(&truth)?.folders {
                let defect = files::name(&folder);
                if let Entry::Vacant(vacant) = masks.entry(defect) {
                    vacant.insert(MaskFolder::read(&folder)?);
                }
            }
        }
        masks.remove(self.normal);
        for (defect, masks) in masks {
            let images = folder.join("test").join(defect);
            masks.finish(&images, self.suffixes, &mut dataset.problems);
        }
        Ok(())
    }

    fn sample(
        &self,
        dataset: &mut Dataset,
        image: std::path::PathBuf,
        category: &str,
        defect: &str,
        split: Split,
        masks: &mut MaskFolder,
    ) -> Sample {
        let problems = &mut dataset.problems;
        let is_normal = defect == self.normal;
        let (label, mask, otherwise) = if is_normal {
            // Masks of normal images, where there are any, are those of the test images; training
            // images may have the same names.
            let mask = match split {
                Split::Test => masks.find(&image, self.suffixes, problems),
                _ => None,
            };
            (Label::Normal, mask, MaskSource::None)
        } else {
            let mask = masks.require(&image, self.suffixes, problems);
            (Label::Anomalous, mask, MaskSource::Unknown)
        };
        Sample {
            id: files::id(&dataset.root, &image),
            image,
            mask: mask.map_or(otherwise, |path| MaskSource::File {
                path,
                rule: MaskRule::AboveZero,
            }),
            label,
            category: category.to_owned(),
            defect: if is_normal { GOOD } else { defect }.to_owned(),
            split,
            group: None,
        }
    }
}
