//! What goes into a history and what comes out of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ResultId, Time};

/// A result that is to be added.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewResult<'a> {
    /// When the photo was inspected; now, if `None`.
    pub time: Option<Time>,
    /// Where it came from: `http`, `page`, or `watch:` and a folder.
    pub source: &'a str,
    /// By what the source knows the photo, if it adds each one once; see [`History::contains`](crate::History::contains).
    pub key: Option<&'a str>,
    /// What [`History::contains`](crate::History::contains) and its like call the source, if not by what is shown of it.
    pub known_as: Option<&'a str>,
    /// What the photo is called.
    pub name: &'a str,
    /// The content of the photo's file, of which the digest is kept and, if the history keeps photos, the file.
    pub photo: &'a [u8],
    /// The record as JSON, as `vcp-clip segment` prints it; it is kept to the letter.
    pub record: &'a str,
    /// What the model is called.
    pub model_name: &'a str,
    /// The digest of the model.
    pub model_digest: &'a str,
    /// The photo with the map over it, as PNG.
    pub overlay: Option<&'a [u8]>,
    /// The photo made small, as JPEG ([`thumbnail`](crate::thumbnail)); none if empty.
    pub thumbnail: &'a [u8],
    /// The map `[side, side]` at the model's image size, 0 to 1, in row-major order, and its side in pixels.
    pub map: Option<(&'a [f32], usize)>,
    /// How long each stage took.
    pub durations: &'a [(&'a str, Duration)],
}

/// A result in a history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// What it is called.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub id: ResultId,
    /// When the photo was inspected, as RFC 3339 in UTC.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub time: Time,
    /// Where the photo came from.
    pub source: String,
    /// What the photo is called.
    pub name: String,
    /// The SHA-256 of the photo's file.
    pub sha256: String,
    /// The model that inspected it.
    pub model: ModelEntry,
    /// The record, as it was given.
    pub record: Value,
    /// Which files there are besides the thumbnail.
    pub has: Has,
    /// What a person says of the photo.
    pub verdict: Option<GivenVerdict>,
    /// How long each stage took, in seconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub durations: BTreeMap<String, f64>,
}

/// A model, as entries name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ModelEntry {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
}

/// Which files there are of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Has {
    /// The photo's file.
    pub photo: bool,
    /// The photo with the map over it.
    pub overlay: bool,
    /// The map.
    pub map: bool,
}

/// What a person says of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The part is good, whatever the decision is.
    Good,
    /// The part has a defect.
    Defect,
    /// The person cannot tell.
    Unsure,
}

/// A verdict, with who gave it and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GivenVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// Who gave it, in their own words; may be empty.
    pub who: String,
    /// When.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub time: Time,
}

/// What a record says of a photo, by its `decision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It reaches no threshold.
    Ok,
    /// It reaches the review threshold, but not the score threshold.
    Review,
    /// It reaches the score threshold.
    Defect,
}

/// A word that is none of those that are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not one of {expected}.")]
pub struct WordError {
    pub(crate) found: String,
    pub(crate) expected: &'static str,
}

/// The word of each value, and the value of each word.
macro_rules! words {
    ($kind:ident, $expected:literal, $($value:ident = $word:literal),+) => {
        impl $kind {
            /// Its word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word),+
                }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.word())
            }
        }

        impl FromStr for $kind {
            type Err = WordError;

            fn from_str(text: &str) -> Result<Self, WordError> {
                match text {
                    $($word => Ok(Self::$value),)+
                    _ => Err(WordError { found: text.to_owned(), expected: $expected }),
                }
            }
        }
    };
}

words!(
    Verdict,
    "good, defect, unsure",
    Good = "good",
    Defect = "defect",
    Unsure = "unsure"
);
words!(
    Outcome,
    "ok, review, defect",
    Ok = "ok",
    Review = "review",
    Defect = "defect"
);

/// What the history looks for in a record.
#[derive(Debug, Deserialize)]
pub(crate) struct Facts {
    pub(crate) score: f64,
    pub(crate) score_threshold: f64,
    pub(crate) review_threshold: Option<f64>,
    pub(crate) pixel_threshold: f64,
    pub(crate) decision: Outcome,
    pub(crate) regions: Vec<serde::de::IgnoredAny>,
    pub(crate) milliseconds: f64,
}
