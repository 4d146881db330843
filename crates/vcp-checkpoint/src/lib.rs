//! Reads and writes weight files without executing anything: TorchScript archives, torch.save
//! files, safetensors and bundles.
//!
//! Two levels:
//!
//! * [`TensorFile`] opens one file of any supported format and gives its tensors by the names
//!   stored in it. The format is found from the content.
//! * [`Weights`] is a complete, validated model: CLIP and the learned parts of VCP-CLIP under
//!   canonical names (`clip.` + OpenAI's names, `vcp.` + the official checkpoint's names), from
//!   two files, from a bundle, or pseudo-random for benchmarks.
//!
//! Tensors are views: bytes stay in the memory map of the file and are converted to `f32` when
//! rows are read, so no second copy of a large tensor exists.
//!
//! Every file is taken to be hostile. Loading executes nothing, inflates nothing, and checks every
//! length against the file. Checksums inside archives are not verified (PyTorch can be told to
//! write none); who needs to know that a file is the right one compares its SHA-256, see
//! [`sha256_of_file`].

mod archive;
mod assemble;
pub mod bounds;
mod bundle;
mod calibration;
mod checkpoint_writer;
mod digest;
mod element;
mod error;
mod file;
mod foreign;
mod generated;
mod geometry;
mod kind;
mod names;
mod naming;
mod output;
mod pickle;
mod safetensors_file;
pub mod seal;
mod settings;
mod shard;
mod source;
mod start;
mod storage;
mod tensor;
mod torch;
mod weights;
mod wrapping;

pub use bundle::Precision;
pub use calibration::{Calibration, CalibrationWindows};
pub use digest::sha256_of_file;
pub use element::ElementType;
pub use error::{Error, ErrorKind, Problem, ProblemKind};
pub use file::{Format, TensorFile};
pub use geometry::{Geometry, LearnedGeometry, TowerGeometry};
pub use kind::Kind;
pub use names::{TensorSpec, tensor_specs};
pub use settings::{Activation, Settings};
pub use source::Source;
pub use tensor::Tensor;
pub use weights::{LoadOptions, Weights};
