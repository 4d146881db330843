//! Training: what the official `train.py` does, and what it takes to begin from random weights.
//!
//! [`Examples`] gives images with the truth about them, always the same ones for the same epoch and
//! place; [`Batches`] prepares them ahead on other threads; [`Trainer`] makes steps. A [`Trainer`]'s
//! [`State`] is all that has to be kept of it: one that resumes from a state makes the same steps as
//! one that was never interrupted. What a run writes down for people is in [`log`];
//! [`session`] puts all of it together: a run in a folder, from which it resumes.
//!
//! # Example
//!
//! What can be set of the official training, and what is refused:
//!
//! ```
//! use vcp_train::Recipe;
//!
//! let official = Recipe::default();
//! assert!(official.check().is_ok());
//! let without_steps = Recipe { epochs: 0, ..official };
//! assert!(without_steps.check().is_err());
//! ```
#![forbid(unsafe_code)]

mod augment;
mod average;
mod batches;
mod blend;
mod dataset;
mod dropout;
mod error;
mod examples;
mod features;
mod image_size;
pub mod log;
mod loss_scale;
mod recipe;
mod run;
pub mod session;
mod state;
mod synthetic;
mod tokens;
mod trainer;
mod training_set;
mod validation;

pub use augment::{Augmentation, mosaic};
pub use average::average;
pub use batches::{Batch, Batches};
pub use dataset::{DatasetExamples, Notice, hold_out, varied};
pub use error::Error;
pub use examples::{Example, Examples, Mixture};
pub use image_size::with_image_size;
pub use loss_scale::LossScale;
pub use recipe::{Recipe, Schedule, Scope};
pub use run::{Event, run};
pub use state::{Position, State};
pub use synthetic::SyntheticExamples;
pub use tokens::forget_unused_tokens;
pub use trainer::{StepReport, Trainer};
pub use training_set::TrainingSet;
pub use validation::{Validation, validate};
pub use vcp_burn::losses::LossWeights;
