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
//!
//! # Example
//!
//! ```
//! use vcp_dataset::{Label, Options, Split, layout, read};
//!
//! # use vcp_image::{Photo, Picture};
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path();
//! # for (name, value) in [
//! #     ("train/good/000.png", 9),
//! #     ("test/good/000.png", 9),
//! #     ("test/broken/000.png", 9),
//! #     ("ground_truth/broken/000_mask.png", 255),
//! # ] {
//! #     let path = root.join("bottle").join(name);
//! #     std::fs::create_dir_all(path.parent().unwrap())?;
//! #     Picture::from(Photo::from_grey(2, 2, vec![value; 4])?).write_png(&path)?;
//! # }
//! let options = Options::default();
//! let mvtec = layout("mvtec").expect("a layout that exists");
//! let mut dataset = read(mvtec, root, &options)?;
//! dataset.select(&["bottle".to_owned()], Some(Split::Test))?;
//! for sample in &dataset.samples {
//!     let photo = sample.load_image(&options.decode)?;
//!     let mask = sample.load_mask(photo.width(), photo.height(), &options.decode)?;
//!     let defect = mask.pixels().iter().filter(|&&value| value != 0).count();
//!     println!("{}: {:?}, {defect} pixels of {}", sample.id, sample.label, sample.defect);
//!     assert_eq!(defect > 0, sample.label == Label::Anomalous);
//! }
//! assert_eq!(dataset.samples.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod collection;
mod convert;
mod dataset;
mod error;
mod files;
mod finding;
mod json;
mod labelme;
mod layout;
mod layouts;
mod listing;
mod mask;
mod names;
mod official;
mod pairing;
mod problem;
mod problems;
mod report;
mod shapes;
mod table;
#[cfg(test)]
mod testing;
mod text;
mod words;

pub use collection::{Collection, Member};
pub use convert::{Converted, convert_to_official};
pub use dataset::{Dataset, Label, MaskRule, MaskSource, Sample, Split};
pub use error::{Error, Mismatch};
pub use finding::{Coverage, MaskFinding, MaskFindings};
pub use layout::{Layout, Options, read};
pub use layouts::{layout, layout_or_error, layouts};
pub use listing::digest_of_listing;
pub use mask::LoadedMask;
pub use official::{Official, RecognisedBy};
pub use problem::Problem;
pub use problems::Problems;
pub use report::{CategoryCounts, DefectCount, Report, SplitCounts, check, check_deeply};
pub use shapes::Ellipse;

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
