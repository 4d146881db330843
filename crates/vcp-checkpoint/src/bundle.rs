//! Bundles: one safetensors file with everything a model needs.
//!
//! The tensors stand under their canonical names. `__metadata__` has two entries: `vcp_clip`, a JSON
//! text with the version of the format, geometry, settings, calibration and sources, and the digest of
//! [`seal`].

use std::collections::HashMap;
use std::io::{Seek, SeekFrom, Write};

use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::{Deserialize, Serialize};

use crate::error::ErrorKind;
use crate::output::WriteError;
use crate::seal::{self, Sealer};
use crate::source::SourceRecord;
use crate::{Calibration, ElementType, Geometry, ReferenceDescription, Settings, Tensor, Weights};

/// Key of the description in the safetensors metadata.
pub(crate) const KEY: &str = "vcp_clip";
const VERSION: u32 = 1;
const MAX_SOURCES: usize = 100;

/// How a bundle stores numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Every tensor as its source stores it (`f64` as `f32`). OpenAI's CLIP has matrices in `f16`
    /// and the rest in `f32`; checkpoints are `f32`. Loses nothing.
    #[default]
    AsStored,
    /// Tensors of two or more dimensions as `f16`, vectors and scalars (norms, biases,
    /// temperatures) as `f32`. Learned matrices are rounded.
    F16,
    /// Everything as `f32`.
    F32,
}

impl Precision {
    fn element_type(self, tensor: &Tensor<'_>) -> ElementType {
        match (self, tensor.element_type()) {
            (Self::AsStored, ElementType::F16) => ElementType::F16,
            (Self::AsStored, ElementType::BF16) => ElementType::BF16,
            (Self::F16, _) if tensor.shape().len() >= 2 => ElementType::F16,
            _ => ElementType::F32,
        }
    }
}

/// What the metadata holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    version: u32,
    pub(crate) geometry: Geometry,
    pub(crate) settings: Settings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) calibration: Option<Calibration>,
    pub(crate) sources: Vec<SourceRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) references: Option<ReferenceDescription>,
}

impl Description {
    /// Parses and validates the JSON text of the metadata.
    pub(crate) fn parse(json: &str) -> Result<Self, ErrorKind> {
        /// Read on its own first, since later versions may have other fields.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let damaged = |error: serde_json::Error| ErrorKind::Bundle {
            problem: format!(
                "its description is damaged ({})",
                crate::error::shorten(&error.to_string())
            ),
        };
        let Version { version } = serde_json::from_str(json).map_err(damaged)?;
        if version != VERSION {
            return Err(ErrorKind::Bundle {
                problem: format!(
                    "its format has version {version}, this program knows version {VERSION}"
                ),
            });
        }
        let description: Self = serde_json::from_str(json).map_err(damaged)?;
        if description.sources.len() > MAX_SOURCES {
            return Err(ErrorKind::Bundle {
                problem: format!("it names {} sources", description.sources.len()),
            });
        }
        description.geometry.validate()?;
        description.settings.validate(&description.geometry)?;
        if let Some(calibration) = &description.calibration {
            calibration.validate()?;
        }
        if let Some(references) = &description.references {
            references.validate()?;
        }
        Ok(description)
    }
}

