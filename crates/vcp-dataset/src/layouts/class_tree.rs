//! The tree that MVTec-AD made common: category / split / defect type / image, and the masks in
//! category / `ground_truth` / defect type. Its relatives differ in little: `MVTec` LOCO has a folder
//! of masks for each image, `MVTec` AD 2 its masks below the split.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use crate::names::GOOD;
use crate::pairing::{MaskFolder, beside};
use crate::{
    Dataset, Error, Label, Layout, MaskRule, MaskSource, Problem, Problems, Sample, Split, files,
    words,
};

/// What differs between the data sets that lie in such a tree.
#[derive(Debug)]
pub(crate) struct ClassTree {
    /// The categories in their official order; others follow, sorted.
    pub(crate) categories: &'static [&'static str],
    /// The folder of normal images. So are others whose name says so, such as `OK`.
    pub(crate) normal: &'static str,
    /// What may stand between an image's name and its mask's ending, the most usual first.
    pub(crate) suffixes: &'static [&'static str],
}

/// The folders of the splits, in lower case.
const SPLITS: [(&str, Split); 4] = [
    ("train", Split::Train),
    ("validation", Split::Validation),
    ("test", Split::Test),
    ("test_public", Split::Test),
];
/// Folders of images of which nobody outside is told what they show.
const PRIVATE: [&str; 2] = ["test_private", "test_private_mixed"];

fn lower(folder: &Path) -> String {
    files::name(folder).to_lowercase()
}

fn split_of(folder: &Path) -> Option<Split> {
    let name = lower(folder);
    let known = SPLITS.iter().find(|(split, _)| *split == name);
    known.map(|(_, split)| *split)
}

/// A category has images to learn from or to be judged by.
fn is_category(folder: &Path) -> bool {
    files::list(folder).is_ok_and(|listing| {
        let mut splits = listing.folders.iter().filter_map(|folder| split_of(folder));
        splits.any(|split| split != Split::Validation)
    })
}

/// Whether a folder among the defect types of a split holds masks. Words such as `label` may be types.
fn is_truth(folder: &Path) -> bool {
    ["ground_truth", "groundtruth", "gt"].contains(&lower(folder).as_str())
}

impl ClassTree {
    pub(crate) fn read(&self, layout: &dyn Layout, root: &Path) -> Result<Dataset, Error> {
        let holds_categories = |folder: &Path| {
            is_category(folder)
                || files::list(folder)
                    .is_ok_and(|listing| listing.folders.iter().any(|folder| is_category(folder)))
        };
        let nothing = |found: &str| Error::Layout {
            layout: layout.name(),
            root: root.to_owned(),
            found: found.to_owned(),
            expected: layout.describe(),
        };
        let root = files::find_root(root, holds_categories)?.ok_or_else(|| {
            nothing("no folder in it has a folder 'train', 'test' or 'test_public'")
        })?;
        let mut dataset = Dataset::new(layout.name(), &root);
        if is_category(&root) {
            // Somebody gave the folder of one category.
            let category = files::folder_name(&root, layout.name());
            self.read_category(&root, &category, &mut dataset)?;
        } else {
            let mut categories = files::folders(&root, &mut dataset.problems)?;
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
            return Err(nothing(
                "its folders of training and test images hold no images in folders",
            ));
        }
        Ok(dataset)
    }

    fn read_category(
        &self,
        folder: &Path,
        category: &str,
        dataset: &mut Dataset,
    ) -> Result<(), Error> {
        let folders = files::folders(folder, &mut dataset.problems)?;
        let (mut splits, mut truth, mut private) = (Vec::new(), None, 0);
        for folder in folders {
            if let Some(split) = split_of(&folder) {
                splits.push((split, folder));
            } else if PRIVATE.contains(&lower(&folder).as_str()) {
                private += files::images_below(&folder, &mut dataset.problems).len();
            } else if words::means_masks(&files::name(&folder)) {
                // The usual name, if several would do.
                if truth.is_none() || is_truth(&folder) {
                    truth = Some(folder);
                }
            } else {
                report_unused(&folder, &mut dataset.problems)?;
            }
        }
        splits.sort();
        let truth = truth.unwrap_or_else(|| folder.join("ground_truth"));
        let mut masks = Masks::new(truth);
        for (split, folder) in splits {
            let listing = files::list(&folder)?;
            let unplaced = listing
                .files
                .into_iter()
                .filter(|path| files::is_image(path));
            dataset.problems.extend(listing.missing);
            dataset
                .problems
                .extend(unplaced.map(|image| Problem::UnplacedImage { image }));
            let (truths, defects): (Vec<PathBuf>, Vec<PathBuf>) =
                listing.folders.into_iter().partition(|path| is_truth(path));
            let mut own = truths.into_iter().next().map(Masks::new);
            for defect in &defects {
                let masks = own.as_mut().unwrap_or(&mut masks);
                self.read_defect(defect, category, split, masks, dataset)?;
            }
            if let Some(own) = own {
                self.finish(own, &folder, dataset)?;
            }
        }
        self.finish(masks, &folder.join("test"), dataset)?;
        if private > 0 {
            dataset.notes.push(format!(
                "{private} images of '{category}' are skipped: they lie in 'test_private' or \
                 'test_private_mixed', whose labels are not published."
            ));
        }
        Ok(())
    }

