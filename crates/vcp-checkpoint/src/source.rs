//! Where a model's weights came from.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::TensorFile;
use crate::digest::sha256_of_storage;
use crate::storage::Storage;

/// A file that weights were read from, first or later: a bundle names the files it was made of.
#[derive(Debug)]
pub struct Source {
    file_name: String,
    bytes: u64,
    sha256: OnceLock<String>,
    /// What to compute the digest from when it is asked for.
    storage: Option<Arc<Storage>>,
}

/// As it stands in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceRecord {
    file_name: String,
    sha256: String,
    bytes: u64,
}

impl Source {
    /// The file's name without folders.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The file's length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file's SHA-256 in lowercase hexadecimal. Computed when first asked for, which reads the
    /// whole file (about a second per gigabyte).
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.sha256.get_or_init(|| {
            self.storage
                .as_deref()
                .map(sha256_of_storage)
                .unwrap_or_default()
        })
    }

    /// A file, or its parts if it has any.
    pub(crate) fn of_file(file: &TensorFile) -> Vec<Self> {
        let source = |(label, storage): (&str, &Arc<Storage>)| Self {
            file_name: label
                .rsplit(['/', '\\'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            bytes: storage.bytes().len() as u64,
            sha256: OnceLock::new(),
            storage: Some(Arc::clone(storage)),
        };
        file.files().map(source).collect()
    }

    pub(crate) fn record(&self) -> SourceRecord {
        SourceRecord {
            file_name: self.file_name.clone(),
            sha256: self.sha256().to_owned(),
            bytes: self.bytes,
        }
    }
}

impl From<SourceRecord> for Source {
    fn from(record: SourceRecord) -> Self {
        Self {
            file_name: record.file_name,
            bytes: record.bytes,
            sha256: OnceLock::from(record.sha256),
            storage: None,
        }
    }
}
