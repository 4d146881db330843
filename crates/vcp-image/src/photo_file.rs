//! A photo of which rows are wanted.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::strips::Strips;
use crate::{DecodeOptions, Error, Photo, PhotoRows, Warning, decode_file};

/// A photo in a file, read some rows at a time where the file allows: a TIFF whose pixels are stored
/// in strips or tiles and upright. Any other file is decoded whole when it is opened. A [`Photo`] that is
/// in memory can be made one too.
///
/// The pixels are those of [`decode_file`], to the byte.
pub struct PhotoFile {
    source: Source,
}

enum Source {
    Whole(Photo),
    Strips {
        path: PathBuf,
        options: DecodeOptions,
        strips: Box<Strips>,
    },
}

impl From<Photo> for PhotoFile {
    fn from(photo: Photo) -> Self {
        Self {
            source: Source::Whole(photo),
        }
    }
}

impl PhotoFile {
    /// Opens the photo at `path`.
    ///
    /// # Errors
    /// As [`decode_file`]. A broken strip shows when it is read.
    pub fn open(path: &Path, options: &DecodeOptions) -> Result<Self, Error> {
        let source = match Strips::open(path, options) {
            Some(strips) => Source::Strips {
                path: path.to_owned(),
                options: options.clone(),
                strips: Box::new(strips),
            },
            None => Source::Whole(decode_file(path, options)?),
        };
        Ok(Self { source })
    }

    /// Whether the photo is not in memory but read when needed.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        matches!(self.source, Source::Strips { .. })
    }

    /// What a reader of results should know of how the photo was read: of one that is not in memory,
    /// as far as its rows have been read.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        match &self.source {
            Source::Whole(photo) => photo.warnings(),
            Source::Strips { strips, .. } => strips.warnings(),
        }
    }

    /// The whole photo, decoded now if it is not in memory.
    ///
    /// # Errors
    /// As [`decode_file`], and [`Error::Changed`] if the file holds a photo of another size by now.
    pub fn whole(&self) -> Result<Cow<'_, Photo>, Error> {
        match &self.source {
            Source::Whole(photo) => Ok(Cow::Borrowed(photo)),
            Source::Strips {
                path,
                options,
                strips,
            } => {
                let photo = decode_file(path, options)?;
                let opened = (strips.width(), strips.height());
                if (photo.width(), photo.height()) == opened {
                    return Ok(Cow::Owned(photo));
                }
                Err(Error::Changed {
                    file: path.clone(),
                    opened,
                    found: (photo.width(), photo.height()),
                })
            }
        }
    }
}

impl PhotoRows for PhotoFile {
    fn width(&self) -> usize {
        match &self.source {
            Source::Whole(photo) => photo.width(),
            Source::Strips { strips, .. } => strips.width(),
        }
    }

    fn height(&self) -> usize {
        match &self.source {
            Source::Whole(photo) => photo.height(),
            Source::Strips { strips, .. } => strips.height(),
        }
    }

    fn rows(&mut self, range: Range<usize>) -> Result<Cow<'_, Photo>, Error> {
        match &mut self.source {
            Source::Whole(photo) => {
                let photo: &Photo = photo;
                if range == (0..photo.height()) {
                    Ok(Cow::Borrowed(photo))
                } else {
                    Ok(Cow::Owned(photo.crop(0..photo.width(), range)))
                }
            }
            Source::Strips { strips, .. } => strips.rows(range).map(Cow::Owned),
        }
    }
}
