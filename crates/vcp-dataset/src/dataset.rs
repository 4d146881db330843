//! What every layout is turned into: a list of samples.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use vcp_image::{DecodeOptions, Photo, decode_file};

use crate::mask::{self, LoadedMask};
use crate::{Ellipse, Error, Problems, files, words};

/// A data set as found on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The data set's name: the layout's, or the one it was given.
    pub name: String,
    /// The folder it was read from. Where an archive's top folder stood in between, that one.
    pub root: PathBuf,
    /// The images with what is known of them, in the order of the official lists where there is one: by category, split,
    /// defect type and file name.
    pub samples: Vec<Sample>,
    /// What is wrong with it, as far as can be told without decoding images.
    pub problems: Problems,
    /// What a reader of results should know about it, as full sentences.
    pub notes: Vec<String>,
    /// Whether the masks are only rough outlines around the defects.
    pub weak_masks: bool,
}

impl Dataset {
    pub(crate) fn new(name: &str, root: &Path) -> Self {
        Self {
            name: name.to_owned(),
            root: root.to_owned(),
            samples: Vec::new(),
            problems: Problems::default(),
            notes: Vec::new(),
            weak_masks: false,
        }
    }

    /// The categories, each once, in the order in which they first appear.
    #[must_use]
    pub fn categories(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let categories = self.samples.iter().map(|sample| &sample.category);
        categories
            .filter(|category| seen.insert(category.as_str()))
            .cloned()
            .collect()
    }

    /// Why there are no samples at all: the first problem, as full sentences; nothing if there are
    /// samples or no problems.
    #[must_use]
    pub fn why_empty(&self) -> Option<String> {
        let first = self.problems.first().filter(|_| self.samples.is_empty())?;
        let count = self.problems.count();
        Some(format!(
            "No image of the data set '{}' can be used ({count} problems). {}",
            self.name,
            first.sentence()
        ))
    }

    /// Keeps the samples of these categories (all if none is named) and of this split (all if none
    /// is named; [`Split::Unassigned`] samples belong to every split). Problems stay as they are.
    ///
    /// # Errors
    /// [`Error::UnknownCategory`] if a category does not exist; nothing is changed then.
    pub fn select(&mut self, categories: &[String], split: Option<Split>) -> Result<(), Error> {
        let known = self.categories();
        if let Some(category) = categories.iter().find(|name| !known.contains(name)) {
            return Err(Error::UnknownCategory {
                dataset: self.name.clone(),
                category: category.clone(),
                known,
            });
        }
        self.samples.retain(|sample| {
            (categories.is_empty() || categories.contains(&sample.category))
                && split.is_none_or(|split| sample.split.belongs_to(split))
        });
        Ok(())
    }

    /// Counts those pixels of masks as defect whose value is above this limit, in place of each layout's
    /// own rule, and notes it. Masks in which alpha decides ([`MaskRule::Alpha`]) keep their rule, and
    /// so do outlines.
    pub fn set_mask_threshold(&mut self, limit: u8) {
        for sample in &mut self.samples {
            if let MaskSource::File { rule, .. } | MaskSource::Files { rule, .. } = &mut sample.mask
            {
                *rule = rule.or_above(Some(limit));
            }
        }
        self.notes.push(format!(
            "Mask values above {limit} are defect, as was asked for."
        ));
    }

    /// Keeps images of one object on one side: a group with an image of [`Split::Test`] is all
    /// `Test`, and everything else is [`Split::Train`]. Images without a group stand for themselves.
    pub fn split_by_group(&mut self) {
        let is_test = |sample: &&Sample| sample.split == Split::Test;
        let tested = self.samples.iter().filter(is_test);
        let held_out: HashSet<String> = tested.filter_map(|sample| sample.group.clone()).collect();
        for sample in &mut self.samples {
            let is_held_out = match &sample.group {
                Some(group) => held_out.contains(group),
                None => sample.split == Split::Test,
            };
            sample.split = if is_held_out {
                Split::Test
            } else {
                Split::Train
            };
        }
    }
}

