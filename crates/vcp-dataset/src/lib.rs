//! Anomaly detection data sets, read as they were downloaded: nothing is rewritten, moved or cached.
//!
//! The way in: [`read`] with a [`Layout`] from [`layouts`] (or [`layout`] by name) turns a folder into a
//! [`Dataset`], a list of [`Sample`]s plus every [`Problem`] that was met on the way. [`check`]
//! counts and, if asked, decodes everything; [`convert_to_official`] writes the tree and list that
//! the official VCP-CLIP code reads.
//!
//! Images and masks are paired by name and class, never by their order in a folder. What does not
//! pair is a [`Problem`] that names both paths.
//!
//! Files are hostile: lists are bounded in size, paths in lists that lead out of the data set's
//! folder are refused, folders that contain themselves end a search, devices and pipes are not
//! opened.

mod augment;
mod convert;
mod dataset;
mod error;
mod files;
mod finding;
mod json;
mod labelme;
mod layout;
mod layouts;
mod mask;
mod official;
mod pairing;
mod problem;
mod problems;
mod random;
mod report;
mod shapes;
pub mod synthetic;
mod synthetic_set;
mod table;
#[cfg(test)]
mod testing;
mod text;
mod words;

pub use augment::{Augmentation, mosaic};
pub use convert::{Converted, convert_to_official};
pub use dataset::{Dataset, Label, MaskRule, MaskSource, Sample, Split};
pub use error::{Error, Mismatch};
pub use finding::{Coverage, MaskFinding, MaskFindings};
pub use layout::{Layout, Options, read};
pub use layouts::{layout, layouts};
pub use mask::LoadedMask;
pub use official::{Official, RecognisedBy};
pub use problem::Problem;
pub use problems::Problems;
pub use report::{CategoryCounts, DefectCount, Report, SplitCounts, check, check_deeply};
pub use shapes::Ellipse;
pub use synthetic_set::{SyntheticCounts, SyntheticSet};
