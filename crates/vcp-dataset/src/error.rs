//! What ends the reading of a data set, as opposed to a [`Problem`](crate::Problem), which is
//! written down while the reading goes on.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// A data set that could not be read or written, or a mask that could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be opened or read.
    #[error("{} could not be read: {source}.", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The folder does not look like the layout that was asked for.
    #[error(
        "{} does not hold a data set of the layout '{layout}': {found}. Expected is:{}", root.display(), indented(expected)
    )]
    Layout {
        /// The layout's name.
        layout: &'static str,
        /// The folder that was searched.
        root: PathBuf,
        /// What was found, or not found.
        found: String,
        /// [`Layout::describe`](crate::Layout::describe).
        expected: &'static str,
    },
    /// A list or annotation is longer than any real one.
    #[error(
        "{} is longer than the {max_bytes} bytes that are read of a list or annotation; it is probably not the file that was meant.", path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Longest length that is read.
        max_bytes: u64,
    },
    /// A list or annotation does not say what it should.
    #[error("{} is not valid{}: {reason}.", path.display(), at_line(*line))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where one can be named.
        line: Option<u64>,
        /// What was found and what was expected.
        reason: String,
    },
    /// A list names a file outside the data set's folder.
    #[error(
        "{} names the file '{named}'{}, which lies outside {}. Allow it with --allow-outside-root if you trust the list.", list.display(), at_line(*line), root.display()
    )]
    OutsideRoot {
        /// The list.
        list: PathBuf,
        /// The line, counted from 1, where one can be named.
        line: Option<u64>,
        /// The path as it stands in the list.
        named: String,
        /// The data set's folder.
        root: PathBuf,
    },
    /// More than one file could be the one that was meant.
    #[error(
        "{} holds several files that could be the list ({}); name one of them with --manifest.", root.display(), names.join(", ")
    )]
    SeveralLists {
        /// The folder.
        root: PathBuf,
        /// Names of the files that could be the list.
        names: Vec<String>,
    },
    /// An image or mask could not be decoded.
    #[error(transparent)]
    Image(#[from] vcp_image::Error),
    /// A mask's sides are not in proportion to its image's.
    #[error(
        "The mask {} has {} × {} pixels, but its image {} has {} × {}: {mismatch}.", mask.display(), mask_size.0, mask_size.1, image.display(), image_size.0, image_size.1
    )]
    MaskSize {
        /// The image.
        image: PathBuf,
        /// The image's width and height.
        image_size: (usize, usize),
        /// The mask or annotation.
        mask: PathBuf,
        /// The mask's width and height.
        mask_size: (usize, usize),
        /// What is probably the matter.
        mismatch: Mismatch,
    },
    /// The image shows a defect, but nothing says where.
    #[error(
        "{} shows a defect, but has no mask; pixel metrics, training and conversion need one.", image.display()
    )]
    NoMask {
        /// The image.
        image: PathBuf,
    },
    /// A category was asked for that the data set does not have.
    #[error("The data set '{dataset}' has no category '{category}'; it has {}.", known.join(", "))]
    UnknownCategory {
        /// The data set's name.
        dataset: String,
        /// What was asked for.
        category: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A category was asked for that none of several data sets has.
    #[error("There is no category '{category}'; there are {}.", known.join(", "))]
    NoCategory {
        /// What was asked for.
        category: String,
        /// What the data sets have, in their order.
        known: Vec<String>,
    },
    /// Not one image of a data set can be used.
    #[error("{reason}")]
    NothingUsable {
        /// Which data set, and why, as full sentences.
        reason: String,
    },
    /// There is no layout of this name.
    #[error(
        "There is no layout '{name}'.{} There are {}; `vcp-clip data list` describes them.", did_you_mean(*near), known.join(", ")
    )]
    UnknownLayout {
        /// What was asked for.
        name: String,
        /// The layout whose name is nearly the same, if there is one.
        near: Option<&'static str>,
        /// The names of all layouts.
        known: Vec<&'static str>,
    },
    /// A name from the data set cannot be part of a path.
    #[error(
        "The {what} '{name}' cannot be used as the name of a file or folder; rename it in the data set."
    )]
    UnsafeName {
        /// What is named: `category` or `data set`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// There is something already where the conversion is to be written.
    #[error("{} exists already and is not overwritten; remove it or choose another folder.", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// Another run writes there.
    #[error(transparent)]
    Locked(#[from] vcp_files::LockError),
    /// The caller ended the work.
    #[error("The work was stopped before it was done; nothing was written.")]
    Stopped,
    /// A file or folder could not be written.
    #[error("{} could not be written: {source}.", path.display())]
    Write {
        /// Where it was to go.
        path: PathBuf,
        /// What the operating system or the encoder said.
        source: std::io::Error,
    },
}

/// What is the matter with the sizes of a mask and its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mismatch {
    /// Mask and image are in proportion within 2 %, so that the mask is resized: no harm.
    Resized,
    /// Mask and image are in different proportions.
    Proportion,
    /// The mask is as wide as the image is high and the other way round, and nothing says why.
    Sides,
    /// The image's metadata ask for it to be turned, which was not done, while the mask is upright.
    ImageNotTurned,
    /// The image was turned as its metadata ask for, while the mask is as the image is stored.
    ImageTurned,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Resized => "it is resized, as in the official code",
            Self::Proportion => "they have to be in the same proportion, within 2 %",
            Self::Sides => "the sides are swapped, so that one of the two was turned without the other",
            Self::ImageNotTurned => {
                "the image is stored turned and its EXIF data say so, while the mask is upright; \
                 --orientation turns images as their EXIF data say"
            }
            Self::ImageTurned => {
                "the image was turned as its EXIF data say, while the mask is as the image is stored; \
                 leave out --orientation, or give --no-orientation, to take images as they are stored"
            }
        })
    }
}

/// Each line on one of its own, moved in.
fn indented(text: &str) -> String {
    text.lines().flat_map(|line| ["\n  ", line]).collect()
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(" Did you mean '{near}'?"))
}

fn at_line(line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(" (line {line})"))
}
