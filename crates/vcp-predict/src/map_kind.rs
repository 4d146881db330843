//! The maps that there are of a photo.

/// Which of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapKind {
    /// The two branches blended, and smoothed in each window: the map to look at.
    Blended,
    /// Branch 1, not smoothed.
    Branch1,
    /// Branch 2, not smoothed.
    Branch2,
}
