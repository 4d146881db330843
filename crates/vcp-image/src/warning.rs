//! What a reader of results should know of a photo that was read.

/// Something about a photo that was read after all, but perhaps not as its owner thinks.
///
/// As text it is a full sentence without the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// The file is an animation.
    #[error("It is an animated {format}, of which only the first picture is looked at.")]
    Animation {
        /// The format's name, such as `WebP`.
        format: &'static str,
    },
}
