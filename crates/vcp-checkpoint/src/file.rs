//! One weight file of any supported format.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::format::Format;
use crate::seal::{self, Seal};
use crate::storage::Storage;
use crate::tensor::{Content, Layout, Tensor};
use crate::{foreign, safetensors_file, shard, torch, torch_stream};

/// An opened weight file of any supported format, memory-mapped: names to tensors.
///
/// The names are those stored in the file; nested dictionaries and modules are joined with dots.
#[derive(Debug)]
pub struct TensorFile {
    label: String,
    format: Format,
    /// One, or one for each part.
    storages: Vec<Arc<Storage>>,
    /// The labels of the parts, if there are any.
    parts: Vec<String>,
    tensors: BTreeMap<String, Layout>,
    metadata: HashMap<String, String>,
}

impl TensorFile {
    /// Opens a file, or all parts that an index names. The format is found from the content, not from
    /// the file name.
    ///
    /// # Errors
    /// If the file cannot be opened, is of no supported format, or contradicts itself.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let label = path.display().to_string();
        let storage = Storage::open(path)?;
        if shard::looks_like(storage.bytes()) {
            let parts = shard::open(path, storage.bytes())?;
            return Ok(Self::of_parts(label, parts));
        }
        Self::from_storage(storage, label)
    }

    /// Opens a file that is no index.
    ///
    /// # Errors
    /// As [`TensorFile::open`], and if it is an index.
    pub(crate) fn open_whole(path: &Path) -> Result<Self, Error> {
        Self::from_storage(Storage::open(path)?, path.display().to_string())
    }

    fn of_parts(label: String, parts: Vec<Self>) -> Self {
        let mut whole = Self {
            label,
            format: Format::Parts,
            storages: Vec::new(),
            parts: Vec::new(),
            tensors: BTreeMap::new(),
            metadata: HashMap::new(),
        };
        for part in parts {
            let number = whole.storages.len();
            let tensors = part.tensors.into_iter().map(|(name, mut layout)| {
                for block in &mut layout.blocks {
                    if let Content::View(view) = &mut block.content {
                        view.storage += number;
                    }
                }
                (name, layout)
            });
            whole.tensors.extend(tensors);
            whole.storages.extend(part.storages);
            whole.parts.push(part.label);
        }
        whole
    }

    /// Reads a file that is already in memory. `label` takes the place of the path in errors.
    ///
    /// # Errors
    /// As [`TensorFile::open`].
    pub fn from_bytes(bytes: Vec<u8>, label: &str) -> Result<Self, Error> {
        Self::from_storage(Storage::Owned(bytes), label.to_owned())
    }

    fn from_storage(storage: Storage, label: String) -> Result<Self, Error> {
        let bytes = storage.bytes();
        let content = if bytes.starts_with(b"PK\x03\x04") {
            torch::read(bytes).map(|(format, tensors)| (format, tensors, HashMap::new()))
        } else if torch_stream::looks_like(bytes) {
            torch_stream::read(bytes)
                .map(|tensors| (Format::TorchSaveStream, tensors, HashMap::new()))
        } else if safetensors_file::looks_like(bytes) {
            safetensors_file::read(bytes)
                .map(|(tensors, metadata)| (Format::Safetensors, tensors, metadata))
        } else {
            Err(ErrorKind::UnknownFormat {
                found: foreign::describe(bytes, &label),
            })
        };
        let (format, tensors, metadata) = content.map_err(|kind| Error::in_file(&label, kind))?;
        Ok(Self {
            label,
            format,
            storages: vec![Arc::new(storage)],
            parts: Vec::new(),
            tensors,
            metadata,
        })
    }

    /// The format found.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The path it was opened from, or the label given instead.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Length of the file in bytes; of all parts together, if there are any.
    #[must_use]
    pub fn file_length(&self) -> u64 {
        let lengths = self.storages.iter().map(|storage| storage.bytes().len());
        lengths.map(|length| length as u64).sum()
    }

    /// The names of all tensors, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The tensor of this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let (name, layout) = self.tensors.get_key_value(name)?;
        Some(Tensor {
            name,
            layout,
            storages: &self.storages,
        })
    }

    /// The value of a key in the metadata of a safetensors file; other formats have none.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Whether the file is a bundle, a complete model that [`Weights::open_bundle`] opens.
    ///
    /// [`Weights::open_bundle`]: crate::Weights::open_bundle
    #[must_use]
    pub fn is_bundle(&self) -> bool {
        self.metadata.contains_key(crate::bundle::KEY)
    }

    /// Compares the file with the digest in its metadata, if it has one.
    ///
    /// # Errors
    /// If it is not that of the file.
    pub(crate) fn check_seal(&self) -> Result<Seal, Error> {
        let [storage] = &self.storages[..] else {
            return Ok(Seal::Absent);
        };
        let release = |range| storage.release(range);
        seal::check_releasing(storage.bytes(), &self.metadata, release).map_err(|broken| {
            let problem = broken.to_string();
            Error::in_file(&self.label, ErrorKind::Bundle { problem })
        })
    }

    pub(crate) fn layout(&self, name: &str) -> Option<&Layout> {
        self.tensors.get(name)
    }

    pub(crate) fn storages(&self) -> &[Arc<Storage>] {
        &self.storages
    }

    /// The files that this is made of, with their labels: itself, or its parts.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &Arc<Storage>)> {
        let labels = match &self.parts[..] {
            [] => std::slice::from_ref(&self.label),
            parts => parts,
        };
        labels.iter().map(String::as_str).zip(&self.storages)
    }
}
