//! The photos that the inputs on the command line stand for, in order.

mod common;
mod kinds;
mod pages;
mod scan;
mod stdin;

use std::path::PathBuf;

use crate::exit::usage;
pub(crate) use pages::every_page;

use common::CommonFolder;
pub(crate) use kinds::Skipped;
use scan::Scanner;
use stdin::Paths;

/// A photo to work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// The path as the user wrote or would write it.
    pub(crate) path: PathBuf,
    /// Where its results go below the output folder: relative, without `..`, still with the
    /// photo's own ending.
    pub(crate) relative: PathBuf,
    /// The page of the file that is this photo, counted from 1, if it was chosen.
    pub(crate) page: Option<u32>,
}

/// One photo, or a place where photos were looked for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Photo(Input),
    Unreadable { path: PathBuf, error: String },
}

/// How inputs are looked up.
#[derive(Debug, Clone)]
pub(crate) struct ScanOptions {
    /// Look into folders inside folders.
    pub(crate) recursive: bool,
}

/// All photos: those found already, and those whose paths are still to come on standard input.
///
/// An iterator; memory grows with the number of paths named or found, never with their content.
#[derive(Debug)]
pub(crate) struct Inputs {
    parts: std::vec::IntoIter<Part>,
    current: std::vec::IntoIter<Found>,
    piped: Option<Paths>,
    known: Option<usize>,
    skipped: Skipped,
}

#[derive(Debug)]
enum Part {
    Listed(Vec<Found>),
    Piped,
}

impl Inputs {
    /// Looks up every input: a file, a folder, a pattern, or `-`.
    ///
    /// # Errors
    /// When a folder or pattern gives no photo, or `-` stands twice. A file that is named but does
    /// not exist is no error here; it will fail when it is opened.
    pub(crate) fn gather(arguments: &[PathBuf], options: &ScanOptions) -> anyhow::Result<Self> {
        let is_piped = |argument: &PathBuf| argument.as_os_str() == "-";
        if arguments
            .iter()
            .filter(|argument| is_piped(argument))
            .count()
            > 1
        {
            return Err(usage(
                "`-` stands for standard input and can be given only once.",
            ));
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
                let listed = found.place(&common);
                known = known.map(|count| count + listed.len());
                Part::Listed(listed)
            })
            .collect();
        Ok(Self {
            parts: parts.into_iter(),
            current: Vec::new().into_iter(),
            piped: None,
            known,
            skipped,
        })
    }

    /// What lies in the folders named, and matches the patterns, without being taken for a photo.
    pub(crate) fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// How many there are, unless that depends on standard input.
    pub(crate) fn known_count(&self) -> Option<usize> {
        self.known
    }

    /// The photos that are known already, in order.
    pub(crate) fn listed(&self) -> Vec<PathBuf> {
        let listed = self.parts.as_slice().iter().flat_map(|part| match part {
            Part::Listed(found) => found.as_slice(),
            Part::Piped => &[],
        });
        let paths = listed.filter_map(|found| match found {
            Found::Photo(input) => Some(input.path.clone()),
            Found::Unreadable { .. } => None,
        });
        paths.collect()
    }
}

impl Iterator for Inputs {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            if let Some(found) = self.current.next() {
                return Some(found);
            }
            if let Some(paths) = &mut self.piped {
                match paths.next() {
                    Some(found) => return Some(found),
                    None => self.piped = None,
                }
            }
            match self.parts.next()? {
                Part::Listed(listed) => self.current = listed.into_iter(),
                Part::Piped => self.piped = Some(Paths::from_stdin()),
            }
        }
    }
}
