//! What can go wrong between a photo and its map.

use vcp_model::{DeviceError, DeviceErrorKind};

/// No predictor, or no prediction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model cannot be made.
    #[error(transparent)]
    Model(vcp_model::Error),
    /// The device cannot be started.
    #[error(transparent)]
    Threads(#[from] vcp_cpu::ThreadsError),
    /// The processor cannot compute in the precision that the model's settings ask for.
    #[error(transparent)]
    Precision(#[from] vcp_cpu::PrecisionError),
    /// Other devices compute in `f32` alone.
    #[error(
        "The model is to be computed in {precision}, which only the CPU does here: run it on the CPU, or compute it in f32."
    )]
    OnlyOnCpu {
        /// What was asked for.
        precision: vcp_checkpoint::Precision,
    },
    /// The device that the model runs on failed. [`DeviceError::kind`] says whether its memory ran out.
    #[error("{0}. {advice}", advice = advice(.0.kind))]
    Device(DeviceError),
    /// An image was prepared for another model.
    #[error(
        "An image was prepared at {found} pixels a side, but this model works at {expected}; \
         prepare it with the predictor that is to process it."
    )]
    WrongSize {
        /// Side of the prepared image.
        found: usize,
        /// Side the model works at.
        expected: usize,
    },
    /// Values that are no logits of so many taps.
    #[error(
        "{found} values cannot be the logits of {} taps of branch 1 and {} of branch 2: each branch has \
         a tap, and all taps have as many values.", taps[0], taps[1]
    )]
    LogitsLength {
        /// Number of values.
        found: usize,
        /// Taps of branch 1 and of branch 2.
        taps: [usize; 2],
    },
    /// A photo without pixels.
    #[error("The photo has no rows; a photo has at least one pixel.")]
    NoRows,
    /// Logits of another model, or damaged ones.
    #[error(
        "Logits of {found} values for a tap cannot become a map, since this model's grid has \
         {expected} patches; take them from the predictor that is to finish them."
    )]
    WrongLogits {
        /// Values of a tap.
        found: usize,
        /// Patches of the model's grid.
        expected: usize,
    },
    /// The model gave something that is no number.
    #[error(
        "The model's map contains a value that is not a number. The weights are damaged, or \
         were trained for other settings (activation, taps, image size)."
    )]
    NotFinite,
    /// A photo that is read while it is processed cannot be read.
    #[error(transparent)]
    Photo(#[from] vcp_image::Error),
    /// Windows without pixels.
    #[error("A tile has at least one pixel a side, not 0.")]
    TileEmpty,
    /// Windows that overlap too much, or by what is no number.
    #[error(
        "Tiles overlap by a fraction of their side from 0 to {limit}, not {found}; with more, every \
         pixel would be processed hundreds of times."
    )]
    Overlap {
        /// The share asked for.
        found: f64,
        /// The largest share.
        limit: f64,
    },
    /// A share that is none.
    #[error("The weight of the whole photo is a number from 0 to 1, not {found}.")]
    GlobalWeight {
        /// The weight asked for.
        found: f32,
    },
    /// More windows than could be kept or waited for.
    #[error(
        "A photo of {width} × {height} pixels makes {windows} tiles, more than the {limit} that are \
         allowed; take larger tiles or less overlap."
    )]
    TooManyWindows {
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
        /// Windows it would be cut into.
        windows: usize,
        /// Most windows.
        limit: usize,
    },
    /// A region of interest of another size than was said.
    #[error(
        "{found} values cannot say of {width} × {height} pixels which of them count; there has to be one for each."
    )]
    RegionLength {
        /// Number of values.
        found: usize,
        /// Pixels per row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A region of interest without pixels.
    #[error(
        "No pixel counts, so there is nothing to inspect; mark the part of photos that counts."
    )]
    NothingCounts,
    /// A memory of another model.
    #[error(
        "The memory of reference photos has levels of {found:?} channels, but this model's have {expected:?}; make it with \
         this model."
    )]
    OtherReferences {
        /// Channels of the memory's levels.
        found: Vec<usize>,
        /// Channels of the model's levels.
        expected: Vec<usize>,
    },
    /// No photo for a memory.
    #[error("None of the reference photos can be used, so there is nothing to compare with.")]
    NoReferences,
    /// A memory that cannot be right.
    #[error(transparent)]
    References(vcp_checkpoint::Error),
    /// The caller did not want to go on.
    #[error("The work was stopped before the photo was done.")]
    Stopped,
}

impl From<vcp_model::Error> for Error {
    fn from(error: vcp_model::Error) -> Self {
        match error {
            vcp_model::Error::Device(error) => Self::Device(error),
            error => Self::Model(error),
        }
    }
}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

/// What may help against a failure of the device.
fn advice(kind: DeviceErrorKind) -> &'static str {
    match kind {
        DeviceErrorKind::OutOfMemory => {
            "End other programs that use its memory, or run the model on the CPU."
        }
        _ => "Its driver may be at fault; the CPU can do the same.",
    }
}
