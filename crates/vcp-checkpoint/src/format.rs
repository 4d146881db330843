//! What kinds of weight files there are.

/// The formats of weight files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A zip archive written by `torch.jit.save`, such as OpenAI's CLIP weights.
    TorchScript,
    /// A zip archive written by `torch.save`, such as the official VCP-CLIP checkpoints.
    TorchSave,
    /// A file of `torch.save`'s older format, which is not a zip archive: the default before PyTorch 1.6.
    TorchSaveStream,
    /// A safetensors file; this project's bundles are such files.
    Safetensors,
    /// Several files with an index in JSON that says which holds which tensor, as Hugging Face stores
    /// large models.
    Parts,
}

impl std::fmt::Display for Format {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::TorchScript => "TorchScript archive",
            Self::TorchSave => "torch.save file",
            Self::TorchSaveStream => "torch.save file of the older format",
            Self::Safetensors => "safetensors file",
            Self::Parts => "index of files in parts",
        })
    }
}
