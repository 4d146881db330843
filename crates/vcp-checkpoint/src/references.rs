//! A memory of good photos, stored with a model: features of their patches.

use half::f16;
use serde::{Deserialize, Serialize};

use crate::calibration::CalibrationWindows;
use crate::error::{Error, ErrorKind};
use crate::names::TensorSpec;
use crate::{Geometry, Settings, Weights, bounds};

/// Prefix of the tensors of a memory; the number of the level follows.
pub(crate) const REFERENCES: &str = "references.levels.";

/// What patches of good photos look like to a model, by which those of other photos can be told from them.
///
/// The photos are shared out among groups, so that a photo of the memory can be judged by the groups it is not in.
#[derive(Debug, Clone, PartialEq)]
pub struct References {
    pub(crate) description: ReferenceDescription,
    /// Of each level the rows of all groups, one group after the other: [rows, channels], row by row.
    levels: Vec<Vec<f16>>,
}

/// What is known about a memory beside its features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceDescription {
    /// Version of this record's meaning; [`References::VERSION`].
    pub version: u32,
    /// Channels of each level.
    pub channels: Vec<usize>,
    /// Rows of each group, the same in all levels.
    pub rows: Vec<usize>,
    /// Of each level, how far patches of a good photo are from those of others at most, but for a few: the unit of
    /// distance.
    pub scales: Vec<f32>,
    /// The photos: SHA-256 of each file, with the page where each page is a photo of its own. Photo `i` is in
    /// group `i` modulo the number of groups.
    pub photos: Vec<String>,
    /// The data in words.
    pub data: String,
    /// When it was made, as `YYYY-MM-DD`.
    pub date: String,
    /// Whether photos were turned as their metadata say.
    pub apply_orientation: bool,
    /// The windows in which photos were looked at, if not whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<CalibrationWindows>,
    /// How many bits of 16-bit samples were taken for brightness, where a photo had such samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u32>,
    /// Which model the features are of: [`Weights::fingerprint`].
    pub model: String,
}

impl References {
    /// The version this program writes and reads.
    pub const VERSION: u32 = 1;

    /// A memory of these rows: of each level [rows of all groups, channels].
    ///
    /// # Errors
    /// When the description or the rows are not sound, or do not fit each other.
    pub fn new(description: ReferenceDescription, levels: Vec<Vec<f16>>) -> Result<Self, Error> {
        description.validate().map_err(Error::new)?;
        let refuse = |problem: String| Err(Error::new(ErrorKind::References { problem }));
        let rows = description.row_count();
        if levels.len() != description.channels.len() {
            return refuse(format!(
                "it has {} levels, but is said to have {}",
                levels.len(),
                description.channels.len()
            ));
        }
        for (level, (values, channels)) in levels.iter().zip(&description.channels).enumerate() {
            if values.len() != rows * channels {
                return refuse(format!(
                    "level {level} has {} values, expected {rows} rows of {channels}",
                    values.len()
                ));
            }
            if values.iter().any(|value| !value.is_finite()) {
                return refuse(format!("level {level} holds values that are not numbers"));
            }
        }
        Ok(Self {
            description,
            levels,
        })
    }

    /// What is known about it.
    #[must_use]
    pub fn description(&self) -> &ReferenceDescription {
        &self.description
    }

    /// Groups of photos.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.description.rows.len()
    }

    /// The rows of a group in a level: [rows, channels], row by row; none if there is no such level or group.
    #[must_use]
    pub fn rows(&self, level: usize, group: usize) -> &[f16] {
        let description = &self.description;
        let (Some(values), Some(channels), Some(count)) = (
            self.levels.get(level),
            description.channels.get(level),
            description.rows.get(group),
        ) else {
            return &[];
        };
        let before: usize = description.rows[..group].iter().sum();
        &values[before * channels..][..count * channels]
    }

    /// All rows of a level.
    pub(crate) fn level(&self, level: usize) -> &[f16] {
        self.levels.get(level).map_or(&[], Vec::as_slice)
    }

    /// Bytes of the features.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let values: usize = self.levels.iter().map(Vec::len).sum();
        values as u64 * size_of::<f16>() as u64
    }

    /// SHA-256 of the memory in hexadecimal: with another memory, values of maps and scores lie elsewhere. The words that
    /// say where it is from are not in it, so that the same photos have the same one on any day.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut digest = vcp_files::Sha256::new();
        // A description is plain data, which can always be written.
        let description = ReferenceDescription {
            data: String::new(),
            date: String::new(),
            ..self.description.clone()
        };
        digest.update(serde_json::to_vec(&description).unwrap_or_default());
        for value in self.levels.iter().flatten() {
            digest.update(value.to_le_bytes());
        }
        digest.hexadecimal()
    }
}

