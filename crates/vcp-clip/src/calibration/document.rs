//! Calibrations in files of their own, beside the model they were found with.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vcp_checkpoint::{Calibration, Settings, Weights};

use super::fit::{Reason, Thresholds};
use super::measure::Measurements;
use super::viewing::{Mismatch, Viewing, windows_of};

/// Version of the file's meaning.
const VERSION: u32 = 1;

/// A calibration is some thousand bytes long.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A calibration with what is known about it, as `calibrate` prints it and writes it into a file. The
/// order of the fields is the order of the keys, which is stable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationDocument {
    /// Version of the file's meaning.
    pub vcp_clip_calibration: u32,
    /// What `segment` uses.
    pub calibration: Calibration,
    /// Why the score threshold is what it is.
    pub score: Reason,
    /// Why the pixel threshold is what it is.
    pub pixel: PixelThreshold,
    /// The photos it was found on.
    pub photos: PhotoCounts,
    /// The model it was found with.
    pub model: ModelRecord,
    /// Why the review threshold is what it is, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Reason>,
}

/// Why a pixel threshold is what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PixelThreshold {
    /// The reason.
    #[serde(flatten)]
    pub reason: Reason,
    /// Photos with masks.
    pub masks: usize,
}

/// How many photos there were, and how many of them reach the score threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhotoCounts {
    /// Normal photos.
    pub normal: usize,
    /// Normal photos that reach the score threshold.
    pub normal_reported: usize,
    /// Anomalous photos.
    pub anomalous: usize,
    /// Anomalous photos that reach the score threshold.
    pub anomalous_reported: usize,
    /// Photos that are copies of others and do not count.
    pub copies: usize,
    /// Anomalous photos whose defects lie in the part that is not inspected, and that do not count; none without masks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uninspected: Option<usize>,
    /// Photos that could not be used.
    pub failed: usize,
    /// [`Listing::digest`](super::Listing::digest).
    pub listing_sha256: String,
    /// Normal photos that reach the review threshold, but not the score threshold; if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal_review: Option<usize>,
    /// Anomalous photos that do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomalous_review: Option<usize>,
}

/// The model that a calibration was found with: with any other, or the same with other settings,
/// values lie elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRecord {
    settings: Settings,
    sources: Vec<SourceRecord>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SourceRecord {
    file_name: String,
    sha256: String,
}

/// A calibration file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationFileError {
    /// It cannot be read.
    #[error("The calibration {} cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{} is not a calibration: {reason}. `vcp-clip calibrate` writes one.", file.display())]
    NoCalibration {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It was found with another model.
    #[error(
        "The calibration {name} was found {difference} than this model's, so its thresholds mean \
         nothing here; run `vcp-clip calibrate` with this model."
    )]
    OtherModel {
        /// The file, or what the calibration is called.
        name: String,
        /// In which way the model differs.
        difference: &'static str,
    },
    /// It was found with photos that were processed in another way.
    #[error(
        "The calibration {name} was found {mismatch}, so its thresholds mean nothing here; process photos in \
         the same way, or leave out --calibration and set --score-threshold and --pixel-threshold."
    )]
    OtherViewing {
        /// The file, or what the calibration is called.
        name: String,
        /// In which way.
        mismatch: Mismatch,
    },
    /// Its values are no thresholds.
    #[error("{name} cannot be used")]
    Values {
        /// The file, or what the calibration is called.
        name: String,
        /// What is wrong with them.
        source: vcp_checkpoint::Error,
    },
}

impl ModelRecord {
    /// Of a model; reads files once whose digest is not known.
    #[must_use]
    pub fn of(weights: &Weights) -> Self {
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
        // Narrower numbers give nearly the same maps, so thresholds hold for them too.
        let with_its_precision = Settings {
            precision: self.settings.precision,
            ..other.settings.clone()
        };
        if self.settings != with_its_precision {
            Some(
                "with other settings (image size, taps, templates, activation, context or fractions of the branches)",
            )
        } else if digests(self) != digests(other) {
            Some("with other weights")
        } else {
            None
        }
    }
}

impl Measurements {
    /// The calibration of `thresholds`, which were fitted to these photos. `data` says in words what the
    /// photos are; `viewing` how they were processed and `bits` how many bits of 16-bit samples were taken
    /// for brightness, if any had such; `date` is today as `YYYY-MM-DD`.
    #[must_use]
    pub fn calibration(
        &self,
        thresholds: &Thresholds,
        data: &str,
        viewing: &Viewing,
        bits: Option<u32>,
        date: String,
    ) -> Calibration {
        Calibration {
            version: Calibration::VERSION,
            pixel_threshold: thresholds.pixel.value,
            score_threshold: thresholds.score.value,
            review_threshold: thresholds.review.map(|review| review.value),
            range: thresholds.range,
            data: self.description(data),
            date,
            images: self.used() as u64,
            apply_orientation: viewing.apply_orientation.unwrap_or(true),
            windows: viewing.tiling.as_ref().map(windows_of),
            bits,
            mask_sha256: viewing.mask_sha256.clone(),
            references: viewing.references.clone(),
        }
    }

