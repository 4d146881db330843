//! Finds defects in photos of products never seen in training: VCP-CLIP (ECCV 2024), from a photo to an
//! inspection.
//!
//! ```no_run
//! use vcp_clip::{Inspector, ModelName};
//!
//! # fn main() -> Result<(), vcp_clip::Error> {
//! let inspector = Inspector::open(&ModelName::BuiltIn)?;
//! let inspection = inspector.inspect_file("photo.jpg".as_ref())?;
//! println!("{:.3} {}", inspection.score(), inspection.is_anomalous());
//! inspection.overlay()?.write_png("photo.overlay.png".as_ref())?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod calibration;
pub mod cost;
pub mod device;
mod error;
pub mod files;
mod inspection;
mod inspector;
pub mod model;
pub mod photos;
pub mod pipeline;
pub mod pull;
pub mod record;
pub mod results;
mod thresholds;

pub use device::{Device, DeviceName};
pub use error::{Error, Fault, sentence};
pub use inspection::Inspection;
pub use inspector::{DecodedPhoto, Inspections, Inspector, InspectorOptions, Watch};
pub use model::{Model, ModelName, ModelOptions};
pub use pipeline::{Item, Stop};
pub use thresholds::{DecisionThresholds, ThresholdOptions};
pub use vcp_files::ResultNames;
pub use vcp_image::{DecodeOptions, MapRows, Photo, Picture, Region};
pub use vcp_predict::tiling::{MapKind, Tiling};
