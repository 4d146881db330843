//! Errors as Python's exceptions.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use vcp_clip::{Error, Fault};
use vcp_image::Error as ImageError;
use vcp_predict::Error as PredictError;

/// Which exception an error becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Decode,
    Input,
    Limit,
    Model,
    Device,
    Output,
    Internal,
}

impl Kind {
    /// Its class in `vcp_clip._errors`.
    fn class(self) -> &'static str {
        match self {
            Self::Decode => "DecodeError",
            Self::Input => "InputError",
            Self::Limit => "LimitError",
            Self::Model => "ModelError",
            Self::Device => "DeviceError",
            Self::Output => "OutputError",
            Self::Internal => "InternalError",
        }
    }
}

/// What went wrong, ready to be raised.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// As the command line says it.
    pub(crate) sentence: String,
}

impl Failure {
    pub(crate) fn new(kind: Kind, sentence: impl Into<String>) -> Self {
        Self {
            kind,
            sentence: sentence.into(),
        }
    }

    /// An error of this program's own: a panic, or a thread that ended.
    pub(crate) fn internal() -> Self {
        Error::Internal.into()
    }

    /// As an exception that is not raised yet.
    pub(crate) fn exception(self, py: Python<'_>) -> PyErr {
        let class = py
            .import("vcp_clip._errors")
            .and_then(|errors| errors.getattr(self.kind.class()));
        match class.and_then(|class| class.call1((self.sentence.clone(),))) {
            Ok(exception) => PyErr::from_value(exception),
            // As while the interpreter ends.
            Err(_) => PyRuntimeError::new_err(self.sentence),
        }
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| failure.exception(py))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match error.fault() {
            Fault::Input => match error {
                Error::Photo(_)
                | Error::Decoder
                | Error::Unreadable(_)
                | Error::Predict(PredictError::Photo(_)) => Kind::Decode,
                _ => Kind::Input,
            },
            Fault::Limits => Kind::Limit,
            Fault::Model => Kind::Model,
            Fault::Device => Kind::Device,
            Fault::Output => Kind::Output,
            _ => Kind::Internal,
        };
        Self::new(kind, error.sentence())
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Error::from(error).into()
    }
}

impl From<vcp_metrics::Error> for Failure {
    fn from(error: vcp_metrics::Error) -> Self {
        Self::new(Kind::Input, error.to_string())
    }
}
