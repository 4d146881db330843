//! TIFF files read strip by strip.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use crate::decode::{MAX_SIDE, WORKING_MEMORY, longest_file};
use crate::{DecodeOptions, Error, Photo, Warning};

/// Most bytes a strip, or the tiles side by side, may take. Above that there is little to be saved.
const LARGEST_STRIP: u64 = 64 << 20;

/// A TIFF file and the strips of it that were read last. What is said of strips holds for rows of
/// tiles too.
pub(crate) struct Strips {
    label: String,
    decoder: Decoder<BufReader<File>>,
    width: usize,
    height: usize,
    /// Samples of a pixel in the file.
    samples: usize,
    /// Those that count: 1 or 3.
    channels: usize,
    /// Width and height of a strip or tile.
    chunk: (usize, usize),
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
        let file = BufReader::new(File::open(path).ok()?);
        // As everywhere, a decoder that panics has met one bad image, no more.
        catch_unwind(AssertUnwindSafe(|| {
            Self::from_file(path.display().to_string(), file, options)
        }))
        .ok()?
    }

    fn from_file(label: String, file: BufReader<File>, options: &DecodeOptions) -> Option<Self> {
        let mut limits = Limits::default();
        limits.decoding_buffer_size = usize::try_from(LARGEST_STRIP).ok()?;
        limits.intermediate_buffer_size = usize::try_from(2 * LARGEST_STRIP).ok()?;
        limits.ifd_value_size = usize::try_from(WORKING_MEMORY).ok()?;
        let mut decoder = Decoder::new(file).ok()?.with_limits(limits);
        let (width, height) = decoder.dimensions().ok()?;
        let pixels = u64::from(width).saturating_mul(u64::from(height));
        let is_sound =
            pixels > 0 && pixels <= options.max_pixels && u64::from(width.max(height)) <= MAX_SIDE;
        let (samples, channels, bytes) = match decoder.colortype().ok()? {
            ColorType::Gray(8) => (1, 1, 1),
            ColorType::GrayA(8) => (2, 1, 1),
            ColorType::RGB(8) => (3, 3, 1),
            ColorType::RGBA(8) => (4, 3, 1),
            ColorType::Gray(16) => (1, 1, 2),
            ColorType::GrayA(16) => (2, 1, 2),
            ColorType::RGB(16) => (3, 3, 2),
            ColorType::RGBA(16) => (4, 3, 2),
            _ => return None,
        };
        let mut has_only = |tag, expected| {
            let values = decoder.find_tag_unsigned_vec::<u16>(tag);
            let values = values.map(Option::unwrap_or_default);
            values.is_ok_and(|values| values.iter().all(|value| *value == expected))
        };
        let is_plain = has_only(Tag::SampleFormat, 1)
            && has_only(Tag::PlanarConfiguration, 1)
            && (!options.apply_orientation || has_only(Tag::Orientation, 1));
        let chunk = decoder.chunk_dimensions();
        let strip = u64::from(width) * u64::from(chunk.1.min(height)) * samples as u64 * bytes;
        if !is_sound
            || !is_plain
            || chunk.0 == 0
            || chunk.1 == 0
            || chunk.1 >= height
            || strip > LARGEST_STRIP
        {
            return None;
        }
        Some(Self {
            label,
            decoder,
            width: width as usize,
            height: height as usize,
            samples,
            channels,
            chunk: (chunk.0 as usize, chunk.1 as usize),
            held: VecDeque::new(),
            warnings: Vec::new(),
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
        let rows_of_strip = self.chunk.1;
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
            let strip = catch_unwind(AssertUnwindSafe(|| self.read(number)))
                .unwrap_or_else(|_| Err(self.invalid("the decoder gave up on it")))?;
            self.held.push_back((number, strip));
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

    /// The pixels of a strip, `[rows, width, channels]`.
    fn read(&mut self, number: usize) -> Result<Vec<u8>, Error> {
        let across = self.width.div_ceil(self.chunk.0);
        let rows = self.chunk.1.min(self.height - number * self.chunk.1);
        let stride = self.width * self.channels;
        let mut strip = vec![0; rows * stride];
        for column in 0..across {
            let left = column * self.chunk.0;
            let width = self.chunk.0.min(self.width - left);
            let index = u32::try_from(number * across + column)
                .map_err(|_| self.invalid("it has too many strips"))?;
            let chunk = self.decoder.read_chunk(index);
            let samples = match chunk.map_err(|error| self.error(&error))? {
                DecodingResult::U8(samples) => samples,
                // The upper 8 bits, as everywhere.
                DecodingResult::U16(samples) => {
                    samples.iter().map(|sample| (sample >> 8) as u8).collect()
                }
                _ => return Err(self.invalid("its pixels are of another kind than it says")),
            };
            if samples.len() != width * rows * self.samples {
                return Err(self.invalid("one of its strips has another size than it says"));
            }
            let lines = samples.chunks_exact(width * self.samples);
            for (line, to) in lines.zip(strip.chunks_exact_mut(stride)) {
                let to = to[left * self.channels..].chunks_exact_mut(self.channels);
                for (pixel, to) in line.chunks_exact(self.samples).zip(to) {
                    to.copy_from_slice(&pixel[..self.channels]);
                }
            }
        }
        Ok(strip)
    }

    fn invalid(&self, reason: &str) -> Error {
        Error::Invalid {
            file: self.label.clone(),
            format: "TIFF",
            reason: reason.trim_end_matches('.').to_owned(),
        }
    }

    fn error(&self, error: &TiffError) -> Error {
        match error {
            TiffError::UnsupportedError(reason) => Error::Unsupported {
                file: self.label.clone(),
                format: "TIFF",
                reason: reason.to_string(),
            },
            TiffError::LimitsExceeded => {
                self.invalid("decoding it would take more memory than its size can explain")
            }
            TiffError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.invalid("it ends too early")
            }
            other => self.invalid(&other.to_string()),
        }
    }
}
