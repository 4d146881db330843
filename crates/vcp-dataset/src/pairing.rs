//! Images and masks, brought together by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::{Error, Problem, Problems, files, words};

/// The masks of one class: those of a folder, by name without ending.
#[derive(Debug)]
pub(crate) struct MaskFolder {
    folder: PathBuf,
    masks: BTreeMap<Vec<u8>, Mask>,
    /// Folders in it, by name.
    parts: BTreeMap<Vec<u8>, Parts>,
}

#[derive(Debug, Default)]
struct Mask {
    /// More than one if they differ only in their ending.
    paths: Vec<PathBuf>,
    /// The images it was taken for.
    images: Vec<PathBuf>,
}

/// A folder of masks that together are one image's.
#[derive(Debug)]
struct Parts {
    folder: PathBuf,
    paths: Vec<PathBuf>,
    is_taken: bool,
}

impl MaskFolder {
    /// The images of `folder`, as masks; none if there is no such folder. Links that lead nowhere
    /// become problems.
    pub(crate) fn read(folder: &Path, problems: &mut Problems) -> Result<Self, Error> {
        Ok(Self::new(folder, files::images(folder, problems)?))
    }

    /// As [`MaskFolder::read`], also with the folders in it: one with the name of an image holds all
    /// the masks of that image.
    pub(crate) fn read_with_parts(folder: &Path, problems: &mut Problems) -> Result<Self, Error> {
        let mut masks = Self::read(folder, problems)?;
        if folder.is_dir() {
            // Links that lead nowhere have been reported.
            for folder in files::list(folder)?.folders {
                let paths = files::images(&folder, problems)?;
                if !paths.is_empty() {
                    let parts = Parts {
                        paths,
                        is_taken: false,
                        folder,
                    };
                    masks.parts.insert(files::folder_stem(&parts.folder), parts);
                }
            }
        }
        Ok(masks)
    }

    /// All the masks in the folder that has the image's name, if there is one.
    pub(crate) fn find_parts(&mut self, image: &Path) -> Option<Vec<PathBuf>> {
        let parts = self.parts.get_mut(&files::stem(image))?;
        parts.is_taken = true;
        Some(parts.paths.clone())
    }

    /// These files, as masks. `folder` is where more of them would be expected.
    pub(crate) fn new(folder: &Path, paths: Vec<PathBuf>) -> Self {
        let mut masks: BTreeMap<Vec<u8>, Mask> = BTreeMap::new();
        for path in paths {
            masks
                .entry(files::stem(&path))
                .or_default()
                .paths
                .push(path);
        }
        Self {
            folder: folder.to_owned(),
            masks,
            parts: BTreeMap::new(),
        }
    }

    /// The mask whose name is the image's with one of these suffixes, the first of them that exists.
    pub(crate) fn find(
        &mut self,
        image: &Path,
        suffixes: &[&str],
        problems: &mut Problems,
    ) -> Option<PathBuf> {
        let stem = files::stem(image);
        let mask = suffixes.iter().find_map(|suffix| {
            let name = [stem.as_slice(), suffix.as_bytes()].concat();
            // Two lookups, since the borrow checker does not let a failed one go.
            self.masks.contains_key(&name).then_some(name)
        });
        let mask = self.masks.get_mut(&mask?)?;
        if mask.images.is_empty() && mask.paths.len() > 1 {
            problems.push(Problem::SeveralMasks {
                image: image.to_owned(),
                masks: mask.paths.clone(),
            });
        }
        mask.images.push(image.to_owned());
        mask.paths.first().cloned()
    }

    /// As [`MaskFolder::find`], for an image that has to have a mask.
    pub(crate) fn require(
        &mut self,
        image: &Path,
        suffixes: &[&str],
        problems: &mut Problems,
    ) -> Option<PathBuf> {
        let found = self.find(image, suffixes, problems);
        if found.is_none() {
            problems.push(Problem::MissingMask {
                image: image.to_owned(),
                expected: self.expected(image, suffixes.first().unwrap_or(&"")),
            });
        }
        found
    }

    fn expected(&self, image: &Path, suffix: &str) -> PathBuf {
        let mut name = image.file_stem().unwrap_or_default().to_owned();
        name.push(suffix);
        name.push(".png");
        self.folder.join(name)
    }