/// One image and what is known about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The image's path below the data set's folder, with `/` between folders on every system (the
    /// whole path if it lies elsewhere; what is not UTF-8 is replaced). One of its kind in a data set.
    pub id: String,
    /// The image file.
    pub image: PathBuf,
    /// Where the defects are written down.
    pub mask: MaskSource,
    /// Whether the image shows a defect.
    pub label: Label,
    /// The product or texture.
    pub category: String,
    /// The type of defect: `good` for normal images, `anomaly` where the data set names none.
    pub defect: String,
    /// What the image is meant for: training, validation or test.
    pub split: Split,
    /// Images with the same group show the same object at different times. They are alike, so that
    /// a fair split keeps a group on one side.
    pub group: Option<String>,
}

impl Sample {
    /// Decodes the image.
    ///
    /// # Errors
    /// [`Error::Image`].
    pub fn load_image(&self, options: &DecodeOptions) -> Result<Photo, Error> {
        Ok(decode_file(&self.image, options)?)
    }

    /// The mask at the size of the image as it was decoded, grey: 255 where there is a defect, 0
    /// elsewhere. Of a normal image it is empty whatever its file says, as in the official code;
    /// [`check_deeply`](crate::check_deeply) reports files that say otherwise.
    ///
    /// # Errors
    /// [`Error::NoMask`] if nobody knows where the defect is, [`Error::MaskSize`] if the mask's sides
    /// are not in proportion to the image's, and whatever its file may have: [`Error::Image`],
    /// [`Error::Read`], [`Error::Invalid`].
    pub fn load_mask(
        &self,
        width: usize,
        height: usize,
        options: &DecodeOptions,
    ) -> Result<Photo, Error> {
        Ok(self.read_mask(width, height, options)?.fitted())
    }

    /// As [`Sample::load_mask`], but with what there is to say about the mask, and at the mask's own
    /// size where that differs a little: see [`LoadedMask`].
    ///
    /// # Errors
    /// As [`Sample::load_mask`].
    pub fn read_mask(
        &self,
        width: usize,
        height: usize,
        options: &DecodeOptions,
    ) -> Result<LoadedMask, Error> {
        if self.label == Label::Normal {
            return LoadedMask::empty(width, height);
        }
        mask::load(&self.mask, &self.image, (width, height), options)
    }
}

/// Whether an image shows a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// The image shows no defect.
    Normal,
    /// The image shows a defect.
    Anomalous,
}

impl Label {
    /// The label that people mean by this word, in any case: `good`, `OK`, `normal`, `0`, `false` and
    /// the like, or `NG`, `bad`, `defective`, `anomaly`, `1`, `true` and the like.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.trim() {
            "0" => Some(Self::Normal),
            "1" => Some(Self::Anomalous),
            word if word.eq_ignore_ascii_case("false") => Some(Self::Normal),
            word if word.eq_ignore_ascii_case("true") => Some(Self::Anomalous),
            word => words::label(word),
        }
    }
}

/// What an image is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Images to learn from.
    Train,
    /// Images to choose between models with.
    Validation,
    /// Images to judge a model with.
    Test,
    /// The data set names no split. Such samples belong to every split that is asked for.
    Unassigned,
}

impl Split {
    /// The split's name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Unassigned => "unassigned",
        }
    }

    /// The split with this name, in any case; an empty name is [`Split::Unassigned`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            "" | "unassigned" => Some(Self::Unassigned),
            _ => None,
        }
    }

    /// Whether a sample of this split is part of `wanted`: if they are the same, or if it is
    /// [`Split::Unassigned`].
    #[must_use]
    pub fn belongs_to(self, wanted: Self) -> bool {
        self == wanted || self == Self::Unassigned
    }
}

