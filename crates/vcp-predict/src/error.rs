//! What can go wrong between a photo and its map.

/// No predictor, or no prediction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model cannot be made.
    #[error(transparent)]
    Model(#[from] vcp_model::Error),
    /// The device cannot be started.
    #[error(transparent)]
    Threads(#[from] vcp_cpu::ThreadsError),
    /// An image was prepared for another model.
    #[error(
        "An image was prepared at {found} pixels a side, but this model works at {expected}; \
         prepare it with the predictor that is to look at it."
    )]
    WrongSize {
        /// Side of the prepared image.
        found: usize,
        /// Side the model works at.
        expected: usize,
    },
    /// The model gave something that is no number.
    #[error(
        "The model's map contains a value that is not a number. The weights are damaged, or \
         were trained for other settings (activation, taps, image size)."
    )]
    NotFinite,
}
