//! A decoded photo.

use std::ops::Range;

use crate::{Error, Warning, resample};

/// A decoded 8-bit image, row by row from the top left, grey (one channel) or RGB (three,
/// interleaved).
///
/// Grey stays grey because Pillow resizes a grey image as such and copies it to three channels
/// afterwards.
///
/// Photos are equal when their pixels are.
#[derive(Clone)]
pub struct Photo {
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
    warnings: Vec<Warning>,
}

impl Photo {
    /// An RGB photo from interleaved bytes, `width * height * 3` of them.
    ///
    /// # Errors
    /// [`Error::PixelCount`] if there are more or fewer, [`Error::Empty`] if either side is zero.
    pub fn from_rgb(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, Error> {
        Self::new(width, height, 3, pixels)
    }

    /// A grey photo from `width * height` bytes.
    ///
    /// # Errors
    /// [`Error::PixelCount`] if there are more or fewer, [`Error::Empty`] if either side is zero.
    pub fn from_grey(width: usize, height: usize, pixels: Vec<u8>) -> Result<Self, Error> {
        Self::new(width, height, 1, pixels)
    }

    fn new(width: usize, height: usize, channels: usize, pixels: Vec<u8>) -> Result<Self, Error> {
        if width == 0 || height == 0 {
            return Err(Error::Empty {
                file: "The photo in memory".to_owned(),
                width: width as u64,
                height: height as u64,
            });
        }
        let expected = width.saturating_mul(height).saturating_mul(channels);
        if pixels.len() != expected {
            return Err(Error::PixelCount {
                width,
                height,
                channels,
                found: pixels.len(),
                expected,
            });
        }
        Ok(Self {
            width,
            height,
            channels,
            pixels,
            warnings: Vec::new(),
        })
    }

    /// A photo whose parts are known to fit together, from inside this crate.
    pub(crate) fn from_parts(
        width: usize,
        height: usize,
        channels: usize,
        pixels: Vec<u8>,
    ) -> Self {
        debug_assert!(channels == 1 || channels == 3);
        debug_assert_eq!(pixels.len(), width * height * channels);
        Self {
            width,
            height,
            channels,
            pixels,
            warnings: Vec::new(),
        }
    }

    /// The same photo, of which this too should be known.
    #[must_use]
    pub(crate) fn with_warnings(mut self, warnings: impl IntoIterator<Item = Warning>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// What a reader of results should know of how the photo was read. What is made of it (a part, a
    /// resized copy) has none.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Pixels per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// 1 for grey, 3 for RGB.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Whether the photo is grey.
    #[must_use]
    pub fn is_grey(&self) -> bool {
        self.channels == 1
    }

    /// The pixels, `height * width * channels` bytes, channels interleaved.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels, without copying them.
    #[must_use]
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// One row, `width * channels` bytes.
    ///
    /// # Panics
    /// If `y` is not less than the height.
    #[must_use]
    pub fn row(&self, y: usize) -> &[u8] {
        let stride = self.width * self.channels;
        &self.pixels[y * stride..(y + 1) * stride]
    }

    /// The part that lies in these columns and rows.
    ///
    /// # Panics
    /// If a range is empty or reaches past the photo.
    #[must_use]
    pub fn crop(&self, columns: Range<usize>, rows: Range<usize>) -> Photo {
        assert!(
            !columns.is_empty()
                && columns.end <= self.width
                && !rows.is_empty()
                && rows.end <= self.height,
            "columns {columns:?} and rows {rows:?} of a photo of {} × {} pixels were asked for",
            self.width,
            self.height
        );
        let bytes = columns.start * self.channels..columns.end * self.channels;
        let (width, height) = (columns.len(), rows.len());
        let mut pixels = Vec::with_capacity(width * height * self.channels);
        for y in rows {
            pixels.extend_from_slice(&self.row(y)[bytes.clone()]);
        }
        Self::from_parts(width, height, self.channels, pixels)
    }

    /// The same photo as RGB; a grey value becomes three equal ones.
    #[must_use]
    pub fn to_rgb(&self) -> Photo {
        if self.channels == 3 {
            return self.clone();
        }
        let mut pixels = vec![0; self.pixels.len() * 3];
        for (rgb, &grey) in pixels.chunks_exact_mut(3).zip(&self.pixels) {
            rgb.fill(grey);
        }
        Self::from_parts(self.width, self.height, 3, pixels)
    }

    /// Resized to `side_w` × `side_h` as Pillow's `Image.resize` does it with `BICUBIC`: a = −0.5,
    /// antialiased when shrinking, rounded to 8 bits between the horizontal and the vertical pass.
    /// The aspect ratio is not kept. The result equals Pillow's byte for byte.
    ///
    /// # Panics
    /// If a side is zero.
    #[must_use]
    pub fn resize_bicubic(&self, side_w: usize, side_h: usize) -> Photo {
        resample::resize(self, side_w, side_h, resample::Filter::Bicubic)
    }
}

impl PartialEq for Photo {
    fn eq(&self, other: &Self) -> bool {
        (self.width, self.height, self.channels) == (other.width, other.height, other.channels)
            && self.pixels == other.pixels
    }
}

impl Eq for Photo {}

impl std::fmt::Debug for Photo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Millions of bytes would drown whatever else is printed.
        formatter
            .debug_struct("Photo")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}