    /// Reports masks that no image asked for, whose images would lie in `images`, and masks that
    /// several asked for.
    pub(crate) fn finish(self, images: &Path, suffixes: &[&str], problems: &mut Problems) {
        for mask in self.masks.into_values() {
            let [first, ..] = mask.paths.as_slice() else {
                continue;
            };
            match mask.images.len() {
                0 => problems.extend(mask.paths.into_iter().map(|path| Problem::ExtraMask {
                    expected: images.join(image_stem(&path, suffixes)),
                    mask: path,
                })),
                1 => {}
                _ => problems.push(Problem::SharedMask {
                    mask: first.clone(),
                    images: mask.images,
                }),
            }
        }
        for parts in self.parts.into_values().filter(|parts| !parts.is_taken) {
            problems.push(Problem::ExtraMask {
                expected: images.join(parts.folder.file_name().unwrap_or_default()),
                mask: parts.folder,
            });
        }
    }
}

/// The name of a mask's image, and whether it is another than the mask's.
pub(crate) fn image_name(path: &Path) -> (Vec<u8>, bool) {
    let stem = path.file_stem().unwrap_or_default();
    match stem.to_str().and_then(words::image_of_mask) {
        // Only to compose its letters; the ending has no meaning.
        Some(image) => (files::folder_stem(Path::new(image)), true),
        None => (files::stem(path), false),
    }
}

/// Parts the masks that lie among their images (`x_mask.png` beside `x.jpg`) from the images; they come
/// by the name of the image.
pub(crate) fn beside(paths: Vec<PathBuf>) -> (Vec<PathBuf>, BTreeMap<Vec<u8>, PathBuf>) {
    let names: BTreeSet<Vec<u8>> = paths.iter().map(|path| files::stem(path)).collect();
    let (mut images, mut masks) = (Vec::new(), BTreeMap::new());
    for path in paths {
        match image_name(&path) {
            (name, true) if names.contains(&name) => {
                masks.entry(name).or_insert(path);
            }
            _ => images.push(path),
        }
    }
    (images, masks)
}

/// The name of the image that a mask belongs to, without ending.
fn image_stem(mask: &Path, suffixes: &[&str]) -> PathBuf {
    let stem = mask.file_stem().unwrap_or_default();
    // Names that are not UTF-8 keep their suffix: they are for people to read.
    let plain = stem.to_str().and_then(|stem| {
        let mut suffixes = suffixes.iter().filter(|suffix| !suffix.is_empty());
        suffixes.find_map(|suffix| stem.strip_suffix(suffix))
    });
    plain.map_or_else(|| stem.into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names
            .iter()
            .map(|name| Path::new("masks").join(name))
            .collect()
    }

    #[test]
    fn names_decide_and_everything_left_over_is_reported() {
        let masks = paths(&[
            "1_mask.png",
            "2.png",
            "2_mask.PNG",
            "3.bmp",
            "3.png",
            "9_mask.png",
        ]);
        let mut folder = MaskFolder::new(Path::new("masks"), masks);
        let suffixes = ["_mask", ""];
        let mut problems = Problems::default();
        let mut find = |name: &str| folder.require(Path::new(name), &suffixes, &mut problems);
        assert_eq!(find("1.png"), Some("masks/1_mask.png".into()));
        assert_eq!(find("2.JPG"), Some("masks/2_mask.PNG".into()));
        assert_eq!(find("3.png"), Some("masks/3.bmp".into()));
        assert_eq!(find("4.png"), None);
        assert_eq!(find("1.jpg"), Some("masks/1_mask.png".into()));
        folder.finish(Path::new("images"), &suffixes, &mut problems);
        assert_eq!(
            problems,
            [
                Problem::SeveralMasks {
                    image: "3.png".into(),
                    masks: paths(&["3.bmp", "3.png"]),
                },
                Problem::MissingMask {
                    image: "4.png".into(),
                    expected: "masks/4_mask.png".into(),
                },
                Problem::SharedMask {
                    images: vec!["1.png".into(), "1.jpg".into()],
                    mask: "masks/1_mask.png".into(),
                },
                Problem::ExtraMask {
                    mask: "masks/2.png".into(),
                    expected: "images/2".into(),
                },
                Problem::ExtraMask {
                    mask: "masks/9_mask.png".into(),
                    expected: "images/9".into(),
                },
            ]
        );
    }
}
