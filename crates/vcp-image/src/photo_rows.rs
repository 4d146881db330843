//! Photos that are read some rows at a time.

use std::borrow::Cow;
use std::ops::Range;

use crate::resample::{Filter, Resizer};
use crate::{Error, Photo};

/// A photo that need not be in memory whole.
///
/// Its reader goes from the top down and asks for overlapping ranges; a source may be slow when
/// asked for rows further up, but has to give the same pixels.
pub trait PhotoRows {
    /// Pixels per row.
    fn width(&self) -> usize;

    /// Rows.
    fn height(&self) -> usize;

    /// The rows `range`, in full width.
    ///
    /// # Errors
    /// When they cannot be read.
    ///
    /// # Panics
    /// If the range is empty or reaches past the height.
    fn rows(&mut self, range: Range<usize>) -> Result<Cow<'_, Photo>, Error>;
}

impl PhotoRows for Photo {
    fn width(&self) -> usize {
        Photo::width(self)
    }

    fn height(&self) -> usize {
        Photo::height(self)
    }

    fn rows(&mut self, range: Range<usize>) -> Result<Cow<'_, Photo>, Error> {
        Ok(rows_of(self, range))
    }
}

impl PhotoRows for &Photo {
    fn width(&self) -> usize {
        Photo::width(self)
    }

    fn height(&self) -> usize {
        Photo::height(self)
    }

    fn rows(&mut self, range: Range<usize>) -> Result<Cow<'_, Photo>, Error> {
        Ok(rows_of(self, range))
    }
}

fn rows_of(photo: &Photo, range: Range<usize>) -> Cow<'_, Photo> {
    if range == (0..photo.height()) {
        Cow::Borrowed(photo)
    } else {
        Cow::Owned(photo.crop(0..photo.width(), range))
    }
}

/// [`Photo::resize_bicubic`] of a photo whose rows come from the top down and are not kept.
pub struct BandResizer {
    resizer: Resizer,
}

impl BandResizer {
    /// From one width and height to another, of grey photos (one channel) or RGB (three).
    ///
    /// # Panics
    /// If a side is zero.
    #[must_use]
    pub fn new(from: (usize, usize), channels: usize, to: (usize, usize)) -> Self {
        Self {
            resizer: Resizer::new(from, channels, to, Filter::Bicubic),
        }
    }

    /// Takes the next rows, in full width.
    pub fn push(&mut self, rows: &Photo) {
        self.resizer.push(rows.pixels());
    }

    /// The photo, after its last row: as if it had been resized whole, to the byte.
    ///
    /// # Panics
    /// If rows are missing.
    #[must_use]
    pub fn into_photo(self) -> Photo {
        self.resizer.into_photo()
    }
}
