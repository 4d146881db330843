//! What is wrong with a data set.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::Mismatch;

/// Something wrong with a data set that does not stop it from being read. Plain data; in JSON the
/// variant's name stands under `kind`, and bytes of paths that are not UTF-8 are replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// An anomalous image has no mask. The sample is kept, its mask unknown, except where the mask
    /// alone tells whether the image is anomalous.
    MissingMask {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// Where its mask should be.
        #[serde(serialize_with = "path")]
        expected: PathBuf,
    },
    /// A mask belongs to no image.
    ExtraMask {
        /// The mask.
        #[serde(serialize_with = "path")]
        mask: PathBuf,
        /// Where its image should be, without ending where any will do.
        #[serde(serialize_with = "path")]
        expected: PathBuf,
    },
    /// An image has several masks. The first is taken.
    SeveralMasks {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// The masks, sorted.
        #[serde(serialize_with = "paths")]
        masks: Vec<PathBuf>,
    },
    /// Several images, alike but for their ending, have the same mask.
    SharedMask {
        /// The images.
        #[serde(serialize_with = "paths")]
        images: Vec<PathBuf>,
        /// The mask.
        #[serde(serialize_with = "path")]
        mask: PathBuf,
    },
    /// The mask of an anomalous image says that nothing is defect.
    EmptyMask {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// The image's mask.
        #[serde(serialize_with = "path")]
        mask: PathBuf,
    },
    /// The mask of a normal image says that something is defect.
    DefectInNormal {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// The image's mask.
        #[serde(serialize_with = "path")]
        mask: PathBuf,
        /// How many pixels are.
        pixels: usize,
    },
    /// A mask has another size than its image. It is resized if it is in proportion.
    MaskSize {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// The image's width and height.
        image_size: (usize, usize),
        /// The image's mask.
        #[serde(serialize_with = "path")]
        mask: PathBuf,
        /// The mask's width and height.
        mask_size: (usize, usize),
        /// What is the matter, and whether the mask can be used.
        mismatch: Mismatch,
    },
    /// The masks of all anomalous images of a category say that nearly all of the image is defect.
    MasksCoverImages {
        /// The category.
        category: String,
        /// Number of masks.
        masks: usize,
        /// How much of the images is defect, in percent.
        percent: u8,
        /// One of the masks.
        #[serde(serialize_with = "path")]
        mask: PathBuf,
    },
    /// Images lie in a folder that says nothing about what they show. They are left out.
    UnusedFolder {
        /// The folder.
        #[serde(serialize_with = "path")]
        folder: PathBuf,
        /// Number of images in it.
        images: usize,
        /// Why, and what to do, without a full stop.
        reason: String,
    },
    /// An image cannot be decoded.
    UnreadableImage {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// Why, as a full sentence.
        reason: String,
    },
    /// A mask cannot be decoded. Where the mask alone tells whether the image is anomalous, the
    /// sample is left out.
    UnreadableMask {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// The image's mask.
        #[serde(serialize_with = "path")]
        mask: PathBuf,
        /// Why, as a full sentence.
        reason: String,
    },
    /// A list names an image that does not exist. The entry is left out.
    MissingImage {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// The list.
        #[serde(serialize_with = "path")]
        list: PathBuf,
        /// The line, counted from 1, where one can be named.
        line: Option<u64>,
    },
    /// A list names an image twice. The second entry is left out.
    DuplicateImage {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// The list.
        #[serde(serialize_with = "path")]
        list: PathBuf,
        /// The second line, counted from 1, where one can be named.
        line: Option<u64>,
    },
    /// An image lies among those of a list, but is not in the list. It is left out.
    UnlistedImage {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// The list.
        #[serde(serialize_with = "path")]
        list: PathBuf,
    },
    /// A mask lies among those of a list, but is not in the list.
    UnlistedMask {
        /// The mask.
        #[serde(serialize_with = "path")]
        mask: PathBuf,
        /// The list.
        #[serde(serialize_with = "path")]
        list: PathBuf,
    },
    /// An image lies where only folders should be, so that its class is unknown. It is left out.
    UnplacedImage {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
    },
    /// An entry of a list cannot be understood. It is left out.
    BadEntry {
        /// The list.
        #[serde(serialize_with = "path")]
        list: PathBuf,
        /// The line, counted from 1, where one can be named.
        line: Option<u64>,
        /// What was found and what was expected, without a full stop.
        reason: String,
    },
    /// The list and the masks disagree on whether an image is anomalous. The list is believed.
    LabelConflict {
        /// The image.
        #[serde(serialize_with = "path")]
        image: PathBuf,
        /// The mask.
        #[serde(serialize_with = "path")]
        mask: PathBuf,
        /// The list.
        #[serde(serialize_with = "path")]
        list: PathBuf,
    },
    /// A file or folder of the data set is a link that leads nowhere: its content was not fetched
    /// (git-annex, DVC), or what it leads to is not mounted. What it should hold is left out.
    MissingFile {
        /// The link.
        #[serde(serialize_with = "path")]
        file: PathBuf,
        /// Where it leads, as the link has it.
        #[serde(serialize_with = "path")]
        target: PathBuf,
    },
    /// A folder could not be searched. What is in it is left out.
    UnreadableFolder {
        /// The folder.
        #[serde(serialize_with = "path")]
        folder: PathBuf,
        /// Why, without a full stop.
        reason: String,
    },
}

