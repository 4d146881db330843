//! Which page of a file is the photo.

use std::io::{Read, Seek};

use super::directory::{Directory, Source};
use super::{Fault, tag};
use crate::Warning;

/// Which page of a file with several is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageChoice {
    /// The first that is a photo: not a thumbnail, by its own word or because a later page shows the
    /// same at least twice as large, and not a mask.
    #[default]
    Photo,
    /// This one, counted from 1 as it stands in the file.
    Number(u32),
}

/// The pages of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pages {
    /// Number of the page that is read, from 1.
    chosen: u32,
    /// Whether it was asked for.
    is_wanted: bool,
    /// Numbers of the pages that are photos.
    pub(crate) photos: Vec<u32>,
}

impl Pages {
    /// The directory of the page that is wanted.
    pub(super) fn choose<R: Read + Seek>(
        source: &mut Source<R>,
        choice: PageChoice,
    ) -> Result<(Directory, Self), Fault> {
        let mut directories = source.directories()?;
        let mut photos = photos(source, &directories)?;
        let index = match choice {
            PageChoice::Number(number) => {
                let index = (number as usize).wrapping_sub(1);
                if index >= directories.len() {
                    return Err(Fault::unsupported(format!(
                        "page {number} was asked for, and it has {}",
                        directories.len()
                    )));
                }
                index
            }
            PageChoice::Photo => match photos.first() {
                Some(first) => *first,
                None => {
                    // Raw files keep a thumbnail in front and the picture in a directory below it.
                    if let Some(below) = full_below(source, &directories[0])? {
                        directories.push(below);
                        directories.len() - 1
                    } else {
                        0
                    }
                }
            },
        };
        if photos.is_empty() {
            photos.push(index);
        }
        let number = |index: usize| index as u32 + 1;
        let pages = Self {
            chosen: number(index),
            is_wanted: choice != PageChoice::Photo,
            photos: photos.into_iter().map(number).collect(),
        };
        Ok((directories.swap_remove(index), pages))
    }
}

impl Pages {
    /// What should be known of the page that is read.
    pub(super) fn warning(&self) -> Option<Warning> {
        if self.is_wanted {
            return None;
        }
        let page = self.chosen;
        match self.photos.len() {
            0 | 1 => (page > 1).then_some(Warning::Thumbnail { page }),
            pages => Some(Warning::Pages { page, pages }),
        }
    }
}

/// Indices of the pages that are photos.
fn photos<R: Read + Seek>(
    source: &mut Source<R>,
    directories: &[Directory],
) -> Result<Vec<usize>, Fault> {
    let mut candidates = Vec::new();
    for (index, directory) in directories.iter().enumerate() {
        let found = is_reduced(source, directory)
            .and_then(|is_reduced| Ok((is_reduced, source.size(directory)?)));
        match found {
            Ok((false, size)) => candidates.push((index, size)),
            Err(fault) if index == 0 => return Err(fault),
            // A later page that is broken is no reason to refuse the first.
            Ok((true, _)) | Err(_) => {}
        }
    }
    // A thumbnail that does not say so.
    if let [(_, (width, height)), rest @ ..] = &candidates[..] {
        let is_smaller_copy = rest.iter().any(|(_, (full_width, full_height))| {
            let (across, down) = (
                *full_width as f64 / *width as f64,
                *full_height as f64 / *height as f64,
            );
            // Sides of thumbnails are rounded to whole pixels.
            let tolerance = 0.02 + 1.0 / (*width.min(height)).max(1) as f64;
            across >= 2.0 && down >= 2.0 && (across / down - 1.0).abs() <= tolerance
        });
        if is_smaller_copy {
            candidates.remove(0);
        }
    }
    Ok(candidates.into_iter().map(|(index, _)| index).collect())
}

/// Whether a page says that it is a smaller copy of another, or a mask.
fn is_reduced<R: Read + Seek>(
    source: &mut Source<R>,
    directory: &Directory,
) -> Result<bool, Fault> {
    const REDUCED: u64 = 1;
    const MASK: u64 = 4;
    let kind = source.number(directory, tag::NEW_SUBFILE_TYPE, 0)?;
    let old_kind = source.number(directory, tag::SUBFILE_TYPE, 0)?;
    Ok(kind & (REDUCED | MASK) != 0 || old_kind == 2)
}

/// The first directory below this one that is not reduced.
fn full_below<R: Read + Seek>(
    source: &mut Source<R>,
    directory: &Directory,
) -> Result<Option<Directory>, Fault> {
    const MOST: usize = 16;
    let places = source.numbers(directory, tag::SUB_DIRECTORIES)?;
    for offset in places.into_iter().take(MOST) {
        let Ok(below) = source.directory(offset) else {
            continue;
        };
        if matches!(is_reduced(source, &below), Ok(false)) {
            return Ok(Some(below));
        }
    }
    Ok(None)
}
