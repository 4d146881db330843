//! What the folders above a file say about it.

use std::path::{Path, PathBuf};

use crate::{Label, Split, words};

/// What the names of the folders above a file say, from the outermost to the innermost.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The folder whose name says whether images are good or bad.
    pub(super) label: Option<(Label, PathBuf)>,
    pub(super) split: Option<Split>,
    /// The folder whose name says that these are masks, and how many names of `others` stand above it.
    pub(super) masks: Option<(PathBuf, usize)>,
    /// The names that say none of this.
    pub(super) others: Vec<String>,
    /// How many of them stand above the label: they name the category.
    categories: usize,
}

impl Place {
    /// The place of a file below `root`. The root itself may be known to hold images of one label.
    pub(super) fn of(path: &Path, root: &Path, label: Option<Label>) -> Self {
        let mut place = Self {
            label: label.map(|label| (label, root.to_owned())),
            ..Self::default()
        };
        let folders = path
            .parent()
            .and_then(|parent| parent.strip_prefix(root).ok());
        let mut folder = root.to_owned();
        for name in folders.into_iter().flat_map(Path::iter) {
            folder.push(name);
            place.enter(&folder, &name.to_string_lossy());
        }
        if place.label.is_none() {
            place.categories = place.others.len();
        }
        place
    }

    fn enter(&mut self, folder: &Path, name: &str) {
        let label = words::label(name).filter(|_| self.label.is_none());
        let split = Split::parse(name).filter(|split| *split != Split::Unassigned);
        if self.masks.is_none() && words::means_masks(name) {
            self.masks = Some((folder.to_owned(), self.others.len()));
        } else if let Some(label) = label {
            self.label = Some((label, folder.to_owned()));
            self.categories = self.others.len();
        } else if self.split.is_none() && split.is_some() {
            self.split = split;
        } else if !words::means_images(name) {
            self.others.push(name.to_owned());
        }
    }

    pub(super) fn label(&self) -> Option<Label> {
        self.label.as_ref().map(|(label, _)| *label)
    }

    /// The names above the label, together.
    pub(super) fn category(&self) -> Option<String> {
        let names = &self.others[..self.categories];
        (!names.is_empty()).then(|| names.join("-"))
    }

    /// The first name below the label.
    pub(super) fn defect(&self) -> Option<&str> {
        self.others.get(self.categories).map(String::as_str)
    }

    /// The label's folder alone, with the names above it.
    pub(super) fn above_label(&self) -> Self {
        Self {
            label: self.label.clone(),
            others: self.others[..self.categories].to_vec(),
            ..Self::default()
        }
    }

    /// How well a mask that lies in `masks` fits an image that lies here: 0 is best. Not at all if they
    /// contradict each other.
    pub(super) fn distance(&self, masks: &Self) -> Option<usize> {
        let agrees = masks
            .label()
            .is_none_or(|label| Some(label) == self.label())
            && masks
                .split
                .is_none_or(|split| self.split.is_none_or(|own| own == split));
        let (mut few, mut many) = (self.others.as_slice(), masks.others.as_slice());
        if few.len() > many.len() {
            std::mem::swap(&mut few, &mut many);
        }
        // The names of the one have to stand in the other, in the same order.
        let mut rest = many.iter();
        let same = |one: &str, other: &str| one.to_lowercase() == other.to_lowercase();
        let contained = few.iter().all(|name| rest.any(|other| same(name, other)));
        (agrees && contained).then(|| many.len() - few.len())
    }
}
