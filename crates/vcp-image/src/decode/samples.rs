//! Photos from samples in memory, as other programs hold them.

use super::bits::{Bits, SampleDepth, depth_warning};
use super::{DecodeOptions, Source};
use crate::{Error, Kind, Photo};

/// The samples of a photo, row by row from the top left, channels interleaved.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleRows {
    /// White is 255.
    Bytes(Vec<u8>),
    /// How many bits hold the brightness says [`DecodeOptions::bits`], as of 16-bit files.
    Words(Vec<u16>),
    /// Finite numbers. Values below black or above white are taken for these.
    Floats {
        /// The samples.
        values: Vec<f32>,
        /// The value that is black.
        black: f32,
        /// The value that is white.
        white: f32,
    },
}

impl SampleRows {
    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Words(values) => values.len(),
            Self::Floats { values, .. } => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends them to `bytes`, each in little-endian order, by which photos can be told apart.
    pub fn append_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Bytes(values) => bytes.extend_from_slice(values),
            Self::Words(values) => {
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::Floats {
                values,
                black,
                white,
            } => {
                let all = [*black, *white];
                let all = all.iter().chain(values);
                bytes.extend(all.flat_map(|value| value.to_le_bytes()));
            }
        }
    }
}

/// The photo of samples in memory, of [width, height, channels], where there is one channel for grey and three
/// for RGB; `label` stands for it in errors. It is what decoding a file with these samples gives; there is no
/// orientation.
///
/// # Errors
/// When it has no pixels or more than are allowed, another number of channels or of samples, a sample that is not
/// finite, or no white above black.
pub fn decode_samples(
    samples: SampleRows,
    [width, height, channels]: [usize; 3],
    label: &str,
    options: &DecodeOptions,
) -> Result<Photo, Error> {
    let source = Source {
        label,
        kind: Kind::Pnm,
        options,
        bits: Some(options.bits),
    };
    source.check_size(width as u64, height as u64)?;
    let refused = |reason: String| Error::Invalid {
        file: label.to_owned(),
        format: "in-memory",
        reason,
    };
    if channels != 1 && channels != 3 {
        return Err(refused(format!(
            "it has {channels} channels, where 1 (grey) or 3 (RGB) were expected"
        )));
    }
    let expected = width * height * channels;
    if samples.len() != expected {
        return Err(Error::PixelCount {
            width,
            height,
            channels,
            found: samples.len(),
            expected,
        });
    }
    let mut warning = None;
    let pixels = match samples {
        SampleRows::Bytes(values) => values,
        SampleRows::Words(values) => {
            let largest = values.iter().copied().max().unwrap_or(0);
            let depth = match options.bits {
                Bits::Auto => SampleDepth::guess(largest),
                Bits::Fixed(depth) | Bits::Settled(depth) => depth,
            };
            warning = depth_warning(options.bits, depth, largest);
            values.iter().map(|value| depth.narrow(*value)).collect()
        }
        SampleRows::Floats {
            values,
            black,
            white,
        } => {
            // What is no number is in no order.
            if black.partial_cmp(&white) != Some(std::cmp::Ordering::Less)
                || !(white - black).is_finite()
            {
                return Err(refused(format!(
                    "its range is from {black} to {white}, where a finite one was expected, the first \
                     below the second"
                )));
            }
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let pixel = at / channels;
                return Err(refused(format!(
                    "the value in column {} of row {} is {}, and finite numbers were expected",
                    pixel % width,
                    pixel / width,
                    values[at]
                )));
            }
            let (black, white) = (f64::from(black), f64::from(white));
            let byte = |value: &f32| {
                let fraction = (f64::from(*value) - black) / (white - black);
                // The cast cuts at both ends.
                (fraction * 255.0).round() as u8
            };
            values.iter().map(byte).collect()
        }
    };
    Ok(Photo::from_parts(width, height, channels, pixels).with_warnings(warning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(samples: SampleRows, size: [usize; 3]) -> Result<Photo, String> {
        let options = DecodeOptions {
            max_pixels: 6,
            ..DecodeOptions::default()
        };
        decode_samples(samples, size, "The array", &options).map_err(|error| error.to_string())
    }

    #[test]
    fn samples_become_bytes_as_those_of_files() {
        let bytes = SampleRows::Bytes(vec![0, 1, 2, 3, 4, 5]);
        let photo = decode(bytes, [2, 1, 3]).unwrap();
        assert_eq!(
            (photo.channels(), photo.pixels()),
            (3, &[0, 1, 2, 3, 4, 5][..])
        );
        let twelve = decode(SampleRows::Words(vec![0, 16, 4095]), [3, 1, 1]).unwrap();
        assert_eq!(twelve.pixels(), [0, 1, 255]);
        assert_eq!(twelve.warnings().len(), 1);
        let sixteen = decode(SampleRows::Words(vec![0, 256, 65535]), [1, 3, 1]).unwrap();
        assert_eq!((sixteen.height(), sixteen.pixels()), (3, &[0, 1, 255][..]));
        let floats = SampleRows::Floats {
            values: vec![-2.0, -1.0, 0.0, 1.0, 2.0],
            black: -1.0,
            white: 1.0,
        };
        assert_eq!(
            decode(floats, [5, 1, 1]).unwrap().pixels(),
            [0, 0, 128, 255, 255]
        );
    }

    #[test]
    fn what_is_no_photo_is_refused() {
        let bytes = |count| SampleRows::Bytes(vec![0; count]);
        let floats = |value, white| SampleRows::Floats {
            values: vec![0.5, value],
            black: 0.0,
            white,
        };
        for (samples, size, words) in [
            (bytes(0), [0, 3, 1], "no pixels"),
            (bytes(7), [7, 1, 1], "more than the 6 that are allowed"),
            (bytes(4), [2, 1, 2], "2 channels"),
            (bytes(4), [2, 1, 3], "needs 6"),
            (floats(f32::NAN, 1.0), [2, 1, 1], "column 1 of row 0 is NaN"),
            (floats(f32::INFINITY, 1.0), [2, 1, 1], "is inf"),
            (floats(0.5, 0.0), [2, 1, 1], "from 0 to 0"),
            (floats(0.5, f32::NAN), [2, 1, 1], "from 0 to NaN"),
        ] {
            let error = decode(samples, size).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
