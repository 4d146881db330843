//! VCP-CLIP (Qu et al., ECCV 2024, arXiv 2407.12276), stated once.
//!
//! The model is written against [`Operations`], a small trait of tensor operations on
//! [batch, rows, channels]; what device runs it, and whether gradients are kept, is the
//! implementation's business. Where paper and official code disagree the code wins, because
//! the published checkpoints were made by it.
#![forbid(unsafe_code)]

mod block;
mod branches;
mod cleaning;
mod context;
mod device_error;
mod error;
mod interpolation;
mod model;
mod operations;
mod text;
mod text_inputs;
mod tokenizer;
mod vision;

pub use block::{Block, KeyValue};
pub use branches::{BaselineBranch, PostContextBranch};
pub use context::VisualContext;
pub use device_error::{DeviceError, DeviceErrorKind};
pub use error::Error;
pub use interpolation::Resampling;
pub use model::{Decoder, GridLogits, MapMaker, Model};
pub use operations::{After, Operations, Orientation};
pub use text::{ChangePrompts, TextTower};
pub use text_inputs::TextInputs;
pub use tokenizer::{CLASS, END, START, Tokenizer};
pub use vcp_checkpoint::Activation;
pub use vision::{VisionFeatures, VisionTower};
