//! How a device says that it failed.

use std::fmt;

/// Why a device did not do what it was asked to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct DeviceError {
    /// The kind of failure, for programs that act on it.
    pub kind: DeviceErrorKind,
    /// What the device or its driver says about it.
    pub message: String,
}

/// Kinds of failures of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceErrorKind {
    /// The device has too little memory left. The same work may succeed later, or in smaller parts.
    OutOfMemory,
    /// Anything else: a fault of the device, of its driver, or of the operation on it.
    Failed,
}

impl fmt::Display for DeviceErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfMemory => "The device ran out of memory",
            Self::Failed => "The device failed",
        })
    }
}
