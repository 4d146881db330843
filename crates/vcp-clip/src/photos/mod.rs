//! The photos that files, folders, patterns and lists stand for, in order; and how they are decoded.

mod decoding;
mod folder;
mod kinds;
mod pages;
mod scan;
mod shard;
mod stdin;

use std::io::BufRead;
use std::path::{Path, PathBuf};

pub use decoding::{Decoding, SettledBits, settle_bits};
pub use folder::ListedIn;
pub use kinds::{Skipped, is_photo};
pub use pages::every_page;
pub use shard::{Shard, ShardError};

use folder::CommonFolder;
use scan::{Scan, Scanner, placed};
use stdin::Paths;

/// A photo in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoPath {
    /// The path as the user wrote or would write it.
    pub path: PathBuf,
    /// Where its results go below the output folder: relative, without `..`, still with the
    /// photo's own ending.
    pub relative: PathBuf,
    /// The page of the file that is this photo, counted from 1, if it was chosen.
    pub page: Option<u32>,
}

/// One photo, or a place in which none could be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file that is taken for a photo.
    Photo(PhotoPath),
    /// Something that cannot be read.
    Unreadable {
        /// The file, folder or `-`.
        path: PathBuf,
        /// Why not, as a sentence that names it.
        error: String,
        /// Whether it is a list that cannot be read any further, so that photos may be missing.
        is_cut: bool,
    },
}

/// How inputs are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOptions {
    /// Look into folders inside folders, as is the default.
    pub recursive: bool,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { recursive: true }
    }
}

/// Inputs that stand for no photos.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputsError {
    /// `-` stands twice.
    #[error("`-` stands for standard input and can be given only once.")]
    TwoStreams,
    /// A folder without photos.
    #[error(
        "The folder {} holds no photo. Files that end in {} count; hidden files do not.{skipped}",
        folder.display(), kinds::ENDINGS_IN_WORDS
    )]
    EmptyFolder {
        /// The folder.
        folder: PathBuf,
        /// What was skipped there, as sentences with a space in front; empty if nothing was.
        skipped: String,
    },
    /// A pattern that cannot be understood.
    #[error("{pattern} is neither a file nor a pattern that can be understood: {reason}.")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A pattern that matches no file.
    #[error("The pattern {pattern} matches nothing.")]
    NoMatch {
        /// The pattern.
        pattern: String,
    },
    /// A pattern that matches no photo.
    #[error("The pattern {pattern} matches no photo that can be read.{skipped}")]
    NoPhotoMatches {
        /// The pattern.
        pattern: String,
        /// What was skipped, as sentences with a space in front; empty if nothing was.
        skipped: String,
    },
}

/// All photos: those found already, and those whose paths are still to come in a stream.
///
/// An iterator; memory grows with the number of paths named or found, each of which is kept once, never with their
/// content. Of a stream nothing is kept.
pub struct Inputs {
    parts: std::vec::IntoIter<Part>,
    current: std::vec::IntoIter<Scan>,
    common: CommonFolder,
    /// Not read yet.
    stream: Option<Box<dyn BufRead + Send>>,
    piped: Option<Paths>,
    known: Option<usize>,
    skipped: Skipped,
}

impl std::fmt::Debug for Inputs {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Inputs")
            .field("known", &self.known)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Part {
    Listed(Vec<Scan>),
    Piped,
}

impl Inputs {
    /// Looks up every input: a file, a folder, a pattern such as `good/*.png`, or `-` for `stream`, which
    /// holds a path per line and is read only then.
    ///
    /// # Errors
    /// When a folder or pattern gives no photo, or `-` stands twice. A file that is named but does
    /// not exist is no error here; it will fail when it is opened.
    pub fn gather(
        arguments: &[PathBuf],
        options: ScanOptions,
        stream: Box<dyn BufRead + Send>,
    ) -> Result<Self, InputsError> {
        let is_piped = |argument: &PathBuf| argument.as_os_str() == "-";
        if arguments
            .iter()
            .filter(|argument| is_piped(argument))
            .count()
            > 1
        {
            return Err(InputsError::TwoStreams);
        }
        let mut scanner = Scanner::new(options, arguments);
        let mut scanned = Vec::with_capacity(arguments.len());
        for argument in arguments {
            scanned.push(if is_piped(argument) {
                None
            } else {
                Some(scanner.scan(argument)?)
            });
        }
        // One folder above everything named, so that equal names in different folders stay apart
        // and the tree below --out does not depend on how the photos were named.
        let common = CommonFolder::of(scanned.iter().flatten().map(|found| found.root.as_path()));
        let mut known = Some(0);
        let mut skipped = Skipped::default();
        let parts: Vec<Part> = scanned
            .into_iter()
            .map(|found| {
                let Some(mut found) = found else {
                    known = None;
                    return Part::Piped;
                };
                skipped.add(std::mem::take(&mut found.skipped));
                known = known.map(|count| count + found.found.len());
                Part::Listed(found.found)
            })
            .collect();
        Ok(Self {
            parts: parts.into_iter(),
            current: Vec::new().into_iter(),
            common,
            stream: Some(stream),
            piped: None,
            known,
            skipped,
        })
    }

    /// What lies in the folders named, and matches the patterns, without being taken for a photo.
    #[must_use]
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// How many there are, unless that depends on the stream.
    #[must_use]
    pub fn known_count(&self) -> Option<usize> {
        self.known
    }

    /// The photos that are known already, in order.
    #[must_use]
    pub fn listed(&self) -> Vec<&Path> {
        let listed = self.parts.as_slice().iter().flat_map(|part| match part {
            Part::Listed(found) => found.as_slice(),
            Part::Piped => &[],
        });
        listed.filter_map(|found| found.as_deref().ok()).collect()
    }
}

impl Iterator for Inputs {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.current.next() {
                return Some(placed(found, &self.common));
            }
            if let Some(paths) = &mut self.piped {
                match paths.next() {
                    Some(found) => return Some(found),
                    None => self.piped = None,
                }
            }
            match self.parts.next()? {
                Part::Listed(listed) => self.current = listed.into_iter(),
                Part::Piped => self.piped = self.stream.take().map(Paths::new),
            }
        }
    }
}
