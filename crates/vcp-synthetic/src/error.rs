//! What can go wrong.

use std::path::PathBuf;

/// A set of synthetic pictures could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is something already where the set is to be written.
    #[error("{} exists already and is not overwritten; remove it or choose another folder.", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// Another run writes there.
    #[error(transparent)]
    Locked(#[from] vcp_files::LockError),
    /// The caller ended the work.
    #[error("The work was stopped before it was done; nothing was written.")]
    Stopped,
    /// A picture could not be encoded or written.
    #[error(transparent)]
    Image(#[from] vcp_image::Error),
    /// A file or folder could not be written.
    #[error("{} could not be written: {source}.", path.display())]
    Write {
        /// Where it was to go.
        path: PathBuf,
        /// What the operating system or the encoder said.
        source: std::io::Error,
    },
}
