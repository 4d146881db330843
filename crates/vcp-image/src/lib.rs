//! Photos in, pictures out: decoding, Pillow-exact resizing, normalising, smoothing, regions, overlays.
//!
//! The way in: [`decode_file`] → [`Photo`] → [`Photo::resize_bicubic`] → [`normalise`], which gives
//! the numbers that CLIP's vision tower was trained on. The way out: a square anomaly map, smoothed
//! by [`gaussian_blur`], is seen at the photo's own resolution through a [`ScaledMap`], from which
//! [`regions`], pictures ([`heatmap`], [`overlay`], [`mask_picture`]) and arrays for `NumPy`
//! ([`encode_npy`]) are made row by row.
//!
//! Neither a large photo nor its map has to be in memory whole: rows of the one come from a
//! [`PhotoFile`], and whatever implements [`MapRows`] can be made pictures and regions of.
//!
//! Files are hostile: sizes are checked before anything of that size is allocated, and every
//! failure is an [`Error`] that names the file.
//!
//! # Example
//!
//! ```
//! use vcp_image::{DecodeOptions, Photo, Picture, decode_file};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("photo.png");
//! # Picture::from(Photo::from_rgb(4, 2, vec![200; 24])?).write_png(&path)?;
//! let photo = decode_file(&path, &DecodeOptions::default())?;
//! let small = photo.to_rgb().resize_bicubic(2, 1); // to the bit what Pillow gives
//! let saved = folder.path().join("small.png");
//! Picture::from(small).write_png(&saved)?; // beside its place, then renamed
//!
//! let again = decode_file(&saved, &DecodeOptions::default())?;
//! assert_eq!((again.width(), again.height()), (2, 1));
//! assert_eq!(again.pixels(), [200; 6]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod blur;
mod decode;
mod error;
mod instruction_set;
mod kind;
mod map_rows;
mod mask;
mod normalise;
mod npy;
mod orientation;
mod overlay;
mod photo;
mod photo_file;
mod photo_rows;
mod picture;
mod regions;
mod resample;
mod scaled_map;
mod strips;
mod turned;
mod warning;

pub use blur::gaussian_blur;
pub use decode::{
    Bits, DecodeOptions, PageChoice, SampleDepth, SampleRows, Settled, decode_bytes, decode_file,
    decode_mask_file, decode_mask_levels, decode_samples, photo_pages, settle_bits,
};
pub use error::Error;
pub use kind::Kind;
pub use map_rows::{MapRows, PlainMap};
pub use mask::{mask_from_photo, resize_mask};
pub use normalise::{MEAN, STANDARD_DEVIATION, normalise};
pub use npy::encode_npy;
pub use overlay::{overlay, overlay_around};
pub use photo::Photo;
pub use photo_file::PhotoFile;
pub use photo_rows::{BandResizer, PhotoRows};
pub use picture::{Picture, heatmap, is_own_png, mask_picture};
pub use regions::{BoundingBox, ClearedMap, Region, SmallRegions, regions, regions_of_area};
pub use scaled_map::ScaledMap;
pub use turned::is_turned;
pub use warning::Warning;

/// The example of README.md, so that it is compiled too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
