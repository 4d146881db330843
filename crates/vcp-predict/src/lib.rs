//! From a photo to a defect map and a score: the one [`Predictor`]. Large photos are processed in windows: [`tiling`].
//!
//! Every photo goes through [`Predictor::predict_photo`], so that it gives the same numbers in every
//! command and program.
#![forbid(unsafe_code)]

mod cost;
mod error;
mod logits;
mod network;
mod photo;
mod predictor;
mod score;
pub mod tiling;

pub use cost::Cost;
pub use error::Error;
pub use logits::Logits;
pub use network::Device;
pub use photo::{PhotoPrediction, PreparedPhoto};
pub use predictor::{Prediction, Predictor, PredictorOptions, Prepared};
pub use score::{mean_of_largest, pixels_for_score};