/// Writes header and tensors; tensors pass through a small buffer, never whole.
pub(crate) fn write(
    weights: &Weights,
    precision: Precision,
    out: &mut (impl Write + Seek),
) -> Result<(), WriteError> {
    let internal = |error: String| ErrorKind::Bundle { problem: error };
    let description = Description {
        version: VERSION,
        geometry: *weights.geometry(),
        settings: weights.settings().clone(),
        calibration: weights.calibration().cloned(),
        sources: weights
            .sources()
            .iter()
            .map(crate::Source::record)
            .collect(),
        references: weights.references().map(|it| it.description().clone()),
    };
    let json = serde_json::to_string(&description).map_err(|error| internal(error.to_string()))?;

    // Wide elements first, so that every tensor is aligned to its elements.
    let mut tensors: Vec<(ElementType, Tensor<'_>)> = weights
        .tensors()
        .map(|tensor| (precision.element_type(&tensor), tensor))
        .collect();
    tensors.sort_by_key(|(element_type, _)| std::cmp::Reverse(element_type.size()));
    let mut end = 0;
    let mut place = |element_type: ElementType, shape: Vec<usize>| {
        let start = end;
        end += shape.iter().product::<usize>() * element_type.size();
        TensorInfo {
            dtype: match element_type {
                ElementType::F16 => Dtype::F16,
                ElementType::BF16 => Dtype::BF16,
                _ => Dtype::F32,
            },
            shape,
            data_offsets: (start, end),
        }
    };
    let mut infos: Vec<_> = tensors
        .iter()
        .map(|(element_type, tensor)| {
            let info = place(*element_type, tensor.shape().to_vec());
            (tensor.name().to_owned(), info)
        })
        .collect();
    // Features of reference photos, behind everything else.
    let specs = weights.references().map(|it| it.description().specs());
    for spec in specs.iter().flatten() {
        infos.push((
            spec.name.clone(),
            place(ElementType::F16, spec.shape.clone()),
        ));
    }
    let metadata = HashMap::from([(KEY.to_owned(), json)]);
    let metadata =
        Metadata::new(Some(metadata), infos).map_err(|error| internal(error.to_string()))?;
    let header = serde_json::to_vec(&metadata).map_err(|error| internal(error.to_string()))?;
    let no_place = || internal("its header has no place for the digest".to_owned());
    let header = seal::with_blank(&header).ok_or_else(no_place)?;
    let length = (header.len() as u64).to_le_bytes();
    let digest_at = length.len() + seal::place_in_header(&header).ok_or_else(no_place)?.start;
    let mut sealing = Sealing {
        out: &mut *out,
        sealer: Sealer::new(),
    };
    sealing.write_all(&length)?;
    sealing.write_all(&header)?;
    for (element_type, tensor) in tensors {
        write_elements(&tensor, element_type, &mut sealing)?;
    }
    if let Some(references) = weights.references() {
        for level in 0..references.description().channels.len() {
            // A few megabytes at a time.
            for values in references.level(level).chunks(1 << 18) {
                let bytes: Vec<u8> = values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                sealing.write_all(&bytes)?;
            }
        }
    }
    let digest = sealing.sealer.finish();
    out.seek(SeekFrom::Start(digest_at as u64))?;
    out.write_all(digest.as_bytes())?;
    Ok(())
}

/// Passes on what is written, and makes the digest of it.
struct Sealing<W> {
    out: W,
    sealer: Sealer,
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.sealer.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// Writes a tensor's elements little-endian in the type asked for, a block of rows at a time.
pub(crate) fn write_elements(
    tensor: &Tensor<'_>,
    element_type: ElementType,
    out: &mut impl Write,
) -> Result<(), WriteError> {
    /// Elements, 1 MB of `f32`.
    const BLOCK: usize = 1 << 18;
    let rows = tensor.shape().first().copied().unwrap_or(1);
    let row_length: usize = tensor.shape().iter().skip(1).product();
    let step = (BLOCK / row_length.max(1)).max(1);
    let mut values = Vec::new();
    let mut bytes = Vec::new();
    for start in (0..rows).step_by(step) {
        let end = rows.min(start + step);
        values.resize((end - start) * row_length, 0.0);
        tensor.read_rows(start..end, &mut values);
        bytes.clear();
        match element_type {
            ElementType::F16 => {
                for (index, value) in values.iter().enumerate() {
                    let half = f16::from_f32(*value);
                    if !half.is_finite() {
                        return Err(WriteError::Kind(ErrorKind::Overflow {
                            tensor: tensor.name().to_owned(),
                            index: start * row_length + index,
                            value: *value,
                            element_type,
                        }));
                    }
                    bytes.extend(half.to_le_bytes());
                }
            }
            ElementType::BF16 => bytes.extend(
                values
                    .iter()
                    .flat_map(|value| bf16::from_f32(*value).to_le_bytes()),
            ),
            _ => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
        }
        out.write_all(&bytes)?;
    }
    tensor.release();
    Ok(())
}
