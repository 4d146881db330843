//! What is said about each photo, as JSON. `docs/output.md` describes it for users, and
//! `docs/record.schema.json` is its schema.

use serde::{Deserialize, Serialize};
use vcp_image::Region;

use crate::sentence::sentence;
use crate::thresholds::Decision;

/// The result of one photo. The order of the fields is the order of the keys, which is stable; later
/// versions may add keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Record {
    /// The photo's path, as it was given or found.
    pub path: String,
    /// The image score, 0 to 1.
    pub score: f32,
    /// A photo with at least this score is anomalous.
    pub score_threshold: f32,
    /// Whether the score reaches its threshold: whether `decision` is `defect`.
    pub anomalous: bool,
    /// The largest value of the map, 0 to 1.
    pub max: f32,
    /// A pixel with at least this value belongs to a defect.
    pub pixel_threshold: f32,
    /// The connected regions of such pixels, the largest first.
    pub regions: Vec<RegionRecord>,
    /// Width of the photo in pixels, upright.
    pub width: usize,
    /// Height of the photo in pixels, upright.
    pub height: usize,
    /// The files that were written for it.
    pub files: Files,
    /// Time spent on it, without waiting.
    pub milliseconds: f64,
    /// What should be known of how the photo was read, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The page of the file, counted from 1, where each page is a photo of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// What follows from the score: `defect` where it reaches its threshold, else `review` where it reaches the
    /// review threshold, else `ok`.
    pub decision: Decision,
    /// A photo with at least this score, and less than `score_threshold`, is to be reviewed. Absent with two
    /// outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_threshold: Option<f32>,
    /// Regions of fewer pixels are not reported. Absent where all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_area: Option<u64>,
    /// The part of the photo that counted, as the SHA-256 of a mask. Absent where all of it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask_sha256: Option<String>,
    /// The memory of reference photos that the photo was compared with, as its SHA-256. Absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references_sha256: Option<String>,
}

/// A photo, or a place where photos were to be found, that gave no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailureRecord {
    /// The path, as it was given or found.
    pub path: String,
    /// Why there is no result, as a sentence.
    pub error: String,
    /// The page of the file, counted from 1, where each page is a photo of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

/// One line of what `segment` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Line {
    /// A photo that was inspected.
    Done(Box<Record>),
    /// One that could not be.
    Failed(FailureRecord),
}

/// A defect region, in pixels of the photo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RegionRecord {
    /// The smallest rectangle that holds it.
    #[serde(rename = "box")]
    pub bounding_box: BoxRecord,
    /// Number of pixels.
    pub area: u64,
    /// Mean position (x, y) of its pixels; whole numbers are pixel centres.
    pub centroid: [f64; 2],
    /// Its largest value, 0 to 1.
    pub peak: f32,
    /// Where (x, y) that stands.
    pub peak_position: [usize; 2],
    /// Its mean value, 0 to 1.
    pub mean: f32,
}

/// A rectangle in pixels of the photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BoxRecord {
    /// Leftmost column.
    pub x: usize,
    /// Topmost row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Paths of the files that were written for a photo.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Files {
    /// The photo with the map over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// The map in colours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heatmap: Option<String>,
    /// White where the map reaches the pixel threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// The map as an array of 32-bit floats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// The map of branch 1, likewise as an array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch1: Option<String>,
    /// The map of branch 2, likewise as an array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch2: Option<String>,
    /// This record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
}

impl From<&Region> for RegionRecord {
    fn from(region: &Region) -> Self {
        let bounds = region.bounding_box;
        Self {
            bounding_box: BoxRecord {
                x: bounds.x,
                y: bounds.y,
                width: bounds.width,
                height: bounds.height,
            },
            area: region.area,
            centroid: [hundredths(region.centroid.0), hundredths(region.centroid.1)],
            peak: region.peak,
            peak_position: region.peak_position.into(),
            mean: region.mean,
        }
    }
}

/// A hundredth of a pixel is more than the map knows.
fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

impl FailureRecord {
    /// Of a photo that gave this error.
    #[must_use]
    pub fn new(
        path: impl Into<String>,
        page: Option<u32>,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        Self {
            path: path.into(),
            error: sentence(error),
            page,
        }
    }
}

/// The JSON Schema of [`Line`], as `docs/record.schema.json` holds it.
#[cfg(feature = "schema")]
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Line).to_value()
}