impl Problem {
    /// The problem as a full sentence with all paths.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a sentence for each kind")]
    pub fn sentence(&self) -> String {
        let at =
            |line: &Option<u64>| line.map_or_else(String::new, |line| format!(" (line {line})"));
        match self {
            Self::MissingMask { image, expected } => format!(
                "{} has no mask; expected is {}.",
                image.display(),
                expected.display()
            ),
            Self::ExtraMask { mask, expected } => format!(
                "The mask {} belongs to no image; expected is {}.",
                mask.display(),
                expected.display()
            ),
            Self::SeveralMasks { image, masks } => format!(
                "{} has several masks; the first is used: {}.",
                image.display(),
                joined(masks)
            ),
            Self::SharedMask { images, mask } => format!(
                "Several images have the same mask {}: {}.",
                mask.display(),
                joined(images)
            ),
            Self::EmptyMask { image, mask } => format!(
                "{} is anomalous, but its mask {} is empty.",
                image.display(),
                mask.display()
            ),
            Self::DefectInNormal {
                image,
                mask,
                pixels,
            } => format!(
                "{} is normal, but its mask {} has {pixels} pixels of defect, which are ignored.",
                image.display(),
                mask.display()
            ),
            Self::MaskSize {
                image,
                image_size,
                mask,
                mask_size,
                mismatch,
            } => format!(
                "The mask {} has {} × {} pixels, but its image {} has {} × {}: {mismatch}.",
                mask.display(),
                mask_size.0,
                mask_size.1,
                image.display(),
                image_size.0,
                image_size.1
            ),
            Self::MasksCoverImages {
                category,
                masks,
                percent,
                mask,
            } => format!(
                "The masks of '{category}' ({masks}, such as {}) say that {percent} % of the images is \
                 defect: probably they are inverted, or their background is not black. Defects have to \
                 be bright on black, or opaque on transparent; --mask-threshold raises the value above \
                 which pixels are defect.",
                mask.display()
            ),
            Self::UnusedFolder {
                folder,
                images,
                reason,
            } => format!(
                "{} with {images} {} is skipped: {reason}.",
                folder.display(),
                if *images == 1 { "image" } else { "images" }
            ),
            // Both reasons are sentences that name the file.
            Self::UnreadableImage { reason, .. } => reason.clone(),
            Self::UnreadableMask { image, reason, .. } => {
                format!("The mask of {} cannot be used: {reason}", image.display())
            }
            Self::MissingImage { image, list, line } => format!(
                "{} does not exist, but {} names it{}.",
                image.display(),
                list.display(),
                at(line)
            ),
            Self::DuplicateImage { image, list, line } => format!(
                "{} is named a second time in {}{}.",
                image.display(),
                list.display(),
                at(line)
            ),
            Self::UnlistedImage { image, list } => format!(
                "{} is not named in {} and is skipped.",
                image.display(),
                list.display()
            ),
            Self::UnlistedMask { mask, list } => format!(
                "The mask {} is not named in {}.",
                mask.display(),
                list.display()
            ),
            Self::UnplacedImage { image } => format!(
                "{} lies where only folders should be and is skipped, because its class is unknown.",
                image.display()
            ),
            Self::BadEntry { list, line, reason } => format!(
                "An entry of {}{} is skipped: {reason}.",
                list.display(),
                at(line)
            ),
            Self::LabelConflict { image, mask, list } => format!(
                "{} is normal according to {}, but has the mask {}, which is ignored.",
                image.display(),
                list.display(),
                mask.display()
            ),
            Self::MissingFile { file, target } => format!(
                "{} is missing: it is a link to {}, which does not exist; fetch its content (git annex \
                 get, dvc pull) or mount what it leads to.",
                file.display(),
                target.display()
            ),
            Self::UnreadableFolder { folder, reason } => {
                format!("{} could not be searched: {reason}.", folder.display())
            }
        }
    }
}

fn joined(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

/// Paths that are not UTF-8 must not make a report fail.
fn path<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}