    fn is_normal(&self, defect: &str) -> bool {
        defect == self.normal || words::label(defect) == Some(Label::Normal)
    }

    fn read_defect(
        &self,
        folder: &Path,
        category: &str,
        split: Split,
        masks: &mut Masks,
        dataset: &mut Dataset,
    ) -> Result<(), Error> {
        let defect = files::name(folder);
        let masks = masks.of(&defect, &mut dataset.problems)?;
        let listing = files::list(folder)?;
        dataset.problems.extend(listing.missing);
        let images = listing.files.into_iter();
        let (images, mut beside) = beside(images.filter(|path| files::is_image(path)).collect());
        for image in images {
            let beside = beside.remove(&files::stem(&image));
            let place = (category, defect.as_str(), split);
            let sample = self.sample(dataset, image, place, masks, beside);
            dataset.samples.push(sample);
        }
        for deeper in listing.folders {
            report_unused(&deeper, &mut dataset.problems)?;
        }
        Ok(())
    }

    fn sample(
        &self,
        dataset: &mut Dataset,
        image: PathBuf,
        (category, defect, split): (&str, &str, Split),
        masks: &mut MaskFolder,
        beside: Option<PathBuf>,
    ) -> Sample {
        let problems = &mut dataset.problems;
        let is_normal = self.is_normal(defect);
        let (label, otherwise) = if is_normal {
            (Label::Normal, MaskSource::None)
        } else {
            (Label::Anomalous, MaskSource::Unknown)
        };
        let rule = MaskRule::AboveZero;
        let mask = if let Some(paths) = masks.find_parts(&image) {
            Some(MaskSource::Files { paths, rule })
        } else {
            // Masks of normal images, where there are any, are those of the test images; training
            // images may have the same names.
            let path = if is_normal && split != Split::Test {
                beside
            } else if is_normal || beside.is_some() {
                masks.find(&image, self.suffixes, problems).or(beside)
            } else {
                masks.require(&image, self.suffixes, problems)
            };
            path.map(|path| MaskSource::File { path, rule })
        };
        Sample {
            id: files::id(&dataset.root, &image),
            image,
            mask: mask.unwrap_or(otherwise),
            label,
            category: category.to_owned(),
            defect: if is_normal { GOOD } else { defect }.to_owned(),
            split,
            group: None,
        }
    }

    /// Reports masks left over. `images` is the folder in which their images would be expected.
    fn finish(&self, masks: Masks, images: &Path, dataset: &mut Dataset) -> Result<(), Error> {
        for (defect, masks) in masks.all(&mut dataset.problems)? {
            if !self.is_normal(&defect) {
                masks.finish(&images.join(defect), self.suffixes, &mut dataset.problems);
            }
        }
        Ok(())
    }
}

/// The masks of a category by defect type. A type may have images in several splits, so that masks left
/// over are known at the end only.
struct Masks {
    folder: PathBuf,
    types: BTreeMap<String, MaskFolder>,
}

impl Masks {
    fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            types: BTreeMap::new(),
        }
    }

    fn of(&mut self, defect: &str, problems: &mut Problems) -> Result<&mut MaskFolder, Error> {
        Ok(match self.types.entry(defect.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(MaskFolder::read_with_parts(
                &self.folder.join(defect),
                problems,
            )?),
        })
    }

    /// The problems that were asked for and those of types without images.
    fn all(mut self, problems: &mut Problems) -> Result<BTreeMap<String, MaskFolder>, Error> {
        if self.folder.is_dir() {
            for folder in files::folders(&self.folder, problems)? {
                if let Entry::Vacant(vacant) = self.types.entry(files::name(&folder)) {
                    vacant.insert(MaskFolder::read_with_parts(&folder, problems)?);
                }
            }
        }
        Ok(self.types)
    }
}

/// Says so if there are images in a folder that has no place in the tree.
fn report_unused(folder: &Path, problems: &mut Problems) -> Result<(), Error> {
    let images = files::images(folder, problems)?.len();
    if images > 0 {
        problems.push(Problem::UnusedFolder {
            folder: folder.to_owned(),
            images,
            reason:
                "images belong into CATEGORY/train/TYPE or CATEGORY/test/TYPE, and folders have no \
                     place beside or below those"
                    .to_owned(),
        });
    }
    Ok(())
}
