//! Masks and annotations, wherever they lie, and the images they belong to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::place::Place;
use crate::labelme::Annotation;
use crate::pairing::image_name;
use crate::{Label, MaskRule, MaskSource, Problem, Problems, files, words};

/// A picture or annotation that says where defects are.
struct Mask {
    path: PathBuf,
    place: Place,
    /// Whether the mask lies in the folder of its image, not in one for masks.
    is_beside: bool,
    /// Whether the mask's name has an end that its image's name has not.
    has_suffix: bool,
    is_annotation: bool,
    /// The images it was taken for.
    images: Vec<PathBuf>,
}

/// All masks and annotations of a data set.
#[derive(Default)]
pub(super) struct Masks {
    all: Vec<Mask>,
    /// Places of masks in `all`, by the name of the image to which they belong.
    by_name: BTreeMap<Vec<u8>, Vec<usize>>,
    /// Folders may be searched twice, being named and lying in each other.
    known: BTreeSet<PathBuf>,
    /// A folder that was named to hold masks.
    pub(super) named: Option<PathBuf>,
}

impl Masks {
    /// A file from a folder of masks.
    pub(super) fn add(&mut self, path: PathBuf, place: Place) {
        self.insert(path, place, false);
    }

    /// Takes the masks and annotations out of the files of one folder of images: `x_mask.png`, `x.json`,
    /// and of two pictures `x.jpg` and `x.png` the PNG.
    pub(super) fn take_from(&mut self, paths: &[PathBuf], place: &Place) -> Vec<PathBuf> {
        let pictures = || paths.iter().filter(|path| files::is_image(path));
        let names: BTreeSet<Vec<u8>> = pictures().map(|path| files::stem(path)).collect();
        let photos = pictures().filter(|path| is_photo(path));
        let photos: BTreeSet<Vec<u8>> = photos.map(|path| files::stem(path)).collect();
        let is_mask = |path: &PathBuf| {
            let (name, has_suffix) = image_name(path);
            if is_annotation(path) || has_suffix {
                names.contains(&name)
            } else {
                !is_photo(path) && photos.contains(&name)
            }
        };
        let (masks, images): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.iter().cloned().partition(is_mask);
        for mask in masks {
            self.insert(mask, place.clone(), true);
        }
        images
            .into_iter()
            .filter(|path| !is_annotation(path))
            .collect()
    }

