//! From a photo to a defect map and a score: the one [`Predictor`]; and from the scores of many
//! photos to thresholds: [`calibration`]. Large photos are looked at in windows: [`tiling`].
//!
//! Everything that looks at photos goes through it, so that the same photo gives the same
//! numbers wherever it is looked at.

pub mod calibration;
mod cost;
mod error;
mod network;
mod predictor;
mod score;
pub mod tiling;

pub use cost::Cost;
pub use error::Error;
pub use network::Device;
pub use predictor::{Logits, Prediction, Predictor, PredictorOptions, Prepared, caught};
pub use score::{mean_of_largest, pixels_for_score};
