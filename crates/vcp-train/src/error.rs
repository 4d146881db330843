//! What can go wrong.

use std::path::PathBuf;

use vcp_model::{DeviceError, DeviceErrorKind};

/// Training could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A loss, or what follows from it, is no number any more.
    #[error(
        "The {what} is {value} in step {step} (epoch {epoch}, with {images}). Nothing of this step was \
         kept. {advice}"
    )]
    NotFinite {
        /// "loss", or "length of the gradients".
        what: &'static str,
        /// The value that is no finite number.
        value: f32,
        /// The step, counted from 1.
        step: u64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The batch's images.
        images: String,
        /// What may keep it finite.
        advice: &'static str,
    },
    /// There is nothing to train on.
    #[error("There are no images to train on.")]
    NoExamples,
    /// A data set's image or mask cannot be read.
    #[error(transparent)]
    Dataset(#[from] vcp_dataset::Error),
    /// The recipe asks for something that cannot be.
    #[error("{0}")]
    Recipe(String),
    /// A setting is out of its range.
    #[error("The setting '{name}' is {found}; it has to be {expected}.")]
    Setting {
        /// The setting's name.
        name: &'static str,
        /// The setting's value.
        found: f32,
        /// What the setting may be.
        expected: &'static str,
    },
    /// A state was saved by another training.
    #[error("The run cannot be resumed from {path}: {problem}", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        problem: String,
    },
    /// A run cannot be resumed, because its state is that of another training.
    #[error(transparent)]
    Resume(Box<Error>),
    /// A run cannot be resumed, because it was begun with another configuration.
    #[error(
        "The run in {} was begun with another {}. Give the same options to resume it, another --out, \
         or --restart to begin anew.", folder.display(), differing.join(", ")
    )]
    OtherRun {
        /// The run's folder.
        folder: PathBuf,
        /// The keys of its config.toml whose values differ.
        differing: Vec<String>,
    },
    /// A folder was to be used for a run that holds files of somebody else.
    #[error(
        "{} is not the folder of a run, for it has no config.toml that a run has written, but it holds \
         {}; nothing was removed or replaced. Name another --out.", path.display(), found.join(", ")
    )]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The first of the files that a run would replace or remove.
        found: Vec<String>,
    },
    /// Another run writes into the folder.
    #[error(transparent)]
    Locked(#[from] vcp_files::LockError),
    /// The folder of a run cannot be made, read or cleared.
    #[error("{} cannot be used for a run.", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// What a run depends on, or what it remembers, cannot be written down.
    #[error("What the run depends on cannot be written down: {0}.")]
    Configuration(String),
    /// The configuration of a run cannot be read.
    #[error("{} cannot be read: {problem}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        problem: String,
    },
    /// The log of a run cannot be read or written.
    #[error(transparent)]
    Log(#[from] crate::log::Error),
    /// The weights do not fit together.
    #[error(transparent)]
    Weights(#[from] vcp_checkpoint::Error),
    /// The model cannot be made of the weights.
    #[error(transparent)]
    Model(vcp_model::Error),
    /// The vision tower refused an image.
    #[error(transparent)]
    Predict(vcp_predict::Error),
    /// The device that trains, or the one that the vision tower runs on, failed.
    #[error("{0}. {advice}", advice = advice(.0.kind))]
    Device(DeviceError),
    /// Figures of merit cannot be computed.
    #[error(transparent)]
    Metrics(#[from] vcp_metrics::Error),
    /// A file cannot be written.
    #[error("{path} cannot be written: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether a run was refused because of the folder or the settings that were asked for, before any of
    /// its work was done: with others it would not be.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Resume(_) | Self::OtherRun { .. } | Self::NotARun { .. } | Self::Locked(_)
        )
    }
}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl From<vcp_model::Error> for Error {
    fn from(error: vcp_model::Error) -> Self {
        match error {
            vcp_model::Error::Device(error) => Self::Device(error),
            error => Self::Model(error),
        }
    }
}

impl From<vcp_predict::Error> for Error {
    fn from(error: vcp_predict::Error) -> Self {
        match error {
            vcp_predict::Error::Device(error) => Self::Device(error),
            error => Self::Predict(error),
        }
    }
}

/// What may help against a failure of the device.
fn advice(kind: DeviceErrorKind) -> &'static str {
    match kind {
        DeviceErrorKind::OutOfMemory => {
            "Resume the run when more of its memory is free, or begin anew with smaller batches."
        }
        _ => "Its driver may be at fault. The run can be resumed from its last state.",
    }
}
