//! TIFF files read strip by strip.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

use image::metadata::Orientation;

use crate::decode::{Fault, MAX_SIDE, TiffPage, Wanted, longest_file};
use crate::{DecodeOptions, Error, Kind, Photo, Warning};

/// Most bytes a strip, or the tiles side by side, may take. Above that there is little to be saved.
const LARGEST_STRIP: u64 = 64 << 20;

/// A TIFF file and the strips of it that were read last. What is said of strips holds for rows of
/// tiles too.
pub(crate) struct Strips {
    label: String,
    page: TiffPage<BufReader<File>>,
    width: usize,
    height: usize,
    /// 1 or 3.
    channels: usize,
    /// Rows of a strip.
    strip_rows: usize,
    /// Strips in memory, with their numbers, which follow on one another.
    held: VecDeque<(usize, Vec<u8>)>,
    /// What should be known of how the file was read so far.
    warnings: Vec<Warning>,
}

impl Strips {
    /// Opens a file, unless it is not of the kind that can be read by strips; then, also when there is
    /// anything wrong with it, all of it has to go through [`decode_file`](crate::decode_file), which
    /// knows more kinds and says what is wrong.
    pub(crate) fn open(path: &Path, options: &DecodeOptions) -> Option<Self> {
        // To open a pipe is to wait until somebody writes to it.
        let metadata = std::fs::metadata(path).ok()?;
        if !metadata.is_file() || metadata.len() > longest_file(options.max_pixels) {
            return None;
        }
        // A camera's raw data begin as a TIFF with a small picture.
        if Kind::of_file(path).ok()? != Some(Kind::Tiff) {
            return None;
        }
        let file = BufReader::new(File::open(path).ok()?);
        // As everywhere, a decoder that panics has met one bad image, no more.
        vcp_panics::caught(|| Self::from_file(path.display().to_string(), file, options)).ok()?
    }

    fn from_file(label: String, file: BufReader<File>, options: &DecodeOptions) -> Option<Self> {
        let is_sound = |width: u64, height: u64| {
            let pixels = width.saturating_mul(height);
            pixels > 0 && pixels <= options.max_pixels && width.max(height) <= MAX_SIDE
        };
        // Whatever is wrong is found again, and said, when the file is decoded whole.
        let refused = || Error::UnknownFormat {
            file: label.clone(),
        };
        let wanted = Wanted {
            page: options.page,
            bits: Some(options.bits),
            max_bytes: LARGEST_STRIP,
            check_size: &|width, height| is_sound(width, height).then_some(()).ok_or_else(refused),
        };
        let page = TiffPage::open(file, &wanted).ok()?;
        let is_upright =
            !options.apply_orientation || page.orientation() == Orientation::NoTransforms;
        if !is_upright || page.chunk_rows() >= page.height() {
            return None;
        }
        Some(Self {
            width: page.width() as usize,
            height: page.height() as usize,
            channels: page.channels(),
            strip_rows: page.chunk_rows() as usize,
            warnings: page.warnings(),
            label,
            page,
            held: VecDeque::new(),
        })
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(crate) fn height(&self) -> usize {
        self.height
    }

    pub(crate) fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The rows `range`. Strips over them stay in memory until other rows are asked for.
    ///
    /// # Panics
    /// If the range is empty or reaches past the height.
    pub(crate) fn rows(&mut self, range: Range<usize>) -> Result<Photo, Error> {
        assert!(
            !range.is_empty() && range.end <= self.height,
            "rows {range:?} of {} were asked for",
            self.height
        );
        let rows_of_strip = self.strip_rows;
        let needed = range.start / rows_of_strip..range.end.div_ceil(rows_of_strip);
        self.held.retain(|(number, _)| needed.contains(number));
        if self
            .held
            .front()
            .is_some_and(|(first, _)| *first > needed.start)
        {
            self.held.clear();
        }
        let known = self.held.back().map_or(needed.start, |(last, _)| last + 1);
        for number in known..needed.end {
            let strip = vcp_panics::caught(|| self.page.read(number as u64))
                .unwrap_or_else(|_| Err(Fault::gave_up()))
                .map_err(|fault| fault.about(&self.label))?;
            self.held.push_back((number, strip));
            self.warnings = self.page.warnings();
        }
        let stride = self.width * self.channels;
        let mut pixels = Vec::with_capacity(range.len() * stride);
        for (number, strip) in &self.held {
            let top = number * rows_of_strip;
            let bottom = top + strip.len() / stride;
            let rows = range.start.clamp(top, bottom) - top..range.end.clamp(top, bottom) - top;
            pixels.extend_from_slice(&strip[rows.start * stride..rows.end * stride]);
        }
        Ok(Photo::from_parts(
            self.width,
            range.len(),
            self.channels,
            pixels,
        ))
    }
}
