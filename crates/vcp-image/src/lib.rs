//! Photos in, pictures out: decoding, Pillow-exact resizing, normalising, smoothing, regions, overlays.
//!
//! The way in: [`decode_file`] → [`Photo`] → [`Photo::resize_bicubic`] → [`normalise`], which gives
//! the numbers that CLIP's vision tower was trained on. The way out: a square anomaly map, smoothed
//! by [`gaussian_blur`].
//!
//! Files are hostile: sizes are checked before anything of that size is allocated, and every
//! failure is an [`Error`] that names the file.

mod blur;
mod decode;
mod error;
mod normalise;
mod orientation;
mod photo;
mod resample;

pub use blur::gaussian_blur;
pub use decode::{DecodeOptions, decode_bytes, decode_file};
pub use error::Error;
pub use normalise::{MEAN, STANDARD_DEVIATION, normalise};
pub use photo::Photo;
