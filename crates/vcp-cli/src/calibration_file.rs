//! Calibrations in files of their own, beside the model they were found with.

use std::io::{self, Read};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use vcp_checkpoint::{Calibration, CalibrationWindows, Settings, Weights};
use vcp_image::Bits;
use vcp_predict::tiling::Tiling;

use crate::exit::{OrUsage, usage};

/// Version of the file's meaning.
pub(crate) const VERSION: u32 = 1;

/// A calibration is some thousand bytes long.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The model that a calibration was found with: with any other, or the same with other settings,
/// values lie elsewhere.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelRecord {
    settings: Settings,
    sources: Vec<SourceRecord>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SourceRecord {
    file_name: String,
    sha256: String,
}

impl ModelRecord {
    /// Of a model; reads files once whose digest is not known.
    pub(crate) fn of(weights: &Weights) -> Self {
        let sources = weights.sources().iter();
        Self {
            settings: weights.settings().clone(),
            sources: sources
                .map(|source| SourceRecord {
                    file_name: source.file_name().to_owned(),
                    sha256: source.sha256().to_owned(),
                })
                .collect(),
        }
    }

    /// Says in which way another model differs, if it does. Files may have been renamed.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let digests = |record: &Self| -> Vec<String> {
            let sources = record.sources.iter();
            sources.map(|source| source.sha256.clone()).collect()
        };
        if self.settings != other.settings {
            Some(
                "with other settings (image size, taps, templates, activation, context or shares of the branches)",
            )
        } else if digests(self) != digests(other) {
            Some("with other weights")
        } else {
            None
        }
    }
}

/// Windows as a calibration records them.
pub(crate) fn windows_of(tiling: &Tiling) -> CalibrationWindows {
    CalibrationWindows {
        tile: tiling.tile(),
        overlap: tiling.overlap(),
        global_weight: tiling.global_weight(),
    }
}

/// With what windows a calibration was found, if not with those that images are cut into now.
pub(crate) fn other_windows(calibration: &Calibration, tiling: Option<&Tiling>) -> Option<String> {
    if calibration.windows == tiling.map(windows_of) {
        return None;
    }
    Some(match calibration.windows {
        None => "without --tile".to_owned(),
        Some(windows) => format!(
            "with --tile {} --overlap {} --global-weight {}",
            windows.tile, windows.overlap, windows.global_weight
        ),
    })
}

/// With what bits of 16-bit samples a calibration was found, if others are asked for now.
pub(crate) fn other_bits(calibration: &Calibration, bits: Bits) -> Option<String> {
    let Bits::Fixed(depth) = bits else {
        return None;
    };
    let other = calibration.bits.filter(|bits| *bits != depth.bits())?;
    Some(format!("with --bits {other}"))
}

/// What is read of a file; there is more in it for people.
#[derive(Debug, Deserialize)]
struct Stored {
    calibration: Calibration,
    model: ModelRecord,
}

/// Gives a model the calibration in a file, in place of its own.
///
/// # Errors
/// As wrong usage, when the file cannot be read, holds no calibration or one of another model.
pub(crate) fn apply(path: &Path, weights: &mut Weights) -> anyhow::Result<()> {
    let text = read(path)
        .with_context(|| format!("The calibration {} cannot be read", path.display()))
        .or_usage()?;
    let stored = parse(&text).map_err(|problem| {
        usage(format!(
            "{} is not a calibration: {problem}. `vcp-clip calibrate` writes one.",
            path.display()
        ))
    })?;
    if let Some(difference) = stored.model.difference(&ModelRecord::of(weights)) {
        return Err(usage(format!(
            "The calibration {} was found {difference} than this model's, so its thresholds mean \
             nothing here; run `vcp-clip calibrate` with this model.",
            path.display()
        )));
    }
    weights
        .set_calibration(Some(stored.calibration))
        .with_context(|| format!("{} cannot be used", path.display()))
        .or_usage()
}

fn read(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!(
            "it is longer than {MAX_FILE_BYTES} bytes"
        )));
    }
    Ok(text)
}

fn parse(text: &str) -> Result<Stored, String> {
    /// Read on its own first, since later versions may have other fields.
    #[derive(Deserialize)]
    struct Version {
        vcp_clip_calibration: u32,
    }
    let Version {
        vcp_clip_calibration,
    } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if vcp_clip_calibration != VERSION {
        return Err(format!(
            "its version is {vcp_clip_calibration}, this program knows version {VERSION}"
        ));
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}
