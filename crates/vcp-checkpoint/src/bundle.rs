//! Bundles: one safetensors file with everything a model needs.
//!
//! The tensors stand under their canonical names. `__metadata__` has two entries: `vcp_clip`, a JSON
//! text with the version of the format, geometry, settings, calibration and sources, and the digest of
//! [`seal`].
//!
//! Version 2 is version 1 with two additions: the settings can have a precision, and narrow matrices can be stored as
//! codes with scales. It is written only where one of these is needed, so that older programs read all other bundles.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Seek, SeekFrom, Write};

use half::f16;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::{Deserialize, Serialize};

use crate::codes;
use crate::elements::{find_scales, write_codes, write_each, write_elements};
use crate::error::ErrorKind;
use crate::names::TensorSpec;
use crate::output::WriteError;
use crate::seal::{self, Sealer};
use crate::source::SourceRecord;
use crate::{Calibration, ElementType, Geometry, Precision, ReferenceDescription};
use crate::{Settings, Storing, Tensor, Weights};

/// Key of the description in the safetensors metadata.
pub(crate) const KEY: &str = "vcp_clip";
/// The versions that are read. The first has no precision and no codes.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=2;
const MAX_SOURCES: usize = 100;

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
    /// Whether the version is one whose tensors may be codes.
    pub(crate) fn has_codes(&self) -> bool {
        self.version > *VERSIONS.start()
    }

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
        if !VERSIONS.contains(&version) {
            return Err(ErrorKind::Bundle {
                problem: format!(
                    "its format has version {version}, this program knows versions {} to {}",
                    VERSIONS.start(),
                    VERSIONS.end()
                ),
            });
        }
        let description: Self = serde_json::from_str(json).map_err(damaged)?;
        let precision = description.settings.precision;
        if precision != Precision::F32 && !description.has_codes() {
            return Err(ErrorKind::Bundle {
                problem: format!(
                    "its settings have the precision {precision}, which no bundle of version \
                     {version} has; expected version {}",
                    VERSIONS.end()
                ),
            });
        }
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

/// What the metadata of a bundle say whose tensors have these types.
fn describe(
    weights: &Weights,
    storing: Storing,
    has_codes: bool,
) -> Result<Description, ErrorKind> {
    let settings = Settings {
        precision: storing.precision(weights),
        ..weights.settings().clone()
    };
    let (made_with, written) = (weights.settings().precision, settings.precision);
    if weights.references().is_some() && made_with != written {
        let problem = format!(
            "it was made with the precision {made_with} and the bundle has {written}; write the bundle without it, and \
             make it again with the bundle"
        );
        return Err(ErrorKind::References { problem });
    }
    let is_first = !has_codes && written == Precision::F32;
    Ok(Description {
        version: if is_first {
            *VERSIONS.start()
        } else {
            *VERSIONS.end()
        },
        geometry: *weights.geometry(),
        settings,
        calibration: weights.calibration().cloned(),
        sources: weights
            .sources()
            .iter()
            .map(crate::Source::record)
            .collect(),
        references: weights.references().map(|it| it.description().clone()),
    })
}

/// A tensor of the bundle.
enum Part<'a> {
    /// Of the model, in this type.
    Tensor(Tensor<'a>, ElementType),
    /// The scales of a tensor of codes.
    Scales(Tensor<'a>, Cow<'a, [f32]>),
    /// The codes of a tensor, with these scales.
    Codes(Tensor<'a>, Cow<'a, [f32]>),
    /// A level of the memory of reference photos.
    References(TensorSpec, &'a [f16]),
}

impl Part<'_> {
    /// Wide elements are first, so that every tensor is aligned to its elements.
    fn size(&self) -> usize {
        element_size(self.dtype())
    }

    fn dtype(&self) -> Dtype {
        match self {
            Self::Tensor(_, ElementType::F16) | Self::References(..) => Dtype::F16,
            Self::Tensor(_, ElementType::BF16) => Dtype::BF16,
            Self::Tensor(..) | Self::Scales(..) => Dtype::F32,
            Self::Codes(..) => Dtype::I8,
        }
    }

    fn name_and_shape(&self) -> (String, Vec<usize>) {
        match self {
            Self::Tensor(tensor, _) | Self::Codes(tensor, _) => {
                (tensor.name().to_owned(), tensor.shape().to_vec())
            }
            Self::Scales(tensor, scales) => (codes::scale_name(tensor.name()), vec![scales.len()]),
            Self::References(spec, _) => (spec.name.clone(), spec.shape.clone()),
        }
    }

    fn write(&self, out: &mut impl Write) -> Result<(), WriteError> {
        match self {
            Self::Tensor(tensor, element_type) => write_elements(tensor, *element_type, out),
            Self::Scales(_, scales) => write_each(scales, f32::to_le_bytes, out),
            Self::Codes(tensor, scales) => write_codes(tensor, scales, out),
            Self::References(_, values) => write_each(values, f16::to_le_bytes, out),
        }
    }
}

const fn element_size(dtype: Dtype) -> usize {
    match dtype {
        Dtype::I8 => 1,
        Dtype::F16 | Dtype::BF16 => 2,
        _ => 4,
    }
}

/// All tensors of the bundle, in its order.
fn parts(weights: &Weights, storing: Storing) -> Result<Vec<Part<'_>>, ErrorKind> {
    let mut parts = Vec::new();
    for tensor in weights.tensors() {
        match storing.element_type(&tensor) {
            ElementType::I8 => {
                // They stand in front of the codes, for which the tensor is read a second time.
                let scales = match tensor.scales() {
                    Some(scales) => Cow::Borrowed(scales),
                    None => Cow::Owned(find_scales(&tensor)?),
                };
                parts.push(Part::Scales(tensor, scales.clone()));
                parts.push(Part::Codes(tensor, scales));
            }
            element_type => parts.push(Part::Tensor(tensor, element_type)),
        }
    }
    if let Some(references) = weights.references() {
        let levels = references.description().specs().into_iter().enumerate();
        parts.extend(levels.map(|(level, spec)| Part::References(spec, references.level(level))));
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.size()));
    Ok(parts)
}

/// Writes header and tensors; tensors pass through a small buffer, never whole.
pub(crate) fn write(
    weights: &Weights,
    storing: Storing,
    out: &mut (impl Write + Seek),
) -> Result<(), WriteError> {
    let internal = |error: String| ErrorKind::Bundle { problem: error };
    let has_codes = weights
        .tensors()
        .any(|tensor| storing.element_type(&tensor) == ElementType::I8);
    let description = describe(weights, storing, has_codes)?;
    let json = serde_json::to_string(&description).map_err(|error| internal(error.to_string()))?;

    let parts = parts(weights, storing)?;
    let mut end = 0;
    let place = |part: &Part<'_>| {
        let (name, shape) = part.name_and_shape();
        let start = end;
        end += shape.iter().product::<usize>() * part.size();
        let info = TensorInfo {
            dtype: part.dtype(),
            shape,
            data_offsets: (start, end),
        };
        (name, info)
    };
    let infos = parts.iter().map(place).collect();
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
    for part in &parts {
        part.write(&mut sealing)?;
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