impl ReferenceDescription {
    /// Rows of all groups together.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.rows.iter().sum()
    }

    /// The tensors of the memory.
    pub(crate) fn specs(&self) -> Vec<TensorSpec> {
        let rows = self.row_count();
        let levels = self.channels.iter().enumerate();
        let spec = |(level, &channels)| TensorSpec {
            name: format!("{REFERENCES}{level}"),
            shape: vec![rows, channels],
            optional: false,
        };
        levels.map(spec).collect()
    }

    /// Refuses what cannot be a memory.
    pub(crate) fn validate(&self) -> Result<(), ErrorKind> {
        let refuse = |problem: String| Err(ErrorKind::References { problem });
        if self.version != Self::version() {
            return refuse(format!(
                "its version is {}, this program knows version {}",
                self.version,
                Self::version()
            ));
        }
        let (levels, groups) = (self.channels.len(), self.rows.len());
        if !bounds::REFERENCE_LEVELS.contains(&levels) || self.scales.len() != levels {
            return refuse(format!(
                "it has {levels} levels and {} scales, expected as many of both, {} to {}",
                self.scales.len(),
                bounds::REFERENCE_LEVELS.start(),
                bounds::REFERENCE_LEVELS.end()
            ));
        }
        if !bounds::REFERENCE_GROUPS.contains(&groups) || groups > self.photos.len() {
            return refuse(format!(
                "it has {groups} groups of {} photos",
                self.photos.len()
            ));
        }
        // Each number is bounded before they are added.
        let rows_are_sound = self
            .rows
            .iter()
            .all(|rows| bounds::REFERENCE_ROWS.contains(rows));
        if !rows_are_sound || !bounds::REFERENCE_ROWS.contains(&self.row_count()) {
            return refuse(format!(
                "its groups have {:?} rows, expected {} to {} in all",
                self.rows,
                bounds::REFERENCE_ROWS.start(),
                bounds::REFERENCE_ROWS.end()
            ));
        }
        if let Some(channels) = self
            .channels
            .iter()
            .find(|it| !bounds::REFERENCE_CHANNELS.contains(*it))
        {
            return refuse(format!("a level has {channels} channels"));
        }
        if let Some(scale) = self
            .scales
            .iter()
            .find(|it| !bounds::REFERENCE_SCALE.contains(*it))
        {
            return refuse(format!("a level has the scale {scale}"));
        }
        if !bounds::REFERENCE_PHOTOS.contains(&self.photos.len()) {
            return refuse(format!("it claims {} photos", self.photos.len()));
        }
        let texts = [&self.data, &self.date, &self.model];
        if let Some(long) = texts
            .into_iter()
            .chain(&self.photos)
            .map(String::len)
            .find(|it| !bounds::WORDS.contains(it))
        {
            return refuse(format!("one of its texts has {long} bytes"));
        }
        if let Some(bits) = self.bits
            && !bounds::BITS.contains(&bits)
        {
            return refuse(format!("its samples have {bits} bits, which cannot be"));
        }
        match self.windows {
            Some(windows) if !windows.is_sound() => refuse(format!(
                "its windows have {} pixels a side, an overlap of {} and a global weight of {}, which cannot be",
                windows.tile, windows.overlap, windows.global_weight
            )),
            _ => Ok(()),
        }
    }

    const fn version() -> u32 {
        References::VERSION
    }
}

/// What a memory's features depend on beside the photos.
#[derive(Serialize)]
struct Fingerprint<'a> {
    geometry: &'a Geometry,
    settings: &'a Settings,
    sources: Vec<&'a str>,
    /// Digest of the scales of matrices that are stored as codes: they tell with which photos they were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    scales: Option<String>,
}

impl Weights {
    /// Digest of what says which model this is: geometry, settings and the digests of the source files. Reads files
    /// once whose digest is not known. Weights that were changed without their sources have the same one.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let fingerprint = Fingerprint {
            geometry: self.geometry(),
            settings: self.settings(),
            sources: self.sources().iter().map(crate::Source::sha256).collect(),
            scales: self.digest_of_scales(),
        };
        vcp_files::sha256(serde_json::to_vec(&fingerprint).unwrap_or_default())
    }

    fn digest_of_scales(&self) -> Option<String> {
        let mut bytes = Vec::new();
        for scales in self.tensors().filter_map(|tensor| tensor.scales()) {
            bytes.extend(scales.iter().flat_map(|scale| scale.to_le_bytes()));
        }
        (!bytes.is_empty()).then(|| vcp_files::sha256(bytes))
    }

    /// The memory of good photos that is stored with the model, if any.
    #[must_use]
    pub fn references(&self) -> Option<&References> {
        self.references.as_deref()
    }

    /// Sets or removes the memory of good photos that bundles are written with.
    ///
    /// # Errors
    /// If it was made with another model ([`Weights::fingerprint`]).
    pub fn set_references(&mut self, references: Option<References>) -> Result<(), Error> {
        if let Some(references) = &references {
            self.check_references(&references.description)?;
        }
        self.references = references.map(std::sync::Arc::new);
        Ok(())
    }

    /// Refuses a memory of another model.
    ///
    /// # Errors
    /// If it was made with another model, or with other settings ([`Weights::fingerprint`]).
    pub fn check_references(&self, description: &ReferenceDescription) -> Result<(), Error> {
        let expected = self.fingerprint();
        if description.model == expected {
            return Ok(());
        }
        let problem = format!(
            "it was made with another model, or with other settings ({} is not {})",
            crate::error::shorten(&description.model),
            crate::error::shorten(&expected)
        );
        Err(Error::new(ErrorKind::References { problem }))
    }
}
