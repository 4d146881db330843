//! What every rate is a fraction of.

/// How many there are of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    /// Anomalous pixels.
    pub(crate) positives: u64,
    /// Normal pixels.
    pub(crate) negatives: u64,
    /// Regions; 0 where there are none, as among images.
    pub(crate) regions: u64,
}