impl fmt::Display for Split {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Where the defects of an image are written down.
#[derive(Clone, Debug, PartialEq)]
pub enum MaskSource {
    /// Nowhere, and there is nothing to write down: the image is normal.
    None,
    /// Nowhere, though the image shows a defect.
    Unknown,
    /// In a picture of the image's size. Normal images may have one too, which should be empty.
    File {
        /// The picture.
        path: PathBuf,
        /// Which of its pixels are defect.
        rule: MaskRule,
    },
    /// In several pictures of the image's size: a pixel is defect if it is in any of them.
    Files {
        /// The pictures, at least one.
        paths: Vec<PathBuf>,
        /// Which of their pixels are defect.
        rule: MaskRule,
    },
    /// In an annotation file of the program labelme: polygons, rectangles and circles.
    Labelme {
        /// The annotation file.
        path: PathBuf,
    },
    /// In an ellipse around the defect, larger than the defect itself.
    Ellipse {
        /// The file that lists the ellipses.
        list: PathBuf,
        /// The ellipse.
        ellipse: Ellipse,
    },
}

impl MaskSource {
    /// The file that holds the mask, if there is one; the first if there are several.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::None | Self::Unknown => None,
            Self::File { path, .. } | Self::Labelme { path } => Some(path),
            Self::Files { paths, .. } => paths.first().map(PathBuf::as_path),
            Self::Ellipse { list, .. } => Some(list),
        }
    }

    /// The rule by which pixels of its pictures are defect, if it is in pictures.
    #[must_use]
    pub fn rule(&self) -> Option<MaskRule> {
        match self {
            Self::File { rule, .. } | Self::Files { rule, .. } => Some(*rule),
            _ => None,
        }
    }
}

/// Which pixels of a mask's picture are defect.
///
/// Transparent pixels are none: where a picture's alpha differs from pixel to pixel, a pixel counts as no
/// brighter than its alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskRule {
    /// Pixels with any colour channel above 0 are defect: labels 1, 2, 3 … and 255 alike, as the official code
    /// has it.
    AboveZero,
    /// Pixels with any colour channel above 127 are defect: for masks with soft edges, or stored as JPEG, whose
    /// compression leaves specks everywhere.
    AboveHalf,
    /// Pixels with any colour channel above this value are defect, as the user wants it.
    Above(u8),
    /// Pixels with alpha above 127 are defect in pictures that have an alpha channel (colours lie about below
    /// transparent pixels), all in pictures that have none; in both without those of the background
    /// colour. A picture without alpha and without a named background has a white one.
    Alpha {
        /// The colour that the list names as background.
        background: Option<[u8; 3]>,
    },
}

impl MaskRule {
    /// The rule for masks of which nothing more is known: [`MaskRule::AboveHalf`] for files that end
    /// in jpg, jpeg, jpe or jfif, [`MaskRule::AboveZero`] for others.
    #[must_use]
    pub fn usual(mask: &Path) -> Self {
        match files::ending(mask).as_deref() {
            Some("jpg" | "jpeg" | "jpe" | "jfif") => Self::AboveHalf,
            _ => Self::AboveZero,
        }
    }

    /// This rule, or the user's own limit where that can take its place: not where colours and alpha
    /// have a meaning of their own ([`MaskRule::Alpha`]).
    #[must_use]
    pub fn or_above(self, limit: Option<u8>) -> Self {
        match (self, limit) {
            (Self::AboveZero | Self::AboveHalf | Self::Above(_), Some(limit)) => Self::Above(limit),
            (rule, _) => rule,
        }
    }

    /// The largest value that is no defect, where values decide.
    pub(crate) fn limit(self) -> Option<u8> {
        match self {
            Self::AboveZero => Some(0),
            Self::AboveHalf => Some(127),
            Self::Above(limit) => Some(limit),
            Self::Alpha { .. } => None,
        }
    }
}
