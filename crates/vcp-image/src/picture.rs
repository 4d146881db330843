//! Pictures of a map: heat map and mask, and how pictures reach the disk.

use std::io::{Error as IoError, Read, Write};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use vcp_files::{Durability, Writer};

use crate::map_rows::for_each_row;
use crate::{Error, MapRows, Photo};

/// A finished picture, grey or RGB, to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    photo: Photo,
}

impl Picture {
    pub(crate) fn new(photo: Photo) -> Self {
        Self { photo }
    }

    /// The picture's pixels.
    #[must_use]
    pub fn as_photo(&self) -> &Photo {
        &self.photo
    }

    /// The picture's pixels, without copying them.
    #[must_use]
    pub fn into_photo(self) -> Photo {
        self.photo
    }

    /// Writes the picture as a PNG: first to a temporary file in the same folder, which then takes
    /// the name, so that `path` never holds half a picture. Made for speed rather than for the
    /// smallest file.
    ///
    /// # Errors
    /// [`Error::Write`] with the path. Nothing is left behind.
    pub fn write_png(&self, path: &Path) -> Result<(), Error> {
        let encode = |file: &mut Writer<'_>| self.encode_png(file);
        vcp_files::write(path, Durability::Fast, encode).map_err(|source| Error::Write {
            file: path.to_owned(),
            source,
        })
    }

    /// The bytes of a PNG file with the picture, as [`write_png`](Self::write_png) writes them.
    ///
    /// # Errors
    /// [`Error::Encode`] if a side is longer than the format can state.
    pub fn to_png_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.encode_png(&mut bytes)
            .map_err(|source| self.not_encoded("PNG", source))?;
        Ok(bytes)
    }

    /// The bytes of a JPEG file with the picture: much smaller than a PNG of a photo, but changed a
    /// little. `quality` is from 1 (smallest) to 100 (best); other values are moved to the nearer
    /// end. Colour is kept at full resolution, so that thin coloured lines stay sharp.
    ///
    /// # Errors
    /// [`Error::Encode`] if a side is longer than the 65,535 pixels the format can state.
    pub fn to_jpeg_bytes(&self, quality: u8) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, quality.clamp(1, 100));
        self.encode_with(encoder)
            .map_err(|source| self.not_encoded("JPEG", source))?;
        Ok(bytes)
    }

    fn not_encoded(&self, format: &'static str, source: IoError) -> Error {
        Error::Encode {
            format,
            width: self.photo.width(),
            height: self.photo.height(),
            source,
        }
    }

    /// Writes what [`write_png`](Self::write_png) puts into a file.
    ///
    /// # Errors
    /// Those of `writer`, and one if a side is longer than the format can state.
    pub fn encode_png(&self, writer: impl Write) -> Result<(), IoError> {
        // Up is quickest and enough for masks; Paeth makes photos a quarter smaller.
        let (color, filter) = if self.photo.is_grey() {
            (png::ColorType::Grayscale, png::Filter::Up)
        } else {
            (png::ColorType::Rgb, png::Filter::Paeth)
        };
        let (width, height) = self.sides()?;
        let mut encoder = png::Encoder::new(writer, width, height);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(filter);
        // By this a later run knows that it is no photo, whatever it is called and wherever it lies.
        encoder.add_text_chunk("Software".to_owned(), SOFTWARE.to_owned())?;
        let mut writer = encoder.write_header()?;
        writer.write_image_data(self.photo.pixels())?;
        writer.finish()?;
        Ok(())
    }

    fn sides(&self) -> Result<(u32, u32), IoError> {
        let side = |pixels: usize| u32::try_from(pixels).map_err(IoError::other);
        Ok((side(self.photo.width())?, side(self.photo.height())?))
    }

    fn encode_with(&self, encoder: impl ImageEncoder) -> Result<(), IoError> {
        let color = if self.photo.is_grey() {
            ExtendedColorType::L8
        } else {
            ExtendedColorType::Rgb8
        };
        let (width, height) = self.sides()?;
        encoder
            .write_image(self.photo.pixels(), width, height, color)
            .map_err(IoError::other)
    }
}

/// What PNGs written here name as their software.
const SOFTWARE: &str = "vcp-clip";

/// Whether a file begins as the PNGs do that [`Picture`] writes: its first text names this program.
///
/// # Errors
/// When it cannot be read. A file that is too short is none of them.
pub fn is_own_png(mut file: impl Read) -> Result<bool, IoError> {
    // Eight bytes of signature, the image header with its length, name and check sum (25), then the
    // text: PNG, third edition, 5.3, 11.2.1 and 11.3.3.1.
    let text = [b"tEXtSoftware\0", SOFTWARE.as_bytes()].concat();
    let at = 8 + 25 + 4;
    let mut start = vec![0; at + text.len()];
    match file.read_exact(&mut start) {
        Ok(()) => Ok(start.starts_with(b"\x89PNG\r\n\x1a\n") && start[at..] == text),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

impl From<Photo> for Picture {
    /// A picture of these pixels as they are.
    fn from(photo: Photo) -> Self {
        Self::new(photo)
    }
}

/// Where a value lies in a fixed range, as one of 256 steps. Values outside stop at the ends; so
/// does NaN, at the low one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    low: f32,
    high: f32,
}

impl Scale {
    pub(crate) fn new((low, high): (f32, f32)) -> Self {
        Self { low, high }
    }

    pub(crate) fn step(self, value: f32) -> u8 {
        // The cast turns NaN into 0, and cuts at both ends.
        ((value - self.low) / (self.high - self.low) * 255.0 + 0.5) as u8
    }
}

/// The 256 colours of the scale: Inferno, from black over purple and orange to light yellow. It
/// rises evenly in lightness, so it also reads in grey and without red-green vision, and it looks
/// like heat.
pub(crate) fn colors() -> [[u8; 3]; 256] {
    std::array::from_fn(|step| colorous::INFERNO.eval_rational(step, 256).into_array())
}

/// The map in colour (Inferno) on a fixed scale: `range.0` and everything below is black, `range.1`
/// and everything above is light yellow. Never scaled to the map's own values, so colours compare
/// between photos.
#[must_use]
pub fn heatmap(map: &(impl MapRows + ?Sized), range: (f32, f32)) -> Picture {
    let colors = colors();
    let scale = Scale::new(range);
    let mut pixels = vec![0; map.width() * map.height() * 3];
    let (colored, _) = pixels.as_chunks_mut::<3>();
    for_each_row(map, |y, values| {
        let row = &mut colored[y * values.len()..(y + 1) * values.len()];
        for (pixel, &value) in row.iter_mut().zip(values) {
            *pixel = colors[usize::from(scale.step(value))];
        }
    });
    Picture::new(Photo::from_parts(map.width(), map.height(), 3, pixels))
}

/// White (255) where the map is at least `threshold`, black elsewhere. Grey.
#[must_use]
pub fn mask_picture(map: &(impl MapRows + ?Sized), threshold: f32) -> Picture {
    let mut pixels = Vec::with_capacity(map.width() * map.height());
    for_each_row(map, |_, values| {
        pixels.extend(
            values
                .iter()
                .map(|&value| if value >= threshold { 255 } else { 0 }),
        );
    });
    Picture::new(Photo::from_parts(map.width(), map.height(), 1, pixels))
}
