//! Finds defects in photos of products never seen in training: VCP-CLIP (ECCV 2024, arXiv 2407.12276), from a
//! photo to an inspection.
//!
//! ```
//! use vcp_clip::{Inspector, ModelName};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # std::env::set_current_dir(folder.path())?;
//! # let pixels = (0..64 * 48 * 3).map(|index| (index % 251) as u8).collect();
//! # let photo = vcp_clip::Photo::from_rgb(64, 48, pixels)?;
//! # vcp_clip::Picture::from(photo).write_png("photo.png".as_ref())?;
//! let inspector = Inspector::open(&ModelName::BuiltIn)?;
//! let inspection = inspector.inspect_file("photo.png".as_ref())?;
//! println!("{:.3} {}", inspection.score(), inspection.is_anomalous());
//! inspection.overlay()?.write_png("photo.overlay.png".as_ref())?;
//! # assert!(std::path::Path::new("photo.overlay.png").is_file());
//! # Ok(())
//! # }
//! ```
//!
//! - [`ModelName`] says which model: the one that comes with this crate, one that was pulled ([`pull`]), a
//!   bundle, or CLIP with a checkpoint; [`ModelOptions`] what to change about it; [`Device`] where it runs.
//! - An [`Inspector`] is a model with thresholds. It takes photos from files, from bytes in memory, or decoded;
//!   many threads may share one. [`Inspector::inspect_all`] works on many photos with decoding, the model and
//!   whoever takes the results at a time.
//! - An [`InspectionMask`] says which part of photos counts.
//! - An [`Inspection`] has the score, the map, the regions, the decision, pictures, and the [`record`] that
//!   `vcp-clip segment` prints.
//! - [`calibration`] finds thresholds from photos, and tells whether some that were found apply.
//! - Every [`Error`] is a sentence and has a [`Fault`]: whether photo, limits, model, device or the place for
//!   results is to blame.
//!
//! Nothing here prints, and nothing but [`model::cache_folder`] and [`model::data_folder`] depends on the environment.
//! (Decoders may panic on damaged files; that becomes an error, but the standard library prints it unless the program
//! has called [`hush_caught`] once.)
//!
//! The parts are crates of their own, and here as [`image`], [`checkpoint`] and [`predict`].
#![forbid(unsafe_code)]

pub mod calibration;
pub mod cost;
pub mod device;
mod error;
mod files;
mod inspection;
mod inspection_mask;
mod inspector;
pub mod model;
pub mod photos;
pub mod pipeline;
pub mod pull;
pub mod record;
pub mod references;
pub mod results;
mod sentence;
mod thresholds;

pub use device::{Device, DeviceName};
pub use error::{Error, Fault};
pub use inspection::Inspection;
pub use inspection_mask::{InspectionMask, MaskError};
pub use inspector::{DecodedPhoto, Inspections, Inspector, InspectorOptions, Watch};
pub use model::{Model, ModelName, ModelOptions};
pub use pipeline::{Item, Stop};
pub use references::ReferenceChoice;
pub use sentence::sentence;
pub use thresholds::{Decision, DecisionThresholds, ThresholdOptions};
pub use vcp_checkpoint as checkpoint;
pub use vcp_files::ResultNames;
pub use vcp_image as image;
pub use vcp_image::{
    Bits, DecodeOptions, MapRows, PageChoice, Photo, Picture, Region, SampleDepth, Warning,
};
pub use vcp_panics::hush_caught;
pub use vcp_predict as predict;
pub use vcp_predict::PredictorOptions;
pub use vcp_predict::tiling::{MapKind, Tiling};

/// The example in README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
