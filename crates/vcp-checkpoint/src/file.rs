//! One weight file of any supported format.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, shorten};
use crate::storage::Storage;
use crate::tensor::{Layout, Tensor};
use crate::{safetensors_file, torch};

/// More tensors than any model has (a ViT-L/14 CLIP has about 600).
pub(crate) const MAX_TENSORS: usize = 20_000;
/// Bytes of a tensor's name.
pub(crate) const MAX_NAME_LENGTH: usize = 512;
/// Dimensions of a tensor.
pub(crate) const MAX_RANK: usize = 8;

/// The formats of weight files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A zip archive written by `torch.jit.save`, such as OpenAI's CLIP weights.
    TorchScript,
    /// A zip archive written by `torch.save`, such as the official VCP-CLIP checkpoints.
    TorchSave,
    /// A safetensors file; this project's bundles are such files.
    Safetensors,
}

impl std::fmt::Display for Format {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::TorchScript => "TorchScript archive",
            Self::TorchSave => "torch.save file",
            Self::Safetensors => "safetensors file",
        })
    }
}

/// An opened weight file of any supported format, memory-mapped: names to tensors.
///
/// The names are those stored in the file; nested dictionaries and modules are joined with dots.
#[derive(Debug)]
pub struct TensorFile {
    label: String,
    format: Format,
    storage: [Arc<Storage>; 1],
    tensors: BTreeMap<String, Layout>,
    metadata: HashMap<String, String>,
}

impl TensorFile {
    /// Opens a file. The format is found from the content, not from the file name.
    ///
    /// # Errors
    /// If the file cannot be opened, is of no supported format, or contradicts itself.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::from_storage(Storage::open(path)?, path.display().to_string())
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
        } else if safetensors_file::looks_like(bytes) {
            safetensors_file::read(bytes)
                .map(|(tensors, metadata)| (Format::Safetensors, tensors, metadata))
        } else {
            Err(ErrorKind::UnknownFormat {
                found: describe(bytes),
            })
        };
        let (format, tensors, metadata) = content.map_err(|kind| Error::in_file(&label, kind))?;
        Ok(Self {
            label,
            format,
            storage: [Arc::new(storage)],
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

    /// Length of the file in bytes.
    #[must_use]
    pub fn file_length(&self) -> u64 {
        self.storage[0].bytes().len() as u64
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
            storages: &self.storage,
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

    pub(crate) fn layout(&self, name: &str) -> Option<&Layout> {
        self.tensors.get(name)
    }

    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.storage[0]
    }
}

/// What a file that is none of ours looks like, with advice.
fn describe(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(512)];
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start().to_ascii_lowercase();
    if bytes.is_empty() {
        "the file is empty".to_owned()
    } else if text.starts_with("<!doctype") || text.starts_with("<html") {
        "it is a web page, so the download went wrong".to_owned()
    } else if text.starts_with("version https://git-lfs") {
        "it is a Git LFS pointer, so the file itself has not been fetched (git lfs pull)".to_owned()
    } else if bytes.starts_with(b"\x80\x02") {
        "it is a torch.save file of the kind before PyTorch 1.6; load it in PyTorch and save it again"
            .to_owned()
    } else {
        let first: Vec<u8> = bytes.iter().copied().take(8).collect();
        format!("it begins with {}", shorten(&format!("{first:02x?}")))
    }
}
