//! Photos that are read some rows at a time.

use std::borrow::Cow;
use std::ops::Range;

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

impl PhotoRows for &Photo {
    fn width(&self) -> usize {
        Photo::width(self)
    }

    fn height(&self) -> usize {
        Photo::height(self)
    }

    fn rows(&mut self, range: Range<usize>) -> Result<Cow<'_, Photo>, Error> {
        if range == (0..Photo::height(self)) {
            return Ok(Cow::Borrowed(self));
        }
        Ok(Cow::Owned(self.crop(0..Photo::width(self), range)))
    }
}
