//! VCP-CLIP (Qu et al., ECCV 2024, arXiv 2407.12276), stated once.
//!
//! The model is written against [`Operations`], a small trait of tensor operations on
//! [batch, rows, channels]; what device runs it, and whether gradients are kept, is the
//! implementation's business. Where paper and official code disagree the code wins, because
//! the published checkpoints were made by it.
//!
//! A device is called through [`Operations`]; what runs on one runs on all. Operations give no errors:
//! whatever failed on the way is reported where values leave the device.
//!
//! ```
//! use vcp_model::{DeviceError, Operations};
//!
//! /// The cosine of the angle between every row of `a` [batch, m, k] and every row of `b` [batch, n, k].
//! fn cosines<O: Operations>(
//!     device: &O,
//!     a: &O::Tensor,
//!     b: &O::Tensor,
//! ) -> Result<Vec<f32>, DeviceError> {
//!     let (a, b) = (device.l2_normalise(a), device.l2_normalise(b));
//!     device.values(&device.matmul_transposed(&a, &b))
//! }
//! ```
//!
//! A device of your own implements [`Operations`]; the project's crate for tests, `vcp-testing`, has a
//! suite for it (`vcp_testing::device`).
//!
//! The tokenizer works by itself:
//!
//! ```
//! use vcp_model::Tokenizer;
//!
//! assert_eq!(Tokenizer::shared().encode("a photo of a"), [320, 1125, 539, 320]);
//! ```
#![forbid(unsafe_code)]

mod backbone;
mod block;
mod branches;
mod cleaning;
mod context;
mod convolutional;
mod device_error;
mod error;
mod interpolation;
mod model;
mod neck;
mod operations;
mod text;
mod text_inputs;
mod tokenizer;
mod transformer;
mod vision;

pub use backbone::{Backbone, InvertedResidual, Map, Stages};
pub use block::{Block, KeyValue};
pub use branches::{BaselineBranch, PostContextBranch};
pub use context::VisualContext;
pub use convolutional::{ConvolutionalHead, ConvolutionalTower, Renormalisation};
pub use device_error::{DeviceError, DeviceErrorKind};
pub use error::Error;
pub use interpolation::Resampling;
pub use model::{Decoder, GridLogits, MapMaker, Model};
pub use neck::Neck;
pub use operations::{After, Operations, Orientation, Windows};
pub use text::{ChangePrompts, TextTower};
pub use text_inputs::TextInputs;
pub use tokenizer::{CLASS, END, START, Tokenizer};
pub use transformer::VisionTransformer;
pub use vcp_checkpoint::Activation;
pub use vision::{VisionFeatures, VisionTower, patch_channels};