    fn insert(&mut self, path: PathBuf, place: Place, is_beside: bool) {
        if !self.known.insert(path.clone()) {
            return;
        }
        let (name, has_suffix) = image_name(&path);
        self.by_name.entry(name).or_default().push(self.all.len());
        // In a folder of masks, `x_mask` may also be the mask of a photo with just this name.
        if has_suffix && !is_beside {
            let own = files::stem(&path);
            self.by_name.entry(own).or_default().push(self.all.len());
        }
        self.all.push(Mask {
            is_annotation: is_annotation(&path),
            path,
            place,
            is_beside,
            has_suffix,
            images: Vec::new(),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.named.is_none()
    }

    /// The masks that lie beside their image and have its very name.
    pub(super) fn namesakes(&self) -> impl Iterator<Item = &Path> {
        let masks = self.all.iter();
        let masks = masks.filter(|mask| mask.is_beside && !mask.has_suffix && !mask.is_annotation);
        masks.map(|mask| mask.path.as_path())
    }

    /// The paths of all.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.all.iter().map(|mask| mask.path.as_path())
    }

    /// Where the defects of an image are, and their names where an annotation has them.
    pub(super) fn find(
        &mut self,
        image: &Path,
        place: &Place,
        problems: &mut Problems,
    ) -> (MaskSource, Option<String>) {
        let is_normal = place.label() == Some(Label::Normal);
        let found = self.best(image, place);
        let [first, others @ ..] = found.as_slice() else {
            if is_normal {
                return (MaskSource::None, None);
            }
            if !self.is_empty() {
                problems.push(Problem::MissingMask {
                    image: image.to_owned(),
                    expected: self.expected(image, place),
                });
            }
            return (MaskSource::Unknown, None);
        };
        if !others.is_empty() {
            problems.push(Problem::SeveralMasks {
                image: image.to_owned(),
                masks: found.iter().map(|at| self.all[*at].path.clone()).collect(),
            });
        }
        for at in &found {
            self.all[*at].images.push(image.to_owned());
        }
        let mask = &self.all[*first];
        let path = mask.path.clone();
        if !mask.is_annotation {
            let rule = MaskRule::usual(&path);
            return (MaskSource::File { path, rule }, None);
        }
        match Annotation::read(&path) {
            Ok(annotation) => (MaskSource::Labelme { path }, Some(annotation.defect())),
            // Something else of which normal images need nothing.
            Err(_) if is_normal => (MaskSource::None, None),
            Err(error) => {
                problems.push(Problem::UnreadableMask {
                    image: image.to_owned(),
                    mask: path,
                    reason: error.to_string(),
                });
                (MaskSource::Unknown, None)
            }
        }
    }

    /// The masks that fit an image best; several if they fit equally well.
    fn best(&self, image: &Path, place: &Place) -> Vec<usize> {
        let stem = files::stem(image);
        let fit = |at: &usize| {
            let mask = &self.all[*at];
            if mask.is_beside && mask.path.parent() != image.parent() {
                return None;
            }
            // A mask of which it is not said whose it is belongs to a bad image: good ones need none.
            let is_said = mask.is_beside || mask.place.label().is_some();
            if place.label() == Some(Label::Normal) && !is_said {
                return None;
            }
            let distance = place.distance(&mask.place)?;
            Some((distance, mask.is_annotation, mask.has_suffix, *at))
        };
        let mut fits: Vec<_> = self
            .by_name
            .get(&stem)
            .into_iter()
            .flatten()
            .filter_map(fit)
            .collect();
        fits.sort_unstable();
        let best = fits
            .first()
            .map(|&(distance, annotation, suffix, _)| (distance, annotation, suffix));
        fits.into_iter()
            .filter(|&(distance, annotation, suffix, _)| {
                Some((distance, annotation, suffix)) == best
            })
            .map(|(.., at)| at)
            .collect()
    }

    /// Where the mask of an image would lie.
    fn expected(&self, image: &Path, place: &Place) -> PathBuf {
        let mut name = image.file_stem().unwrap_or_default().to_owned();
        let named = self.named.as_ref().map(|folder| (folder, 0));
        let folders = self.all.iter().filter_map(|mask| {
            let (folder, above) = mask.place.masks.as_ref()?;
            let names = mask.place.others.get(..*above)?;
            place.others.starts_with(names).then_some((folder, *above))
        });
        if let Some((folder, above)) = named.into_iter().chain(folders).next() {
            let mut expected = folder.clone();
            expected.extend(&place.others[above..]);
            name.push(".png");
            return expected.join(name);
        }
        name.push("_mask.png");
        image.with_file_name(name)
    }

    /// Reports masks that no image asked for, and masks that several asked for. `bad` are the folders of
    /// bad images, with the number of names above each.
    pub(super) fn finish(self, bad: &[Place], problems: &mut Problems) {
        for mask in self.all {
            match mask.images.len() {
                // Annotations may be of other kinds, and of all images at once.
                0 if mask.is_annotation => {}
                0 => {
                    let stem = mask.path.file_stem().unwrap_or_default();
                    let name = match stem.to_str().and_then(words::image_of_mask) {
                        Some(image) => PathBuf::from(image),
                        None => PathBuf::from(stem),
                    };
                    let folder = bad.iter().find_map(|place| {
                        let (_, folder) = place.label.as_ref()?;
                        let below = mask.place.others.strip_prefix(place.others.as_slice())?;
                        Some(folder.join(below.iter().collect::<PathBuf>()))
                    });
                    problems.push(Problem::ExtraMask {
                        expected: match folder {
                            Some(folder) if !mask.is_beside => folder.join(name),
                            _ => mask.path.with_file_name(name),
                        },
                        mask: mask.path,
                    });
                }
                1 => {}
                _ => problems.push(Problem::SharedMask {
                    images: mask.images,
                    mask: mask.path,
                }),
            }
        }
    }
}

pub(super) fn is_annotation(path: &Path) -> bool {
    files::ending(path).as_deref() == Some("json")
}

/// Whether a picture is of a kind in which cameras store photos, sometimes in two kinds at once.
fn is_photo(path: &Path) -> bool {
    !matches!(files::ending(path).as_deref(), Some("png" | "bmp"))
}
