//! Fetching published weights into the cache.
//!
//! The [`Catalogue`] says what there is and where. With the feature `pull`, `download` brings one file
//! here, resumable and checked, and `Puller` puts them together: a file from the table, or a bundle
//! packed from two.

#[cfg(feature = "pull")]
pub mod download;
#[cfg(feature = "pull")]
mod error;
#[cfg(feature = "pull")]
mod puller;
mod sources;

#[cfg(feature = "pull")]
pub use download::{Connection, Progress};
#[cfg(feature = "pull")]
pub use error::PullError;
#[cfg(feature = "pull")]
pub use puller::{Pulled, Puller};
pub use sources::{
    BaseUrls, BundleRecipe, CLIP_BASE_URL, Catalogue, DRIVE_BASE_URL, Place, Source,
};
