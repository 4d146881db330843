//! From a photo to a defect map and a score: the one [`Predictor`]. Large photos are processed in windows: [`tiling`].
//!
//! Every photo goes through [`Predictor::predict_photo`], so that it gives the same numbers in every
//! command and program.
//!
//! # Example
//!
//! ```
//! use vcp_image::Photo;
//! use vcp_predict::{Predictor, PredictorOptions};
//! # use vcp_checkpoint::{Geometry, Settings, TowerGeometry, Weights};
//! # let geometry = Geometry {
//! #     embedding_width: 64,
//! #     vision: TowerGeometry::new(3, 128),
//! #     backbone: None,
//! #     patch_size: 4,
//! #     native_grid: 3,
//! #     text: TowerGeometry::new(2, 64),
//! #     context_length: 77,
//! #     vocabulary: 49409,
//! #     context_vectors: 2,
//! #     deep_prompts: 1,
//! #     deep_prompting: true,
//! #     tap_count: 2,
//! # };
//! # let weights = Weights::random(geometry, Settings::for_geometry(&geometry), 7)?;
//!
//! // `weights` are of `Weights::open_bundle` or `Weights::open_parts` of vcp-checkpoint.
//! let predictor = Predictor::new(&weights, &PredictorOptions::default())?;
//! let photo = Photo::from_grey(40, 30, vec![90; 40 * 30])?; // or of vcp_image::decode_file
//! let prediction = predictor.predict(&[predictor.prepare(&photo)])?.remove(0);
//! let side = predictor.image_size();
//! assert_eq!(prediction.blended.len(), side * side);
//! assert!((0.0..=1.0).contains(&prediction.score));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod cost;
mod error;
mod logits;
mod map_kind;
mod network;
mod photo;
mod predictor;
pub mod references;
mod region_of_interest;
mod score;
mod smoothing;
pub mod tiling;

pub use cost::Cost;
pub use error::Error;
pub use logits::Logits;
pub use network::Device;
pub use photo::{PhotoPrediction, PreparedPhoto};
pub use predictor::{Prediction, Predictor, PredictorOptions, Prepared};
pub use region_of_interest::{RegionOfInterest, RegionRows};
pub use score::{mean_of_largest, mean_of_largest_counting, pixels_for_score};
pub use smoothing::smooth;
