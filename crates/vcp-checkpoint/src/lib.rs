//! Reads and writes weight files without executing anything: TorchScript archives, torch.save
//! files (of the older format too), safetensors and bundles.
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
//!
//! # Example
//!
//! ```
//! use vcp_checkpoint::{ElementType, Format, TensorFile};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("model.safetensors");
//! # let header = br#"{"proj":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}     "#;
//! # let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
//! # bytes.extend(header);
//! # bytes.extend([0.5_f32, -2.0].map(f32::to_le_bytes).concat());
//! # std::fs::write(&path, bytes)?;
//! let file = TensorFile::open(&path)?; // .pt, .pth, .bin or .safetensors: the content says which
//! assert_eq!(file.format(), Format::Safetensors);
//! for name in file.names() {
//!     let tensor = file.tensor(name).expect("a name of this file");
//!     println!("{name}: {:?} {:?}", tensor.shape(), tensor.element_type());
//! }
//! let tensor = file.tensor("proj").expect("it was listed");
//! assert_eq!(tensor.element_type(), ElementType::F32);
//! assert_eq!(tensor.to_f32(), [0.5, -2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod assemble;
mod backbone;
pub mod bounds;
mod bundle;
mod calibration;
mod checkpoint_writer;
mod coded;
mod codes;
mod digest;
mod element;
mod elements;
mod error;
mod file;
mod foreign;
mod format;
mod generated;
mod geometry;
mod kind;
mod limits;
mod names;
mod naming;
mod narrow;
mod output;
mod pickle;
mod precision;
mod references;
mod safetensors_file;
mod scaling;
pub mod seal;
mod settings;
mod shard;
mod smoothing;
mod source;
mod start;
mod storage;
mod storing;
mod tensor;
mod torch;
mod torch_stream;
mod weights;
mod wrapping;

pub use backbone::{Architecture, Backbone, InvertedResidual, Level, NECK_KERNEL};
pub use calibration::{Calibration, CalibrationWindows};
pub use digest::sha256_of_file;
pub use element::ElementType;
pub use error::{Error, ErrorKind, Problem, ProblemKind};
pub use file::TensorFile;
pub use format::Format;
pub use geometry::{CONVOLUTIONAL_STRIDE, Geometry, LearnedGeometry, TowerGeometry};
pub use kind::Kind;
pub use names::{TensorSpec, tensor_specs};
pub use narrow::NarrowMatrix;
pub use precision::Precision;
pub use references::{ReferenceDescription, References};
pub use settings::{Activation, Settings};
pub use source::Source;
pub use storing::Storing;
pub use tensor::Tensor;
pub use weights::{LoadOptions, Weights};

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
