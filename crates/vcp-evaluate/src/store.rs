//! Finished categories, kept so that an interrupted run resumes where it stopped.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::category::CategoryReport;
use crate::error::Error;
use crate::model::{ModelDescription, digest_of};
use crate::output::put;
use crate::protocol::Protocol;
use crate::results::read_bounded;

/// Longest record of a category that is read.
const MAX_BYTES: u64 = 1 << 30;
/// Changes whenever records of earlier versions must not be used any more.
const VERSION: u32 = 5;

/// A folder of finished categories, for one model, protocol and device.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    model: String,
    protocol: String,
    device: String,
}

/// What a store knows about a category.
#[derive(Debug)]
pub enum Found {
    /// The category is finished, under the same circumstances.
    Finished(Box<CategoryReport>),
    /// The category was finished, but these circumstances were different.
    Other(Vec<Circumstance>),
    /// The store has nothing of the category that can be used.
    Nothing,
}

/// What a category's report depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circumstance {
    /// The model ([`ModelDescription::digest`]).
    Model,
    /// The constants ([`Protocol`]).
    Protocol,
    /// What the model runs on.
    Device,
    /// The category's images ([`vcp_dataset::digest_of_listing`]).
    Images,
}

impl fmt::Display for Circumstance {
    /// "another model", "another protocol", "another device", "other images".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Model => "another model",
            Self::Protocol => "another protocol",
            Self::Device => "another device",
            Self::Images => "other images",
        })
    }
}

/// Characters of a data set's or category's name that a file's name holds.
const LONGEST_NAME: usize = 60;

/// As it stands on the disk.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    model: String,
    protocol: String,
    device: String,
    listing: String,
    /// What was written for each image.
    saved: Vec<String>,
    report: CategoryReport,
}

impl Store {
    /// In this folder, which need not exist yet. `device` is what the model runs on.
    #[must_use]
    pub fn new(folder: &Path, model: &ModelDescription, protocol: &Protocol, device: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            model: model.digest.clone(),
            protocol: digest_of(protocol),
            device: device.to_owned(),
        }
    }

    /// Looks for a category. `listing` is [`vcp_dataset::digest_of_listing`] of its images, `saved` names what
    /// has to have been written for each image, and `fits` is asked whether the report can be used
    /// ([`CategoryReport::fits`]). A record that cannot be read or used counts as none.
    #[must_use]
    pub fn find(
        &self,
        dataset: &str,
        category: &str,
        listing: &str,
        saved: &[String],
        fits: impl FnOnce(&CategoryReport) -> bool,
    ) -> Found {
        let Ok(Some(bytes)) = read_bounded(&self.path(dataset, category), MAX_BYTES) else {
            return Found::Nothing;
        };
        let Ok(record) = serde_json::from_slice::<Record>(&bytes) else {
            return Found::Nothing;
        };
        if record.version != VERSION || !saved.iter().all(|kind| record.saved.contains(kind)) {
            return Found::Nothing;
        }
        let same = [
            (Circumstance::Model, record.model == self.model),
            (Circumstance::Protocol, record.protocol == self.protocol),
            (Circumstance::Device, record.device == self.device),
            (Circumstance::Images, record.listing == listing),
        ];
        let other = same.iter().filter(|(_, is_same)| !is_same);
        let other: Vec<Circumstance> = other.map(|&(circumstance, _)| circumstance).collect();
        if !other.is_empty() {
            return Found::Other(other);
        }
        let report = record.report;
        let is_named = report.result.row.name == category && report.result.dataset == dataset;
        if is_named && fits(&report) {
            Found::Finished(Box::new(report))
        } else {
            Found::Nothing
        }
    }

    /// Keeps a finished category in place of any earlier record of it.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn keep(
        &self,
        dataset: &str,
        category: &str,
        listing: &str,
        saved: &[String],
        report: &CategoryReport,
    ) -> Result<(), Error> {
        let path = self.path(dataset, category);
        let record = Record {
            version: VERSION,
            model: self.model.clone(),
            protocol: self.protocol.clone(),
            device: self.device.clone(),
            listing: listing.to_owned(),
            saved: saved.to_vec(),
            report: report.clone(),
        };
        let json = serde_json::to_vec(&record).map_err(|error| Error::Write {
            path: path.clone(),
            source: error.into(),
        })?;
        put(&path, |file| file.write_all(&json))
    }

    fn path(&self, dataset: &str, category: &str) -> PathBuf {
        self.folder.join(file_name(dataset, category))
    }
}

/// The name of a category's record.
pub(crate) fn file_name(dataset: &str, category: &str) -> String {
    format!("{}-{}.json", plain(dataset), plain(category))
}

/// A name as part of a file's name: letters and digits stay, everything else is written in
/// hexadecimal, so that no two names become one.
fn plain(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            text.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    if text.len() <= LONGEST_NAME {
        return text;
    }
    // No file system takes names of any length.
    text.truncate(LONGEST_NAME);
    text.push_str(&digest_of(&name));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_apart_and_inside_the_folder() {
        let long = "x".repeat(500);
        let names = [
            "a",
            "A-b",
            "a/b",
            "../a",
            "a b",
            "a%2fb",
            "",
            &long,
            &format!("{long}y"),
        ];
        let mut seen = Vec::new();
        for name in names {
            let plain = plain(name);
            assert!(
                plain.len() < 130 && !plain.contains(['/', '.', '\\']),
                "{plain}"
            );
            assert!(!seen.contains(&plain), "{plain}");
            seen.push(plain);
        }
    }
}