    /// The data, as they stand in the calibration.
    fn description(&self, words: &str) -> String {
        let words = shortened(words);
        let bad = match self.anomalous.len() {
            0 => String::new(),
            count => format!(" and {count} anomalous"),
        };
        format!(
            "{words}: {} normal{bad} photos, SHA-256 of their listing {}",
            self.normal.len(),
            self.listing().digest()
        )
    }
}

impl CalibrationDocument {
    /// Of a calibration that was found on these photos with this model.
    #[must_use]
    pub fn new(
        calibration: Calibration,
        thresholds: &Thresholds,
        found: &Measurements,
        weights: &Weights,
    ) -> Self {
        let (normal_reported, anomalous_reported) = found.reached(thresholds.score.value);
        let review = thresholds.review.map(|review| found.reached(review.value));
        Self {
            vcp_clip_calibration: VERSION,
            photos: PhotoCounts {
                normal: found.normal(),
                normal_reported,
                anomalous: found.anomalous(),
                anomalous_reported,
                copies: found.copies(),
                uninspected: Some(found.uninspected()).filter(|&count| count > 0),
                failed: found.failed(),
                listing_sha256: found.listing().digest(),
                normal_review: review.map(|(normal, _)| normal - normal_reported),
                anomalous_review: review.map(|(_, anomalous)| anomalous - anomalous_reported),
            },
            calibration,
            score: thresholds.score.reason,
            pixel: PixelThreshold {
                reason: thresholds.pixel.reason,
                masks: found.masked(),
            },
            model: ModelRecord::of(weights),
            review: thresholds.review.map(|review| review.reason),
        }
    }
}

/// What the user named, cut between two names if there are many.
pub(crate) fn shortened(words: &str) -> String {
    const MAX_CHARACTERS: usize = 300;
    let Some((end, _)) = words.char_indices().nth(MAX_CHARACTERS) else {
        return words.to_owned();
    };
    let start = &words[..end];
    match start.rfind(", ") {
        Some(end) => format!("{}, …", &start[..end]),
        None => format!("{start}…"),
    }
}

/// What is read of a file; there is more in it for people.
#[derive(Debug, Deserialize)]
struct Stored {
    calibration: Calibration,
    model: ModelRecord,
}

/// Where a calibration comes from that is not the model's own.
#[derive(Debug, Clone, PartialEq)]
pub enum CalibrationSource {
    /// A file that `calibrate` has written.
    File(PathBuf),
    /// What such a file holds.
    Document(Box<CalibrationDocument>),
}

impl CalibrationSource {
    /// What errors call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Document(_) => "that was given".to_owned(),
        }
    }

    /// The calibration, for this model.
    ///
    /// # Errors
    /// When the file cannot be read, holds no calibration or one of another model.
    pub fn calibration(&self, weights: &Weights) -> Result<Calibration, CalibrationFileError> {
        let (calibration, model) = match self {
            Self::File(path) => {
                let file = || path.clone();
                let text = read(path).map_err(|source| CalibrationFileError::Read {
                    file: file(),
                    source,
                })?;
                let stored =
                    parse(&text).map_err(|reason| CalibrationFileError::NoCalibration {
                        file: file(),
                        reason,
                    })?;
                (stored.calibration, stored.model)
            }
            Self::Document(document) => (document.calibration.clone(), document.model.clone()),
        };
        if let Some(difference) = model.difference(&ModelRecord::of(weights)) {
            return Err(CalibrationFileError::OtherModel {
                name: self.name(),
                difference,
            });
        }
        calibration
            .check()
            .map_err(|source| CalibrationFileError::Values {
                name: self.name(),
                source,
            })?;
        Ok(calibration)
    }
}

fn read(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let Some(bytes) = vcp_files::read_at_most(path, MAX_FILE_BYTES)? else {
        return Err(io::Error::other(format!(
            "it is longer than {MAX_FILE_BYTES} bytes"
        )));
    };
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not text in UTF-8"))
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

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn names_are_not_cut_in_two() {
        assert_eq!(shortened("good, bad"), "good, bad");
        let names: Vec<String> = (100..200)
            .map(|number| format!("photos/{number}.png"))
            .collect();
        let short = shortened(&names.join(", "));
        assert!(
            short.starts_with("photos/100.png, photos/101.png, "),
            "{short}"
        );
        assert!(short.ends_with(".png, …") && short.len() < 310, "{short}");
        let long = "ü".repeat(400);
        assert_eq!(shortened(&long), format!("{}…", "ü".repeat(300)));
    }
}
