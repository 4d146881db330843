//! The official evaluation over a data set: from images and masks to figures of each category.
//!
//! For each [`Sample`](vcp_dataset::Sample) of a category, [`load`] reads image and mask and
//! [`look`] asks the model; both may run ahead on other threads. [`judge()`] turns what was seen into
//! a [`CategoryReport`]: maps are scaled to 0..1 over the category, as the official code does it,
//! and compared with the masks at the model's image size. Of an image only the logits on the patch
//! grid and one bit per pixel are kept; maps are made again when figures need them. (Of an image that
//! is processed in windows, the map is kept.)
//!
//! A [`Plan`] says which images of which categories there are. An [`Evaluation`] of it has a folder: it
//! keeps finished categories there, so that an interrupted run resumes with the next, and writes the
//! result files at the end ([`output`]). [`Results`] are what `results.json` holds; [`Comparison::of`]
//! tells two of them apart. A [`Pair`] evaluates a model computed in two ways in one pass, and
//! [`PrecisionReport`] says how much that changes. So a whole evaluation is
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{ops::ControlFlow, path::Path, sync::Arc};
//!
//! use vcp_checkpoint::{Settings, Weights};
//! use vcp_dataset::{Collection, Options, Split, layout_or_error};
//! use vcp_evaluate::{Evaluation, ModelDescription, Plan, Protocol, load, look};
//! use vcp_predict::Predictor;
//!
//! let collection = Collection {
//!     places: vec![(layout_or_error("mvtec")?, "data/mvtec".into())],
//!     options: Options::default(),
//!     categories: Vec::new(),
//!     split_by_object: false,
//! };
//! let (clip, checkpoint) = (Path::new("ViT-L-14-336px.pt"), Path::new("train_visa.pth"));
//! let weights = Weights::open_parts(clip, checkpoint, Settings::default())?;
//! let protocol = Protocol::default();
//! let evaluation = Evaluation {
//!     plan: Plan::new(collection.read()?, Some(Split::Test), None)?,
//!     model: ModelDescription::of(&weights),
//!     predictor: Arc::new(Predictor::new(&weights, &protocol.predictor_options(None))?),
//!     protocol,
//!     device: "cpu".to_owned(),
//!     folder: "results".into(),
//!     image_files: Vec::new(),
//! };
//! let mut reports = evaluation.earlier().reports;
//! for (number, category) in evaluation.plan.categories.iter().enumerate() {
//!     if reports[number].is_some() {
//!         continue;
//!     }
//!     let seen = category.samples.iter().map(|sample| {
//!         let loaded = load(sample, &evaluation.predictor, &evaluation.protocol)?;
//!         let watch = &mut |_, _| ControlFlow::Continue(());
//!         look(loaded, &evaluation.predictor, &evaluation.protocol, watch)
//!     });
//!     let outcomes = seen.map(|look| look.map_err(|error| error.to_string()));
//!     reports[number] = Some(evaluation.conclude(number, outcomes.collect())?.report);
//! }
//! let reports: Vec<_> = reports.into_iter().flatten().collect();
//! let results = evaluation.finish(&reports, "my program 1.0", "2026-01-31")?;
//! println!("{:?}", results.mean.figures.pixel_auroc);
//! # Ok(())
//! # }
//! ```
//!
//! Nothing here prints. Figures that the data do not define are `None`, with the reason beside them.
#![forbid(unsafe_code)]

mod calibrated;
mod category;
mod comparison;
mod error;
mod evaluation;
mod figures;
mod image;
mod judge;
mod model;
pub mod output;
mod pair;
mod plan;
mod precision;
mod protocol;
mod references;
mod results;
mod scaling;
mod store;
mod truth;

pub use calibrated::{Calibrated, Marked};
pub use category::{
    CASES, Case, CategoryReport, CategoryResult, CurvePoint, Failure, ImageRecord, Row,
};
pub use comparison::{ComparedRow, Comparison, SettingChange};
pub use error::Error;
pub use evaluation::{Concluded, Earlier, Evaluation};
pub use figures::{Column, Figures, Undefined};
pub use image::{Loaded, Look, Seen, load, look};
pub use judge::{Observed, judge};
pub use model::{ModelDescription, SourceDescription};
pub use pair::{MapSums, NOTICEABLE, Pair, PairReport};
pub use plan::{Plan, PlannedCategory};
pub use precision::{
    Decisions, Destinations, LargestDifference, MapDifference, PrecisionReport, PrecisionRow,
    ScoreDifference, ThresholdSource,
};
pub use protocol::{FewShot, Protocol};
pub use references::{Seeds, Spread, remember};
pub use results::{DatasetDescription, MeanRow, Results};
pub use store::{Circumstance, Found, Store};
pub use truth::Truth;
