//! What can go wrong, and whose fault it is.

use std::io;
use std::path::PathBuf;

use vcp_image::Error as ImageError;
use vcp_predict::Error as PredictError;

use crate::calibration::{CalibrationFileError, FitError, MeasureError, Mismatch};
use crate::cost::TooMuch;
use crate::device::DeviceError;
use crate::inspection_mask::MaskError;
use crate::model::ModelError;
use crate::photos::InputsError;
use crate::sentence::sentence;

/// Anything that this crate cannot do. Its text is a full sentence, except that some go on with their
/// cause: [`Error::sentence`] has all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A photo cannot be read.
    #[error(transparent)]
    Photo(#[from] ImageError),
    /// A file, folder or list in which photos were to be found cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// The decoder of a photo broke off by an error of its own.
    #[error("The decoder failed by an error of its own.")]
    Decoder,
    /// Inputs stand for no photos.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// A model cannot be opened.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A photo cannot be inspected by a mask, or none can.
    #[error(transparent)]
    Mask(#[from] MaskError),
    /// A calibration file cannot be used.
    #[error(transparent)]
    Calibration(#[from] CalibrationFileError),
    /// A photo cannot be taken into a calibration.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// Photos give no thresholds.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// There is no such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The model takes more than anybody is likely to want.
    #[error(transparent)]
    Cost(#[from] TooMuch),
    /// A photo is the only one that others are compared with, and was not to be compared with itself.
    #[error("It is the only reference photo, so there is nothing to compare it with.")]
    OnlyReference,
    /// Photos are processed otherwise than those that they were to be compared with.
    #[error(
        "The model's reference photos were processed {mismatch}, so that others cannot be compared with them; process \
         photos in the same way, or say --no-references."
    )]
    OtherReferences {
        /// In which way.
        mismatch: Mismatch,
    },
    /// A photo cannot go through the model.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// Thresholds that nothing can be compared with.
    #[error("{0}")]
    Thresholds(&'static str),
    /// Published weights cannot be fetched.
    #[cfg(feature = "pull")]
    #[error(transparent)]
    Pull(#[from] crate::pull::PullError),
    /// A result cannot be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder for results cannot be created.
    #[error("The folder {} cannot be created", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file stands in a result's place that no earlier run has written.
    #[error(
        "{} lies beside the photo and vcp-clip has not written it, so it is not replaced; name another \
         folder with --out.", path.display()
    )]
    ForeignFile {
        /// The file.
        path: PathBuf,
    },
    /// Threads cannot be had.
    #[error("No thread can be started")]
    Threads(#[source] io::Error),
    /// A thread ended before its time.
    #[error("The work ended early by an error in vcp-clip itself.")]
    Internal,
}

/// Whose fault an [`Error`] is: what a server makes a status code of, and a binding a kind of exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// What was given to be inspected: no photo, a damaged one, a folder without any.
    Input,
    /// What was given is larger than allowed.
    Limits,
    /// The model, its settings or its calibration.
    Model,
    /// The device that the model runs on.
    Device,
    /// The place that results go to.
    Output,
    /// Nobody's: the caller asked for the work to end.
    Stopped,
    /// This crate.
    Internal,
}

impl Error {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Photo(error) | Self::Mask(MaskError::Picture(error)) => of_photo(error),
            Self::Unreadable(_)
            | Self::Decoder
            | Self::Inputs(_)
            | Self::Measure(_)
            | Self::Fit(_)
            | Self::Mask(_)
            | Self::Thresholds(_)
            | Self::OnlyReference => Fault::Input,
            Self::Model(_) | Self::Calibration(_) | Self::OtherReferences { .. } => Fault::Model,
            #[cfg(feature = "pull")]
            Self::Pull(_) => Fault::Model,
            Self::Device(_) => Fault::Device,
            Self::Cost(_) => Fault::Limits,
            Self::Predict(error) => match error {
                PredictError::Photo(error) => of_photo(error),
                PredictError::Device(_)
                | PredictError::Precision(_)
                | PredictError::OnlyOnCpu { .. } => Fault::Device,
                PredictError::TooManyWindows { .. } => Fault::Limits,
                PredictError::Stopped => Fault::Stopped,
                PredictError::TileEmpty
                | PredictError::RegionLength { .. }
                | PredictError::NothingCounts
                | PredictError::Overlap { .. }
                | PredictError::GlobalWeight { .. }
                | PredictError::NoReferences => Fault::Input,
                PredictError::Threads(_) => Fault::Internal,
                _ => Fault::Model,
            },
            Self::Write { .. } | Self::Folder { .. } | Self::ForeignFile { .. } => Fault::Output,
            Self::Threads(_) | Self::Internal => Fault::Internal,
        }
    }

    /// What went wrong, with all causes that the text of the error does not name itself.
    #[must_use]
    pub fn sentence(&self) -> String {
        sentence(self)
    }
}

fn of_photo(error: &ImageError) -> Fault {
    match error {
        ImageError::TooManyPixels { .. }
        | ImageError::SideTooLong { .. }
        | ImageError::FileTooLong { .. }
        | ImageError::OutOfMemory { .. } => Fault::Limits,
        ImageError::Write { .. } | ImageError::Encode { .. } => Fault::Output,
        _ => Fault::Input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_said_once() {
        let error = Error::Write {
            path: PathBuf::from("a.png"),
            source: io::Error::other("disk full"),
        };
        assert_eq!(error.sentence(), "a.png cannot be written: disk full");
        let error = Error::from(ImageError::Read {
            file: "a.png".to_owned(),
            source: io::Error::other("no such file"),
        });
        assert_eq!(error.sentence(), "a.png could not be read: no such file.");
    }

    #[test]
    fn faults_tell_who_has_to_act() {
        let too_many = ImageError::TooManyPixels {
            file: "a.png".to_owned(),
            width: 1 << 20,
            height: 1 << 20,
            max_pixels: 1,
        };
        let broken = || ImageError::Invalid {
            file: "a.png".to_owned(),
            format: "PNG",
            reason: "cut".to_owned(),
        };
        for (error, fault) in [
            (Error::from(too_many), Fault::Limits),
            (Error::from(broken()), Fault::Input),
            (Error::from(PredictError::Photo(broken())), Fault::Input),
            (Error::from(PredictError::Stopped), Fault::Stopped),
            (Error::from(PredictError::NotFinite), Fault::Model),
            (Error::from(DeviceError::NotBuilt), Fault::Device),
            (Error::from(ModelError::NoBuiltIn), Fault::Model),
            (Error::Internal, Fault::Internal),
        ] {
            assert_eq!(error.fault(), fault, "{error}");
        }
    }
}
