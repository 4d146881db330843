//! Photos as the package's Python gives them.

use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use vcp_clip::calibration::PhotoIdentity;
use vcp_clip::model::ModelError;
use vcp_clip::photos::{Decoding, PhotoPath};
use vcp_clip::{DecodeOptions, DecodedPhoto, Error, Inspector};
use vcp_image::{Photo, SampleRows, decode_samples};

use crate::arrays::{floats, unexpected, words};

/// A photo that is not decoded yet; nothing of it belongs to Python.
pub(crate) enum Source {
    File(PathBuf),
    /// A file in memory.
    Bytes {
        bytes: Vec<u8>,
        label: String,
    },
    /// Samples in memory.
    Array {
        rows: SampleRows,
        width: usize,
        height: usize,
        channels: usize,
        label: String,
    },
}

impl Source {
    /// Of `(path,)`, `(bytes, label)`, or `(bytes, type, height, width, channels, range, label)` of an array's
    /// samples, row by row.
    pub(crate) fn of(given: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let first = given.get_item(0)?;
        match given.len() {
            1 => Ok(Self::File(first.extract()?)),
            2 => Ok(Self::Bytes {
                bytes: first.cast::<PyBytes>()?.as_bytes().to_vec(),
                label: given.get_item(1)?.extract()?,
            }),
            _ => {
                let kind: String = given.get_item(1)?.extract()?;
                let range: Option<(f32, f32)> = given.get_item(5)?.extract()?;
                let bytes = first.cast::<PyBytes>()?.as_bytes();
                let rows = match (kind.as_str(), range) {
                    ("uint8", _) => SampleRows::Bytes(bytes.to_vec()),
                    ("uint16", _) => SampleRows::Words(words(bytes)),
                    ("float32", Some((black, white))) => SampleRows::Floats {
                        values: floats(bytes),
                        black,
                        white,
                    },
                    _ => return Err(unexpected().into()),
                };
                Ok(Self::Array {
                    rows,
                    height: given.get_item(2)?.extract()?,
                    width: given.get_item(3)?.extract()?,
                    channels: given.get_item(4)?.extract()?,
                    label: given.get_item(6)?.extract()?,
                })
            }
        }
    }

    /// What errors and records call it.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes { label, .. } | Self::Array { label, .. } => label.clone(),
        }
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            _ => None,
        }
    }

    /// As it goes through the model.
    pub(crate) fn decode(
        self,
        inspector: &Inspector,
        options: &DecodeOptions,
    ) -> Result<DecodedPhoto, Error> {
        match self {
            Self::File(path) => inspector.decode_file(&path, options),
            Self::Bytes { bytes, label } => inspector.decode_bytes(&bytes, &label, options),
            Self::Array { .. } => inspector.decode_photo(self.pixels(options)?),
        }
    }

    /// As [`Source::decode`], one of many photos.
    pub(crate) fn decode_among(
        self,
        inspector: &Inspector,
        decoding: &Decoding,
    ) -> Result<DecodedPhoto, Error> {
        // Photos in memory take no part in settling what files settle.
        let photo = PhotoPath {
            path: self.path().map(Path::to_owned).unwrap_or_default(),
            relative: PathBuf::new(),
            page: None,
        };
        self.decode(inspector, &decoding.of(&photo))
    }

    /// Its pixels; of a mask those of its brightest channel.
    pub(crate) fn mask(self, options: &DecodeOptions) -> Result<Photo, Error> {
        match self {
            Self::File(path) => Ok(vcp_image::decode_mask_file(&path, options)?),
            Self::Bytes { bytes, label } => {
                let photo = vcp_image::decode_bytes(&bytes, &label, options)?;
                Ok(vcp_image::mask_from_photo(&photo))
            }
            Self::Array { .. } => Ok(vcp_image::mask_from_photo(&self.pixels(options)?)),
        }
    }

    fn pixels(self, options: &DecodeOptions) -> Result<Photo, Error> {
        match self {
            Self::Array {
                rows,
                width,
                height,
                channels,
                label,
            } => Ok(decode_samples(
                rows,
                [width, height, channels],
                &label,
                options,
            )?),
            Self::File(path) => Ok(vcp_image::decode_file(&path, options)?),
            Self::Bytes { bytes, label } => Ok(vcp_image::decode_bytes(&bytes, &label, options)?),
        }
    }

    /// Which photo it is, by content.
    pub(crate) fn identity(&self) -> Result<PhotoIdentity, Error> {
        match self {
            Self::File(path) => Ok(PhotoIdentity::of_file(path, None).map_err(ModelError::from)?),
            Self::Bytes { bytes, label } => Ok(PhotoIdentity::of_bytes(bytes, label, None)),
            Self::Array {
                rows,
                width,
                height,
                channels,
                label,
            } => {
                let mut bytes = format!("{width} {height} {channels}\n").into_bytes();
                rows.append_to(&mut bytes);
                Ok(PhotoIdentity::of_bytes(&bytes, label, None))
            }
        }
    }
}
